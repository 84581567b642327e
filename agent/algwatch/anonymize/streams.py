# SPDX-License-Identifier: Apache-2.0
"""Streams: messages in several packets, in TCP segments or in IP fragments.

A name may begin in one packet and end in the next. So the bytes of each stream are put together
first, the message in them is replaced, and each packet gets its part of it.
"""

from __future__ import annotations

from algwatch.anonymize.frame import TCP, UDP, Change, Frames, is_sip
from algwatch.anonymize.link import Ip, headers
from algwatch.anonymize.words import Words

MOST = 256 << 20  # bytes kept of all streams
SPAN = 64 << 20  # bytes kept of one TCP stream, from its first packet on
AROUND = 2048  # bytes of a stream around a differing part

Key = tuple[bytes, ...]


class _Stream:
    """first: sequence number of its first byte. data: its bytes; there: marks the received ones."""

    __slots__ = ("clean", "data", "first", "sip")

    def __init__(self, first: int) -> None:
        self.first = first
        self.data = bytearray()
        self.clean: bytes | None = None
        self.sip = False


class Streams:
    """add() every frame, then ask for the parts of each."""

    def __init__(self, frames: Frames, said: Words) -> None:
        self._frames = frames
        self._words = said
        self._streams: dict[Key, _Stream] = {}
        self._parts: dict[Key, _Stream] = {}
        self._room = MOST

    def add(self, frame: bytes, linktype: int) -> None:
        _, ips = headers(frame, linktype)
        if not ips:
            return
        ip = ips[-1]
        if ip.fragment:
            offset = _offset(frame, ip)
            self._fill(self._parts, _group(frame, ip), 0, offset, frame[ip.inside : ip.end])
        elif ip.proto == TCP and ip.inside + 20 <= ip.end:
            at = _payload(frame, ip)
            if at < ip.end:
                seq = int.from_bytes(frame[ip.inside + 4 : ip.inside + 8])
                self._fill(self._streams, _flow(frame, ip), seq, seq, frame[at : ip.end])

    def _fill(self, known: dict[Key, _Stream], key: Key, first: int, seq: int,
              data: bytes) -> None:  # fmt: skip
        stream = known.get(key)
        if stream is None:
            stream = known[key] = _Stream(first)
        at = (seq - stream.first + (1 << 31)) % (1 << 32) - (1 << 31)
        if at < 0 and -at < 65536:  # earlier bytes come later
            stream.data[:0] = bytes(-at)
            stream.first = (stream.first + at) % (1 << 32)
            at = 0
        more = at + len(data) - len(stream.data)
        if at < 0 or at + len(data) > SPAN or more > self._room:
            return
        if more > 0:
            self._room -= more
            stream.data += bytes(more)
        held = stream.data[at : at + len(data)]
        if not any(held):
            stream.data[at : at + len(data)] = data
        elif held != data:
            # The first bytes stay; gaps are filled.
            mixed = bytes(old or new for old, new in zip(held, data, strict=True))
            stream.data[at : at + len(data)] = mixed
        stream.sip = stream.sip or is_sip(data)

    def part(self, frame: bytes, linktype: int) -> tuple[tuple[int, bytes] | None, Change | None]:
        """For Frames.replaced(): an offset in the frame and its bytes, None if no other packet
        matters; and the change of all fragments, for the first one."""
        _, ips = headers(frame, linktype)
        if not ips:
            return None, None
        ip = ips[-1]
        if ip.fragment:
            stream = self._parts.get(_group(frame, ip))
            if stream is None:
                return None, None
            return self._fragment(frame, ip, stream)
        if ip.proto != TCP or ip.inside + 20 > ip.end:
            return None, None
        at = _payload(frame, ip)
        stream = self._streams.get(_flow(frame, ip))
        if stream is None or not stream.sip or at >= ip.end:
            return None, None
        seq = int.from_bytes(frame[ip.inside + 4 : ip.inside + 8])
        begin = (seq - stream.first) % (1 << 32)
        return (at, self._of(stream, begin, frame[at : ip.end])), None

    def _fragment(self, frame: bytes, ip: Ip,
                  stream: _Stream) -> tuple[tuple[int, bytes] | None, Change | None]:  # fmt: skip
        """The UDP header is in the first fragment, and its checksum is over all of them."""
        whole = bytes(stream.data)
        head = 8 if ip.proto == UDP else 20
        if stream.clean is None:
            stream.clean = whole[:head] + self._frames.payload(whole[head:])
        offset, data = _offset(frame, ip), frame[ip.inside : ip.end]
        clean = stream.clean[offset : offset + len(data)]
        if whole[offset : offset + len(data)] != data or len(clean) != len(data):
            clean = bytes(len(data)) if offset else data[:head] + bytes(len(data[head:]))
        change = Change()
        change.add(whole[head:], stream.clean[head:], bool(head & 1))
        return (ip.inside, clean), change if ip.first else None

    def _of(self, stream: _Stream, begin: int, data: bytes) -> bytes:
        end = begin + len(data)
        if bytes(stream.data[begin:end]) == data:
            if stream.clean is None:
                stream.clean = self._words.message(bytes(stream.data))
            return stream.clean[begin:end]
        if end > len(stream.data):
            return self._frames.payload(data)
        before = bytes(stream.data[max(0, begin - AROUND) : begin])
        after = bytes(stream.data[end : end + AROUND])
        return self._words.message(before + data + after)[len(before) : len(before) + len(data)]


def _payload(frame: bytes, ip: Ip) -> int:
    return ip.inside + max(20, (frame[ip.inside + 12] >> 4) * 4)


def _flow(frame: bytes, ip: Ip) -> Key:
    at, size = ip.addresses
    return frame[at : at + 2 * size], frame[ip.inside : ip.inside + 4]


def _group(frame: bytes, ip: Ip) -> Key:
    at, size = ip.addresses
    number = frame[ip.at + 4 : ip.at + 6] if ip.version == 4 else frame[ip.inside - 4 : ip.inside]
    return frame[at : at + 2 * size], number, bytes([ip.proto])


def _offset(frame: bytes, ip: Ip) -> int:
    """Bytes of the packet before this fragment."""
    if ip.version == 4:
        return (int.from_bytes(frame[ip.at + 6 : ip.at + 8]) & 0x1FFF) * 8
    return int.from_bytes(frame[ip.inside - 6 : ip.inside - 4]) & 0xFFF8
