# SPDX-License-Identifier: Apache-2.0
"""Facts: facts about providers, signed by the fleet's operator (docs/wire.md).

A fact can raise advice on every router of a provider, so the broker is not trusted. No router has
the signing key (Ed25519). A fact names the provider's own servers and expires. Its serial number
only grows, over restarts too. A doubtful fact is ignored.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from zlib import crc32

import msgpack

from algwatch import __file__ as PACKAGE
from algwatch import files
from algwatch.base import address
from algwatch.compare.fact import Fact
from algwatch.control.ed25519 import KEY, is_signed
from algwatch.quiet import suppress
from algwatch.report.broker import BrokerError
from algwatch.report.rate import Bucket
from algwatch.report.wire import ROOT, SchemaError, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 31 * 86400.0  # seconds of validity
AHEAD = 3600.0  # seconds of tolerance for an operator's clock ahead of ours
MOST = 16  # providers of one router
SERVERS = 64  # addresses of one provider
CHECKS = (20, 0.1)  # signatures in a burst, and a second: each costs some milliseconds
PROVIDER = f"{ROOT}/provider/"
LABEL = b"algwatch/1/provider\n"
_PEM = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of Ed25519 (RFC 8410)
_REMEMBERED = 64  # providers with a stored serial number


class NoKey(BrokerError):
    """The text is one line with the next step."""


def public_key(path: str) -> bytes:
    """The 32 bytes of a PEM file (`openssl pkey -pubout`). NoKey."""
    try:
        text = files.read(path, 4096)
    except files.FileError as problem:
        raise NoKey(f"provider_key {problem}") from None
    if text is None:
        raise NoKey(f"provider_key {path}: there is no such file")
    from binascii import Error, a2b_base64

    lines = [line for line in text.split(b"\n") if line and not line.startswith(b"-----")]
    with suppress(Error):
        whole = a2b_base64(b"".join(lines))
        if whole[: len(_PEM)] == _PEM and len(whole) == len(_PEM) + KEY:
            return whole[-KEY:]
    raise NoKey(f"provider_key {path}: this is no public key of Ed25519 in PEM")


class Facts:
    """key: public. path: of the file of serial numbers. say: prints one line for a person. now:
    seconds since 1970. take() is called in the link's thread, news() in the daemon's."""

    def __init__(self, key: bytes, path: str, say: Callable[[str], None],
                 now: Callable[[], float] = time.time) -> None:  # fmt: skip
        self._key, self._path, self._say, self._now = key, path, say, now
        self._made = os.stat(PACKAGE).st_mtime
        self._bucket = Bucket(CHECKS, time.monotonic())
        self._lock = Lock()
        self._facts: dict[str, dict[str, Fact]] = {}  # by provider, by server
        self._payloads: dict[str, bytes] = {}  # the payload taken last, by provider
        self._serials: dict[str, int] | None = None
        self._changed = False

    def take(self, topic: str, payload: bytes) -> None:
        """payload: the retained fact; empty if withdrawn."""
        provider = topic.removeprefix(PROVIDER)
        if payload and payload == self._payloads.get(provider):
            return
        if payload and not self._bucket.take(time.monotonic()):
            return
        try:
            facts = self._read(provider, payload) if payload else {}
        except ValueError as why:
            facts = {}
            self._say(f"what the broker says of {provider} does not count: {why}")
        with self._lock:
            if not facts:
                self._changed |= self._facts.pop(provider, None) is not None
                self._payloads.pop(provider, None)
            elif provider in self._facts or len(self._facts) < MOST:
                self._facts[provider], self._payloads[provider] = facts, payload
                self._changed = True
                one = next(iter(facts.values()))
                self._say(f"the operator says that {provider} finds phones with a private Contact "
                          f"(since {one.day})")  # fmt: skip

    def news(self) -> dict[str, Fact] | None:
        """Known facts by server address, after a change; else None."""
        with self._lock:
            now = self._now()
            for provider, facts in list(self._facts.items()):
                if any(told.until <= now for told in facts.values()):
                    del self._facts[provider]
                    self._payloads.pop(provider, None)
                    self._changed = True
            if not self._changed:
                return None
            self._changed = False
            known: dict[str, Fact] = {}
            for facts in self._facts.values():
                known |= facts
            return known

    def _read(self, provider: str, payload: bytes) -> dict[str, Fact]:
        """Facts by server. ValueError: the reason it does not count."""
        try:
            outer = decode(payload)
        except SchemaError as why:
            raise ValueError(f"it is no fact: {why}") from None
        body, signature = outer.get("body"), outer.get("signature")
        if not isinstance(body, bytes) or not isinstance(signature, bytes):
            raise ValueError("it is not signed")
        if not is_signed(self._key, LABEL + body, signature):
            raise ValueError("it is not signed with the key of this fleet (provider_key)")
        fields: Any = msgpack.unpackb(body)
        if not isinstance(fields, dict) or fields.get("provider") != provider:
            raise ValueError("it is about another provider")
        numbers: list[Any] = [fields.get(name) for name in ("serial", "calls", "routers")]
        if any(type(number) is not int or not 0 <= number < 1 << 53 for number in numbers):
            raise ValueError("serial, calls and routers are numbers")
        times: list[Any] = [fields.get(name) for name in ("at", "expires")]
        if any(type(one) not in (int, float) for one in times):
            raise ValueError("at and expires are numbers")
        (at, until), now = map(float, times), self._now()
        if now < self._made:
            raise ValueError("the clock of this router is not set")
        if not at < until <= at + LONGEST or at > now + AHEAD:
            raise ValueError("it is of another time, or good for longer than 31 days")
        if until <= now:
            raise ValueError("it has expired")
        self._remember(provider, numbers[0])
        if fields.get("handles") is not True:
            return {}
        servers = fields.get("servers")
        if not isinstance(servers, list) or not 0 < len(servers) <= SERVERS:
            raise ValueError(f"it names no servers, or more than {SERVERS}")
        if not all(isinstance(one, str) and address.is_literal(one) for one in servers):
            raise ValueError("a server is no IP address")
        day = time.strftime("%Y-%m-%d", time.gmtime(at))
        told = Fact(provider, day, numbers[1], numbers[2], until)
        return dict.fromkeys(servers, told)

    def _remember(self, provider: str, serial: int) -> None:
        """ValueError: a newer serial number is known, or this one cannot be stored."""
        try:
            if self._serials is None:
                self._serials = _serials(files.read_secret(self._path, 65536) or b"")
            known = self._serials.get(provider, -1)
            if serial < known:
                raise ValueError(f"number {serial} is older than {known}, which was known before")
            if serial > known:
                serials = {**self._serials, provider: serial}
                if len(serials) > _REMEMBERED:
                    raise ValueError("too many providers are known here")
                text = "".join(f"{name} {number}\n" for name, number in serials.items()).encode()
                files.replace(self._path, b"%08x\n" % crc32(text) + text)
                self._serials = serials
        except (OSError, files.FileError) as problem:
            raise ValueError(f"its number cannot be remembered: {problem}") from None


def _serials(data: bytes) -> dict[str, int]:
    """ValueError: the file is damaged, so a smaller number in it could revive a withdrawn fact."""
    check, _, text = data.partition(b"\n")
    found = {}
    if data and check != b"%08x" % crc32(text):
        raise ValueError("the file of serial numbers beside privacy_key is damaged: delete it "
                         "after the fleet has signed its facts anew")  # fmt: skip
    for line in text.decode("ascii", "replace").splitlines():
        provider, _, number = line.partition(" ")
        found[provider] = int(number)
    return found
