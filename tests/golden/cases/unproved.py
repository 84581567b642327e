# SPDX-License-Identifier: Apache-2.0
"""Golden cases of Contacts with a name outside the public DNS, and of ACKs that nobody saw."""

from __future__ import annotations

from craft import LADDER_2XX, House, Incoming, Outgoing, incoming_call, register

from cases.case import ALG, DLG, case
from cases.dlg import _hung_up
from cases.ways import OTHERS, PHONE_FIX

LOCAL = "<sip:100@localhost>"
DROP = ["dropped"]


# ---- DLG008, DLG002: a Contact with a name that nobody else knows ----


@case("dlg008-contact-is-localhost", [("DLG008", "phone", "observed")], [*DLG, *ALG], PHONE_FIX)
def _() -> House:
    """The phone's Contact is localhost, and the BYE of the far end never came."""
    return _hung_up(House(), LOCAL, 481)


@case("dlg008-near-miss-found-past-localhost", [("DLG008", "network", "observed")],
      [*DLG, *ALG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same phone, and a provider that has found it past this Contact in another call."""
    house = House()
    incoming_call(house, 30, "found@provider", contact=LOCAL,
                  fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    return _hung_up(house, LOCAL, 481)


@case("dlg008-near-miss-contact-with-a-public-name", [("DLG008", "network", "observed")],
      [*DLG, *ALG])  # fmt: skip
def _() -> House:
    """A name that the public DNS may have is no reason."""
    return _hung_up(House(), "<sip:100@localhost.example.net>", 481)


@case("dlg002-contact-with-a-private-name",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")], ["DLG004", *ALG],
      PHONE_FIX, DROP)  # fmt: skip
def _() -> House:
    """The 2xx of the phone has the Contact phone.local, and no ACK comes."""
    house = House()
    register(house, 0)
    call = Incoming(house, "named@phone", contact="<sip:100@phone.local:5060>")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    return house


def _called(contact: str) -> House:
    """The 2xx from beyond is never acknowledged by the phone."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "named@far", far_contact=contact)
    call.invite(1)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
    call.far_bye(35.1)
    return house


@case("dlg002-far-contact-is-localhost",
      [("DLG002", "provider", "observed"), ("DLG001", "provider", "observed")], ALG,
      {"provider-fix-contact": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The provider's Contact is localhost: for the phone this is the phone itself."""
    return _called("<sip:300@localhost:5060>")


@case("dlg002-near-miss-far-contact-with-a-public-name", [("DLG001", "phone", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """A name that the phone can look up."""
    return _called("<sip:300@example.net:5060>")


# ---- an ACK that nobody saw ----


def _stops(length: float) -> House:
    """The phone repeats its 2xx up to T2 and no longer. No ACK is seen, and the caller hangs up
    after length seconds."""
    house = House()
    register(house, 0)
    call = Incoming(house, "stops@phone", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    for after in (0, *LADDER_2XX[:3]):
        call.ok(3 + after)
    call.bye(3 + length)
    return house


@case("dlg001-no-ack-seen-and-hung-up-soon", must_not=[*DLG, *ALG], state="cannot-tell")
def _() -> House:
    """The phone gave up its 2xx, or an ACK came past both taps: nothing shows that the two ends
    heard each other."""
    return _stops(40)


@case("dlg001-near-miss-no-ack-seen-and-talked-on", must_not=[*DLG, *ALG])
def _() -> House:
    """Nobody stays for two minutes in a call without a sound."""
    return _stops(120)
