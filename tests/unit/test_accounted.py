# SPDX-License-Identifier: Apache-2.0
"""One-way audio in the table of connections, live: what it shows, and what only looks like it."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from algwatch.base.host import SOFTWARE, Host
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.native.rtp import Rtp
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.base.report import Report
from algwatch.base.rtp import Announced
from algwatch.base.tracked import Tracked
from algwatch.capture.conntrack import tracked
from algwatch.compare.accounted import Accounted
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from craft import NS, PORTS, START, House, Packet, sdp

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from cases.sdp import FAR, PORT, called, re_invited, ways

# Seconds since START; the call is answered at 3 s (cases.sdp.called).
ANSWER, BYE = 3, 15.1
Counted = Callable[[float], int]
Rows = Callable[[float], list[str]]


def rate(start: float, stop: float, a_second: int = 50, before: int = 0) -> Counted:
    """Packets by time, as a counter shows them. before: that were there at first."""
    return lambda at: before + round(a_second * max(0.0, min(at, stop) - start))


NONE = rate(0, 0)
TALK = rate(ANSWER, BYE)


class Nat:
    """Entries of the table in the kernel's own words. house: whose addresses there are."""

    def __init__(self, house: House) -> None:
        self.house = house

    def out(self, sent: Counted, answered: Counted, *, port: int = PORT, wan_port: int = PORT,
            far: str = "", far_port: int = FAR, wan: str = "", flag: str = "",
            counts: bool = True, since: float = 0.0, until: float = 1e9) -> Rows:  # fmt: skip
        """A flow whose first packet the phone sent."""
        house, far = self.house, far or self.house.provider
        return self._rows(
            (house.phone, port), (far, far_port), (far, far_port), (wan or house.wan_ip, wan_port),
            sent, answered, flag, counts, since, until,
        )  # fmt: skip

    def into(self, sent: Counted, answered: Counted, *, port: int = PORT, wan_port: int = PORT,
             far: str = "", far_port: int = FAR, since: float = 0.0) -> Rows:  # fmt: skip
        """A flow whose first packet came from beyond, to what the helper or a forward has open."""
        house, far = self.house, far or self.house.provider
        return self._rows(
            (far, far_port), (house.wan_ip, wan_port), (house.phone, port), (far, far_port),
            sent, answered, "", True, since, 1e9,
        )  # fmt: skip

    @staticmethod
    def _rows(one: tuple[str, int], two: tuple[str, int], three: tuple[str, int],
              four: tuple[str, int], sent: Counted, answered: Counted, flag: str, counts: bool,
              since: float, until: float) -> Rows:  # fmt: skip
        version = "ipv6     10" if ":" in one[0] else "ipv4     2"

        def host(text: str) -> str:
            return _long(text) if ":" in text else text

        def tuple_(source: tuple[str, int], to: tuple[str, int], number: int) -> str:
            text = f"src={host(source[0])} dst={host(to[0])} sport={source[1]} dport={to[1]} "
            return text + (f"packets={number} bytes={number * 200} " if counts else "")

        def rows(at: float) -> list[str]:
            if not since <= at < until:
                return []
            back = answered(at)
            return [
                f"{version} udp      17 {'' if flag else '58 '}{tuple_(one, two, sent(at))}"
                f"{'' if back else '[UNREPLIED] '}{tuple_(three, four, back)}"
                f"{flag and f'[{flag}] '}mark=0 zone=0 use=2"
            ]

        return rows


def _long(host: str) -> str:
    head, _, tail = host.partition("::")
    parts = [part for part in head.split(":") if part]
    rest = [part for part in tail.split(":") if part]
    return ":".join(p.zfill(4) for p in [*parts, *["0"] * (8 - len(parts) - len(rest)), *rest])


class Live:
    """A house watched live: its messages, and the table of connections, looked at when it is asked
    for. pause: seconds between two turns of the daemon. slow: seconds that a look takes."""

    def __init__(self, house: House, *rows: Rows, pause: float = 0.25, slow: float = 0.05,
                 host: Host | None = None) -> None:  # fmt: skip
        self.rtp = Rtp(64)
        self.accounted = Accounted(self.rtp, (LAN, WAN), lambda at: at)
        self.pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True,
                                 media=self.accounted)  # fmt: skip
        self.house = house
        self.rows = rows
        self.pause = pause
        self.slow = slow
        self.looks: list[float] = []
        self.reports: list[Report] = self.pipeline.host(host) if host is not None else []
        self._scanners = [
            Scanner(1, tap, layout.REPLAY_KEY, PORTS, Counts(), rtp=self.rtp) for tap in (0, 1)
        ]

    def run(self, until: float = BYE + 40) -> list[Finding]:
        """The findings about media of so many seconds."""
        waiting = [list(packets) for packets in self.house.sorted()]
        at, over = 0.0, 0.0
        began: int | None = None
        ports: frozenset[int] = frozenset()
        while at < until:
            at += self.pause
            now = _ns(at)
            for tap, packets in enumerate(waiting):
                some = [p for p in packets if p[0] <= now]
                del packets[: len(some)]
                if some:
                    self.reports += self.pipeline.feed(self._scan(some, tap))
                self.reports += self.pipeline.advance(tap, now - NS // 5)
            if began is not None and at >= over:
                self.accounted.looked(began, self.table(over, ports))
                began = None
            if began is None and (ports := self.accounted.wanted(now)):
                self.looks.append(at)
                began, over = now, at + self.slow
        self.reports += self.pipeline.finish()
        return self.found

    def table(self, at: float, ports: frozenset[int]) -> list[Tracked]:
        found = []
        for rows in self.rows:
            for row in rows(at):
                one = tracked(row.encode(), _ns(at))
                assert one is not None, row
                mine = {port for pair in (one.original, one.reply) for _, port in pair}
                if mine & ports:
                    found.append(one)
        return found

    @property
    def found(self) -> list[Finding]:
        return [r for r in self.reports if isinstance(r, Finding) and r.rule.startswith("SDP")]

    def _scan(self, packets: list[Packet], tap: int) -> Batch:
        buffer, meta = b"", b""
        for at, data in packets:
            seconds, ns = divmod(at, NS)
            meta += struct.pack("=IIII", seconds, ns // 1000, len(buffer), len(data))
            buffer += data
        (one,) = self._scanners[tap].scan(buffer, meta, packets[-1][0])
        return Batch(buffer, bytes(one.rows), bytes(one.ends), one.count, tap, one.watermark)


def _ns(at: float) -> int:
    return START * NS + round(at * NS)


def talked(until: float = BYE, call_id: str = "talk@phone", **how: object) -> House:
    house = House()
    called(house, until, call_id, **how)  # type: ignore[arg-type]
    return house


def said(*rows: Rows, house: House | None = None, **how: object) -> list[tuple[str, str, str]]:
    """(rule, where, harm)"""
    live = Live(house or talked(), *rows, **how)  # type: ignore[arg-type]
    return [(f.rule, f.where, f.harm) for f in live.run()]


ONE_WAY = [("SDP003", "unknown", "observed")]


def nat() -> Nat:
    return Nat(House())


# ---- what is seen ----


def test_rtp_that_nobody_answers_is_one_way_audio() -> None:
    live = Live(talked(), nat().out(TALK, NONE))
    (one,) = live.run()
    assert (one.rule, one.where, one.harm) == ("SDP003", "unknown", "observed")
    assert one.cause == cause.UNKNOWN
    assert "12 s" in one.summary
    assert "sent 540 packets through this router, and none came back" in one.summary
    assert [(e.side, e.observed.split(", ")[1]) for e in one.evidence] == [
        ("lan", "RTP to the caller: 0 packets"), ("lan", "RTP to the callee: 540 packets"),
        ("wan", "RTP to the caller: 0 packets"), ("wan", "RTP to the callee: 540 packets"),
    ]  # fmt: skip
    assert "192.168.1.10:16384 to 203.0.113.5:20000" in one.evidence[1].observed
    assert "198.51.100.2:16384 to 203.0.113.5:20000" in one.evidence[3].observed
    assert f"{540 * 172} bytes" in one.evidence[1].observed, "without the headers of IP and UDP"


def test_rtp_that_the_phone_never_answers_is_one_way_audio() -> None:
    live = Live(talked(), nat().into(TALK, NONE))
    (one,) = live.run()
    assert (one.rule, one.where, one.key) == ("SDP003", "unknown", "SDP003/talk@phone/callee")
    assert "came to the phone through the router, and none went back" in one.summary


def test_a_private_address_that_nobody_can_send_to_is_the_reason() -> None:
    house = House()
    called(house, BYE, body=sdp(house.phone, PORT))
    assert said(nat().out(TALK, NONE), house=house) == [
        ("SDP001", "phone", "observed"), ("SDP003", "phone", "observed"),
    ]  # fmt: skip


def test_a_provider_that_finds_the_phone_by_itself_needs_no_address() -> None:
    """It did in an earlier call, however short: then the private address is not the reason."""
    house = House()
    body = sdp(house.phone, PORT)
    called(house, ANSWER + 0.6, "one@phone", body=body)
    called(house, 60, "two@phone", body=body, after=40)
    first = nat().out(HALF, rate(ANSWER, ANSWER + 0.5), until=30)
    live = Live(house, first, nat().out(rate(43, 60), NONE, since=40))
    assert [(f.rule, f.where) for f in live.run(100)] == [("SDP003", "unknown")]


def test_a_few_looks_are_enough_and_without_a_call_there_are_none() -> None:
    live = Live(talked(), nat().out(TALK, TALK))
    live.run(600)
    assert len(live.looks) == 4
    assert [at - ANSWER for at in live.looks] == pytest.approx([1, 5.2, 7.3, 12.2], abs=0.5)
    idle = Live(House(), nat().out(TALK, NONE))
    assert (idle.run(600), idle.looks) == ([], [])
    assert not live.accounted._talks, "and nothing of it is kept"


def test_a_call_that_goes_on_is_told_as_far_as_it_was_looked_at() -> None:
    live = Live(talked(until=0), nat().out(rate(ANSWER, 1e9), NONE))
    (one,) = live.run(20)
    assert "One-way audio for 7 s" in one.summary


def test_a_change_of_the_media_begins_anew() -> None:
    house = House()
    call = called(house, 40)
    body, answer = sdp(house.wan_ip, PORT), sdp(house.provider, FAR + 2)
    re_invited(call, 20, body, answer)
    before = nat().out(rate(ANSWER, 20), rate(ANSWER, 20))
    after = nat().out(rate(20, 40), NONE, far_port=FAR + 2, since=20)
    live = Live(house, before, after)
    (one,) = live.run(80)
    assert "for 20 s" in one.summary


def test_the_next_call_on_the_same_ports_begins_at_what_the_last_one_left() -> None:
    house = House()
    called(house, BYE, "one@phone")
    called(house, BYE + 20, "two@phone", after=BYE + 1)
    out = lambda at: TALK(at) + rate(BYE + 4, BYE + 20)(at)  # noqa: E731
    live = Live(house, nat().out(out, TALK))
    (one,) = live.run(BYE + 60)
    assert one.key == "SDP003/two@phone/caller"


def test_what_an_earlier_call_has_left_at_another_far_end_is_not_of_this_one() -> None:
    old = nat().out(rate(0, 0, before=400), rate(0, 0, before=380), far_port=FAR + 8)
    assert said(old, nat().out(TALK, NONE)) == ONE_WAY


# ---- what only looks like it ----

HALF = rate(ANSWER, ANSWER + 3)
KEEPALIVES = rate(ANSWER, BYE, 2)
LATE = rate(ANSWER + 10.5, BYE)
OTHER = "198.51.100.99"
HEALTHY = [
    ("both talk", [nat().out(TALK, TALK)]),
    ("the far end first", [nat().into(TALK, TALK)]),
    ("the far end is quiet and not silent", [nat().out(TALK, rate(ANSWER, BYE, 1))]),
    ("one packet of comfort noise", [nat().out(TALK, rate(0, 0, before=1))]),
    ("the far end speaks late", [nat().out(TALK, LATE)]),
    ("hardware took it over unseen", [nat().out(TALK, rate(ANSWER, ANSWER + 0.1))]),
    ("early media alone came back", [nat().out(TALK, rate(2, 3))]),
    ("nobody says anything", []),
    ("no flow is answered, and none is alive", [nat().out(KEEPALIVES, NONE)]),
    ("both fell silent after 3 s", [nat().out(HALF, NONE)]),
    ("it comes to the announced port and leaves from another",
     [nat().out(TALK, NONE, port=PORT + 6, wan_port=PORT + 6), nat().into(TALK, NONE)]),
    ("it comes from another host to a forwarded port",
     [nat().out(TALK, NONE), nat().into(TALK, NONE, far=OTHER, far_port=7)]),
    ("it comes from another host to the port that the phone sends from",
     [nat().out(TALK, NONE, port=4000, wan_port=4000),
      nat().into(TALK, NONE, port=4000, wan_port=4000, far=OTHER, far_port=7)]),
    ("the phone sends from another port, and hears there",
     [nat().out(TALK, TALK, port=PORT + 6, wan_port=999)]),
    ("it leaves by another line", [nat().out(TALK, NONE, wan="100.64.0.7")]),
    ("it goes to the router itself", [nat().out(TALK, NONE, wan="192.168.1.10")]),
    ("flow offload counts nothing",
     [nat().out(TALK, NONE, flag="OFFLOAD")]),
    ("hardware offload counts nothing", [nat().out(TALK, NONE, flag="HW_OFFLOAD")]),
    ("the kernel does not count", [nat().out(TALK, NONE, counts=False)]),
    ("the entry was made anew meanwhile",
     [nat().out(rate(ANSWER, 6), NONE, until=8.2), nat().out(rate(8, BYE), NONE, since=8.2)]),
    ("it was of an earlier call on the same ports", [nat().out(rate(0, 0, before=900), NONE)]),
    ("the earlier call on the same ports was not looked at",
     [nat().out(TALK, rate(0, 0, before=900))]),
    ("too many flows from that port",
     [*(nat().out(TALK, NONE, far_port=n) for n in range(1, 12)), nat().out(TALK, NONE)]),
]  # fmt: skip


@pytest.mark.parametrize("rows", [rows for _, rows in HEALTHY], ids=[name for name, _ in HEALTHY])
def test_nothing_is_said(rows: list[Rows]) -> None:
    live = Live(talked(), *rows)
    assert live.run() == []
    assert len(live.looks) >= 3, "it was looked at"


def _held(house: House, way: str, answer: str) -> None:
    called(house, BYE, body=ways(sdp(house.wan_ip, PORT), way),
           answer=ways(sdp(house.provider, FAR), answer))  # fmt: skip


def _with_ice(house: House) -> None:
    line = b"a=ice-ufrag:8hhY\r\na=candidate:1 1 UDP 1 198.51.100.2 9 typ host\r\n"
    called(house, BYE, body=sdp(house.wan_ip, PORT) + line,
           answer=sdp(house.provider, FAR) + line)  # fmt: skip


def _in_the_house(house: House) -> None:
    """The helper sends the phone to the other phone."""
    house.in_alg = lambda data: data.replace(
        f"c=IN IP4 {house.provider}".encode(), b"c=IN IP4 192.168.1.44"
    )
    called(house, BYE)


OTHERWISE = [
    ("on hold", lambda house: _held(house, "sendonly", "recvonly")),
    ("inactive", lambda house: _held(house, "inactive", "inactive")),
    ("fax", lambda house: called(
        house, BYE, answer=sdp(house.provider, FAR).replace(b"audio", b"image"))),
    ("ICE", _with_ice),
    ("both in the house", _in_the_house),
    ("five seconds", lambda house: called(house, ANSWER + 5)),
    ("never answered", lambda house: called(house, 0, ok=False)),
]  # fmt: skip


@pytest.mark.parametrize(
    "call", [call for _, call in OTHERWISE], ids=[name for name, _ in OTHERWISE]
)
def test_nothing_is_said_of_such_a_call(call: Callable[[House], None]) -> None:
    house = House()
    call(house)
    assert said(nat().out(TALK, NONE), house=house) == []


def test_a_call_that_is_held_later_is_not_dead() -> None:
    house = House()
    call = called(house, 40)
    re_invited(call, 3.4, ways(sdp(house.wan_ip, PORT), "sendonly"),
               ways(sdp(house.provider, FAR), "recvonly"))  # fmt: skip
    assert said(nat().out(rate(ANSWER, 40), NONE), house=house) == []


def test_ipv6_without_translation_is_counted_as_well() -> None:
    v6 = {"phone": "2001:db8::10", "wan": "2001:db8::10", "provider": "2001:db8:aa::9"}

    def house() -> House:
        made = House(**v6)  # type: ignore[arg-type]
        body = sdp(made.phone, PORT).replace(b"IP4", b"IP6")
        called(made, BYE, body=body, answer=sdp(made.provider, FAR).replace(b"IP4", b"IP6"))
        return made

    rows = Nat(house())
    assert said(rows.out(TALK, NONE), house=house()) == ONE_WAY
    assert said(rows.out(TALK, TALK), house=house()) == []


def test_an_entry_that_was_forgotten_meanwhile_has_another_call_s_packets() -> None:
    """One packet of comfort noise in each of two calls, on an entry that was made anew: the numbers
    are those of the first call."""
    house = House()
    called(house, ANSWER + 1.5, "one@phone")
    called(house, 95, "two@phone", after=80)
    noise = rate(0, 0, before=1)
    rows = [nat().out(rate(ANSWER, ANSWER + 1.5, 20), noise, until=70),
            nat().out(rate(83, 95), noise, since=83)]  # fmt: skip
    live = Live(house, *rows)
    assert live.run(140) == [] and live.looks[-1] > 95


def test_a_call_that_announced_nothing_is_asked_for_no_more_than_any_other() -> None:
    asked = []

    class Counting:
        def first(self, tap: int) -> int:
            return 0

        def of(self, call: int) -> list[Announced]:
            asked.append(call)
            return []

    live = Live(talked(body=b"nothing", answer=b"nothing"))
    live.accounted._table = Counting()
    assert (live.run(), live.looks) == ([], [])
    assert 1 <= len(asked) <= 10


def test_a_look_that_began_before_the_offer_changed_counts_for_nothing() -> None:
    house = House()
    call = called(house, 40)
    re_invited(call, 4.3, sdp(house.wan_ip, PORT), sdp(house.provider, FAR + 2))
    live = Live(house, nat().out(TALK, TALK), slow=0.6)
    live.run(5)
    assert live.looks == [4.25]
    assert [talk.looks for talk in live.accounted._talks.values()] == [[]]


def test_what_the_router_itself_takes_is_not_heard_by_the_phone() -> None:
    """Its firewall lets UDP in to its own address, which the phone announced; the RTP of the phone
    leaves from another port."""
    house = talked()
    mine = Nat(House(phone=house.wan_ip)).into(TALK, NONE)
    assert said(nat().out(TALK, NONE, wan_port=999), mine, house=house) == ONE_WAY


def test_a_far_address_that_the_router_changed_is_not_blamed_for_what_is_not_seen() -> None:
    """A relay on the router sends on what it gets, which the table does not tie together."""
    house = House()
    house.in_alg = lambda data: data.replace(
        f"c=IN IP4 {house.provider}".encode(), b"c=IN IP4 198.51.100.200"
    )
    called(house, BYE)
    assert said(nat().out(TALK, TALK, far="198.51.100.200"), house=house) == []


def test_with_flow_offload_nobody_looks() -> None:
    live = Live(talked(), nat().out(TALK, NONE), host=Host(_ns(0), offload=SOFTWARE))
    assert (live.run(), live.looks) == ([], [])


def test_packets_that_the_capture_lost_make_no_finding() -> None:
    live = Live(talked(), nat().out(TALK, NONE))
    live.pipeline.lost(LAN, 3, _ns(5))
    assert live.run() == []


@pytest.mark.parametrize("slow", [0.05, 0.6, 1.5, 4.0])
@pytest.mark.parametrize("pause", [0.05, 0.25, 0.6])
def test_a_slow_router_says_the_same_or_nothing(slow: float, pause: float) -> None:
    for back, expected in ((NONE, ONE_WAY), (TALK, []), (rate(ANSWER, BYE, 1), [])):
        found = said(nat().out(TALK, back), slow=slow, pause=pause)
        assert found in (expected, []) if slow > 1 else found == expected


def test_many_calls_share_a_look_and_none_is_confused() -> None:
    house = House()
    rows = []
    for n in range(40):
        port, far = PORT + 2 * n, FAR + 2 * n
        called(house, BYE, f"call{n}@phone", body=sdp(house.wan_ip, port),
               answer=sdp(house.provider, far))  # fmt: skip
        back = NONE if n == 17 else TALK
        rows.append(nat().out(TALK, back, port=port, wan_port=port, far_port=far))
    live = Live(house, *rows)
    live.rtp.struct.room = 512
    assert [f.key for f in live.run()] == ["SDP003/call17@phone/caller"]
    assert len(live.looks) <= 16
