# SPDX-License-Identifier: Apache-2.0
"""A walker over logs and pasted text: bytes in, packets out, as from a capture. Sans-IO.

A program may save call by call (sngrep does), so messages are sorted by time before they are handed
on, within the last WINDOW bytes of text.
"""

from __future__ import annotations

import re

from algwatch.capture.packets import Interface, Packets
from algwatch.capture.text.bare import Bare
from algwatch.capture.text.chan_sip import ChanSip
from algwatch.capture.text.ends import Ends
from algwatch.capture.text.frames import RAW_IP, Frames
from algwatch.capture.text.freeswitch import Freeswitch
from algwatch.capture.text.head import Format
from algwatch.capture.text.message import Lines
from algwatch.capture.text.pjsip import Pjsip
from algwatch.capture.text.remarks import remark
from algwatch.capture.text.sipdump import Sipdump
from algwatch.capture.text.sngrep import Sngrep
from algwatch.capture.text.times import Times
from algwatch.capture.text.wireshark import Wireshark

WINDOW = 64 << 20  # bytes of messages waiting to be sorted
LONGEST = 65536  # bytes of a line; the rest is cut
REMARKS = 20
STEP = 10_000_000  # ns between messages without a time
TICK = 1000  # ns between messages of the same time

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SYSLOG = re.compile(
    r"(?:<\d{1,3}>)?(?P<time>[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ "
    r"[\w./-]+(?:\[\d+\])?: ?"
)
_COMPOSE = re.compile(r"[\w.-]+ +\| ")
_ENCRYPTED = ("TLS", "WSS")

Told = tuple[int, int, bytes]  # time, number, packet


class TextWalker:
    """Feed it bytes as they come. interfaces: one, of raw IP. problem: "" unless nothing of the
    text was readable. started: something was found. remarks: sentences about lines, bounded.
    patient: False hands messages on at once, for a log still growing."""

    def __init__(self, patient: bool = True) -> None:
        self.interfaces = [Interface(RAW_IP)]
        self.problem = ""
        self.started = False
        self.remarks: list[str] = []
        self._patient = patient
        self._more = 0  # remarks not kept
        self._rest = b""
        self._number = 0
        self._times = Times()
        self._ends = Ends()
        self._frames = Frames()
        self._bare = Bare()
        self._formats: list[Format] = [
            Pjsip(), ChanSip(), Freeswitch(), Sipdump(), Sngrep(), Wireshark(), self._bare,
        ]  # fmt: skip
        self._open: Lines | None = None
        self._found: list[Told] = []
        self._held = self._messages = self._untimed = self._explained = 0
        self._last = self._stamp = 0
        self._ended = self._made_up = False

    def feed(self, data: bytes, most: int = 1 << 30) -> Packets:
        """The packets known by now, at most `most`."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if self._ended and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        elif len(self._rest) > LONGEST:
            self._rest = self._rest[:LONGEST]
        for line in lines:
            self._raw(line[:LONGEST])
        if self._ended and data == b"":
            self._finish()
        return self._ready(most)

    def end(self, cut: bool = False) -> None:
        """No more bytes come; the rest is given by feed()."""
        if self._ended:
            return
        self._ended = True
        if self._rest:
            self._raw(self._rest[:LONGEST])
            self._rest = b""
        self._finish()
        if not self._messages and not self._explained and not cut:
            why = f"; {self.remarks[0]}" if self.remarks else ""
            self.problem = (
                f"not a capture file, and no SIP message is in its {self._number} lines{why}"
            )
        self.started = self.started or not self.problem
        self._conclude()

    def _conclude(self) -> None:
        """Remarks about the whole text."""
        if self._more:
            self.remarks.append(f"{self._more} more lines like these are not listed")
        if self._untimed and self._untimed == self._messages:
            self.remarks.append(
                "the text tells no times: the order of the messages is known, and no length of time"
            )
        elif self._made_up and self._messages:
            self.remarks.append("the times of the text have no date, or no year: it is made up")
        names = [*dict.fromkeys(self._ends.names.values())][:6]
        if names:
            more = ", ..." if len(self._ends.names) > len(names) else ""
            self.remarks.append(
                f"the address of {', '.join(names)}{more} is not told: one of 198.18.0.0/15 stands "
                "for it"
            )

    def _remark(self, text: str) -> None:
        if len(self.remarks) < REMARKS:
            self.remarks.append(text)
        else:
            self._more += 1

    def _raw(self, raw: bytes) -> None:
        self._number += 1
        text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if "\x1b" in text:
            text = _COLOUR.sub("", text)
        # Line ends as written by rsyslog (CR is #015, LF is #012), and by JSON.
        if "SIP/2.0" in text:
            for end in ("#015#012", "#012", "\\r\\n", "\\n"):
                if end in text:
                    for part in text.split(end):
                        self._line(part)
                    self._finish()
                    return
        self._line(text)

    def _line(self, text: str) -> None:
        front = _SYSLOG.match(text)
        if front is not None:
            self._times.stamp(front["time"])
            text = text[front.end() :]
        elif (front := _COMPOSE.match(text)) is not None:
            text = text[front.end() :]
        one = self._open
        for known in self._formats:
            if one is not None and known is self._bare and one.waits:
                continue
            head = known.begins(text, self._times)
            if head is not None:
                self._finish()
                self._open = Lines(head, known, self._number)
                self._made_up = self._made_up or self._times.made_up
                if known is self._bare:
                    self._open.take(text)
                return
        if one is not None:
            if one.take(text):
                return
            self._finish()
        if said := remark(text):
            self._explained += 1
            self._remark(f"line {self._number}: {said}")
        elif text.strip():
            self._times.begin(text)
            self._bare.pass_over(text)

    def _finish(self) -> None:
        """The open message is over."""
        one, self._open = self._open, None
        if one is None:
            return
        payload, wrong = one.payload()
        if wrong:
            self._remark(f"line {one.number}: {wrong}")
        if not payload:
            return
        text = payload.decode("utf-8", "surrogateescape")
        ends = self._ends.of(one.head, text)
        if ends is None:
            self._remark(f"line {one.number}: nothing tells between which hosts the message went")
            return
        src, dst, transport = ends
        self._messages += 1
        self.started = True
        packet = self._frames.packet(src, dst, payload, transport != "UDP")
        self._found.append((self._time(one.head.at), self._messages, packet))
        self._held += len(packet)

    def _time(self, at: int) -> int:
        """A time for a message: its own, the time of the lines around it, or one after the last
        message."""
        own = at or (self._times.latest if self._times.latest > self._stamp else 0)
        if not own:
            self._untimed += not self._times.latest
            step = TICK if self._times.latest else STEP
            self._last = (self._last or (self._times.latest or 946_684_800 * 10**9)) + step
        elif own == self._stamp:  # many logs have seconds only
            self._last += TICK
        else:
            self._last = self._stamp = own
        return self._last

    def _ready(self, most: int) -> Packets:
        if self._patient and not self._ended and self._held < WINDOW:
            return Packets(b"")
        self._found.sort(key=lambda one: one[:2])
        some = self._found[:most] if self._ended or not self._patient else (
            self._found[: len(self._found) // 2][:most]
        )  # fmt: skip
        del self._found[: len(some)]
        packets = Packets(b"".join(packet for _, _, packet in some))
        records = packets.records.setdefault(0, [])
        offset = 0
        for at, _, packet in some:
            seconds, rest = divmod(at, 1_000_000_000)
            records += (seconds, rest // 1000, offset, len(packet))
            offset += len(packet)
            packets.last = at // 1000 * 1000
        packets.count = len(some)
        self._held -= offset
        return packets
