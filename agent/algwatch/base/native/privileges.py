# SPDX-License-Identifier: Apache-2.0
"""Privileges: the rights kept by the process once its sockets are open."""

from __future__ import annotations

from algwatch._native import lib

SAME_USER: int = lib.AW_SAME_USER


def drop(uid: int = SAME_USER, gid: int = SAME_USER) -> int:
    """Become uid and gid. Keep CAP_NET_RAW if present, no other capability, no new ones
    (capabilities(7), prctl(2) PR_SET_NO_NEW_PRIVS).

    Call it before threads are started: a thread keeps its own. Returns 0 or an errno. After an
    errno the change may be half done, and the process should end.
    """
    error: int = lib.aw_privileges_drop(uid, gid)
    return error
