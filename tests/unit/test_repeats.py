# SPDX-License-Identifier: Apache-2.0
"""The same finding about other calls is counted, and what is news is sent at once."""

from __future__ import annotations

import pytest
from algwatch.diagnose.finding import Finding
from algwatch.report import publisher as publishing
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.providers import Providers
from algwatch.report.publisher import Publisher
from algwatch.report.repeats import SERIES, Repeats
from algwatch.report.tally import Tally
from algwatch.report.wire import decode
from reports import finding, registration

HOUR, DAY = 3600, 86400
LINE = "192.168.1.10 and 203.0.113.5"


def dropped(number: int, harm: str = "observed", line: str = LINE, **more: str) -> Finding:
    return finding(harm, "DLG001", f"c{number}@phone", line=line, **more)  # type: ignore[arg-type]


class Clock:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Router:
    """The publishing half of a daemon, whose time is told. sent: the findings in its outbox."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, daily: int = 1 << 20) -> None:
        self.clock = Clock()
        monkeypatch.setattr(publishing, "monotonic", self.clock)
        self.outbox = Outbox(1 << 24, 100_000)
        privacy = Privacy(bytes(32), enabled=False)
        self.providers = Providers()
        self.publisher = Publisher(
            Broker("mqtt://127.0.0.1:1"), Encoder("cpe1", "0.1.0", "b1", privacy, self.providers),
            self.outbox, lambda: 1e9 + self.clock.now, lambda line: None, {},
            tally=Tally(self.providers), daily=daily,
        )  # fmt: skip
        self.publisher._repeats = Repeats(self.clock)
        self.publisher._allowance._clock = self.clock

    def finds(self, one: Finding) -> None:
        one.at = 1e9 + self.clock.now
        if not self.publisher.is_again(one):
            self.publisher.finding(one)

    def passes(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 60
            self.publisher.tick()

    @property
    def sent(self) -> list[dict[str, object]]:
        found = []
        for message in self.outbox._waiting.values():
            body = decode(message.data)
            if "finding" in body:
                found.append(body["finding"])
        return found

    def told(self, name: str = "times") -> list[object]:
        return [one.get(name) for one in self.sent]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Router:
    return Router(monkeypatch)


def test_a_thousand_calls_that_drop_are_four_findings(router: Router) -> None:
    for number in range(1, 1001):
        router.finds(dropped(number))
    assert router.told() == [1, 10, 100, 1000]
    assert router.told("call_id") == [f"c{n}@phone" for n in (1, 10, 100, 1000)]
    assert len(set(map(str, router.told("series")))) == 1
    assert all(one["evidence"] for one in router.sent)
    assert router.publisher._repeats.unsent == {"DLG001": 996}


def test_their_number_follows_on_a_growing_interval_with_the_first_and_the_latest_time(
    router: Router,
) -> None:
    for number in range(1, 6):
        router.finds(dropped(number))
        router.passes(600)
    router.passes(HOUR)
    first, again = router.sent
    assert (first["times"], "first" in first) == (1, False)
    assert (again["times"], again["first"], again["last"]) == (5, 1e9, 1e9 + 2400)
    assert again["evidence"] == [] and again["key"] == first["key"]
    router.passes(2 * DAY)
    assert router.told() == [1, 5], "nothing new is nothing sent"


def test_a_day_of_drops_is_a_handful_and_a_week_some_more(router: Router) -> None:
    for number in range(1, 51):
        router.finds(dropped(number))
        router.passes(DAY / 50)
    day = router.told()
    assert day[-1] >= 20 and len(day) <= 8, day  # type: ignore[operator]
    for number in range(51, 351):
        router.finds(dropped(number))
        router.passes(DAY / 50)
    assert len(router.told()) - len(day) <= 9


@pytest.mark.parametrize(
    "other",
    [dropped(3, "certain"), dropped(3, line="192.168.1.11 and 203.0.113.5"),
     dropped(3, where="phone"), dropped(3, cause="phone"), dropped(1)],
    ids=["harm", "line", "place", "cause", "a further word"],
)  # fmt: skip
def test_what_is_news_is_sent_at_once(router: Router, other: Finding) -> None:
    router.finds(dropped(1))
    router.finds(dropped(2))
    assert len(router.sent) == 1
    router.finds(other)
    assert len(router.sent) == 2


def test_what_is_taken_back_is_sent_at_once(router: Router) -> None:
    for number in range(3):
        router.finds(dropped(number, "none"))
    back = dropped(4, "none")
    back.takes_back = True
    router.finds(back)
    assert router.told() == [1, 4]


def test_a_prediction_that_was_only_counted_stays_so_and_one_that_was_sent_is_followed(
    router: Router,
) -> None:
    for number in (1, 2):
        router.finds(dropped(number, "certain"))
        router.finds(dropped(number, "observed"))
    assert router.told("harm") == ["certain", "observed"]
    for number in range(3, 11):
        router.finds(dropped(number, "certain"))
    assert router.told("harm")[2:] == ["certain"]  # the tenth
    router.finds(dropped(10, "observed"))
    assert router.told("harm")[3:] == ["observed"]


def test_a_capture_that_loses_more_each_second_is_told_now_and_then(router: Router) -> None:
    for number in range(3 * HOUR // 10):
        router.finds(finding("none", "CAP002", "", "CAP002/drops", f"{number} lost.",
                             cause="capture"))  # fmt: skip
        router.clock.now += 10
    assert router.told() == [1, 1]
    assert router.told("summary") == ["0 lost.", "360 lost."]


def test_after_a_day_without_one_the_next_is_news(router: Router) -> None:
    for number in range(3):
        router.finds(dropped(number))
    router.passes(DAY + 120)
    router.finds(dropped(4))
    assert router.told() == [1, 3, 1]
    assert router.sent[-1]["evidence"]


def test_the_end_tells_of_those_that_were_only_counted(router: Router) -> None:
    for number in range(3):
        router.finds(dropped(number))
    router.publisher.tick(always=True)
    assert router.told() == [1, 3]


def test_a_finding_that_had_no_room_is_not_taken_for_told(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(monkeypatch, daily=65536)
    allowance = router.publisher._allowance
    allowance.spend(65536)
    router.finds(dropped(1))
    assert router.sent == [] and allowance.withheld == {"finding": 1}
    router.clock.now += HOUR
    router.finds(dropped(2))
    assert router.told() == [2]


def test_series_without_end_take_a_bounded_room() -> None:
    repeats = Repeats(Clock())
    for number in range(4 * SERIES):
        repeats.feed(dropped(1, line=f"2001:db8::{number:x} and 203.0.113.5"), 0.0)
    assert len(repeats._series) <= SERIES


def test_phones_without_end_leave_room_for_one_that_its_provider_knows(router: Router) -> None:
    router.publisher.tally.feed(registration(line=LINE))  # type: ignore[union-attr]
    for hour in range(24):
        for number in range(3000):
            forged = f"10.0.{number % 250}.{hour} and 203.0.113.5"
            router.finds(dropped(number, line=forged, key=f"{hour}/{number}"))
        router.clock.now += HOUR
    room = router.publisher._allowance.room(0.0)
    assert room >= (1 << 20) / 4
    before = len(router.sent)
    router.finds(dropped(1))
    assert len(router.sent) == before + 1
    assert router.publisher._allowance.withheld["finding"] > 0
