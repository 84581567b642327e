# SPDX-License-Identifier: Apache-2.0
"""Settings: common to all connections of a router to its broker."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.report.limits import Limits
from algwatch.report.outbox import Outbox, Outgoing
from algwatch.report.refusals import Refusals
from algwatch.report.wake import Wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


class Settings:
    """will, hello, say: as of Link (report/mqtt.py)."""

    __slots__ = ("client_id", "context", "hello", "keepalive", "limits", "outbox", "refusals",
                 "say", "wake", "will")  # fmt: skip

    def __init__(
        self,
        client_id: str,
        context: ssl.SSLContext | None,
        keepalive: int,
        outbox: Outbox,
        wake: Wake,
        will: Callable[[], tuple[str, bytes]],
        hello: Callable[[str, bool], list[Outgoing]],
        say: Callable[[str], None],
    ) -> None:
        self.client_id = client_id
        self.context = context
        self.keepalive = keepalive
        self.outbox = outbox
        self.refusals = Refusals()
        self.limits = Limits()
        self.wake = wake
        self.will = will
        self.hello = hello
        self.say = say
