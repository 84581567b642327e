# SPDX-License-Identifier: Apache-2.0
"""One call, seven messages: what every capture of this folder carries."""

from __future__ import annotations

PHONE, PROVIDER = "192.168.1.10", "203.0.113.5"
PHONE6, PROVIDER6 = "2001:db8:1::10", "2001:db8:2::5"
OUT, BACK = True, False  # from the phone, to the phone
CALL_ID = "encap-1@192.168.1.10"

Message = tuple[bool, bytes]  # direction, text


def _sdp(address: str, port: int) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0",
             f"m=audio {port} RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
             "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20",
             "a=sendrecv"]  # fmt: skip
    return "".join(line + "\r\n" for line in lines)


def _text(start: str, branch: str, cseq: str, transport: str, to_tag: str, contact: str,
          body: str = "", from_callee: bool = False) -> bytes:  # fmt: skip
    caller, callee = "<sip:alice@example.com>;tag=caller", f"<sip:bob@example.com>{to_tag}"
    lines = [
        start,
        f"Via: SIP/2.0/{transport} {PHONE}:5060;branch=z9hG4bK-{branch};rport",
        "Max-Forwards: 70",
        f"From: {callee if from_callee else caller}",
        f"To: {caller if from_callee else callee}",
        f"Call-ID: {CALL_ID}",
        f"CSeq: {cseq}",
    ]
    if contact:
        lines.append(f"Contact: <sip:{contact}>")
    if body:
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


def messages(transport: str = "UDP") -> list[Message]:
    """INVITE, 100, 180, 200, ACK, BYE, 200, in the order in which they pass."""
    target, tag = f"sip:bob@{PROVIDER}:5060", ";tag=callee"
    bob, alice = f"bob@{PROVIDER}:5060", f"alice@{PHONE}:5060"
    ok = "SIP/2.0 200 OK"
    return [
        (OUT, _text("INVITE sip:bob@example.com SIP/2.0", "i1", "1 INVITE", transport, "", alice,
                    _sdp(PHONE, 30000))),
        (BACK, _text("SIP/2.0 100 Trying", "i1", "1 INVITE", transport, "", "")),
        (BACK, _text("SIP/2.0 180 Ringing", "i1", "1 INVITE", transport, tag, bob)),
        (BACK, _text(ok, "i1", "1 INVITE", transport, tag, bob, _sdp(PROVIDER, 40000))),
        (OUT, _text(f"ACK {target} SIP/2.0", "a1", "1 ACK", transport, tag, "")),
        (OUT, _text(f"BYE {target} SIP/2.0", "b1", "2 BYE", transport, tag, "")),
        (BACK, _text(ok, "b1", "2 BYE", transport, tag, "")),
    ]  # fmt: skip
