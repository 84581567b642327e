# SPDX-License-Identifier: Apache-2.0
"""Turning the SIP ALG off and putting everything back: apply, verify, rollback (docs/apply.md).

The daemon imports only state.py from here. Every program is run through router.py, with a list of
arguments; no text of a packet becomes an argument.
"""
