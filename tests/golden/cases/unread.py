# SPDX-License-Identifier: Apache-2.0
"""Golden cases of captures with SIP on other ports, encrypted, or with none (CAP003, CAP004)."""

from __future__ import annotations

from craft import START, House, frame, incoming_call, outgoing_call, register, tcp_frame

from cases.case import ALG, DLG, case

HELLO = bytes.fromhex("16030100310100002d0303") + bytes(32) + bytes.fromhex("000002130100000200")
SERVER_HELLO = bytes.fromhex("160303002a020000260303") + bytes(38)


def _both(house: House, at: float, payload: bytes, sport: int, dport: int, out: bool = True,
          tcp: bool = False) -> None:  # fmt: skip
    """A packet that is no SIP, on both taps."""
    ns = (START * 1_000_000 + round(at * 1_000_000)) * 1000
    for tap, near in ((house.lan, house.phone), (house.wan, house.wan_ip)):
        ends = (near, sport, house.provider, dport) if out else (
            house.provider, dport, near, sport)  # fmt: skip
        made = tcp_frame(payload, *ends, 1) if tcp else frame(payload, *ends)
        tap.append((ns + 200_000 * (tap is house.wan), made))


def _tls(house: House, at: float, port: int = 5061) -> None:
    _both(house, at, HELLO, 40000, port, tcp=True)
    _both(house, at + 0.02, SERVER_HELLO, 40000, port, out=False, tcp=True)
    _both(house, at + 0.04, bytes.fromhex("1703030020") + bytes(32), 40000, port, tcp=True)


@case("cap004-tls-alone", [("CAP004", "unknown", "none")], ["CAP001", "CAP003", *DLG, *ALG],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A phone that speaks TLS with its provider, and nothing else: nobody can tell how its calls
    are, and no ALG has a hand in them."""
    house = House()
    _tls(house, 1)
    return house


@case("cap004-tls-beside-sip", [("CAP004", "unknown", "none")], ["CAP003", *DLG, *ALG])
def _() -> House:
    """One account of the phone speaks TLS, the other one makes a call over UDP: that one is
    judged, and it is told that the other one cannot be."""
    house = House()
    _tls(house, 1)
    outgoing_call(house, 5, "plain@phone")
    return house


@case("cap004-ipsec", [("CAP004", "unknown", "none")], ["CAP003", *DLG, *ALG])
def _() -> House:
    """A phone of a mobile network agrees on IPsec in its REGISTER."""
    house = House()
    asks = b"Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1;spi-s=2;port-c=5062;port-s=5064"
    first = House()
    register(first, 0)
    house.lan = [(at, _with(data, asks)) for at, data in first.lan]
    house.wan = [(at, _with(data, asks)) for at, data in first.wan]
    outgoing_call(house, 5, "plain@phone")
    return house


def _with(data: bytes, line: bytes) -> bytes:
    """A frame of a REGISTER with one header field more."""
    payload = data[42:]
    if not payload.startswith(b"REGISTER"):
        return data
    made = payload.replace(b"Max-Forwards", line + b"\r\nMax-Forwards")
    src, dst = (".".join(map(str, data[at : at + 4])) for at in (26, 30))
    return frame(made, src, 5060, dst, 5060, data[22], int.from_bytes(data[18:20], "big"))


@case("cap004-near-miss-web", must_not=["CAP003", "CAP004", *DLG, *ALG])
def _() -> House:
    """TLS on port 443: a web page, for all that is known."""
    house = House()
    _tls(house, 1, 443)
    outgoing_call(house, 5, "plain@phone")
    return house


@case("cap003-other-port", [("CAP003", "unknown", "none")], ["CAP004", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """Phone and provider talk on ports 5070 and 5080."""
    house = House(port=5070, wan_port=5070)
    plain = House(port=5070, wan_port=5070)
    incoming_call(plain, 1, "elsewhere@provider", contact=f"<sip:100@{plain.public}>")
    for mine, theirs in ((house.lan, plain.lan), (house.wan, plain.wan)):
        mine += [(at, _moved(data)) for at, data in theirs]
    return house


@case("cap003-other-port-one-sided", [("CAP003", "unknown", "none"), ("CAP001", "unknown", "none")],
      ["CAP004", *DLG, *ALG], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the phone's own port, to which calls come, is not named."""
    house, plain = House(port=5070), House(port=5070)
    register(plain, 0)
    incoming_call(plain, 1, "elsewhere@provider", contact="<sip:100@192.168.1.10:5070>")
    house.lan += [(at, _moved(data)) for at, data in plain.lan]
    return house


def _moved(data: bytes) -> bytes:
    """The same frame with the provider's port 5060 made 5080."""
    payload = data[42:].replace(b"203.0.113.5:5060", b"203.0.113.5:5080")
    sport, dport = (int.from_bytes(data[at : at + 2], "big") for at in (34, 36))
    sport, dport = (5080 if port == 5060 else port for port in (sport, dport))
    src, dst = (".".join(map(str, data[at : at + 4])) for at in (26, 30))
    return frame(payload, src, sport, dst, dport, data[22], int.from_bytes(data[18:20], "big"))


@case("cap003-no-sip", [("CAP003", "unknown", "none")], ["CAP001", "CAP004", *DLG, *ALG],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Keep-alives on port 5060 for three minutes, and not one message."""
    house = House()
    for n in range(6):
        _both(house, 30 * n, b"\r\n\r\n", 5060, 5060)
    return house


@case("cap003-near-miss-source-port", must_not=["CAP003", "CAP004", *DLG, *ALG])
def _() -> House:
    """A phone that sends from port 49152 to port 5060: SIP is where it is expected."""
    house = House(port=49152, wan_port=49152)
    register(house, 0)
    outgoing_call(house, 5, "plain@phone")
    return house
