# SPDX-License-Identifier: Apache-2.0
"""Golden cases of what one side, or a capture that misses a packet, cannot show."""

from __future__ import annotations

from craft import House, Timed, answer, register, request

from cases.case import ALG, CASES, DLG, case
from cases.drops import Subscribing


@case("dlg007-near-miss-refresh-not-captured", must_not=["DLG007", *DLG, *ALG])
def _() -> House:
    """Neither side has the UPDATE of the phone, and both have its 200: so the session was
    refreshed, and the call ends when it would have without."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903, lan=False, wan=False))
    call.bye(1803)
    return call.house


@case("reg001-near-miss-credentials-not-captured", must_not=["REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Neither side has the REGISTER with credentials, and both have its 200."""
    house = House()

    def asked(n: int) -> bytes:
        return request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKcred{n}", call_id="cred@phone", cseq=n, contact=house.contact,
            caller="<sip:100@example.net>;tag=r1",
        )  # fmt: skip

    house.into(0.03, answer(401, house.out(0, asked(1)), to_tag="a"))
    seen = house.out(0.05, asked(2), lan=False, wan=False)
    house.into(0.08, answer(200, seen, to_tag="b", contact=f"{house.contact};expires=120"))
    other = House(phone="192.168.1.11", wan_port=40011)
    register(other, 200, n=9)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("dlg012-near-miss-notify-not-captured", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Neither side has the NOTIFY, and both have its 200: so it arrived in spite of the private
    Contact."""
    house = House()
    one = Subscribing(house)
    house.out(1.2, answer(200, one.notify(1.1, lan=False, wan=False)))
    register(house, 60, n=2)
    return house


@case("dlg012-near-miss-2xx-not-captured", must_not=["DLG012", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The SUBSCRIBE was forked, and its 2xx is on neither side: nobody knows of which notifier the
    refused NOTIFY is."""
    house = House()
    one = Subscribing(house, "<sip:100@198.51.100.2:5060>")
    for tap in (house.lan, house.wan):
        tap[:] = [packet for packet in tap if b"SUBSCRIBE\r\n" not in packet[1]
                  or b"SIP/2.0 200" not in packet[1]]  # fmt: skip
    house.out(1.15, answer(481, one.notify(1.1, tag="other")))
    register(house, 60, n=2)
    return house


def _alone(name: str) -> House:
    return CASES[name].make()


@case("dlg012-near-miss-forked-one-sided", must_not=["DLG012", *DLG, *ALG], outcomes=[],
      one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone of a forked SUBSCRIBE: the refused NOTIFY has the tag of another
    notifier."""
    return _alone("dlg012-near-miss-forked")


@case("txn003-bye-of-a-stranger-one-sided", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      outcomes=["completed", "unknown"], one_file="wan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN side alone does not show whether anybody here has the call of a BYE whose beginning
    was not captured: it hurts nobody as far as is known."""
    return _alone("txn003-near-miss-bye-of-a-stranger")


@case("sdp003-near-miss-media-inside-the-lan-one-sided", must_not=["SDP003", *DLG],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the SDP from the Internet names another phone here, so media need not
    cross the router."""
    return _alone("sdp003-near-miss-media-inside-the-lan")


@case("txn005-in-the-house-one-sided", [("TXN005", "unknown", "observed")], [*DLG, *ALG],
      {"look-for-loss": "suspected"}, one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone of a line that loses packets between phone and router: one side does not
    show where."""
    return _alone("txn005-loss-in-the-house")
