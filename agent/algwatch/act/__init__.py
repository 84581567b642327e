# SPDX-License-Identifier: Apache-2.0
"""Turning the SIP ALG off and putting everything back: apply, verify, rollback (docs/apply.md).

Nothing here is imported by the daemon but state.py. Whatever runs another program does so through
router.py, with a list of arguments; no text of a packet becomes one.
"""
