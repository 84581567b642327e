# SPDX-License-Identifier: Apache-2.0
"""Golden cases of REG: registrations, and calls that do not ring."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    answer,
    incoming_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, case


def _register(house: House, at: float, n: int = 1, rport: bool = True) -> bytes:
    """The REGISTER that `craft.register` sends, without its response."""
    return request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch=f"z9hG4bKreg{n}",
        call_id=f"reg@{house.phone}", cseq=n, rport=rport, caller="<sip:100@example.net>;tag=r1",
        callee="<sip:100@example.net>", contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip


def _later(house: House, at: float = 40) -> House:
    """Time goes on, so that Timer F passes inside the capture."""
    incoming_call(house, at, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("reg001-unanswered", [("REG001", "network", "observed")], [*DLG, *ALG])
def _() -> House:
    """The REGISTER leaves the router eleven times, and no response comes."""
    house = House()
    made = _register(house, 0)
    for after in (0, *LADDER_REQUEST):
        house.out(after, made)
    return _later(house)


@case("reg001-swallowed", [("REG001", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone was registered; its refresh enters the router eleven times and never leaves it."""
    house = House()
    register(house, 0)
    incoming_call(house, 1, "before@provider", fixed_contact=f"sip:100@{house.public}")
    made = _register(house, 10, n=7)
    for after in (0, *LADDER_REQUEST):
        house.out(10 + after, made, wan=False)
    return _later(house, 50)


@case("reg001-response-to-the-port-in-via", [("REG001", "phone", "observed")], [*DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended"}, outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The phone does not ask for rport, the NAT gave it another port, and the registrar answers to
    the port in Via, as RFC 3261 section 18.2.2 says: no mapping is there."""
    house = House(wan_port=40123)
    for after in (0, *LADDER_REQUEST):
        seen = house.out(after, _register(house, 0, rport=False))
        house.into(after + 0.03, answer(401, seen, to_tag="a"), lan=False, wan_port=5060)
    other = House(phone="192.168.1.11", wan_port=40124)
    call = Incoming(other, "later@provider")
    call.invite(40)
    other.out(40.1, answer(486, call.delivered, to_tag="busy"))
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-via-host-changed",
      [("REG001", "phone", "observed"), ("ALG002", "router", "latent")], DLG,
      {"enable-rport-stun-outbound": "recommended"})  # fmt: skip
def _() -> House:
    """The phone names port 5070 in its Via, sends from 5060 and does not ask for rport. The router
    writes its own address there and leaves the port: the response goes to 5070 as the phone had
    it, so the rewriting is not why it is lost."""
    house = House()
    house.out_alg = lambda message: message.replace(b"Via: SIP/2.0/UDP 192.168.1.10:",
                                                    b"Via: SIP/2.0/UDP 198.51.100.2:")  # fmt: skip
    works_beside(house, 0)
    made = _register(house, 20, rport=False).replace(b":5060;branch", b":5070;branch")
    for after in (0, *LADDER_REQUEST):
        seen = house.out(20 + after, made)
        house.into(20.03 + after, answer(200, seen, to_tag="a"), lan=False, wan_port=5070)
    other = House(phone="192.168.1.77", wan=house.wan_ip, wan_port=40077)
    register(other, 60, n=78)
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-refused", [("REG001", "provider", "observed")], [*DLG, *ALG])
def _() -> House:
    """The registrar refuses the phone: 403."""
    house = House()
    seen = house.out(0, _register(house, 0))
    house.into(0.03, answer(403, seen, to_tag="a"))
    return _later(house)


@case("reg001-near-miss-challenged", must_not=["REG001", *DLG, *ALG])
def _() -> House:
    """The usual round: 401, the same again with credentials, 200. Nothing is wrong."""
    house = House()
    seen = house.out(0, _register(house, 0))
    house.into(0.03, answer(401, seen, to_tag="a"))
    seen = house.out(0.05, _register(house, 0, n=2))
    house.into(0.08, answer(200, seen, to_tag="b", contact=f"{house.contact};expires=120"))
    return _later(house)


def _invited(house: House, at: float) -> House:
    call = Incoming(house, "silent@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, lan=False)
    register(house, at + 50, n=9)  # so that Timer B passes inside the capture
    return house


@case("reg006-stopped-behind-a-fresh-mapping",
      [("REG006", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The phone has just sent something, so its mapping is there: the router stopped the call, and
    nothing shows why."""
    house = House()
    register(house, 0)
    incoming_call(house, 5, "first@provider", fixed_contact=f"sip:100@{house.public}")
    return _invited(house, 15)


@case("reg006-near-miss-scanner", must_not=["REG006", "TXN001", *DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A host that nobody here has called sends its INVITE seven times: unsolicited."""
    house = House()
    register(house, 0)
    call = Incoming(house, "silent@provider", src="192.0.2.66")
    call.invite(15, lan=False)
    call.invited = call.invited.replace(b"@example.net", b"@198.51.100.2")
    house.wan.pop()
    for after in (0, *LADDER_INVITE):
        call.invite(15 + after, lan=False)
    register(house, 65, n=9)  # so that Timer B passes inside the capture
    return house


@case("reg006-near-miss-gap-in-the-lan-capture", must_not=["REG006", "REG005", *DLG, *ALG],
      outcomes=["rejected"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN capture lacks some seconds. The phone is busy, and its 486 leaves the router with the
    TTL of a packet that was forwarded: so the phone got the INVITE."""
    house = House()
    register(house, 0)
    call = Incoming(house, "busy@provider")
    call.invite(70, lan=False)
    busy = answer(486, call.delivered, to_tag="busy")
    house.out(70.1, busy, lan=False)
    register(house, 110, n=9)
    return house


def _challenged_once() -> House:
    """A phone is challenged, and nothing comes after it."""
    house = House()
    seen = house.out(0, _register(house, 0))
    asks = ['WWW-Authenticate: Digest realm="example.net", nonce="n1"']
    house.into(0.03, answer(401, seen, to_tag="reg", more=asks))
    return _later(house)


@case("reg001-challenged-on-the-lan-alone", [("REG001", "unknown", "observed")],
      [*DLG, *ALG], one_file="lan")  # fmt: skip
def _() -> House:
    """The challenge reaches the phone, and it sends no credentials: it has none."""
    return _challenged_once()


@case("reg001-near-miss-challenged-on-the-wan-alone", [("REG001", "unknown", "observed")],
      [*DLG, *ALG], one_file="wan")  # fmt: skip
def _() -> House:
    """The same on the WAN side alone: whether the phone has sent credentials is not known, so the
    password is not blamed, and the next step is to capture both sides."""
    return _challenged_once()


def _one_address_each(*answered: float) -> House:
    """A phone registers in vain with one WAN address, while another phone leaves with a second one
    and is answered. answered: when a third phone was, at the first address."""
    house, other = House(), House(phone="192.168.1.11", wan="198.51.100.99", wan_port=40011)
    third = House(phone="192.168.1.12", wan_port=40012)
    for n, at in enumerate(answered, 12):
        register(third, at, n=n)
    house.lan += third.lan
    house.wan += third.wan
    made = _register(house, 5)
    for after in (0, *LADDER_REQUEST):
        house.out(5 + after, made)
    register(other, 6, n=11)
    incoming_call(other, 60, "later@provider", fixed_contact=f"sip:100@{other.public}")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("reg001-address-from-before-the-capture", [("REG001", "unknown", "observed")],
      ["NAT005", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """Nothing is answered to the address with which the phone leaves, and another phone leaves with
    another one: the line may have been dialled anew before the capture began, so neither the
    network nor the provider is blamed."""
    return _one_address_each()


@case("reg001-address-from-before", [("REG001", "unknown", "observed")],
      ["NAT005", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """The same, and the first address was answered once, before the other one was seen: the line
    may have been dialled anew since."""
    return _one_address_each(0)


@case("reg001-near-miss-two-addresses", [("REG001", "network", "observed")],
      ["NAT005", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """The same, and a third phone is answered at the first address all the time: the router has
    both."""
    return _one_address_each(0, 20)


@case("reg006-two-phones-of-one-user", [("REG006", "provider", "observed")], [*DLG, *ALG],
      {"provider-fix": "suspected"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """Two phones have registered as one user. The INVITE comes to the port of the second one, from
    a port to which nobody has sent anything: that port is why, and not that of the first phone."""
    first, second = House(), House(phone="192.168.1.11", wan_port=40011)
    register(first, 0, expires=3600, n=1)
    register(second, 1, expires=3600, n=2)
    made = request(
        "INVITE", f"sip:100@{second.public}", via="203.0.113.5:5080", branch="z9hG4bKlost",
        call_id="lost@provider", cseq=1, contact="<sip:200@203.0.113.5:5080>",
    )  # fmt: skip
    for after in (0, *LADDER_INVITE):
        second.into(10 + after, made, lan=False, sport=5080)
    register(first, 60, n=3)
    first.lan += second.lan
    first.wan += second.wan
    return first


# ---- REG002: a grant of nothing that is put right ----


def _asked_twice(first: str, second: str, other: bool = False) -> House:
    """A phone registers twice. first, second: the Contact of each 200. other: the second one is
    another phone with the same account."""
    house, one = House(), House()
    if other:
        one = House(phone="192.168.1.11", wan_port=40011)
    for n, (at, by, contact) in enumerate([(0, house, first), (5, one, second)], 1):
        seen = by.out(at, _register(by, at, n))
        shown = contact.replace("OWN", by.contact)
        by.into(at + 0.03, answer(200, seen, to_tag="reg", contact=shown, received=by.wan_ip,
                                  rport=by.wan_port))  # fmt: skip
        if by is not house:
            house.lan += by.lan
            house.wan += by.wan
    return _later(house)


NOTHING, RIGHT = "OWN;expires=0", "OWN;expires=120"


@case("reg002-nothing-granted-and-put-right", [("REG002", "unknown", "none")], [*DLG, *ALG])
def _() -> House:
    """The 200 grants 0 s, and the next one what was asked for: that the phone is not registered is
    taken back, and so is the advice."""
    return _asked_twice(NOTHING, RIGHT)


@case("reg002-nothing-listed-and-put-right", [("REG002", "unknown", "none")], [*DLG, *ALG])
def _() -> House:
    """The 200 lists no binding, and the next one does."""
    return _asked_twice("", RIGHT)


@case("reg002-near-miss-put-right-for-another-phone", [("REG002", "provider", "observed")],
      [*DLG, *ALG], {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """Another phone with the same account is granted its time: the first one has none still."""
    return _asked_twice(NOTHING, RIGHT, other=True)
