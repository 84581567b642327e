# SPDX-License-Identifier: Apache-2.0
"""RTP in a call from who has no part in it: hosts of the Internet that send to the port of the
phone, hosts of the LAN that send to the phone or to the far end, in the name of the far end's host
or in their own. No place is blamed that was not, and no silence is hidden."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from algwatch.advise.actions import DISABLE
from algwatch.base.packet import LAN, WAN
from algwatch.report.render.verdict import FINE, HURTS
from cases import CASES
from cases.sdp import rtp
from craft import NS, Packet, frame, pcap
from forger import ends_of, payload_of
from sample import chosen
from test_forgeries import NEIGHBOURS
from test_golden import HERE, analyze

A_DAY = 20
SENDERS = {"neighbour": 1, "many": 6, "far-host": 1}  # by name: so many ports
# By name: s after the answer, s between two packets, packets.
WHEN = {"before": (-0.02, 0.001, 8), "first": (0, 0.01, 8), "early": (0, 0.1, 70),
        "all": (0, 0.1, 400), "later": (12, 0.1, 160)}  # fmt: skip
FILES = "lan.pcap", "wan.pcap"
HOUSES = [name for name in CASES if name.startswith(("sdp001", "sdp002", "sdp003"))
          and all((HERE / name / file).exists() for file in FILES)]  # fmt: skip


class Forgery(NamedTuple):
    house: str
    side: int
    to_phone: bool
    sender: str
    when: str

    def __str__(self) -> str:
        whom = "phone" if self.to_phone else "far"
        return f"{self.house}/{('lan', 'wan')[self.side]}/{whom}/{self.sender}/{self.when}"


class Told(NamedTuple):
    """blamed: rules and places of observed harm, whose place is known."""

    state: str
    blamed: set[tuple[str, str]]
    advice: str | None


def announced(packets: list[Packet], host: str) -> tuple[dict[bool, tuple[str, int]], int]:
    """The endpoints announced by the phone, whose host it is, and by the far end; and ns, when both
    were known."""
    found: dict[bool, tuple[str, int]] = {}
    for at, data in packets:
        made = re.search(rb"(?s)c=IN IP4 (\S+).*m=audio ([1-9]\d*)", payload_of((at, data)))
        by_phone = ends_of(data)[0] == host
        if made is not None and by_phone not in found:
            found[by_phone] = made[1].decode(), int(made[2])
            if len(found) == 2:
                return found, at
    return found, 0


def told(where: Path, one: Forgery) -> Told:
    house = CASES[one.house].make()
    taps = house.sorted()
    packets = taps[one.side]
    ends, began = announced(packets, (house.phone, house.wan_ip)[one.side])
    if began:
        host, port = ends[one.to_phone]
        start, step, count = WHEN[one.when]
        for i in range(count):
            sender = NEIGHBOURS[one.side], 4000 + i % SENDERS[one.sender]
            if one.sender == "far-host":
                sender = ends[False][0], ends[False][1] + 40
            at = began + round((start + i * step) * NS)
            packets.append((at, frame(rtp(i), *sender, host, port, 60)))
    files = [where / file for file in FILES]
    for file, some in zip(files, taps, strict=True):
        file.write_bytes(pcap(sorted(some, key=lambda packet: packet[0])))
    _, text, _ = analyze("--lan", str(files[0]), "--wan", str(files[1]))
    return judged(json.loads(text))


def judged(said: dict[str, Any]) -> Told:
    blamed = {(f["rule"], f["where"]) for f in said["findings"]
              if f["harm"] == "observed" and f["where"] != "unknown"}  # fmt: skip
    advice = {a["action"]: a["state"] for a in said["advice"]}
    return Told(said["verdict"]["state"], blamed, advice.get(DISABLE))


def truth(house: str) -> Told:
    return judged(json.loads((HERE / house / "expected.json").read_text()))


def every() -> list[Forgery]:
    """To the WAN address alone from the Internet. What a LAN host sends in the name of the far end
    to the far end is no attack of a host that is alive."""
    return [
        Forgery(house, side, to_phone, sender, when)
        for house in HOUSES for side, to_phone in ((LAN, True), (LAN, False), (WAN, True))
        for sender in SENDERS for when in WHEN
        if to_phone or sender != "far-host"
    ]  # fmt: skip


# Each gained something once.
FOUND = [
    Forgery("sdp003-near-miss-both-ways", LAN, False, "many", "first"),
    Forgery("sdp003-near-miss-no-rtp-of-the-wan-side", WAN, True, "neighbour", "first"),
    Forgery("sdp003-near-miss-relay-from-another-port", LAN, False, "many", "first"),
    Forgery("sdp003-never-on-wan", LAN, True, "many", "early"),
    Forgery("sdp003-never-on-wan", WAN, True, "neighbour", "all"),
    Forgery("sdp003-never-on-wan", WAN, True, "neighbour", "first"),
    Forgery("sdp003-never-on-wan", WAN, True, "far-host", "early"),
    Forgery("sdp003-phone-sends-nothing", LAN, False, "neighbour", "all"),
    Forgery("sdp003-until-the-phone-sends", LAN, False, "many", "all"),
    Forgery("sdp002-near-miss-latching-relay", WAN, True, "many", "all"),
]


@pytest.mark.parametrize("one", FOUND + chosen(every(), A_DAY), ids=str)
def test_rtp_of_others_gains_nothing(one: Forgery, tmp_path: Path) -> None:
    before, after = truth(one.house), told(tmp_path, one)
    assert after.blamed <= before.blamed
    assert after.advice in (before.advice, None)
    assert not (before.state == HURTS and after.state == FINE)
