# SPDX-License-Identifier: Apache-2.0
"""Sdp: the destinations of media in a session description (RFC 8866, RFC 3264)."""

from __future__ import annotations

from algwatch.base.address import canonical
from algwatch.base.native.layout import MEDIA, SDP
from algwatch.base.native.scan import scan_sdp


class Media:
    """One m= section: kind (audio, video, ...), port, address of its own c= ("" = the
    session's), rtcp (a=rtcp value), candidates (count of a=candidate)."""

    __slots__ = ("address", "candidates", "kind", "port", "rtcp")

    def __init__(self, sdp: Sdp, base: int) -> None:
        self.kind = sdp.text(base + MEDIA.KIND)
        self.address = canonical(sdp.text(base + MEDIA.ADDRESS))
        self.rtcp = sdp.text(base + MEDIA.RTCP)
        self.port = sdp.scanned[base + MEDIA.PORT]
        self.candidates = sdp.scanned[base + MEDIA.CANDIDATES]


class Sdp:
    """body: bytes. present: it looks like SDP at all."""

    __slots__ = ("body", "media", "present", "scanned")

    def __init__(self, body: bytes) -> None:
        self.body = body
        code, self.scanned = scan_sdp(body)
        self.present = code > 0
        count = self.scanned[SDP.MEDIA_COUNT] if self.present else 0
        first = SDP.MEDIA
        self.media = [Media(self, first + i * MEDIA.SIZE) for i in range(count)]

    def text(self, index: int) -> str:
        offset = self.scanned[index]
        return self.body[offset : offset + self.scanned[index + 1]].decode("utf-8", "replace")

    @property
    def address(self) -> str:
        """Session level c= address, "" without one."""
        return canonical(self.text(SDP.ADDRESS)) if self.present else ""

    @property
    def origin_address(self) -> str:
        return canonical(self.text(SDP.ORIGIN_ADDRESS)) if self.present else ""

    @property
    def connections(self) -> list[str]:
        """Every c= address in order: the session's, then those of the media."""
        found = [self.address, *(m.address for m in self.media)]
        return [a for a in found if a]
