# SPDX-License-Identifier: Apache-2.0
"""Golden cases of requests tried again, elsewhere or too late: after a challenge, in silence, at
another server, against a request of the other end, behind a BYE."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Outgoing,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, case

NO = [*DLG, *ALG]


def _challenged(later: bool) -> House:
    """An INVITE is challenged, and the next one, with credentials, never leaves the router. later:
    the phone registers after it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "again@phone")
    call.invite(5)
    call.respond(5.03, 407)
    call.nak(5.04)
    again = request(
        "INVITE", "sip:300@example.net", via=f"{house.phone}:5060", branch="z9hG4bKagain",
        call_id=call.call_id, cseq=2, caller="<sip:100@example.net>;tag=p-again-phone",
        callee="<sip:300@example.net>", contact=house.contact, body=call.body,
        more=['Proxy-Authorization: Digest username="100", realm="r", nonce="n", response="0"'],
    )  # fmt: skip
    for after in (0, *LADDER_INVITE):
        house.out(5.05 + after, again, wan=False)
    if later:
        register(house, 60, n=2)
        register(house, 100, n=3)
    return house


@case("call-asked-again-when-the-wan-ended", must_not=NO, outcomes=["unknown"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN capture ends with the challenge of a call, and the LAN shows the INVITE with
    credentials: the password is not to blame, and nothing tells what became of the call."""
    return _challenged(False)


@case("call-near-miss-asked-again-and-stopped", [("TXN001", "router", "observed")], NO,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same while the WAN capture goes on: the router stops the INVITE with credentials."""
    return _challenged(True)


def _anew(phone: str, aor: str = "100") -> House:
    """A REGISTER without any response, and six seconds later another one, from another port and
    with another Call-ID, that is accepted."""
    house = House()
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKone",
        call_id="one@phone", cseq=1, caller=f"<sip:{aor}@example.net>;tag=r0",
        callee=f"<sip:{aor}@example.net>", contact=house.contact, more=["Expires: 600"],
    )  # fmt: skip
    for after in LADDER_REQUEST[:4]:
        house.out(after, asked)
    other = House(phone=phone, port=5062, wan_port=5062)
    register(other, 8, n=2, expires=600)
    incoming_call(other, 40, "in@provider", contact=f"<sip:100@{other.public}>")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-given-up-and-accepted-anew", [("REG001", "network", "latent")], NO, state="fine")
def _() -> House:
    """The phone gives up a REGISTER without response and registers anew: calls reach it."""
    return _anew("192.168.1.10")


@case("reg001-near-miss-another-phone-accepted", [("REG001", "network", "observed")], NO)
def _() -> House:
    """Another phone with this account was accepted meanwhile: the first one is not registered."""
    return _anew("192.168.1.11")


def _stale(servers: int) -> House:
    """Each REGISTER is challenged, as its nonce is too old. servers: they take turns."""
    house = House(phone="192.168.1.20", port=33527, wan_port=34587)
    for n in range(6):
        server, at = f"203.0.113.{61 + n % servers}", n * 0.1 if n < 4 else n * 15
        digest = f'Digest username="177", realm="r", nonce="n{n - 1}", response="{n}"'
        asked = house.out(at, request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:33527", branch=f"z9hG4bKfb{n}",
            call_id="roams@phone", cseq=30 + n, caller="<sip:177@example.net>;tag=r",
            callee="<sip:177@example.net>", contact=f"<sip:177@{house.phone}:33527>",
            more=[f"Authorization: {digest}"] if n else [],
        ), dst=server)  # fmt: skip
        house.into(at + 0.05, answer(
            401, asked, to_tag=f"s{n}", received=house.wan_ip, rport=34587,
            more=[f'WWW-Authenticate: Digest realm="r", nonce="n{n}", stale=TRUE'],
        ), src=server)  # fmt: skip
    return house


@case("reg001-challenged-by-another-server", [("REG001", "unknown", "observed")], NO, outcomes=[])
def _() -> House:
    """The phone sends each REGISTER to the next server of its provider, and none of them knows the
    nonce of the one before."""
    return _stale(3)


@case("reg001-near-miss-stale-at-one-server", [("REG001", "unknown", "observed")], NO, outcomes=[])
def _() -> House:
    """One server says each time that the nonce is too old."""
    return _stale(1)


def _behind_bye(bye: bool) -> House:
    """The 2xx to a re-INVITE of the phone is repeated to the end without an ACK. bye: the phone had
    hung up right after its re-INVITE."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "late@phone")
    call.set_up(1, rings=0.1)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    asked = house.out(20, call._request("INVITE", 2, target, tag, call.contact, call.body, "re"))
    if bye:
        seen = house.out(20.01, call._request("BYE", 3, target, tag))
        house.into(20.04, answer(200, seen, received=house.wan_ip, rport=5060))
    final = answer(200, asked, contact=call.far_contact, body=sdp(house.provider, 20000),
                   received=house.wan_ip, rport=5060)  # fmt: skip
    for after in (0, *LADDER_2XX):
        house.into(20.06 + after, final)
    if not bye:
        call.far_bye(52.1)
    return house


@case("dlg001-near-miss-2xx-behind-the-bye", must_not=["DLG011", *NO])
def _() -> House:
    """The phone hangs up while its re-INVITE waits, and does not acknowledge the 2xx that comes
    later: the call was over before (RFC 5407 appendix B)."""
    return _behind_bye(True)


@case("dlg001-2xx-to-a-re-invite-unacknowledged", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same without BYE: the far end drops the call."""
    return _behind_bye(False)


def _other_server(contact: str, registrar: str = "203.0.113.46") -> House:
    """The INVITE goes to one server, and each ACK to another. contact: of the far end."""
    house = House(provider=registrar)
    register(house, 0)
    house.provider = "203.0.113.46"
    call = Outgoing(house, "anew@phone", far_contact=f"<sip:300@{contact}>")
    call.invite(1)
    call.respond(2, 180)
    ack = call._request("ACK", 1, f"sip:300@{contact}", f";tag={call._tag}")
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        house.out(3.02 + after, ack, dst="203.0.113.45")
    call.far_bye(35.1)
    return house


@case("dlg001-ack-to-another-server", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone looks its server up anew for the ACK and sends it to another one, named neither by
    the INVITE nor by the 2xx. The Contact is right, and no Record-Route is missing."""
    return _other_server("203.0.113.44:5060")


@case("dlg001-ack-to-the-own-server", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """That other one is the server at which the phone is registered: its outbound proxy, to which
    a phone may send all, also where it was redirected for its INVITE."""
    return _other_server("203.0.113.44:5060", "203.0.113.45")


@case("dlg001-near-miss-ack-to-the-contact", [("DLG004", "provider", "observed")],
      ["DLG002", *ALG], {"provider-add-record-route": "recommended"},
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACK goes to the Contact of the 2xx, past the proxy of its INVITE."""
    return _other_server("203.0.113.45:5060")


def _crossed(at_once: bool, accepts: bool = False) -> House:
    """Both ends send a re-INVITE at one moment, and each refuses that of the other. at_once: and
    then both hang up; else the phone does so ten seconds later. accepts: the phone does."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "crossed@phone")
    call.set_up(1, rings=0.1)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    mine = house.out(20, call._request("INVITE", 2, target, tag, call.contact, call.body, "re"))
    theirs = house.into(20.005, call.from_far("INVITE", 9))
    house.out(20.02, answer(200, theirs, contact=call.contact, body=call.body)
              if accepts else answer(491, theirs))  # fmt: skip
    house.into(20.03, answer(491, mine, received=house.wan_ip, rport=5060))
    house.out(20.04, call._request("ACK", 2, target, tag, branch="re"))
    ack = call.from_far("ACK", 9)
    # To a refusal it has the branch of its INVITE (RFC 3261 section 17.1.1.3).
    house.into(20.06, ack if accepts else ack.replace(b"z9hG4bKfack", b"z9hG4bKfinvite"))
    over = 20.1 if at_once else 30
    seen = house.out(over, call._request("BYE", 3, target, tag))
    if at_once:
        far = house.into(over + 0.01, call.from_far("BYE", 10))
        house.out(over + 0.04, answer(200, far))
    house.into(over + 0.03, answer(200, seen, received=house.wan_ip, rport=5060))
    return house


@case("dlg014-crossed-and-both-hang-up", [("DLG014", "unknown", "observed")], NO)
def _() -> House:
    """Two refreshes cross, each is refused with 491, and both ends give the call up at once."""
    return _crossed(True)


@case("dlg014-near-miss-crossed-and-goes-on", must_not=["DLG014", *NO])
def _() -> House:
    """Two refreshes cross, and the call goes on until a person hangs up."""
    return _crossed(False)


@case("dlg014-near-miss-crossed-an-accepted-one", must_not=["DLG014", *NO])
def _() -> House:
    """Two refreshes cross, and the phone accepts the one of the far end before the 491 comes to its
    own: the session is refreshed, and nobody need try again."""
    return _crossed(False, accepts=True)


@case("nat004-near-miss-registrar-in-the-lan", must_not=["NAT004", *NO])
def _() -> House:
    """A PBX in the LAN accepts a phone beyond this router, whose Contact it lists in its 2xx: the
    PBX announces nothing of its own."""
    house = House(phone="192.168.1.5", wan_port=9988)
    asked = request(
        "REGISTER", f"sip:{house.public}", via="192.0.2.164:49328", branch="z9hG4bKout",
        call_id="out@phone", cseq=22, caller="<sip:600@example.net>;tag=o",
        callee="<sip:600@example.net>", contact="<sip:600@192.0.2.164:49328>",
        more=["Expires: 3600"],
    )  # fmt: skip
    seen = house.into(0, asked, src="192.0.2.20", sport=43101)
    house.out(0.02, answer(
        200, seen, to_tag="as", contact="<sip:600@192.0.2.164:49328>;expires=3600",
        received="192.0.2.20", rport=43101,
    ), dst="192.0.2.20", dport=43101)  # fmt: skip
    outgoing_call(house, 10, "trunk@pbx")
    return house
