# SPDX-License-Identifier: Apache-2.0
"""Enrolled: an invitation becomes the configuration of this router.

Files go into a folder of their own first. Then the settings, with their paths, change in one step.
So a power cut leaves the router either unchanged or enrolled.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from algwatch import files
from algwatch.advise.platforms.uci import Unreadable, read
from algwatch.config import LISTS, Config, ConfigError
from algwatch.control.invitation import FILES, SETTINGS
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FOLDER = "/etc/algwatch/enrolled"
UCI = "/etc/config/algwatch"
_SECTION = "algwatch.main"
_SECRET = ("commands",)  # root's alone
_DAEMONS = ("mqtt_key",)  # the daemon's alone
_KEYS = (*SETTINGS, *FILES)
MOST = 65536


class CannotEnroll(Exception):
    """The text is one line with the next step; nothing has changed."""


def checked(content: dict[str, Any], tags: list[str]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Settings and files of an invitation, all of known names. CannotEnroll."""
    settings, kept = content.get("settings"), content.get("files")
    if not isinstance(settings, dict) or not isinstance(kept, dict):
        raise CannotEnroll("the invitation has no settings")
    for name in (*settings, *kept):
        if name not in (SETTINGS if name in settings else FILES):
            raise CannotEnroll(f"the invitation has {str(name)[:40]!r}, which is not known here")
    if tags:
        settings["tags"] = " ".join([settings.get("tags", ""), *tags]).strip()
    config = Config()
    try:
        for name, value in settings.items():
            if not isinstance(value, str) or not value.isprintable() or '"' in value:
                raise ConfigError(f"{name} is no text of one line without quotes")
            config.set(name, value)
    except ConfigError as why:
        raise CannotEnroll(f"the invitation is wrong: {why}") from None
    if not config.mqtt:
        raise CannotEnroll("the invitation names no broker")
    if not all(isinstance(data, bytes) and 0 < len(data) <= 8192 for data in kept.values()):
        raise CannotEnroll("the invitation has an empty file, or one of more than 8192 bytes")
    return settings, kept


class Place:
    """The settings of this router, in uci or in a file. path: of the file, "" for uci. folder:
    parent of the key folders. owner: user and group of the daemon; None for those of this
    process."""

    def __init__(self, path: str, folder: str = FOLDER, owner: tuple[int, int] | None = None,
                 uci: tuple[str, ...] = ("uci",)) -> None:  # fmt: skip
        self.path, self._folder, self._owner, self._run = path, folder, owner, uci

    def current(self) -> dict[str, str]:
        """Present values of the settings within an invitation's reach. CannotEnroll."""
        if self.path:
            return {key: value for key, value, _ in self._lines() if key in _KEYS}
        status, out = self._uci("show", _SECTION)
        if status:
            raise CannotEnroll(f"uci show {_SECTION}: {out.strip()[:200]}")
        try:
            sections = read(out)
        except Unreadable as why:
            raise CannotEnroll(f"uci show {_SECTION}: {why}") from None
        return {
            key: " ".join(one.words(key) if isinstance(value, list) else [value])
            for one in sections
            for key, value in one.options.items()
            if key in _KEYS
        }

    def enroll(self, settings: dict[str, str], kept: dict[str, bytes]) -> None:
        """CannotEnroll."""
        if not self.path and self._uci("changes", "algwatch")[1].strip():
            raise CannotEnroll("somebody's changes of algwatch wait: uci commit algwatch, or uci "
                               "revert algwatch")  # fmt: skip
        before = {name: value for name, value in self.current().items() if name in FILES}
        folder = os.path.join(self._folder, os.urandom(4).hex())
        try:
            os.makedirs(folder, 0o755)
            for name, data in kept.items():
                path = os.path.join(folder, name)
                secret = name in (*_SECRET, *_DAEMONS)
                owner = None if name in _SECRET else self._owner
                files.replace(path, data, 0o600 if secret else 0o644, owner)
            named = {name: os.path.join(folder, name) for name in kept}
            self._set({**settings, **named})
        except (OSError, CannotEnroll) as problem:
            shutil.rmtree(folder, ignore_errors=True)
            raise CannotEnroll(f"{problem}; nothing was changed") from None
        for path in before.values():
            old = os.path.dirname(path)
            if os.path.dirname(old) == self._folder:
                shutil.rmtree(old, ignore_errors=True)

    def _set(self, settings: Mapping[str, str]) -> None:
        """Change all settings in one step. OSError, CannotEnroll."""
        if self.path:
            self._write(settings)
            return
        try:
            for key in self.current():
                self._uci("-q", "delete", f"{_SECTION}.{key}")
            for key in settings:
                words = settings[key].split() if key in LISTS else [settings[key]]
                verb = "add_list" if key in LISTS else "set"
                for word in filter(None, words):
                    status, out = self._uci(verb, f"{_SECTION}.{key}={_switch(word)}")
                    if status:
                        raise CannotEnroll(f"uci {verb} {_SECTION}.{key}: {out.strip()[:200]}")
            status, out = self._uci("commit", "algwatch")
            if status:
                raise CannotEnroll(f"uci commit algwatch: {out.strip()[:200]}")
        except CannotEnroll:
            self._uci("revert", "algwatch")
            raise

    def _uci(self, *words: str) -> tuple[int, str]:
        try:
            done = subprocess.run([*self._run, *words], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.SubprocessError) as problem:
            raise CannotEnroll(f"uci: {problem}") from None
        return done.returncode, done.stdout + done.stderr

    def _lines(self) -> list[tuple[str, str, str]]:
        """(key, value, the whole line) of each line of the file. CannotEnroll."""
        try:
            text = (files.read(self.path, MOST) or b"").decode()
        except (files.FileError, UnicodeDecodeError) as problem:
            raise CannotEnroll(f"{self.path}: {problem}") from None
        found = []
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            key = key.strip() if equals and not line.lstrip().startswith("#") else ""
            found.append((key, value.strip().strip("\"'"), line))
        return found

    def _write(self, settings: Mapping[str, str]) -> None:
        kept = [line for key, _, line in self._lines() if key not in _KEYS]
        kept += [f'{key} = "{value}"' for key, value in settings.items()]
        mode, owner = 0o600, None
        with suppress(FileNotFoundError):
            status = os.stat(self.path)
            mode, owner = status.st_mode & 0o700, (status.st_uid, status.st_gid)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        files.replace(self.path, "".join(f"{line}\n" for line in kept).encode(), mode, owner)


def _switch(word: str) -> str:
    """uci's validation of the service wants a bool as a digit."""
    return {"on": "1", "off": "0"}.get(word, word)
