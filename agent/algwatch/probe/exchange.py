# SPDX-License-Identifier: Apache-2.0
"""Exchange: the messages of a probe, and both copies of each.

OPTIONS goes first, and nothing follows unless its WAN copy has TTL 1: then every other message dies
at the next hop, too.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable

from algwatch.base import address
from algwatch.kernel import netlink
from algwatch.kernel.answered import mark_answered
from algwatch.kernel.flows import TCP, UDP, Flow, Flows
from algwatch.kernel.links import Address
from algwatch.kernel.netlink import Netlink, NetlinkError
from algwatch.probe import frames
from algwatch.probe.messages import KINDS, Message
from algwatch.probe.place import Place
from algwatch.probe.port import Port
from algwatch.probe.result import Result
from algwatch.probe.verdict import Sent
from algwatch.probe.watch import Copy, Watch

TRIES = 3  # of the first message
GATE = 0.3  # seconds for one of these, at most
CROSS = 0.4  # seconds for all messages of one kind of transport, at most, twice
LOOK = 0.05  # seconds between two looks at pending signals
SIP = "sip"  # name of the helper (nf_conntrack_sip.c)
MOST_NAMES = 3  # phones named
LATEST = 3.5  # seconds; no new kind of message begins after this
ENDING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))
_FIRST_PORT, _LAST_PORT = 40000, 59000  # of the probe; one more each message
_FIRST_RTP, _LAST_RTP = 61000, 64000


def _is_in(host: str, own: Address) -> bool:
    """True if an IPv4 host is in the network of the router's address."""
    number, shift = address.ipv4(host), 32 - own.bits
    return number >= 0 and number >> shift == int.from_bytes(own.host, "big") >> shift


class Stopped(Exception):
    """Nothing more is sent; the text gives the reason."""


def check_signals() -> None:
    """Stopped, once one of ENDING is pending."""
    if signal.sigpending() & ENDING:
        raise Stopped("it was stopped by a signal")


class Exchange:
    """wire: a packet socket on the port's other end. result: filled on the way."""

    def __init__(self, place: Place, port: Port, watch: Watch, wire: socket.socket,
                 result: Result, wan_was_named: bool) -> None:  # fmt: skip
        self._place, self._port, self._watch, self._wire = place, port, watch, wire
        self._result, self._wan_was_named = result, wan_was_named
        self._macs = place.lan.mac + port.mac
        self._own_devices = {port.name, port.inner_name}
        self._by_ident: dict[int, Sent] = {}
        self._ident = random.randrange(1, 60000)
        self._next_port = random.randrange(_FIRST_PORT, _LAST_PORT)
        self._rtp = random.randrange(_FIRST_RTP, _LAST_RTP, 2)
        self._left: set[int] = set()  # IP IDs seen on the WAN
        self._ways: list[str] = []  # devices they left by

    def everything(self, ports: tuple[int, ...], began: float) -> None:
        """Stopped: nothing else may be sent afterwards."""
        self._gate()
        every = (5060, *ports)
        udp = [self._new(kind, False, far) for far in every for kind in KINDS
               if (kind, far) != ("OPTIONS", 5060)]  # fmt: skip
        self._cross(udp, self._send_udp)
        if time.monotonic() - began < LATEST:
            self._tcp([self._new(kind, True, far) for far in every for kind in KINDS])
        else:
            self._result.notes.append("TCP was not tried: it took too long until then")
        self._cross([self._new("OPTIONS", False, 5060, 5060)], self._send_udp)
        self._note_helpers()
        self._note_ways()

    def _new(self, kind: str, tcp: bool, far_port: int, port: int = 0) -> Sent:
        self._next_port += 1
        self._rtp += 2
        message = Message(
            kind, tcp, self._result.address, port or self._next_port, self._result.far, far_port,
            self._rtp, os.urandom(6).hex(),
        )  # fmt: skip
        sent = Sent(message)
        self._result.sent.append(sent)
        return sent

    def _gate(self) -> None:
        first = self._new("OPTIONS", False, 5060)
        for _ in range(TRIES):
            self._send_udp(first)
            self._collect([first], GATE)
            if first.wan is not None:
                return
        if first.lan is None:
            raise Stopped(
                f"the message did not enter by {self._result.lan}: look for a bridge firewall "
                "(nft list ruleset bridge) or filtering of VLANs"
            )
        raise Stopped(
            f"OPTIONS entered by {self._result.lan} and nothing of it left within "
            f"{TRIES * GATE:.0f} s: look whether this router drops what goes to {self._result.far} "
            "(a bogon list, a firewall), keeps SIP for a proxy of its own, or has a WAN that does "
            "not answer ARP"
        )

    def _cross(self, some: list[Sent], send: Callable[[Sent], None]) -> None:
        """Send them, and repeat those without a WAN copy."""
        for _ in range(2):
            missing = [sent for sent in some if sent.wan is None]
            for sent in missing:
                send(sent)
            self._collect(missing, CROSS)

    def _tcp(self, some: list[Sent]) -> None:
        """A helper ignores TCP before an answer of the other end. Nobody answers here, so the
        entries of the SYNs are marked as answered."""
        syns = {self._send_tcp(sent, frames.SYN) for sent in some}
        end = time.monotonic() + GATE
        while not syns <= self._left and self._look(end):
            pass
        found, ready, why = self._flows(), [], "no flow of theirs was made"
        with Netlink(netlink.NETFILTER) as nl:
            for sent in some:
                flow = found.get((TCP, sent.message.port))
                try:
                    if flow is not None and mark_answered(nl, flow):
                        ready.append(sent)
                except NetlinkError as problem:
                    why = f"the kernel refused to open their flow: {problem.strerror}"
        if len(ready) < len(some):
            self._result.sent = [s for s in self._result.sent if s in ready or s not in some]
            self._result.notes.append(f"{len(some) - len(ready)} of {len(some)} messages over TCP "
                                      f"were not tried: {why}")  # fmt: skip
        self._cross(ready, self._send_data)

    def _note_ways(self) -> None:
        if self._ways != [self._result.wan]:
            self._result.wan = self._ways[0]
            self._result.notes.append(f"messages left by {' and '.join(self._ways)}, as a policy "
                                      "of this router routes them")  # fmt: skip

    def _note_helpers(self) -> None:
        found = self._flows()
        for sent in self._result.sent:
            flow = found.get((TCP if sent.message.tcp else UDP, sent.message.port))
            sent.helper = flow.helper if flow is not None else ""
        self._note_others()

    def _note_others(self) -> None:
        """The probe is no phone: a rule may give the helper to phones' addresses alone."""
        own, got = self._place.own, {(s.message.tcp, s.message.far_port)
                                     for s in self._result.sent if s.helper == SIP}  # fmt: skip
        with Flows() as flows:
            helped = [flow for flow in flows.helped(SIP) if _is_in(flow.source[0], own)]
        tried = self._tried() - got
        phones = sorted({flow.source[0] for flow in helped
                         if (flow.proto == TCP, flow.target[1]) in tried})  # fmt: skip
        if phones:
            (self._result.notes if got else self._result.reasons).append(
                f"live flows of {', '.join(phones[:MOST_NAMES])} have the SIP helper, and those of "
                "the probe got none: a rule that names phones gives it (nft list ruleset), or it "
                "was turned off since they began"
            )

    def _tried(self) -> set[tuple[bool, int]]:
        return {(sent.message.tcp, sent.message.far_port) for sent in self._result.sent}

    def _flows(self) -> dict[tuple[int, int], Flow]:
        """Flows of the probe, by protocol and port."""
        with Flows() as flows:
            found = flows.entries(lambda one: one.source[0] == self._result.address,
                                  self._port.host)  # fmt: skip
        return {(flow.proto, flow.source[1]): flow for flow in found}

    def _number(self, sent: Sent) -> int:
        self._ident = self._ident % 65535 + 1
        self._by_ident[self._ident] = sent
        return self._ident

    def _send_udp(self, sent: Sent) -> None:
        message = sent.message
        ports = message.port, message.far_port
        self._wire.send(frames.udp(self._macs, self._port.host, self._place.far, ports,
                                   self._number(sent), message.payload))  # fmt: skip

    def _send_data(self, sent: Sent) -> None:
        self._send_tcp(sent, frames.PUSH | frames.ACK)

    def _send_tcp(self, sent: Sent, flags: int) -> int:
        message = sent.message
        ident = self._number(sent)
        data = b"" if flags == frames.SYN else message.payload
        numbers = (1000, 0) if flags == frames.SYN else (1001, 1)
        ports = message.port, message.far_port
        self._wire.send(frames.tcp(self._macs, self._port.host, self._place.far, ports, ident,
                                   flags, numbers, data))  # fmt: skip
        return ident

    def _collect(self, some: list[Sent], seconds: float) -> None:
        """Wait until both copies of each were seen."""
        end = time.monotonic() + seconds
        while any(sent.wan is None or sent.lan is None for sent in some) and self._look(end):
            pass

    def _look(self, end: float) -> bool:
        """Take one packet; False: the time is over."""
        check_signals()
        now = time.monotonic()
        copy = self._watch.wait(min(end, now + LOOK))
        if copy is None:
            return time.monotonic() < end
        self._take(copy)
        return True

    def _take(self, copy: Copy) -> None:
        if copy.device == self._place.lan.name and not copy.leaves:
            for sent in self._result.sent:
                if sent.lan is None and copy.payload == sent.message.payload:
                    sent.lan = copy
            return
        if not copy.leaves or copy.device in self._own_devices:
            return
        sent_one = self._sent(copy)
        if sent_one is None or copy.frame.ip_id in self._left:
            return  # the same packet, on the device beneath a VLAN or a switch's port
        self._check_wan(copy, sent_one)
        self._left.add(copy.frame.ip_id)
        if copy.payload and sent_one.wan is None:
            sent_one.wan = copy

    def _sent(self, copy: Copy) -> Sent | None:
        """The message in a packet: by its unguessable token, or, if an ALG removed the token, by IP
        ID and all fields left alone by NAT."""
        frame, payload = copy.frame, copy.payload
        for sent in self._result.sent:
            if sent.message.token.encode() in payload:
                return sent
        one = self._by_ident.get(frame.ip_id)
        if one is None or frame.dst != self._place.far:
            return None
        ports = one.message.port, one.message.far_port
        return one if (frame.sport, frame.dport) == ports else None

    def _check_wan(self, copy: Copy, sent: Sent) -> None:
        """Stopped, unless it left correctly."""
        frame = copy.frame
        if frame.dst != self._place.far:
            raise Stopped(
                f"this router sends on to {address.text(frame.dst, 4)} what goes to "
                f"{self._result.far}: look for a redirect or a SIP proxy on it (nft list ruleset)"
            )
        if frame.ttl != frames.TTL - 1:
            sent.wan = copy
            raise Stopped(
                f"{sent.message.kind} left with TTL {frame.ttl} instead of 1: a rule of this "
                "router sets it, and what would follow could arrive somewhere; take that rule away "
                "while you probe"
            )
        if copy.device not in self._ways:
            self._ways.append(copy.device)
        if copy.device != self._result.wan and self._wan_was_named:
            raise Stopped(
                f"the message left by {copy.device}, not by {self._result.wan}: a policy "
                f"of this router routes it so, and only {copy.device} can be probed"
            )
