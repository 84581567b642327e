# SPDX-License-Identifier: Apache-2.0
"""SIP in logs and pasted text, made into packets: one file a format, `walker.py` over all of them.

A format finds the beginning of a message (`begins(line, times)`, a Head or None) and its end
(`ends(line)`); `message.py` reads the message itself, the same for all formats.
"""
