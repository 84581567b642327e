# SPDX-License-Identifier: Apache-2.0
"""A router of the lab with a phone and a provider, message by message: for tests of what is done
to the router, where nobody has to talk for long."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

import pytest

from .draw import Draw
from .namespace import NoLab
from .network import Network

SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
ATTEMPTS = 40  # the bridge port may need a moment before it forwards


@contextmanager
def at_home(seed: int = 1, nft: str = "", helper: bool = True) -> Iterator[Network]:
    """A router whose helper rewrites. Skips where no lab can run, but fails in CI."""
    try:
        with Network(Draw(seed), nft=nft) as net:
            net.check_helper()
            net.helper(helper)
            yield net
    except NoLab as why:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(str(why))
        pytest.skip(str(why))


class Line:
    """A phone at `ip`:`port` and its provider. sent: the latest request of the phone, as it wrote
    it; arrived: as the provider got it."""

    def __init__(self, net: Network, ip: str = "", port: int = 5060) -> None:
        self.ip, self.port = ip or net.draw.phone_ip, port
        self.far = net.draw.provider_ip
        self.phone = net.phone.udp(self.ip, port)
        self.provider = net.provider.udp(self.far, 5060)
        self._number = 0
        self._call = ""
        self.expires = 60
        self.sent = self.arrived = b""
        self.public = ("", 0)

    def close(self) -> None:
        self.phone.close()
        self.provider.close()

    def request(self, method: str, body: str = "", again: bool = False) -> bool:
        """One request of the phone to the provider; True if it arrived as it was sent. again: in
        the dialog of the one before."""
        self._number += method != "ACK"
        name = self._call if again else f"{method.lower()}{self._number}@{self.ip}"
        self._call, tag = name, ";tag=2" if again else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.sent = (
            f"{method} sip:{self.far} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.ip}:{self.port};branch=z9hG4bK{method}{self._number};rport\r\n"
            f"From: <sip:jo@{self.far}>;tag=1\r\nTo: <sip:jo@{self.far}>{tag}\r\n"
            f"Call-ID: {name}\r\n"
            f"CSeq: {self._number} {method}\r\nContact: <sip:jo@{self.ip}:{self.port}>\r\n"
            f"Expires: {self.expires}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        for _ in range(ATTEMPTS):
            self.phone.sendto(self.sent, (self.far, 5060))
            got = receive(self.provider, 0.3)
            if got is not None:
                self.arrived, self.public = got
                return self.arrived == self.sent
        raise AssertionError(f"{method} of {self.ip} did not arrive at its provider")

    def answer(self, status: str = "200 OK", body: str = "") -> bytes:
        """The provider answers the latest request; what the phone gets of it."""
        head, _, _ = self.arrived.partition(b"\r\n\r\n")
        lines = [f"SIP/2.0 {status}".encode()]
        lines += [line for line in head.split(b"\r\n")[1:]
                  if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq",
                                             b"Contact", b"Expires")]  # fmt: skip
        lines = [line + b";tag=2" if line.startswith(b"To:") and b"tag" not in line else line
                 for line in lines]  # fmt: skip
        if body:
            lines.append(b"Content-Type: application/sdp")
        whole = b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body.encode()])
        self.provider.sendto(whole, self.public)
        got = receive(self.phone)
        assert got is not None, "the answer did not arrive at the phone"
        return got[0]

    def register(self) -> bool:
        """An accepted REGISTER; True if nobody rewrote it."""
        plain = self.request("REGISTER")
        self.answer()
        return plain

    def call(self, net: Network) -> None:
        """An INVITE, its 200 OK and the ACK, with SDP, then RTP both ways."""
        media = net.draw.media_port
        self.request("INVITE", SDP.format(ip=self.ip, port=media))
        self.answer(body=SDP.format(ip=self.far, port=media))
        self.request("ACK", again=True)
        self.talk(net)

    def hang_up(self) -> None:
        self.request("BYE", again=True)
        self.answer()

    def talk(self, net: Network) -> None:
        """A packet of RTP each way."""
        media = net.draw.media_port
        with net.phone.udp(self.ip, media) as here, net.provider.udp(self.far, media) as there:
            here.sendto(bytes(172), (self.far, media))
            got = receive(there)
            assert got is not None, "RTP of the phone did not arrive"
            there.sendto(bytes(172), got[1])
            assert receive(here) is not None, "RTP of the provider did not arrive"


def receive(sock: socket, seconds: float = 0.05) -> tuple[bytes, tuple[str, int]] | None:
    end = time.monotonic() + seconds
    while True:
        try:
            data, source = sock.recvfrom(65535)
            return data, source
        except BlockingIOError:
            if time.monotonic() > end:
                return None
            time.sleep(0.001)
