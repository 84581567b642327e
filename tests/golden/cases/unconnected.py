# SPDX-License-Identifier: Apache-2.0
"""Golden cases of TCP connections for SIP that never open (SIZE002), or end during a call."""

from __future__ import annotations

from collections.abc import Sequence

from craft import START, House, Outgoing, answer, outgoing_call, register, tcp_frame

from cases.case import ALG, DLG, case
from cases.streams import _over_tcp

SYN, SYN_ACK, RST_ACK = 0x02, 0x12, 0x14
AGAIN = (0, 1, 3, 7, 15)  # seconds; Linux sends a SYN again so


def _put(house: House, at: float, flags: int, *, out: bool = True, lan: bool = True,
         wan: bool = True, seq: int = 7000, port: int = 5060, ttl: int = 64) -> None:  # fmt: skip
    """A TCP packet without data between port 40000 of the phone and the provider, on both taps."""
    ns = (START * 1_000_000 + round(at * 1_000_000)) * 1000
    asks = flags == SYN
    for tap, near, seen, behind in (
        (house.lan, house.phone, lan, not out), (house.wan, house.wan_ip, wan, out),
    ):  # fmt: skip
        if seen:
            ends = (near, 40000, house.provider, port)
            ends = ends if out else (ends[2], ends[3], ends[0], ends[1])
            made = tcp_frame(b"", *ends, seq if asks else 0, round(at * 10) + 1, flags,
                             0 if asks else seq + 1)  # fmt: skip
            tap.append((ns + 200_000 * behind, made[:22] + bytes([ttl - behind]) + made[23:]))


def _asks(house: House, at: float, times: Sequence[float] = AGAIN, **how: object) -> None:
    for after in times:
        _put(house, at + after, SYN, **how)  # type: ignore[arg-type]


def _phone() -> House:
    """A phone that registers over UDP, and makes a short call. The capture goes on."""
    house = House()
    for n in range(5):
        register(house, 40 * n, n=n + 1)
    outgoing_call(house, 5, "short@phone")
    return house


@case("size002-unanswered", [("SIZE002", "network", "observed")], [*DLG, *ALG, "SIZE001"])
def _() -> House:
    """An INVITE of more than 1,300 bytes goes over TCP. The provider does not answer there: only
    the SYN is seen, again and again, and the call does not take place."""
    house = _phone()
    _asks(house, 45)
    return house


@case("size002-refused", [("SIZE002", "provider", "observed")], [*DLG, *ALG])
def _() -> House:
    """The same, and the provider refuses the connection."""
    house = _phone()
    _asks(house, 45, (0,))
    _put(house, 45.03, RST_ACK, out=False)
    return house


@case("size002-stays-in-router", [("SIZE002", "router", "observed")], [*DLG, *ALG])
def _() -> House:
    """The firewall of the router drops it."""
    house = _phone()
    _asks(house, 45, wan=False)
    return house


@case("size002-router-refuses", [("SIZE002", "router", "observed")], [*DLG, *ALG])
def _() -> House:
    """The firewall of the router refuses it: the RST is on the LAN side alone."""
    house = _phone()
    _asks(house, 45, (0,), wan=False)
    _put(house, 45.001, RST_ACK, out=False, wan=False)
    return house


@case("size002-answer-stays-in-router", [("SIZE002", "router", "observed")], [*DLG, *ALG])
def _() -> House:
    """The provider accepts the connection, and the router does not let the answer in."""
    house = _phone()
    _asks(house, 45)
    for after in AGAIN:
        _put(house, 45.03 + after, SYN_ACK, out=False, lan=False)
    return house


@case("size002-never-registered", [("SIZE002", "network", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A phone that knows TCP alone never reaches the provider of another phone here."""
    house = _phone()
    house.phone = "192.168.1.30"
    _asks(house, 45)
    return house


@case("size002-one-sided", [("SIZE002", "unknown", "latent"), ("CAP001", "unknown", "none")],
      [*DLG, *ALG], one_file="lan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN side alone does not show where the SYN stopped."""
    house = _phone()
    _asks(house, 45)
    return house


@case("size002-one-file", [("SIZE002", "router", "observed")], [*DLG, *ALG], one_file="both")
def _() -> House:
    """One file with both sides: the SYN is in the LAN alone."""
    house = _phone()
    _asks(house, 45, wan=False)
    return house


@case("size002-to-the-router", [("SIZE002", "unknown", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider sends a long INVITE over TCP to the Contact of a phone that uses UDP: nothing
    leads from there to the phone."""
    house = _phone()
    ns = (START + 45) * 10**9
    for after in AGAIN:
        made = tcp_frame(b"", house.provider, 45000, house.wan_ip, 5060, 9000, 77, SYN, 0)
        house.wan.append((ns + after * 10**9, made))
    return house


@case("size002-near-miss-opens", must_not=["SIZE002", *DLG, *ALG])
def _() -> House:
    """The second SYN is answered."""
    house = _phone()
    _asks(house, 45, (0, 1))
    _put(house, 46.03, SYN_ACK, out=False)
    return house


@case("size002-near-miss-goes-on-over-udp", must_not=["SIZE002", *DLG, *ALG],
      outcomes=["completed"] * 2)  # fmt: skip
def _() -> House:
    """The provider refuses the connection, and the phone sends its INVITE over UDP."""
    house = _phone()
    _asks(house, 45, (0,))
    _put(house, 45.03, RST_ACK, out=False)
    outgoing_call(house, 45.1, "udp@phone")
    return house


@case("size002-near-miss-registers-over-udp", must_not=["SIZE002", *DLG, *ALG])
def _() -> House:
    """A phone tries TCP first, and registers over UDP then."""
    house = House()
    _asks(house, 0)
    register(house, 20)
    outgoing_call(house, 40, "later@phone")
    register(house, 80, n=2)
    return house


@case("size002-near-miss-scanner", must_not=["SIZE002", *DLG, *ALG])
def _() -> House:
    """A scanner of the Internet knocks at the WAN address, and a web page does not load."""
    house = _phone()
    ns = (START + 45) * 10**9
    for n, after in enumerate(AGAIN):
        made = tcp_frame(b"", "192.88.99.7", 45000, house.wan_ip, 5060, 9000, 80 + n, SYN, 0)
        house.wan.append((ns + after * 10**9, made))
    _asks(house, 50, port=443)
    return house


@case("size002-near-miss-one-sided-wan", [("CAP001", "unknown", "none")],
      ["SIZE002", *DLG, *ALG], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone, with a scanner: a call that ends well."""
    house = _phone()
    ns = (START + 45) * 10**9
    for n, after in enumerate(AGAIN):
        made = tcp_frame(b"", "192.88.99.7", 45000, house.wan_ip, 5060, 9000, 80 + n, SYN, 0)
        house.wan.append((ns + after * 10**9, made))
    return house


@case("size002-near-miss-just-begun", must_not=["SIZE002", *DLG, *ALG])
def _() -> House:
    """The capture ends a second after the first SYN."""
    house = House()
    register(house, 0)
    outgoing_call(house, 5, "short@phone")
    _asks(house, 12, (0, 1))
    return house


# ---- a connection that ends during a call ----

FIN_ACK = 0x11


def _restarted(flags: int, bye: int = 0) -> House:
    """A call over TCP; the provider ends the connection, and the phone registers over another one.
    bye: the status of the answer to a BYE there, 0 without one."""
    house, after = House(), House(port=5062, wan_port=5062)
    register(house, 0)
    call = Outgoing(house, "mid@tcp")
    call.invite(2)
    call.respond(2.2, 180)
    call.ok(4)
    call.ack(4.02)
    for n in range(3):
        register(after, 30 + 40 * n, n=5 + n)
    if bye:
        made = call._request("BYE", 2, call.far_contact.strip("<>"), f";tag={call._tag}")
        after.into(80.03, answer(bye, after.out(80, made)))
    first, second = _over_tcp(house), _over_tcp(after)
    house.lan, house.wan = first.lan + second.lan, first.wan + second.wan
    ns = (START + 20) * 10**9
    for tap, near, behind in ((house.wan, house.wan_ip, 0), (house.lan, house.phone, 1)):
        made = tcp_frame(b"", house.provider, 5060, near, 5060, 5000, 900, flags, 2000)
        tap.append((ns + 200_000 * behind, made[:22] + bytes([60 - behind]) + made[23:]))
    return house


@case("call-cut-off-by-the-end-of-its-connection", must_not=[*DLG, *ALG, "DLG008", "SIZE002"],
      outcomes=["unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The server is restarted in the middle of a call: nothing of the call comes any more."""
    return _restarted(FIN_ACK)


@case("call-near-miss-goes-on-over-another-connection",
      must_not=[*DLG, *ALG, "DLG008", "SIZE002"])  # fmt: skip
def _() -> House:
    """The phone ends the call over its new connection, and the server still knows it."""
    return _restarted(RST_ACK, 200)


@case("dlg008-restarted-over-tcp", [("DLG008", "network", "observed")],
      [*DLG, *ALG, "SIZE002"])  # fmt: skip
def _() -> House:
    """The server does not know the call any more. The private Contact of the phone is not why."""
    return _restarted(RST_ACK, 481)
