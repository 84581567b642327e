# SPDX-License-Identifier: Apache-2.0
"""SIP in logs and pasted text, made into packets: one file a format, `walker.py` over all of them.

A format tells where a message begins (`begins(line, times)`, a Head or None) and where it ends
(`ends(line)`); the message itself is read by `message.py`, the same for all of them.
"""
