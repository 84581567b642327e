# SPDX-License-Identifier: Apache-2.0
"""Result: the findings of a probe, and its conclusion in one sentence."""

from __future__ import annotations

from algwatch.compare.fingerprint import BROADCOM, JUNIPER, LINUX, PROXY
from algwatch.probe.verdict import ADDED, MISSING, REWRITTEN, SAME, UNKNOWN, UNTOUCHED, WRONG, Sent

SCOPE = "for new flows that go out"
_LIKE = {
    LINUX: "as the Linux kernel's helper does",
    JUNIPER: "as a Juniper-type ALG does",
    BROADCOM: "as Broadcom's helper does",
    PROXY: "as a proxy does",
}


class Result:
    """lan, wan: the interfaces, "" if not found; address: the probe's own, far: its destination.
    sent: every message, with its verdicts. reasons: of an early end. notes: remarks, each a clause.
    cleaned: addresses of a killed probe, removed by this one. usage: other options would help.
    seconds: its duration."""

    __slots__ = ("address", "cleaned", "far", "lan", "notes", "reasons", "seconds", "sent", "usage",
                 "wan")  # fmt: skip

    def __init__(self) -> None:
        self.lan = self.wan = self.address = self.far = ""
        self.sent: list[Sent] = []
        self.reasons: list[str] = []
        self.notes: list[str] = []
        self.cleaned: list[str] = []
        self.usage = False
        self.seconds = 0.0

    @property
    def state(self) -> str:
        """REWRITTEN: at least one message was. UNTOUCHED: every message over UDP crossed and none
        was changed. Else UNKNOWN."""
        if any(sent.state == REWRITTEN for sent in self.sent):
            return REWRITTEN
        if self.reasons or not self.sent or self.lost:
            return UNKNOWN
        return UNTOUCHED

    @property
    def lost(self) -> list[Sent]:
        """Messages that entered, without a copy seen to leave."""
        return [sent for sent in self.sent if sent.state == UNKNOWN]

    def add_notes(self) -> None:
        """Once every message is judged: remarks beside the verdict."""
        crossed = [sent for sent in self.sent if sent.fields]
        if any(sent.source.rpartition(":")[0] == sent.mapped.rpartition(":")[0]
               for sent in crossed):  # fmt: skip
            self.notes.append("the phone's address left as it is: there is no NAT on this way, and "
                              "the Linux helper rewrites nothing without one")  # fmt: skip
        elif self.state == UNTOUCHED and any(sent.helper for sent in crossed):
            self.notes.append("the kernel's SIP helper is attached to these flows and rewrote "
                              "nothing, as without nf_nat_sip; it may still drop")  # fmt: skip

    @property
    def rewrites(self) -> list[str]:
        """The rewrites, as in "Via of OPTIONS over UDP to port 5060"; empty without one, also if
        nothing is known."""
        return [f"{field.name} of {sent.message.name}" for sent in self.sent
                for field in sent.fields if field.verdict != SAME]  # fmt: skip

    @property
    def conclusion(self) -> str:
        """One sentence."""
        if self.state == REWRITTEN:
            return self._rewritten()
        if self.state == UNTOUCHED:
            return f"SIP passes this router untouched {SCOPE} over {_where(self.sent)}."
        if self.reasons:
            return f"Cannot tell: {self.reasons[0]}."
        names = _listed([sent.message.name for sent in self.lost])
        return (f"Cannot tell: no copy of {names} left by {self.wan}, although others did; watch a "
                f"call (algwatch run --lan {self.lan} --wan {self.wan}) to see what becomes of "
                "them.")  # fmt: skip

    def _rewritten(self) -> str:
        changed = [sent for sent in self.sent if sent.state == REWRITTEN]
        fields = [f for sent in changed for f in sent.fields if f.verdict != SAME]
        names = list(dict.fromkeys(_short(f.name) for f in fields))
        likes = {sent.like for sent in changed}
        how = _LIKE.get(changed[0].like, "") if len(likes) == 1 else ""
        if not how:
            why = next((sent.why for sent in changed if sent.why), "")
            how = "not as the Linux kernel's helper does" + (f" ({why})" if why else "")
        wrong = any(f.verdict in (WRONG, MISSING, ADDED) for f in fields)
        also = ", and not all of it to the NAT mapping" if wrong else ""
        text = f"This router rewrites {_listed(names)} {SCOPE} over {_where(changed)}, {how}{also}"
        places = {_place(sent) for sent in changed}
        same = [s for s in self.sent if s.state == UNTOUCHED and _place(s) not in places]
        return text + (f"; SIP over {_where(same)} passes untouched." if same else ".")


def _place(sent: Sent) -> tuple[bool, int]:
    return sent.message.tcp, sent.message.far_port


def _where(some: list[Sent]) -> str:
    """As in: UDP to ports 5060 and 5070, and TCP to port 5060."""
    ports: dict[str, list[str]] = {}
    for tcp, port in dict.fromkeys(map(_place, some)):
        ports.setdefault("TCP" if tcp else "UDP", []).append(str(port))
    both = len(ports) == 2 and ports["UDP"] == ports["TCP"]
    if both:
        ports = {"UDP and TCP": ports["UDP"]}
    return ", and ".join(
        f"{transport} to port{'s' * (len(numbers) > 1)} {_listed(numbers)}"
        for transport, numbers in ports.items()
    )


def _short(name: str) -> str:
    return "SDP" if name.startswith("SDP ") else name


def _listed(words: list[str]) -> str:
    if len(words) > 1:
        return ", ".join(words[:-1]) + f" and {words[-1]}"
    return "".join(words)


__all__ = ["REWRITTEN", "SCOPE", "UNKNOWN", "UNTOUCHED", "Result"]
