# SPDX-License-Identifier: Apache-2.0
"""Privileges: the rights that the process keeps once its sockets are open."""

from __future__ import annotations

from algwatch._native import lib

SAME_USER: int = lib.AW_SAME_USER


def drop(uid: int = SAME_USER, gid: int = SAME_USER) -> int:
    """Become uid and gid, keep CAP_NET_RAW where it is there, no other capability, no new ones
    (capabilities(7), prctl(2) PR_SET_NO_NEW_PRIVS).

    Call it before threads are started: a thread keeps what it has. Returns 0 or an errno; then
    the process may be half of what it was and should end.
    """
    error: int = lib.aw_privileges_drop(uid, gid)
    return error
