# SPDX-License-Identifier: Apache-2.0
"""A golden case: a capture, and the verdict that the specification demands of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from craft import House, Incoming, Packet

Must = tuple[str, str, str]  # rule, where, harm


class Case:
    """name: its folder. purpose: one paragraph, the function's docstring. must: findings that
    have to be there; must_not: rules that have to be silent; advice: action to state, and
    nothing else may be advised; outcomes: of the calls, in order of Call-ID; state: of the whole
    capture (hurts, fine, cannot-tell), by default whether a finding of must did harm."""

    def __init__(self, name: str, make: Callable[[], House], must: Sequence[Must],
                 must_not: Sequence[str], advice: dict[str, str], outcomes: Sequence[str],
                 one_file: str, state: str) -> None:  # fmt: skip
        self.name = name
        self.purpose = " ".join((make.__doc__ or "").split())
        self.make = make
        self.must = list(must)
        self.must_not = list(must_not)
        self.advice = advice
        self.outcomes = list(outcomes)
        self.one_file = one_file
        hurts = any(harm in ("observed", "certain") for _, _, harm in must)
        self.state = state or ("hurts" if hurts else "fine")

    def files(self) -> dict[str, list[Packet]]:
        lan, wan = self.make().sorted()
        if self.one_file == "both":
            return {"capture.pcap": sorted(lan + wan, key=lambda packet: packet[0])}
        if self.one_file:
            return {"capture.pcap": lan if self.one_file == "lan" else wan}
        return {"lan.pcap": lan, "wan.pcap": wan}

    def arguments(self, folder: str) -> list[str]:
        if self.one_file:
            return [f"{folder}/capture.pcap"]
        return ["--lan", f"{folder}/lan.pcap", "--wan", f"{folder}/wan.pcap"]


CASES: dict[str, Case] = {}

DLG = ("DLG001", "DLG002", "DLG004")
ALG = ("ALG001", "ALG002", "ALG006", "ALG010", "ALG011", "ALG014", "ALG015")
PHONE_OR_PROVIDER = {
    "enable-rport-stun-outbound": "recommended",
    "provider-fix-contact": "recommended",
}


def case(name: str, must: Sequence[Must] = (), must_not: Sequence[str] = (),
         advice: dict[str, str] | None = None, outcomes: Sequence[str] = ("completed",),
         one_file: str = "", state: str = "",
         ) -> Callable[[Callable[[], House]], Callable[[], House]]:  # fmt: skip
    def add(make: Callable[[], House]) -> Callable[[], House]:
        CASES[name] = Case(name, make, must, must_not, advice or {}, outcomes, one_file, state)
        return make

    return add


def answered(
    house: House, call_id: str = "drop@provider", at: float = 1, **how: object
) -> Incoming:
    """An incoming call that the phone answers two seconds later."""
    call = Incoming(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.ringing(at + 0.2)
    call.ok(at + 2)
    return call
