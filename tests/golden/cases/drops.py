# SPDX-License-Identifier: Apache-2.0
"""Golden cases of calls that a timer drops, and of subscriptions"""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Timed,
    register,
)

from cases.case import ALG, DLG, answered, case

SILENT = (*DLG, "DLG007", *ALG)

# ---- DLG007: no ACK ----


@case("dlg007-gives-up-after-ten-seconds",
      [("DLG007", "network", "observed"), ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """No ACK comes to the phone's 2xx, and the phone waits no longer than 10 s for one."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in LADDER_2XX[:4]:
        call.ok(3 + after)
    call.phone_bye(13)
    return house


@case("dlg007-gives-up-after-five-seconds",
      [("DLG007", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same after 5 s, and each ACK had come to the WAN side and no further."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX[:3]):
        call.ok(3 + after)
        call.ack(3.05 + after, lan=False)
    call.phone_bye(8)
    return house


@case("dlg007-64-t1", [("DLG007", "network", "observed"), ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """No ACK, and the BYE of RFC 3261 section 13.3.1.4 after 32 s."""
    house = House()
    answered(house, contact=f"<sip:100@{house.public}>").dropped(3)
    return house


@case("dlg007-near-miss-ten-seconds-and-acknowledged", must_not=SILENT)
def _() -> House:
    """The 2xx is acknowledged, and its callee hangs up after 10 s."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05)
    call.phone_bye(13)
    return house


@case("dlg007-near-miss-32-seconds-and-acknowledged", must_not=SILENT)
def _() -> House:
    """The same after 32 s: a coincidence, for its ACK had come."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05)
    call.phone_bye(35)
    return house


# ---- DLG007: no refresh ----


@case("dlg007-phone-never-refreshes", [("DLG007", "phone", "observed")], [*DLG, *ALG],
      {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Session-Expires 1800, to be refreshed by the phone, which never does: the far end hangs up
    1768 s after the answer (RFC 4028 section 10)."""
    call = Timed(House(), "uac")
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-refresh-never-comes", [("DLG007", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end is to refresh and nothing comes to the WAN side: the phone hangs up after
    Session-Expires less a third of it."""
    call = Timed(House(), "uas", 90)
    call.bye(3 + 60)
    return call.house


@case("dlg007-refresh-never-comes-and-reason", [("DLG007", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end is to refresh. Its refresh never comes here; it hangs up 32 s later and says so
    in the Reason of its BYE."""
    call = Timed(House(), "uas")
    call.far_bye(3 + 932, ['Reason: SIP;cause=408;text="Session timeout"'])
    return call.house


@case("dlg007-refresh-stopped",
      [("DLG007", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone's re-INVITE of 900 s never leaves the router, and the phone hangs up 32 s later:
    the drop after a quarter of an hour."""
    call = Timed(House(), "uac")
    call.refresh(903, "INVITE", LADDER_INVITE, wan=False)
    call.bye(935)
    return call.house


@case("dlg007-refresh-unanswered",
      [("DLG007", "network", "observed"), ("TXN003", "network", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone's UPDATE leaves the router, and nobody answers it."""
    call = Timed(House(), "uac")
    call.refresh(903, "UPDATE", LADDER_REQUEST)
    call.bye(935)
    return call.house


@case("dlg007-refresh-refused", [("DLG007", "provider", "observed")], [*DLG, *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The far end answers the phone's UPDATE with 481, and the phone hangs up."""
    call = Timed(House(), "uac")
    call.refused(903.1, call.refresh(903), 481)
    call.bye(903.5)
    return call.house


@case("dlg007-router-changes-the-timer", [("DLG007", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The far end asked the phone to refresh after 1800 s, and the router made it 7200 s."""

    def longer(message: bytes) -> bytes:
        return message.replace(b"Session-Expires: 1800", b"Session-Expires: 7200")

    call = Timed(House(), "uac", alg=longer)
    call.far_bye(3 + 1768)
    return call.house


@case("dlg007-overdue", [("DLG007", "phone", "latent")], [*DLG, *ALG], outcomes=["ongoing"],
      state="fine")  # fmt: skip
def _() -> House:
    """The capture ends 1400 s after the answer, without a refresh: said before it happens, with the
    seconds that are left."""
    call = Timed(House(), "uac")
    register(call.house, 1403, n=2)
    return call.house


@case("dlg007-near-miss-hung-up-before-half", must_not=SILENT)
def _() -> House:
    """The user hangs up after ten minutes, before any refresh is due."""
    call = Timed(House(), "uac")
    call.bye(603)
    return call.house


@case("dlg007-near-miss-refreshed", must_not=SILENT)
def _() -> House:
    """The phone refreshes with UPDATE, then with a re-INVITE, and hangs up 1768 s after the answer,
    which is 28 s after the latest refresh."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903))
    call.accept(1743.1, call.refresh(1743, "INVITE"))
    made = call._request("ACK", 3, call.far_contact.strip("<>"), f";tag={call._tag}", branch="ack2")
    call.house.out(1743.2, made)
    call.bye(1771)
    return call.house


@case("dlg007-near-miss-refreshed-late", must_not=SILENT)
def _() -> House:
    """The refresh comes after three quarters of the interval, which is late and in time."""
    call = Timed(House(), "uac")
    call.accept(1353.1, call.refresh(1353))
    call.bye(1803)
    return call.house


@case("dlg007-near-miss-timer-turned-off", must_not=SILENT)
def _() -> House:
    """The 2xx to the refresh has no Session-Expires: from then on nothing ends the call."""
    call = Timed(House(), "uac")
    call.accept(903.1, call.refresh(903), more=[])
    call.bye(903 + 1768)
    return call.house
