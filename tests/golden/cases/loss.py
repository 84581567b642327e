# SPDX-License-Identifier: Apache-2.0
"""Golden cases of packets that get lost (TXN005)."""

from __future__ import annotations

from craft import (
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, case

LOOK = {"look-for-loss": "recommended"}


def _asks(house: House, at: float, n: int, repeats: int = 0, **how: object) -> None:
    """MESSAGE of the phone, answered only when it has been sent again so often. how: of the first
    copies."""
    made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                   branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
    ladder = (0, *LADDER_REQUEST)
    for after in ladder[:repeats]:
        house.out(at + after, made, **how)  # type: ignore[arg-type]
    seen = house.out(at + ladder[repeats], made)
    house.into(at + ladder[repeats] + 0.03, answer(200, seen))


def _is_asked(house: House, at: float, n: int, lost: int = 0, unanswered: int = 0) -> None:
    """MESSAGE to the phone. lost: answers that left the router and never came to the provider;
    unanswered: copies before that the phone did not answer."""
    made = request("MESSAGE", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                   branch=f"z9hG4bKp{n}", call_id=f"p{n}@provider", cseq=1)  # fmt: skip
    ladder = (0, *LADDER_REQUEST)
    for i in range(unanswered + lost + 1):
        seen = house.into(at + ladder[i], made)
        if i >= unanswered:
            house.out(at + ladder[i] + 0.02, answer(200, seen))


def _line(lossy: bool) -> House:
    """A phone that registers, asks, is asked and calls; every third packet or so is lost beyond the
    router, or none is."""
    house = House()
    register(house, 0)
    for n in range(12):
        _asks(house, 10 + 20 * n, n, repeats=(0, 0, 1, 0, 2, 0)[n % 6] if lossy else 0)
        _is_asked(house, 15 + 20 * n, n, lost=n % 3 == 1 and lossy)
    return house


def _call_with_lost_acks(house: House, at: float, call_id: str, lost: int) -> None:
    """An outgoing call whose 2xx comes again, because its first ACKs are lost beyond the router."""
    call = Outgoing(house, call_id)
    call.invite(at)
    call.respond(at + 0.03, 100)
    for after in (0, 0.5, 1.5, 3.5)[: lost + 1]:
        call.ok(at + 2 + after)
        call.ack(at + 2.02 + after)
    call.bye(at + 12)


@case("txn005-loss-beyond-the-router", [("TXN005", "network", "observed")],
      [*ALG, *DLG, "TXN003"], LOOK, ["completed"])  # fmt: skip
def _() -> House:
    """Requests of the phone and answers to the provider are lost on the access line, some twice.
    All go through in the end, and so does a call whose first two ACKs are lost."""
    house = _line(lossy=True)
    _call_with_lost_acks(house, 300, "call@phone", 2)
    return house


@case("txn005-loss-in-the-house", [("TXN005", "phone", "observed")], [*ALG, *DLG], LOOK)
def _() -> House:
    """Answers reach the phone only when they come again (Wi-Fi): it repeats what was answered
    already, and what is sent to it is answered when it comes again."""
    house = House()
    register(house, 0)
    for n in range(12):
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        for after in (0, 0.5)[: 1 + (n % 3 == 0)]:
            seen = house.out(10 + 20 * n + after, made)
            house.into(10.03 + 20 * n + after, answer(200, seen))
        _is_asked(house, 15 + 20 * n, n, unanswered=n % 4 == 1)
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-loss-in-the-router", [("TXN005", "router", "observed")], [*ALG, *DLG])
def _() -> House:
    """Every third message of the phone stops in the router the first time, and crosses when it is
    sent again."""
    house = House()
    register(house, 0)
    for n in range(12):
        # The first copy crosses and its answer is late; the second one stops.
        _asks_and_stops(house, 10 + 20 * n, n, n % 3 == 0)
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-near-miss-router-sends-twice", must_not=["TXN005", *ALG, *DLG], state="cannot-tell")
def _() -> House:
    """The router sends each response twice within 2 ms: nothing was lost, and nobody had to send
    anything again."""
    house = House()
    register(house, 0)
    for n in range(12):
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        taken = answer(200, house.out(10 + 20 * n, made))
        house.into(10.03 + 20 * n, taken)
        house.into(10.032 + 20 * n, taken, wan=False)
    outgoing_call(house, 300, "call@phone")
    return house


def _asks_and_stops(house: House, at: float, n: int, stops: bool) -> None:
    made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                   branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
    seen = house.out(at, made, wan=not stops)
    if stops:
        house.out(at + 0.5, made, wan=False)
        seen = house.out(at + 1.5, made)
        house.into(at + 1.53, answer(200, seen))
    else:
        house.into(at + 0.03, answer(200, seen))


@case("txn005-one-sided", [("TXN005", "unknown", "observed"), ("CAP001", "unknown", "none")],
      [*ALG, *DLG], {"look-for-loss": "suspected"}, one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone of the lossy line: packets get lost, and it is not known where."""
    house = _line(lossy=True)
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-near-miss-few", must_not=["TXN005", *DLG, *ALG])
def _() -> House:
    """Two of twenty-four exchanges need a second try: that is how UDP is."""
    house = _line(lossy=False)
    for n in (50, 51):
        _asks(house, 270 + 10 * n, n, repeats=1)
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-near-miss-slow-end", must_not=["TXN005", *DLG, *ALG])
def _() -> House:
    """The provider answers each MESSAGE 0.6 s after its first copy: slow, and nothing is lost."""
    house = House()
    register(house, 0)
    for n in range(8):
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        seen = house.out(10 + 20 * n, made)
        house.out(10.5 + 20 * n, made)
        house.into(10.6 + 20 * n, answer(200, seen))
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-near-miss-now-and-then-slow", must_not=["TXN005", *DLG, *ALG])
def _() -> House:
    """The provider needs 0.4 s to 0.65 s for a MESSAGE: a third of them is sent twice, and none is
    lost."""
    house = House()
    register(house, 0)
    for n in range(12):
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        takes = (0.4, 0.45, 0.6 + n / 200)[n % 3]
        seen = house.out(10 + 20 * n, made)
        if takes > 0.5:
            house.out(10.5 + 20 * n, made)
        house.into(10 + 20 * n + takes, answer(200, seen))
    outgoing_call(house, 300, "call@phone")
    return house


@case("txn005-near-miss-lost-ack-ladders",
      [("DLG001", "network", "observed"), ("DLG002", "phone", "observed")],
      ["TXN005", *ALG], {"enable-rport-stun-outbound": "recommended",
                         "provider-fix-contact": "recommended"},
      ["dropped"] * 4)  # fmt: skip
def _() -> House:
    """Four calls whose 2xx is repeated to the end, because nobody handles the NAT: 40
    retransmissions, and not one packet is lost."""
    house = House()
    for n in range(4):
        call = Incoming(house, f"drop{n}@provider")
        call.invite(1 + 50 * n)
        call.ok(3 + 50 * n)
        call.dropped(3 + 50 * n)
    return house


@case("txn005-near-miss-phone-hears-nothing", must_not=["TXN005"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router sends every answer to a port that the phone did not send from, and the phone gives
    up each time after 7.5 s: many retransmissions, and none is lost."""
    house = House("linux")
    register(house, 0)
    incoming_call(house, 5, "good@provider")
    for n in range(6):
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        for after in (0, *LADDER_REQUEST[:4]):
            seen = house.out(20 + 20 * n + after, made)
            house.into(20.03 + 20 * n + after, answer(200, seen), lan_port=5080)
    outgoing_call(house, 300, "call@phone")
    return house
