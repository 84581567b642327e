# SPDX-License-Identifier: Apache-2.0
"""TCP where the helper spoils a stream, and TLS, which nobody can read (numbers 12 and 38)."""

from __future__ import annotations

import ssl

from lab.draw import Draw
from lab.loop import Loop
from lab.network import Network
from lab.stream import Stream, TcpPhone, TcpProvider
from lab.truth import Must, Truth

from .damage import _grown
from .moves import calls_live, facts_of, outgoing_lives
from .scenario import HURT, QUIET, REWRITTEN, Facts, Say, Scenario


def one_segment(loop: Loop, net: Network, say: Say) -> Facts:
    """12: an INVITE and the next one up to the middle of its body leave the phone in one segment.
    The helper makes the first one longer and does not count that (sip_help_tcp() returns early), so
    that the numbers of the stream no longer fit: the phone does not take what comes, and the bytes
    that the INVITE grew by are missing at the beginning of its next message.
    """
    phone, provider = _both(loop, net)
    phone.register()
    before = outgoing_lives(loop, phone, provider)
    loop.until(lambda: before.over, 3, "the end of the call")
    loop.sleep(1.0)
    held: list[bytes] = []

    def hold(data: bytes) -> list[bytes]:
        held.append(data)
        return []

    stream = phone.stream
    whole, stream.cut = stream.cut, hold
    calls = [phone.call(net.draw.peer), phone.call(net.draw.peer)]
    stream.cut = whole
    first, second = held
    half = second.index(b"\r\n\r\n") + 60
    stream._send(first + second[:half])
    loop.sleep(0.05)
    stream._send(second[half:])
    loop.until(lambda: all(c.answered for c in calls), 10, "both answers")
    loop.sleep(net.draw.talk)
    for call in calls:
        phone.hang_up(call)
    loop.sleep(2.0)
    facts = facts_of(phone, provider, [before, *calls])
    facts["calls"][0]["name"] = "before"
    return facts


def _both(loop: Loop, net: Network) -> tuple[TcpPhone, TcpProvider]:
    provider = TcpProvider(loop, net, proxy=False)
    loop.sleep(0.1)
    phone = TcpPhone(loop, net)
    loop.sleep(0.1)
    return phone, provider


def _context(server: bool) -> ssl.SSLContext:
    """Without certificates: nobody here asks for any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


class Sealed:
    """TLS on a Stream (RFC 5246): what it sends and hears is sealed from then on."""

    def __init__(self, stream: Stream, server: bool) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(server).wrap_bio(self._in, self._out, server_side=server)
        self._send, self._hear = stream._send, stream._read
        self._waiting: list[bytes] = []
        self.ready = False
        stream._send = self._seal  # type: ignore[method-assign, assignment]
        stream._read = self._open  # type: ignore[method-assign]
        if not server:
            self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
            self.ready = True
        except ssl.SSLWantReadError:
            pass
        self._flush()
        if self.ready:
            waiting, self._waiting = self._waiting, []
            for data in waiting:
                self._seal(data)

    def _flush(self) -> None:
        data = self._out.read()
        if data:
            self._send(data)

    def _seal(self, data: bytes) -> None:
        if not self.ready:
            self._waiting.append(data)
            return
        self._tls.write(data)
        self._flush()

    def _open(self, data: bytes) -> None:
        self._in.write(data)
        if not self.ready:
            self._shake()
        while self.ready:
            try:
                self._hear(self._tls.read(65535))
            except ssl.SSLWantReadError:
                return


class TlsProvider(TcpProvider):
    """Every connection that comes is sealed."""

    def accepted(self, stream: Stream) -> None:
        Sealed(stream, server=True)


def over_tls(loop: Loop, net: Network, say: Say) -> Facts:
    """38: the phone uses TLS; the calls live, and nobody on the way reads them."""
    provider = TlsProvider(loop, net, proxy=False)
    loop.sleep(0.1)
    phone = TcpPhone(loop, net)
    stream = phone.stream
    sealed = Sealed(stream, server=False)
    loop.until(lambda: sealed.ready, 5, "the TLS handshake")
    phone.transport = provider.transport = "TLS"
    phone.register()
    calls = calls_live(loop, phone, provider, say)
    assert all(c.outcome == "completed" for c in calls)
    return facts_of(phone, provider, [])


def _tls_port(draw: Draw) -> None:
    draw.provider_port = 5061


SCENARIOS = [
    Scenario(
        "12-on", "a whole and half a message in one segment, helper on", True, False, one_segment,
        Truth(
            [Must("ALG013", "router", HURT)], f"{QUIET} {REWRITTEN} REG002",
            "TXN001 TXN003 TXN005 DLG001 MSG001", state="hurts cannot-tell",
            may_advise="disable-sip-alg",
            ends={"outgoing": "completed|ongoing|dropped seen|unknown|missing"},
        ), tune=_grown, tcp=True,
    ),
    Scenario(
        "12-off", "the same segment, helper off", False, False, one_segment, Truth([], QUIET),
        tune=_grown,
    ),
    *(
        Scenario(
            f"38-{word}", f"TLS, helper {word}", helper, False, over_tls,
            Truth([Must("CAP004", harm="none")], f"{QUIET} ALG017", state="cannot-tell"),
            tune=_tls_port, words=("--ports", "5060,5061"), crowd=False,
        )
        for word, helper in (("on", True), ("off", False))
    ),
]  # fmt: skip
