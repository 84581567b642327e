# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports of routers that rename the phone to its registrar."""

from __future__ import annotations

from craft import House, answer, request

from cases.case import DLG, case
from cases.reports import later


def _renamed(accepted: bool, user: str = "100", phone: str = "192.168.1.10",
             port: int = 5060) -> House:  # fmt: skip
    """The router writes its own address into From and To. accepted: the first REGISTER was."""
    house = House(phone=phone, wan_port=port)
    wrote, made = (f"<sip:{user}@{host}>".encode() for host in ("example.net", "198.51.100.2"))
    house.out_alg = lambda m: m if m.startswith(b"SIP/2.0") else m.replace(wrote, made)
    house.in_alg = lambda m: m.replace(made, wrote)
    for n, at in enumerate((0, 70), 1):
        asked = request(
            "REGISTER", "sip:example.net", via=f"{phone}:5060", branch=f"z9hG4bK{user}reg{n}",
            call_id=f"reg@{phone}", cseq=n, caller=f"<sip:{user}@example.net>;tag=r1",
            callee=f"<sip:{user}@example.net>", contact=house.contact, more=["Expires: 60"],
        )  # fmt: skip
        good = accepted and n == 1
        house.into(at + 0.03, answer(
            200 if good else 403, house.out(at, asked), to_tag="reg", received=house.wan_ip,
            contact=f"{house.contact};expires=60" if good else "", rport=port,
        ))  # fmt: skip
    return later(house)


@case("reg001-other-address-of-record", [("REG001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The router replaces the provider's domain in From and To by its own address, and the
    registrar refuses to register that."""
    return _renamed(False)


@case("reg001-near-miss-other-name-and-accepted", [("REG001", "unknown", "observed")], DLG)
def _() -> House:
    """The registrar has accepted the same before: it refuses for another reason."""
    return _renamed(True)


@case("reg001-near-miss-other-name-of-two-phones", [("REG001", "unknown", "observed")], DLG)
def _() -> House:
    """Another phone here is registered under the router's address: the first one has a wrong
    password."""
    house, other = _renamed(False), _renamed(True, "101", "192.168.1.11", 5062)
    house.lan += other.lan[:2]
    house.wan += other.wan[:2]
    return house
