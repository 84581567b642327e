# SPDX-License-Identifier: Apache-2.0
"""Live entries of connection tracking: the phones with the helper, their calls, and the life of an
entry without the helper."""

from __future__ import annotations

import time

from algwatch.act import steps
from algwatch.act.router import Router
from algwatch.kernel.flows import UDP, Busy, Flow, Flows, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from algwatch.act.journal import Journal

QUIET = 30  # seconds without a packet: media are over
LOOK = 0.5  # seconds between looks
# Kernel defaults, for unreadable files (nf_conntrack_proto_udp.c, nf_conntrack_sip.c).
UDP_TIMEOUT, STREAM, SIP_TIMEOUT = 30, 120, 3600
_TIMEOUT = "proc/sys/net/netfilter/nf_conntrack_udp_timeout"
_SIP_TIMEOUT = "sys/module/nf_conntrack_sip/parameters/sip_timeout"
_NO_MEDIA = (53, 123, 443, 3478, 5060, 5061, 5080)  # DNS, NTP, QUIC, STUN, SIP
_LEAST_PORT = 1024
MOST_NAMES = 2048  # entries named in the journal


class Timeouts:
    """Lifetime of an entry after a packet, in seconds: of one direction, of both, with the
    helper."""

    def __init__(self, router: Router) -> None:
        self.one_way = _number(router, _TIMEOUT) or UDP_TIMEOUT
        self.stream = _number(router, _TIMEOUT + "_stream") or STREAM
        self.helped = _number(router, _SIP_TIMEOUT) or SIP_TIMEOUT


def _number(router: Router, name: str) -> int:
    text = router.setting(name)
    return int(text) if text.isdigit() and len(text) < 9 else 0


def phone_of(flow: Flow) -> str:
    """The address behind the NAT. For an entry begun by the provider it is the one its packets are
    delivered to."""
    is_inbound = flow.reply_source != flow.target
    return flow.reply_source[0] if is_inbound else flow.source[0]


def helped(flows: Flows, ours: Callable[[str], bool]) -> list[Flow]:
    """The entries with the helper, of phones for which ours() is true."""
    return [flow for flow in flows.helped() if ours(phone_of(flow))]


def in_call(flows: Flows, phones: Iterable[str], timeouts: Timeouts,
            sure: bool = False) -> set[str]:  # fmt: skip
    """Phones with a call apparently up: media are expected, or UDP between two high ports went
    within the last half minute. sure: only media expected by the helper, no other UDP (a game, a
    tunnel)."""
    wanted = set(phones)
    masters = {one.master for one in flows.expectations() if one.media}
    busy = {host for host, _ in masters} & wanted
    if any(host not in wanted for host, _ in masters):  # perhaps a flow begun by the provider
        busy |= {phone_of(flow) for flow in flows.helped() if flow.source in masters} & wanted

    def is_media(flow: Flow) -> bool:
        ports = flow.source[1], flow.target[1], flow.reply_source[1], flow.reply_target[1]
        if flow.proto != UDP or flow.helper or min(ports) < _LEAST_PORT:
            return False
        if sure and flow.master is None:
            return False
        if not wanted.isdisjoint((flow.source[0], flow.reply_source[0])):
            # Neither kind of timeout is longer than its limit, and each packet begins it anew.
            fresh = flow.timeout > timeouts.stream - QUIET
            fresh |= timeouts.one_way >= flow.timeout > timeouts.one_way - QUIET
            return fresh and not set(ports) & set(_NO_MEDIA)
        return False

    for flow in flows.entries(is_media, tuple(map(packed, wanted))) if wanted else ():
        busy |= {flow.source[0], flow.reply_source[0]} & wanted
    return busy


def silent(entries: list[Flow], timeouts: Timeouts) -> dict[str, int]:
    """Phones whose mapping was unused for longer than its lifetime without the helper, with the
    seconds: nothing keeps it alive. A mapping used a moment ago proves nothing.
    """
    found: dict[str, int] = {}
    for flow in entries:
        idle = timeouts.helped - flow.timeout
        if flow.proto == UDP and timeouts.stream < idle <= timeouts.helped:
            phone = phone_of(flow)
            found[phone] = max(idle, found.get(phone, 0))
    return found


def take_off(flows: Flows, journal: Journal, ours: Callable[[str], bool], timeouts: Timeouts,
             say: Callable[[str], None]) -> None:  # fmt: skip
    """Take the helper off every live entry of these phones. The kernel refuses for an expected
    entry: it is deleted if no call of its phone is up, otherwise it stays until its end. OSError:
    the journal or the kernel."""
    entries = helped(flows, ours)
    names = [flow.called for flow in entries[:MOST_NAMES]]
    phones = sorted({phone_of(flow) for flow in entries})
    journal.step(steps.LIVE, entries=names, phones=phones)
    refused = []
    for flow in entries:
        try:
            flows.take_helper_off(flow)
        except Busy:
            refused.append(flow)
    if not refused:
        return
    busy = in_call(flows, {phone_of(flow) for flow in refused}, timeouts)
    for flow in refused:
        if phone_of(flow) in busy:
            say(f"{flow.called} keeps the helper while a call is up: the kernel does not take it "
                "off an entry that the helper made")  # fmt: skip
            continue
        journal.step(steps.DELETE, entry=flow.called)
        flows.delete(flow)


def renew(flows: Flows, names: Iterable[str], timeouts: Timeouts, patience: float,
          say: Callable[[str], None]) -> dict[str, str]:  # fmt: skip
    """Delete entries without their helper, so the phones' next packets make them anew, with it: one
    phone at a time, while it has no call. patience: seconds for all of it. Returns the remaining
    entries, with the reason."""
    wanted = set(names)
    # Its first end is the source of the entry.
    sources = tuple({packed(name.split()[1].rpartition(":")[0].strip("[]")) for name in wanted})
    end = time.monotonic() + patience
    waiting = None
    while True:
        left = flows.entries(lambda flow: not flow.helper and flow.called in wanted, sources)
        if not left:
            return {}
        busy = in_call(flows, {phone_of(flow) for flow in left}, timeouts)
        idle = [flow for flow in left if phone_of(flow) not in busy]
        if idle and (waiting is None or waiting(flows)):
            phone = phone_of(idle[0])
            for flow in idle:
                if phone_of(flow) == phone:
                    flows.delete(flow)
                    wanted.discard(flow.called)
            say(f"{phone}: its entry is deleted, its next packet gets the helper")
            waiting = _comes_back(phone, timeouts)
            continue
        if time.monotonic() >= end:
            late = "the phone before it was not back in time"
            return {flow.called: "a call is up" if phone_of(flow) in busy else late
                    for flow in left}  # fmt: skip
        time.sleep(LOOK)


def _comes_back(phone: str, timeouts: Timeouts) -> Callable[[Flows], bool]:
    """True once the phone has an entry with the helper again, or was silent for the lifetime of its
    mapping: until then the next phone could take its public port."""
    end = time.monotonic() + timeouts.stream

    def is_back(flows: Flows) -> bool:
        return time.monotonic() > end or bool(helped(flows, phone.__eq__))

    return is_back
