# SPDX-License-Identifier: Apache-2.0
"""Golden cases of internet scanners in captures of one side alone."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    answer,
    incoming_call,
    register,
    request,
    sdp,
)

from cases.case import DLG, case

SCANNER, TRUNK = "45.9.1.1", "203.0.113.200"
QUIET = ("REG001", "TXN001", "TXN003", *DLG)
ONE_SIDED = [("CAP001", "unknown", "none")]


def _asked(house: House, method: str, host: str, n: int) -> bytes:
    """A request for a user part at the address that it goes to."""
    return request(
        method, f"sip:9{n}@{house.wan_ip}", via=f"{host}:5060",
        branch=f"z9hG4bK{method}{n}", call_id=f"x-{method}-{n}", cseq=1, contact=f"<sip:a@{host}>",
        caller=f"<sip:a@{house.wan_ip}>;tag=a{n}", callee=f"<sip:9{n}@{house.wan_ip}>",
        body=sdp(host) if method == "INVITE" else b"",
    )  # fmt: skip


def _home() -> House:
    """A phone that registers and is called."""
    house = House(wan_port=40001)
    register(house, 0)
    incoming_call(house, 5, "good@provider", fixed_contact=f"sip:100@{house.public}")
    register(house, 90, n=2)
    return house


@case("scanner-near-miss-wan-alone", ONE_SIDED, QUIET,
      outcomes=["completed", "unanswered", "unanswered"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: a scanner's INVITE and REGISTER are sent again and again and not
    answered, another INVITE comes once. The one call of the phone completes."""
    house = _home()
    for method, ladder in (("INVITE", LADDER_INVITE), ("REGISTER", LADDER_REQUEST)):
        for after in (0, *ladder):
            made = _asked(house, method, SCANNER, 1)
            house.into(20 + after, made, src=SCANNER, lan=False, wan_port=5060)
    house.into(22, _asked(house, "INVITE", SCANNER, 2), src=SCANNER, lan=False, wan_port=5060)
    return house


@case("scanner-near-miss-lan-alone", ONE_SIDED, QUIET, outcomes=["completed", "rejected"],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the router forwards the port, and the phone refuses the scanner's call
    with 403."""
    house = _home()
    seen = house.into(20, _asked(house, "INVITE", SCANNER, 1), src=SCANNER)
    house.out(20.1, answer(403, seen, to_tag="no"), dst=SCANNER)
    return house


@case("txn001-trunk-without-registration", [("TXN001", "unknown", "observed"), *ONE_SIDED], DLG,
      outcomes=["completed", "completed", "unanswered"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: a trunk at which nobody registers calls in the same way. Its first call
    was answered, so it is no scanner, and its second one is dead."""
    house = _home()
    made = _asked(house, "INVITE", TRUNK, 1)
    seen = house.into(20, made, src=TRUNK)
    house.out(21, answer(200, seen, to_tag="t", contact=f"<sip:91@{house.public}>",
                         body=sdp(house.wan_ip)), dst=TRUNK)  # fmt: skip
    for at, method, cseq in ((21.1, b"ACK", b"1"), (30, b"BYE", b"2")):
        made = request(
            method.decode(), f"sip:91@{house.public}", via=f"{TRUNK}:5060",
            branch=f"z9hG4bKin{at:.0f}", call_id="x-INVITE-1", cseq=int(cseq),
            caller=f"<sip:a@{house.wan_ip}>;tag=a1", callee=f"<sip:91@{house.wan_ip}>;tag=t",
        )  # fmt: skip
        seen = house.into(at, made, src=TRUNK)
    house.out(30.1, answer(200, seen), dst=TRUNK)
    for after in (0, *LADDER_INVITE):
        house.into(40 + after, _asked(house, "INVITE", TRUNK, 2), src=TRUNK, lan=False)
    return house


@case("txn001-trunk-never-answered", [("TXN001", "unknown", "observed"), *ONE_SIDED], DLG,
      outcomes=["completed", "unanswered"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: a trunk at which nobody registers, whose calls are all dead. It sends its
    INVITE again, and From has its own address: it waits for an answer, and is no scanner."""
    house = _home()
    made = _asked(house, "INVITE", TRUNK, 1)
    made = made.replace(f"<sip:a@{house.wan_ip}>".encode(), f"<sip:a@{TRUNK}>".encode())
    for after in (0, *LADDER_INVITE):
        house.into(20 + after, made, src=TRUNK, lan=False)
    return house
