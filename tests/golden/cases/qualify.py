# SPDX-License-Identifier: Apache-2.0
"""Golden cases of OPTIONS that ask whether an end is there (TXN004)."""

from __future__ import annotations

from collections.abc import Sequence

from craft import LADDER_REQUEST, House, answer, outgoing_call, register, request

from cases.case import ALG, DLG, case

REPEATED = (0, *LADDER_REQUEST)
ONCE = (0,)


def _ask_out(house: House, at: float, n: int, there: bool, status: int = 200) -> None:
    """A PBX in the LAN asks its provider."""
    made = request("OPTIONS", "sip:example.net", via=f"{house.phone}:{house.port}",
                   branch=f"z9hG4bKq{n}", call_id=f"q{n}@pbx", cseq=1,
                   callee="<sip:example.net>")  # fmt: skip
    for after in ONCE if there else REPEATED:
        seen = house.out(at + after, made)
        if there:
            house.into(at + after + 0.02 + n % 3 / 200, answer(status, seen))


def _ask_in(house: House, at: float, n: int, ladder: Sequence[float], there: bool,
            lan: bool = True) -> None:  # fmt: skip
    """The provider asks the phone."""
    made = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                   branch=f"z9hG4bKq{n}", call_id=f"q{n}@provider", cseq=1)  # fmt: skip
    for after in ladder:
        seen = house.into(at + after, made, lan=lan)
        if there:
            house.out(at + after + 0.01, answer(200, seen))


@case("txn004-provider-dies-and-returns",
      [("TXN004", "network", "latent"), ("TXN004", "unknown", "none")],
      ["TXN003", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A PBX asks its provider each minute. The provider is gone for three minutes and returns:
    told when it goes and when it is back, with the round-trip time and the interval."""
    house = House()
    for n in range(12):
        _ask_out(house, 60 * n, n, there=n not in (4, 5, 6))
    outgoing_call(house, 730, "later@phone")
    return house


@case("txn004-mapping-is-gone", [("TXN004", "router", "latent")], ["TXN003", *DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider asks the phone every 30 s, once each. From 230 s on its OPTIONS come to the
    router and to no phone any more."""
    house = House()
    register(house, 0)
    for n in range(16):
        _ask_in(house, 20 + 30 * n, n, ONCE, there=n < 7, lan=n < 7)
    outgoing_call(house, 520, "later@phone")
    return house


@case("txn004-phone-is-gone", [("TXN004", "phone", "latent")], ["TXN003", *DLG, *ALG])
def _() -> House:
    """The OPTIONS of the provider still come to the phone, which does not answer any more."""
    house = House()
    register(house, 0)
    for n in range(8):
        _ask_in(house, 20 + 60 * n, n, ONCE if n < 4 else REPEATED, there=n < 4)
    outgoing_call(house, 520, "later@phone")
    return house


@case("txn004-near-miss-one-lost", must_not=["TXN004", "TXN003", *DLG, *ALG])
def _() -> House:
    """One OPTIONS of sixteen that are not repeated gets no response, and one is answered with 404:
    the phone is there."""
    house = House()
    register(house, 0)
    for n in range(16):
        _ask_in(house, 20 + 30 * n, n, ONCE, there=n != 7)
    _ask_out(house, 510, 99, there=True, status=404)
    outgoing_call(house, 600, "later@phone")
    return house


@case("txn004-near-miss-never-answered", [("TXN003", "network", "latent")],
      ["TXN004", *DLG, *ALG], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A provider that never answered OPTIONS is told by TXN003, once."""
    house = House()
    for n in range(4):
        _ask_out(house, 60 * n, n, there=False)
    outgoing_call(house, 300, "later@phone")
    return house
