# SPDX-License-Identifier: Apache-2.0
"""Golden cases of Contacts with a name outside the public DNS, and of ACKs that nobody saw."""

from __future__ import annotations

from craft import LADDER_2XX, House, Incoming, incoming_call, register

from cases.case import ALG, DLG, case
from cases.dlg import _hung_up
from cases.drops import Subscribing
from cases.variants_field import unacknowledged
from cases.ways import OTHERS, PHONE_FIX, _callee

LOCAL = "<sip:100@localhost>"
DROP = ["dropped"]


# ---- DLG002, DLG008, DLG012, DLG013: a Contact with a name that nobody else knows ----


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


@case("dlg008-near-miss-found-past-localhost-later", [("DLG008", "network", "observed")],
      [*DLG, *ALG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider shows it only later: the order of calls does not matter."""
    house = _hung_up(House(), LOCAL, 481)
    incoming_call(house, 130, "found@provider", contact=LOCAL,
                  fixed_contact=f"sip:100@{house.public}")  # fmt: skip
    return house


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


@case("dlg002-far-contact-is-localhost",
      [("DLG002", "provider", "observed"), ("DLG001", "provider", "observed")], ALG,
      {"provider-fix-contact": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The provider's Contact is localhost: for the phone this is the phone itself."""
    return unacknowledged("<sip:300@localhost:5060>")


@case("dlg002-near-miss-far-contact-with-a-public-name", [("DLG001", "phone", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """A name that the phone can look up."""
    return unacknowledged("<sip:300@example.net:5060>")


@case("dlg012-contact-is-localhost", [("DLG012", "phone", "observed")], ALG, PHONE_FIX, [])
def _() -> House:
    """The phone subscribes to its mailbox with the Contact localhost, and no NOTIFY comes."""
    one = Subscribing(House(), LOCAL)
    register(one.house, 60, n=2)
    return one.house


@case("dlg012-near-miss-contact-with-a-public-name", [("DLG012", "network", "latent")], ALG,
      {}, [], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A name that the provider may look up."""
    one = Subscribing(House(), "<sip:100@localhost.example.net>")
    register(one.house, 60, n=2)
    return one.house


@case("dlg013-contact-is-localhost", [("DLG013", "phone", "observed")],
      [rule for rule in DLG if rule != "DLG013"], PHONE_FIX, ["rejected"])  # fmt: skip
def _() -> House:
    """The phone's 183 asks for PRACK with the Contact localhost, and none comes."""
    return _callee(LOCAL)


@case("dlg013-near-miss-contact-with-a-public-name", [("DLG013", "network", "observed")],
      [rule for rule in DLG if rule != "DLG013"], {}, ["rejected"])  # fmt: skip
def _() -> House:
    """A name that the provider may look up."""
    return _callee("<sip:100@localhost.example.net>")


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
