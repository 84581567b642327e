# SPDX-License-Identifier: Apache-2.0
"""`algwatch run`: watch a router's two sides until told to stop."""

from __future__ import annotations

import os
import sys

from algwatch.cli import Usage
from algwatch.config import KEYS, Config, ConfigError, from_environment, from_file, from_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

HELP = """\
usage: algwatch run [--lan IF ...] [--wan IF ...] [--mqtt URL] [--config FILE] ...

Watches the SIP messages on both sides of this router and tells what it finds: one line an
event on standard output, and reports over MQTT when a broker is given.

  --lan IF, --wan IF    interface of that side; may be repeated (voice often has its own VLAN);
                        without it ubus is asked (OpenWrt)
  --mqtt URL            mqtt://HOST[:1883] or mqtts://HOST[:8883]; without it nothing is sent
  --config FILE         settings, one `key = value` a line
  --cpe ID              id of this router; default: MAC address of the first LAN interface
  --ports 5060,5080     ports of SIP; whatever begins like SIP is seen on any port
  --json                JSON lines instead of sentences

Every setting of the file is also an option (docs/configuration.md):
"""


def read(words: list[str], environment: dict[str, str]) -> Config:
    """Defaults, then --config FILE, then the environment, then the other options."""
    config = Config()
    rest = []
    it = iter(words)
    for word in it:
        name, equals, value = word.partition("=")
        if name != "--config":
            rest.append(word)
            continue
        path = value if equals else next(it, "")
        if not path:
            raise ConfigError("--config needs a file")
        from_file(config, path)
    from_environment(config, environment)
    from_words(config, rest)
    config.check()
    return config


def start(words: list[str]) -> int:
    """Run until SIGTERM or SIGINT; words: the options. Returns 0; Usage if it cannot start."""
    if "--help" in words or "-h" in words:
        from textwrap import fill  # the daemon never imports it

        options = sorted(key.replace("_", "-") for key in KEYS if key != "mqtt_password")
        listed = ", ".join(f"--{option}" for option in options)
        print(HELP + fill(listed, 95, initial_indent="  ", subsequent_indent="  ",
                          break_on_hyphens=False))  # fmt: skip
        return 0
    try:
        config = read(words, dict(os.environ))
    except ConfigError as problem:
        raise Usage(str(problem)) from None
    if sys.stdout is None and not config.mqtt:
        raise Usage("standard output is closed and no broker is given: nobody would be told")
    if config.mqtt:
        from algwatch.report import libraries  # noqa: F401  # before our own modules
    from algwatch.start import CannotStart, run

    try:
        return run(config, 1, 2)
    except CannotStart as problem:
        raise Usage(str(problem)) from None


def add(subparsers: Subparsers) -> None:
    # For the list of verbs only: `run` reads its options itself.
    subparsers.add_parser("run", help="watch both sides of this router")


def main(args: argparse.Namespace) -> int:
    return start([])
