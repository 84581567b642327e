# SPDX-License-Identifier: Apache-2.0
"""Golden cases of requests that are refused, each with a near miss that is an ordinary end."""

from __future__ import annotations

from craft import LADDER_REQUEST, House, Outgoing, answer, outgoing_call, register, request
from refusals import UNHEARD, Row, house_of

from cases.case import ALG, DLG, case

NO = (*DLG, *ALG)


@case("txn003-subscribe-refused", [("TXN003", "provider", "latent")], [*NO, "DLG012"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider knows no lamps for new messages and refuses the SUBSCRIBE with 489."""
    return _beside(Row("SUBSCRIBE", "phone", 489))


@case("txn003-publish-refused", [("TXN003", "provider", "latent")], NO, state="cannot-tell")
def _() -> House:
    """The provider refuses the phone's PUBLISH with 403."""
    return _beside(Row("PUBLISH", "phone", 403))


@case("txn003-notify-refused", [("TXN003", "phone", "latent")], [*NO, "DLG012"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone refuses the provider's NOTIFY with 503."""
    return _beside(Row("NOTIFY", "far", 503))


@case("txn003-near-miss-notify-never-asked-for", must_not=["TXN003", *NO, "DLG012"])
def _() -> House:
    """A phone without a lamp for waiting messages refuses a NOTIFY that it never asked for."""
    return _beside(Row("NOTIFY", "far", 405))


@case("txn003-cancel-refused", [("TXN003", "provider", "latent")], NO,
      outcomes=["completed", "cancelled"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider refuses the CANCEL with 503, and the other phone rings on for 45 s."""
    return _beside(Row("CANCEL", "phone", 503))


@case("txn003-challenged-and-not-sent-anew", [("TXN003", "provider", "latent")], NO,
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider asks for credentials to a PUBLISH, and none with them comes."""
    return _beside(Row("PUBLISH", "phone", 401))


def _beside(row: Row) -> House:
    house = house_of(row)
    outgoing_call(house, 100, "after@phone")
    return house


def _anew(status: int) -> House:
    """A PUBLISH is refused, and the phone sends it once more, otherwise."""
    house = House()
    register(house, 0)
    for n, said in ((1, status), (2, 200)):
        made = request(
            "PUBLISH", "sip:100@example.net", via="192.168.1.10:5060", branch=f"z9hG4bKtell{n}",
            call_id="tell@phone", cseq=n, caller="<sip:100@example.net>;tag=p1",
            callee="<sip:100@example.net>", more=["Event: presence", "Expires: 3600"],
        )  # fmt: skip
        house.into(10 + n + 0.03, answer(said, house.out(10 + n, made), to_tag="far"))
    outgoing_call(house, 100, "after@phone")
    return house


@case("txn003-near-miss-sent-with-credentials", must_not=["TXN003", *NO])
def _() -> House:
    """The challenge of a PUBLISH (401), which the phone answers a second later."""
    return _anew(401)


@case("txn003-near-miss-published-anew", must_not=["TXN003", *NO])
def _() -> House:
    """The provider does not know the state any more (412), and the phone publishes it anew (RFC
    3903 section 4.2)."""
    return _anew(412)


@case("txn003-near-miss-keep-alive-refused", must_not=["TXN003", "DLG012", *NO])
def _() -> House:
    """Some phones keep their mapping open with a NOTIFY that nobody has subscribed to: the 489 to
    it shows that the provider is there."""
    house = House()
    register(house, 0)
    made = request(
        "NOTIFY", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKalive",
        call_id="alive@phone", cseq=1, caller="<sip:100@example.net>;tag=p1",
        callee="<sip:example.net>", more=["Event: keep-alive"],
    )  # fmt: skip
    house.into(20.03, answer(489, house.out(20, made), to_tag="far"))
    outgoing_call(house, 100, "after@phone")
    return house


def _early(status: int, again: bool) -> House:
    """An UPDATE of a call that rings. again: the phone sends it once more, with success."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "early@phone")
    call.invite(10)
    call.respond(10.2, 183)
    for n, said in ((2, status), (3, 200))[: 1 + again]:
        made = call._request("UPDATE", n, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                             call.contact, branch=f"update{n}")  # fmt: skip
        house.into(8.03 + 2 * n, answer(said, house.out(8 + 2 * n, made)))
    call.ok(22)
    call.ack(22.02)
    made = call._request("BYE", 9, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    house.into(40.03, answer(200, house.out(40, made)))
    register(house, 100, n=2)
    return house


@case("txn003-early-update-refused", [("TXN003", "network", "latent")], [*NO, "DLG014"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """An UPDATE before the answer is refused with 500 (RFC 3311 section 5.2), and not sent anew."""
    return _early(500, False)


@case("txn003-near-miss-early-update-sent-anew", must_not=["TXN003", "DLG014", *NO])
def _() -> House:
    """The same with 491, and the phone tries again two seconds later."""
    return _early(491, True)


@case("dlg014-refresh-refused", [("DLG014", "network", "latent")], [*NO, "TXN003"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """An UPDATE inside the call is refused with 403, none is accepted, and the users talk on."""
    return house_of(Row("UPDATE", "phone", 403))


@case("txn001-re-invite-once-over-tcp", [("TXN001", "unknown", "latent")], [*NO, "DLG014"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A re-INVITE over TCP gets no response: TCP does not repeat it."""
    return house_of(Row("re-INVITE", "phone", UNHEARD, tcp=True))


@case("txn003-bye-response-not-heard", [("TXN003", "unknown", "latent")], NO,
      one_file="wan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """On the WAN side alone: each of eleven BYE requests is answered at once, and the next one
    comes all the same."""
    return house_of(Row("BYE", "phone", "held"))


@case("reg001-never-left-before-it-registered", [("REG001", "router", "observed")], NO)
def _() -> House:
    """The first REGISTER of a phone stays in the router, which another phone registers through."""
    house, other = House(), House(phone="192.168.1.11", wan_port=40011)
    made = request(
        "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKfirst",
        call_id="first@phone", cseq=1, caller="<sip:100@example.net>;tag=p1",
        callee="<sip:100@example.net>", contact=house.contact, more=["Expires: 300"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, made, wan=False)
    register(other, 1, n=11)
    outgoing_call(other, 100, "beside@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


def _dialled(uri: str) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "dialled@phone")
    call.set_up(5)
    made = call._request("BYE", 9, uri, f";tag={call._tag}")
    house.into(20.03, answer(481, house.out(20, made)))
    register(house, 90, n=2)
    return house


@case("dlg008-bye-to-the-dialled-uri", [("DLG008", "unknown", "observed")], NO)
def _() -> House:
    """The phone sends its BYE to the URI that was dialled and not to the Contact of the 2xx: its
    own private Contact is not to blame for the 481."""
    return _dialled("sip:300@example.net")


@case(
    "dlg008-near-miss-bye-not-to-the-dialled-uri",
    [("DLG008", "provider", "observed")],
    ["TXN003"],
    {"enable-rport-stun-outbound": "recommended", "provider-fix-contact": "recommended"},
)
def _() -> House:
    """The same 481 to a BYE that goes to the Contact."""
    return _dialled("sip:300@203.0.113.5:5060")
