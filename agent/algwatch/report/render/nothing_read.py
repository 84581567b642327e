# SPDX-License-Identifier: Apache-2.0
"""The sentences of a verdict on a capture without SIP: its packets, and how to capture SIP."""

from __future__ import annotations

from algwatch.diagnose.recapture import HOW
from algwatch.report.render.sentences import listed, several

NAMED = 5  # kinds of packets
KINDS = {"tls": "of TLS", "stun": "of STUN", "fragments": "in fragments", "not_ip": "not IP",
         "other": "of other kinds"}  # fmt: skip
# In the names of what was not read (cli/unread.py).
ON_PORT = "SIP on TCP port "
INSIDE = "SIP text inside"
ENCRYPTED = "encrypted"


def nothing_read(capture: dict[str, int], unread: dict[str, int]) -> tuple[str, str]:
    """(why, next step). unread: packets by name, {} if not known."""
    packets = capture.get("packets", 0)
    if not packets:
        return "No packet could be read.", f"Capture SIP: {HOW}."
    were = [f"{capture[name]} {what}" for name, what in KINDS.items() if capture.get(name)]
    if capture.get("truncated"):
        were = []  # their kinds are not known
    if unread:
        names = sorted(unread, key=lambda name: ("SIP" not in name, -unread[name], name))
        were = [f"{name} ({unread[name]})" for name in names[:NAMED]]
        if len(names) > NAMED:
            were.append(f"others ({sum(unread[name] for name in names[NAMED:])})")
    of = f": {listed(were)}" if were else ""
    return f"No SIP message was read in {several(packets, 'packet')}{of}.", _step(capture, unread)


def _step(capture: dict[str, int], unread: dict[str, int]) -> str:
    ports = [int(name.removeprefix(ON_PORT)) for name in unread if name.startswith(ON_PORT)]
    if ports:
        named = ",".join(map(str, [5060, 5080, *sorted(ports)[:4]]))
        return f"Read it again with its port named: --ports {named}."
    if any(INSIDE in name for name in unread):
        return f"Capture the SIP itself, not inside of another protocol: {HOW}."
    if capture.get("tls"):
        return f"Turn TLS off on the phone for the time of the capture, then: {HOW}."
    if any(ENCRYPTED in name for name in unread):
        return f"If SIP is in the encrypted packets, capture it where it is not encrypted: {HOW}."
    return f"Capture the SIP itself; 5060 stands for the port that the phone uses: {HOW}."
