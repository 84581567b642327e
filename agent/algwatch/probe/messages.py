# SPDX-License-Identifier: Apache-2.0
"""The SIP messages of the probe, in the form of a phone's (RFC 3261 section 8.1.1).

Every URI and sent-by has a port. The phone's own address is in every field read by an ALG: Via,
Contact, SDP and, as between phones that call each other directly, From (To of the response).
"""

from __future__ import annotations

from algwatch.capture.probes import USER as PROBE

KINDS = ("OPTIONS", "REGISTER", "INVITE", "200 OK", "ACK", "BYE")
USER = PROBE.decode()


class Message:
    """One message to send. kind: of KINDS. tcp: over TCP. host, port: the phone's; far, far_port:
    its destination. token: 12 characters, unique to this message, in branch, tags and Call-ID. rtp:
    port of its audio."""

    __slots__ = ("far", "far_port", "host", "kind", "payload", "port", "rtp", "tcp", "token")

    def __init__(self, kind: str, tcp: bool, host: str, port: int, far: str, far_port: int,
                 rtp: int, token: str) -> None:  # fmt: skip
        self.kind = kind
        self.tcp = tcp
        self.host = host
        self.port = port
        self.far = far
        self.far_port = far_port
        self.rtp = rtp
        self.token = token
        self.payload = _written(self)

    @property
    def name(self) -> str:
        """For a person."""
        how = "TCP" if self.tcp else "UDP"
        own = " from 5060" if self.port == 5060 else ""
        return f"{self.kind} over {how} to port {self.far_port}{own}"


def _written(m: Message) -> bytes:
    own, far = f"{m.host}:{m.port}", f"{m.far}:{m.far_port}"
    transport = "TCP" if m.tcp else "UDP"
    suffix = ";transport=tcp" if m.tcp else ""
    mine = f"<sip:{USER}@{own}>;tag={m.token}a"
    theirs = f"<sip:{USER}@{far}>"
    contact = f"Contact: <sip:{USER}@{own}{suffix}>"
    method = "INVITE" if m.kind == "200 OK" else m.kind
    in_dialog = m.kind in ("ACK", "BYE")
    if m.kind == "200 OK":
        first = "SIP/2.0 200 OK"
        via = f"Via: SIP/2.0/{transport} {far};branch=z9hG4bK{m.token}"
        one, other = f"{theirs};tag={m.token}b", mine
    else:
        first = f"{method} sip:{far}{suffix} SIP/2.0"
        via = f"Via: SIP/2.0/{transport} {own};branch=z9hG4bK{m.token};rport"
        one, other = mine, theirs + (f";tag={m.token}b" if in_dialog else "")
    lines = [first, via]
    if m.kind != "200 OK":
        lines.append("Max-Forwards: 70")
    if in_dialog:
        lines.append(f"Route: <sip:{far};lr>")
    if m.kind == "200 OK":
        lines.append(f"Record-Route: <sip:{far};lr>")
    if m.kind == "REGISTER":  # an address of record binds itself (RFC 3261 section 10.2)
        one = one.replace(own, far)
    lines += [f"From: {one}", f"To: {other}", f"Call-ID: {m.token}@{m.host}",
              f"CSeq: {2 if m.kind == 'BYE' else 1} {method}"]  # fmt: skip
    if m.kind != "BYE":
        lines.append(contact)
    if m.kind == "REGISTER":
        lines.append("Expires: 60")
    body = _session(m) if m.kind in ("INVITE", "200 OK") else b""
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _session(m: Message) -> bytes:
    """SDP of one audio stream (RFC 8866)."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {m.host}\r\ns=-\r\nc=IN IP4 {m.host}\r\nt=0 0\r\n"
        f"m=audio {m.rtp} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    ).encode()
