# SPDX-License-Identifier: Apache-2.0
"""Lines of a log about lost messages, named and explained."""

from __future__ import annotations

import re

from algwatch.base.quote import quoted

_SIGNS = ("etransmi", "critical packet", "Maximum retries")  # most lines have none of them
_ID = r"(?P<id>[^\s()]+)"
_KNOWN = [
    (
        re.compile(
            rf"(?:Retransmission timeout reached|Maximum retries exceeded) on transmission {_ID}"
            r" for seqno (?P<cseq>\d+) \((?P<what>(?:Non-c|C)ritical (?:Response|Request))\)"
        ),
        None,
    ),
    (
        re.compile(rf"Hanging up call {_ID} - no reply to our critical packet"),
        "Asterisk ended the call {id} because a message that must be answered was not: its 2xx got "
        "no ACK, or its INVITE or BYE no response (RFC 3261 sections 13.3.1.4 and 17). Rule DLG001 "
        "tells where an ACK got lost, from a capture of both sides of the router",
    ),
    (
        re.compile(rf"Cancelling retransmit of OPTIONs?(?: \(call id {_ID})?"),
        "Asterisk asked whether a phone or provider is there (OPTIONS, qualify) and gave up "
        "waiting: a mapping of the NAT that is gone, or a host that is (rule TXN004). No call ends "
        "by that, but none reaches that phone then",
    ),
]
_SENTENCES = {
    "Critical Response": "its response (CSeq {cseq}) in the call {id} was never acknowledged: the "
    "ACK to its 2xx did not arrive within 64*T1 = 32 s (RFC 3261 section 13.3.1.4), and the call "
    "is dropped",
    "Critical Request": "its request (CSeq {cseq}) in the call {id} got no response within 64*T1 = "
    "32 s (timer B or F): what it sent, or every response, got lost",
    "Non-critical Response": "its response (CSeq {cseq}) in the call {id} was not acknowledged; "
    "the call goes on without it",
    "Non-critical Request": "its request (CSeq {cseq}) in the call {id} got no response; the call "
    "goes on without it",
}


def remark(line: str) -> str:
    """The meaning of a line of a log, "" for most lines."""
    if not any(sign in line for sign in _SIGNS):
        return ""
    for pattern, sentence in _KNOWN:
        found = pattern.search(line)
        if found is None:
            continue
        values = {k: v for k, v in found.groupdict().items() if v is not None}
        shown = quoted(values["id"]) if "id" in values else "of an OPTIONS"
        if sentence is None:
            sentence = "Asterisk gave up: " + _SENTENCES[values["what"]]
        return sentence.format(id=shown, cseq=values.get("cseq", ""))
    return ""
