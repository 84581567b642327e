# SPDX-License-Identifier: Apache-2.0
"""SideBySide: the LAN and the WAN copy of one message, line against line, as they pass."""

from __future__ import annotations

from collections.abc import Callable

from .sip import Message
from .wire import UDP, Packet

WIDTH = 58  # columns a copy
WANTED = {"REGISTER", "INVITE", "ACK", "BYE", "200 INVITE"}
OF_OTHER = {"REGISTER", "ACK", "200 INVITE"}


def _label(message: Message) -> str:
    return f"{message.status} {message.method}" if message.status else message.method


def _cut(text: str, start: int) -> str:
    """The part around what differs, so that a long line shows it."""
    if len(text) <= WIDTH:
        return text
    # Leading text only as far as the difference still fits behind it.
    first = max(0, min(start - 20, len(text) - WIDTH + 1))
    piece = text[first : first + WIDTH - 1]
    return ("…" + piece[1:] if first else piece) + ("…" if first + WIDTH - 1 < len(text) else "")


def differing_lines(lan: bytes, wan: bytes) -> list[tuple[str, str]]:
    """Pairs of lines that differ, by position; a missing line is empty."""
    left, right = (x.decode("utf-8", "replace").split("\r\n") for x in (lan, wan))
    size = max(len(left), len(right))
    left, right = (x + [""] * (size - len(x)) for x in (left, right))
    return [(a, b) for a, b in zip(left, right, strict=True) if a != b]


class SideBySide:
    """Prints each kind of message of a phone once: where both copies went, and the lines that
    differ.

    say: takes one line of text. phone: (address, port) where the phone listens. other: address of
    another phone, of which less is shown; nothing when empty.
    """

    def __init__(self, say: Callable[[str], None], phone: tuple[str, int], other: str = "") -> None:
        self._say = say
        self._phone = phone
        self._other = other
        self._waiting: dict[tuple[str, str, int], tuple[str, Packet]] = {}
        self._shown: set[str] = set()

    def frame(self, device: str, at: float, frame: bytes) -> None:
        """One Ethernet frame with IPv4 as the recorder saw it on br-lan or wan."""
        packet = Packet(at, frame[14:])
        if packet.protocol != UDP or packet.sip is None:
            return
        label = _label(packet.sip)
        if label not in WANTED:
            return
        key = (label, packet.sip.get("Call-ID"), packet.ip_id)
        twin = self._waiting.pop(key, None)
        if twin is None or twin[0] == device:
            self._waiting[key] = (device, packet)
            return
        lan, wan = (packet, twin[1]) if device == "br-lan" else (twin[1], packet)
        if self._phone[0] not in (lan.source[0], lan.target[0]):
            if label not in OF_OTHER or self._other not in (lan.source[0], lan.target[0]):
                return
            label = f"the other phone's {label}"
        if label not in self._shown:
            self._shown.add(label)
            self._show(label, lan, wan)

    def _show(self, label: str, lan: Packet, wan: Packet) -> None:
        def way(packet: Packet) -> str:
            return "{}:{} > {}:{}".format(*packet.source, *packet.target)

        lines = differing_lines(lan.raw, wan.raw)
        self._say(f"{label}: {'both copies alike' if not lines else 'rewritten by the router'}")
        self._say(f"   {'LAN ' + way(lan):<{WIDTH}} | WAN {way(wan)}")
        for left, right in lines:
            same = next(
                (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
                min(len(left), len(right)),
            )
            self._say(f"   {_cut(left, same):<{WIDTH}} | {_cut(right, same)}")
        if not lines and wan.sip is not None and wan.sip.status:
            # An untouched answer shows its private Contact to the provider.
            contact = f"Contact: {wan.sip.get('Contact')}"
            self._say(f"   {_cut(contact, 0):<{WIDTH}} | {_cut(contact, 0)}")
        if lan.target[0] == self._phone[0] and lan.target != self._phone:
            self._say(
                f"   the phone listens on port {self._phone[1]}, "
                f"but the router delivered this to port {lan.target[1]}"
            )
