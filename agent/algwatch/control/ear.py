# SPDX-License-Identifier: Apache-2.0
"""Ear: the daemon's subscriptions at its broker, if the configuration asks for any."""

from __future__ import annotations

import os
from collections.abc import Callable

from algwatch.config import Config
from algwatch.control.facts import PROVIDER, Facts, public_key
from algwatch.control.kept import Kept
from algwatch.control.relay import Relay
from algwatch.report.hears import Hears
from algwatch.report.privacy import Privacy, provider_part
from algwatch.report.publisher import Publisher
from algwatch.report.wire import topic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.diagnose.finding import Finding

SERIALS = "provider.serials"  # beside the key of the pseudonyms


class Ear(Hears):
    """cpe, privacy: as of the reports. NoKey."""

    def __init__(self, config: Config, cpe: str, privacy: Privacy,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        super().__init__(say)
        self._told_of_it = False
        self._publisher: Publisher | None = None
        self._command = topic(cpe, "cmd")
        self._kept: Kept | None = None
        self._relay: Relay | None = None
        self.facts: Facts | None = None
        if config.commands:
            self._kept = Kept(privacy)
            self._relay = Relay(config.commands_socket, self._kept)
            self.add(self._command)
        if config.provider_key:
            path = os.path.join(os.path.dirname(config.privacy_key), SERIALS)
            self.facts = Facts(public_key(config.provider_key), path, say)

    def start(self, publisher: Publisher) -> None:
        self._publisher = publisher
        if self._relay is not None:
            self._relay.start(publisher)

    def keep(self, finding: Finding) -> None:
        if self._kept is not None:
            self._kept.feed(finding)

    def learned(self, domain: str) -> None:
        """A phone here has registered with this domain: subscribe to the facts about it."""
        provider = provider_part(domain)
        if self.facts is None or not provider or not self.add(PROVIDER + provider):
            return
        if self._publisher is not None:
            self._publisher.wake()

    def heard(self, topic: str, payload: bytes, retained: bool, correlation: bytes) -> None:
        if topic == self._command:
            if self._relay is None:
                return
            if not retained:
                self._relay.take(payload, correlation)
            elif not self._told_of_it:  # the broker would send it with each connection
                self._told_of_it = True
                self._say(f"a retained command waits at {topic}: it is not obeyed; delete it")
        elif self.facts is not None:
            self.facts.take(topic, payload)
