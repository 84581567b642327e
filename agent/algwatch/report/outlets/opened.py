# SPDX-License-Identifier: Apache-2.0
"""The configured outlets, opened while the agent still may, and loaded only then."""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.outlets.hep import Hep
    from algwatch.report.outlets.metrics import Metrics
    from algwatch.report.privacy import Privacy
    from algwatch.report.status import Status


def lines(where: str | tuple[str, int], out: Callable[[str], None]) -> Callable[[str], None]:
    """Takes the lines of standard output. where: a syslog, "" for none."""
    if not where:
        return out
    from algwatch.report.outlets.syslog import Syslog

    log = Syslog(where)

    def both(line: str) -> None:
        out(line)
        log.line(line)

    return both


def state(path: str, metrics: str, privacy: Privacy,
          say: Callable[[str], None]) -> Status | Metrics | None:  # fmt: skip
    """path: of the state file, metrics: of the file for Prometheus, "" for none."""
    status = None
    if path:
        # Imported here: it loads the verdict and JSON.
        from algwatch.report.status import Status

        status = Status(path, privacy, say)
    if not metrics:
        return status
    from algwatch.report.outlets.metrics import Metrics

    return Metrics(metrics, say, status)


def homer(where: tuple[str, int] | None, agent: int, shift: Callable[[], int]) -> Hep | None:
    if where is None:
        return None
    from algwatch.report.outlets.hep import Hep

    return Hep(*where, agent, shift)
