# SPDX-License-Identifier: Apache-2.0
"""Metrics: a file of numbers for Prometheus, by way of the textfile collector of node_exporter.

The agent opens no port, so it needs no limit on clients; the file is replaced as a whole. It names
no phone and no person: labels are words of this program and names of interfaces. Source: Prometheus
text exposition format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from algwatch import __version__
from algwatch.advise.advice import Advice, InForce
from algwatch.base.host import Host
from algwatch.base.report import Report
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.replaced import Replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.status import Numbers, Status

EVERY = 15.0  # seconds between two writings: the usual interval of Prometheus
ADVICE = 64
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """path: of the file. say: takes a line about the agent. beside: a Status that gets everything
    too. Has the methods of Status, and takes its place in the loop."""

    def __init__(self, path: str, say: Callable[[str], None], beside: Status | None = None,
                 clock: Callable[[], float] = monotonic) -> None:  # fmt: skip
        self._file = Replaced(path, "metrics_file", 0o644, say)
        self._beside = beside
        self._clock = clock
        self._written = float("-inf")
        self._advice = InForce(ADVICE)
        self._counts: dict[tuple[str, Labels], int] = {}
        self._host: Host | None = None

    @property
    def host(self) -> Host | None:
        return self._host

    @host.setter
    def host(self, host: Host) -> None:
        self._host = host
        if self._beside is not None:
            self._beside.host = host

    def touch(self) -> None:
        if self._beside is not None:
            self._beside.touch()

    @property
    def due(self) -> bool:
        own = self._clock() - self._written >= EVERY
        return own or (self._beside is not None and self._beside.due)

    def report(self, report: Report) -> None:
        if self._beside is not None:
            self._beside.report(report)
        if isinstance(report, Finding):
            self._count("findings", ("rule", report.rule), ("harm", report.harm))
        elif isinstance(report, CallSummary):
            self._count("calls", ("outcome", report.outcome))
        elif isinstance(report, RegistrationSummary):
            self._count("registrations", ("outcome", report.outcome))
        elif isinstance(report, Advice):
            self._advice.feed(report)

    def write(self, health: dict[str, object], counts: Numbers, running: bool = True) -> None:
        """As Status.write."""
        if self._beside is not None and (self._beside.due or not running):
            self._beside.write(health, counts, running)
        now = self._clock()
        if now - self._written < EVERY and running:
            return
        self._written = now
        self._file.write(self._text(health, counts, running))

    def _count(self, name: str, *labels: tuple[str, str]) -> None:
        key = name, labels
        self._counts[key] = self._counts.get(key, 0) + 1

    def _text(self, health: dict[str, object], counts: Numbers, running: bool) -> str:
        page = _Page()
        page.add("up", "gauge", "Whether the agent runs", [((), int(running))])
        page.add("info", "gauge", "Version of the agent", [((("version", __version__),), 1)])
        for name, unit in (("uptime", "uptime_seconds"), ("rss", "resident_bytes")):
            value = health.get(name)
            if isinstance(value, int | float):
                scale = 1024 if name == "rss" else 1
                page.add(unit, "gauge", f"{unit.replace('_', ' ')} of the agent",
                         [((), value * scale)])  # fmt: skip
        for name, what in (("calls", "Calls that ended"), ("registrations", "Registrations"),
                           ("findings", "Findings")):  # fmt: skip
            rows = [(labels, n) for (of, labels), n in self._counts.items() if of == name]
            page.add(f"{name}_total", "counter", f"{what}, since the agent began", rows)
        for group in ("capture", "crossings", "evicted"):
            rows = [((("kind", kind),), n) for kind, n in counts.get(group, {}).items()]
            page.add(f"{group}_total", "counter", f"docs/wire.md, {group}", rows)
        self._taps(page, health.get("taps"))
        given: dict[Labels, int] = {}
        for one in self._advice.all():
            labels = (("action", one.action), ("state", one.state))
            given[labels] = given.get(labels, 0) + 1
        page.add("advice", "gauge", "Pieces of advice in force", list(given.items()))
        if self._host is not None:
            page.add("sip_helper", "gauge", "Whether the kernel's SIP helper is there",
                     [((), int(self._host.helper))])  # fmt: skip
        return page.text()

    def _taps(self, page: _Page, taps: object) -> None:
        if not isinstance(taps, dict):
            return
        for name in ("drops", "reopened", "away"):
            rows = [((("tap", str(tap)), ("side", str(one.get("side", "")))), int(one[name]))
                    for tap, one in taps.items() if name in one]  # fmt: skip
            kind = "gauge" if name == "away" else "counter"
            end = "" if name == "away" else "_total"
            page.add(f"tap_{name}{end}", kind, f"docs/wire.md, taps: {name}", rows)


class _Page:
    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, about: str, rows: Sequence[tuple[Labels, float]]) -> None:
        if not rows:
            return
        name = f"algwatch_{name}"
        self._lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        for labels, value in rows:
            said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            self._lines.append(f"{name}{'{' + said + '}' if said else ''} {value}")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
