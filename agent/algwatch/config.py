# SPDX-License-Identifier: Apache-2.0
"""The daemon's settings: a file of `key = value` lines, the same keys as options, two variables.

One table defines all settings, so the file, the command line and docs/configuration.md agree. The
later source wins: defaults, file, environment (user and password of the broker), command line.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

from algwatch import files
from algwatch.base import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


TAKEN = ("provider", "enroll")  # topics beside those of the routers
OFF, AUTO, ON = "off", "auto", "on"  # of own_phones


class ConfigError(ValueError):
    """A setting is wrong; the text is one line, with file and line number for a setting of a
    file."""


def _text(value: str) -> str:
    return value


def _words(value: str) -> list[str]:
    words = value.replace(",", " ").split()
    if not words:
        raise ValueError("needs a value")
    return words


def _interfaces(value: str) -> list[str]:
    for name in _words(value):
        if len(name) > 15 or "/" in name:  # IFNAMSIZ
            raise ValueError(f"{name} cannot be the name of an interface")
    return _words(value)


def _ports(value: str) -> list[int]:
    ports = [_number(word, 1, 65535) for word in _words(value)]
    if len(ports) > 16:
        raise ValueError("at most 16 ports")
    return ports


def _tags(value: str) -> list[tuple[str, str]]:
    tags = []
    for word in _words(value):
        name, equals, text = word.partition("=")
        if not equals or not _is_label(name, 32) or not _is_label(text, 64):
            raise ValueError(
                f"{word[:40]!r} is not name=value of letters, digits, '-', '_' and '.'"
            )
        tags.append((name, text))
    if len(tags) > 16 or len(dict(tags)) < len(tags):
        raise ValueError("at most 16 tags, each name once")
    return tags


def _is_label(text: str, most: int) -> bool:
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return len(text) <= most and plain.isascii() and plain.isalnum()


def _number(value: str, least: int, most: int) -> int:
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ValueError(f"{value!r} is not a number from {least} to {most}")
    return int(value)


def _between(least: int, most: int) -> Callable[[str], int]:
    return lambda value: _number(value, least, most)


def _switch(value: str) -> bool:
    word = value.lower()
    if word in ("on", "yes", "true", "1"):
        return True
    if word in ("off", "no", "false", "0"):
        return False
    raise ValueError(f"{value!r} is neither on nor off")


def _own_phones(value: str) -> str:
    if value.lower() == AUTO:
        return AUTO
    try:
        return ON if _switch(value) else OFF
    except ValueError:
        raise ValueError(f"{value!r} is neither on, off nor auto") from None


def _user(value: str) -> str:
    if not 1 <= len(value) <= 32 or not value.isascii() or not value.isprintable():
        raise ValueError("needs the name or the number of a user")
    return value


def _cpe(value: str) -> str:
    if not 1 <= len(value) <= 64 or not value.isascii():
        raise ValueError("an id has 1 to 64 characters")
    if not _is_label(value, 64):
        # It is one level of the MQTT topics: no /, + or #.
        raise ValueError(f"{value!r}: an id has letters, digits, '-', '_' and '.' only")
    if value in TAKEN:
        raise ValueError(f"{value} is the name of another topic")
    return value


def _name(value: str) -> str:
    plain = value.replace("-", "").replace(".", "").replace(":", "").replace("_", "")
    if len(value) > 253 or not plain.isascii() or not plain.isalnum():
        raise ValueError(f"{value[:60]!r} is no name that a certificate has")
    return value


def _url(value: str) -> str:
    if not value.startswith(("mqtt://", "mqtts://")):
        raise ValueError("the broker's URL must look like mqtt://HOST:1883 or mqtts://HOST")
    return value


def _ring_bytes() -> int:
    """A 256th of the RAM, 256 kB to 2 MB. On a router with 64 MB all rings and tables together must
    be small. A larger router need not lose packets in a burst."""
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    return max(262144, min(ram // 256, 2097152)) // 65536 * 65536


def _memory_bytes() -> int:
    """A 64th of the RAM, 1 to 16 MB: 1 MB on a router with 64 MB."""
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    return max(1 << 20, min(ram // 64, 16 << 20)) // 65536 * 65536


def _udp(value: str) -> tuple[str, int]:
    """udp://ADDRESS:PORT: no name, so the running agent resolves nothing."""
    host, colon, port = value.removeprefix("udp://").rpartition(":")
    host = host.strip("[]")
    if not value.startswith("udp://") or not colon or not address.is_literal(host) or "%" in host:
        raise ValueError(f"{value[:60]!r} is not udp://ADDRESS:PORT")
    return host, _number(port, 1, 65535)


def _syslog(value: str) -> str | tuple[str, int]:
    return value if value.startswith("/") else _udp(value)


# key: (reader, default). A list grows when its key is given again.
KEYS: dict[str, tuple[Callable[[str], Any], Any]] = {
    "lan": (_interfaces, ["auto"]),
    "wan": (_interfaces, ["auto"]),
    "ports": (_ports, [5060, 5080]),
    "ring_bytes": (_between(131072, 64 << 20), _ring_bytes()),
    "user": (_user, ""),
    "memory_bytes": (_between(524288, 1 << 30), _memory_bytes()),
    "cpe": (_cpe, ""),
    "tags": (_tags, []),
    "mqtt": (_url, ""),
    "mqtt_user": (_text, ""),
    "mqtt_password": (_text, ""),
    "mqtt_ca": (_text, ""),
    "mqtt_cert": (_text, ""),
    "mqtt_key": (_text, ""),
    "mqtt_name": (_name, ""),
    "mqtt_keepalive": (_between(5, 3600), 60),
    "boot_delay": (_between(0, 86400), 0),
    "outbox_bytes": (_between(16384, 64 << 20), 262144),
    "spool": (_text, ""),
    "state": (_text, ""),
    "flash": (_text, ""),
    "health_interval": (_between(1, 86400), 300),
    "daily_bytes": (_between(65536, 1 << 40), 1 << 20),
    "privacy": (_switch, True),
    "privacy_key": (_text, "/etc/algwatch/privacy.key"),
    "hardware_offload": (_switch, False),
    "media": (_switch, True),
    "status_file": (_text, ""),
    "metrics_file": (_text, ""),
    "syslog": (_syslog, ""),
    "hep": (_udp, None),
    "hep_id": (_between(0, 0xFFFFFFFE), 2001),
    "own_phones": (_own_phones, AUTO),
    "handover": (_text, ""),
    "commands": (_text, ""),
    "commands_socket": (_text, "/var/run/algwatch-handover/commands"),
    "provider_key": (_text, ""),
    "json": (_switch, False),
}
_LISTED = ", ".join(sorted(KEYS))
LISTS = ("lan", "wan", "ports", "tags")
SWITCHES = ("json",)  # options without a value on the command line
ENVIRONMENT = {"ALGWATCH_MQTT_USER": "mqtt_user", "ALGWATCH_MQTT_PASSWORD": "mqtt_password"}


class Config:
    """One attribute a key of KEYS."""

    if TYPE_CHECKING:
        lan: list[str]
        wan: list[str]
        ports: list[int]
        ring_bytes: int
        user: str
        memory_bytes: int
        cpe: str
        tags: list[tuple[str, str]]
        mqtt: str
        mqtt_user: str
        mqtt_password: str
        mqtt_ca: str
        mqtt_cert: str
        mqtt_key: str
        mqtt_name: str
        mqtt_keepalive: int
        boot_delay: int
        outbox_bytes: int
        spool: str
        state: str
        flash: str
        health_interval: int
        daily_bytes: int
        privacy: bool
        privacy_key: str
        hardware_offload: bool
        media: bool
        status_file: str
        metrics_file: str
        syslog: str | tuple[str, int]
        hep: tuple[str, int] | None
        hep_id: int
        own_phones: str
        handover: str
        commands: str
        commands_socket: str
        provider_key: str
        json: bool

    def __init__(self) -> None:
        for key, (_, default) in KEYS.items():
            setattr(self, key, list(default) if key in LISTS else default)
        self._given: dict[str, list[str]] = {}  # unparsed values
        self._open_file = ""  # a file with a password, readable by others

    def layer(self) -> None:
        """Later settings win over earlier ones from here on, lists included."""
        self._given.clear()

    def set(self, key: str, value: str) -> None:
        """ConfigError without a place; the caller adds it."""
        if key not in KEYS:
            wanted = key.replace("-", "_").lower()
            near = [wanted] if wanted in KEYS else [k for k in KEYS if k[:2] == wanted[:2]]
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {_LISTED}"
            raise ConfigError(f"unknown setting {key[:40]!r}; {hint}")
        try:
            read = KEYS[key][0](value)
        except ValueError as problem:
            raise ConfigError(f"{key}: {problem}") from None
        if key in LISTS and key in self._given:
            read = getattr(self, key) + read
        elif key in self._given:
            raise ConfigError(f"{key} is set twice")
        self._given.setdefault(key, []).append(value)
        setattr(self, key, read)

    def given(self) -> list[tuple[str, str]]:
        """Keys and unparsed values of the last layer."""
        return [(key, " ".join(values)) for key, values in self._given.items()]

    def check(self) -> None:
        """Check settings that depend on each other; ConfigError."""
        twice = set(self.lan) & set(self.wan) - {"auto"}
        if twice:
            raise ConfigError(f"{min(twice)} cannot be on the LAN and on the WAN side at once")
        if self.hep and self.privacy:
            raise ConfigError("hep sends messages as they are, with names: set privacy = off too")
        if self.syslog and self.json:
            raise ConfigError("syslog takes no lines of JSON: leave json off")

    def notes(self) -> list[str]:
        """Sentences about secrets readable by others, each with its remedy."""
        notes = []
        if self._open_file:
            notes.append(
                f"{self._open_file}: others can read the broker's password in it: chmod 600"
            )
        key = self.mqtt_key or self.mqtt_cert
        if key and files.readable_by_others(key):
            notes.append(f"{key}: others can read this router's private key: chmod 600")
        return notes

    def came_from(self, path: str, mode: int) -> None:
        """The last layer was the file `path`; mode: its st_mode."""
        secret = "mqtt_password" in self._given or ("mqtt" in self._given and "@" in self.mqtt)
        if secret and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
            self._open_file = path


MOST_TEXT = 65536  # bytes of a configuration file


def _lines(path: str) -> tuple[list[str], int]:
    """(lines, st_mode) of a file or pipe; ConfigError."""
    try:
        # A FIFO without a writer reads as empty; a plain open would wait for one.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        os.set_blocking(number, True)
        mode = os.fstat(number).st_mode
        with open(number, "rb") as file:
            data = file.read(MOST_TEXT + 1)
        if len(data) > MOST_TEXT:
            raise ConfigError(f"{path}: larger than {MOST_TEXT} bytes")
        return data.decode().splitlines(), mode
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "not a text file"
        raise ConfigError(f"{path}: {reason}") from None


def from_file(config: Config, path: str) -> None:
    """Read `key = value` lines; `#` begins a comment line. ConfigError names file and line."""
    lines, mode = _lines(path)
    config.layer()
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        try:
            if not equals:
                raise ConfigError(f"{line[:40]!r} is not `key = value`")
            config.set(key.strip(), _unquote(value.strip()))
        except ConfigError as problem:
            raise ConfigError(f"{path}, line {number}: {problem}") from None
    config.came_from(path, mode)


def from_environment(config: Config, environment: Mapping[str, str]) -> None:
    """User and password of the broker: `ps` shows options, not variables."""
    config.layer()
    for variable, key in ENVIRONMENT.items():
        if environment.get(variable):
            config.set(key, environment[variable])


def from_words(config: Config, words: list[str]) -> None:
    """The options of `algwatch run`: each key with dashes; `--key value` or `--key=value`."""
    config.layer()
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            raise ConfigError(f"{word!r} is not an option; see algwatch run --help")
        name, equals, value = word[2:].partition("=")
        key = name.replace("-", "_")
        if key == "mqtt_password":
            raise ConfigError(
                "a password on the command line is seen by everybody: "
                "use the configuration file or ALGWATCH_MQTT_PASSWORD"
            )
        if key not in KEYS:
            raise ConfigError(f"unknown option --{name}; see algwatch run --help")
        if not equals:
            value = "on" if key in SWITCHES else next(rest, "")
            if not value:
                raise ConfigError(f"--{name} needs a value")
        try:
            config.set(key, value)
        except ConfigError as problem:
            raise ConfigError(f"--{problem}") from None


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
