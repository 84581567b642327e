# SPDX-License-Identifier: Apache-2.0
"""What the probe sends and how it judges a copy, without a router."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from algwatch.base.native.layout import SIP
from algwatch.base.native.scan import Frame, scan_message
from algwatch.cli import Usage
from algwatch.cli.probe import main
from algwatch.kernel import netlink
from algwatch.kernel.links import Address, Link
from algwatch.probe import frames, free
from algwatch.probe.exchange import Exchange
from algwatch.probe.messages import KINDS, Message
from algwatch.probe.place import Place
from algwatch.probe.port import Port
from algwatch.probe.result import REWRITTEN, UNKNOWN, UNTOUCHED, Result
from algwatch.probe.verdict import Sent
from algwatch.probe.watch import Copy
from algwatch.report.render.probed import as_object, text
from craft import House, analyzed, outgoing_call, register, sized

HOST, FAR, WAN = bytes((192, 168, 1, 200)), bytes((192, 0, 2, 1)), bytes((198, 51, 100, 2))
MACS = bytes(range(12))


def message(kind: str, tcp: bool = False) -> Message:
    return Message(kind, tcp, "192.168.1.200", 41000, "192.0.2.1", 5060, 62000, "0123456789ab")


def sent(kind: str, left: bytes) -> Sent:
    """A message whose WAN copy has this payload."""
    made = Sent(message(kind))
    ports = 41000, 5060
    made.lan = Copy(frames.udp(MACS, HOST, FAR, ports, 7, made.message.payload)[14:], "lan", False)
    made.wan = Copy(frames.udp(MACS, WAN, FAR, ports, 7, left)[14:], "wan", True)
    made.judge()
    return made


def result(*some: Sent) -> Result:
    made = Result()
    made.sent = list(some)
    made.lan, made.wan = "br-lan", "wan"
    return made


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_message_is_sip_without_an_anomaly(kind: str, tcp: bool) -> None:
    payload = message(kind, tcp).payload
    size, found = scan_message(payload, tcp)
    assert size == len(payload) < 800
    assert not found[SIP.ANOMALIES] and not found[SIP.ANOMALIES + 1]


def test_frames_have_ttl_2_and_right_checksums() -> None:
    payload = b"odd"
    for data in (
        frames.udp(MACS, HOST, FAR, (41000, 5060), 77, payload),
        frames.tcp(MACS, HOST, FAR, (41000, 5060), 77, frames.SYN, (1, 0), payload),
    ):
        frame = Frame(data, 1)
        assert (frame.src, frame.dst, frame.sport, frame.dport) == (HOST, FAR, 41000, 5060)
        assert (frame.ttl, frame.ip_id) == (2, 77)
        assert data[frame.payload : frame.payload + frame.length] == payload
        segment = data[34:]
        pseudo = HOST + FAR + struct.pack("!BBH", 0, frame.proto, len(segment))
        assert frames.checksum(data[14:34]) == 0
        assert frames.checksum(pseudo + segment) == 0


def test_arp_claims_the_sender_s_address_or_of_another_probe_the_one_it_asks_for() -> None:
    mine, other = b"\2" + bytes(5), b"\6" + bytes(5)
    probe = frames.arp_probe(other, HOST)
    assert len(probe) == 60
    assert free.claims(probe, mine) == {HOST}
    assert free.claims(probe, other) == set()
    answer = probe[:28] + FAR + probe[32:]
    assert free.claims(answer, mine) == {FAR}


@pytest.mark.parametrize("size", range(42))
def test_a_short_arp_packet_claims_nothing(size: int) -> None:
    assert free.claims(frames.arp_probe(b"\6" + bytes(5), HOST)[:size], bytes(6)) == set()


def address(text_: str, bits: int) -> Address:
    host = bytes(map(int, text_.split(".")))
    attribute = struct.pack("=HH4s", 8, 2, host) + struct.pack("=HH4s", 8, 1, host)
    return Address(struct.pack("=BBBBi", 2, bits, 0, 0, 3) + attribute)


def test_candidates_are_hosts_of_the_network_that_nobody_is_known_to_have() -> None:
    net = address("10.1.2.1", 24)
    taken = {bytes((10, 1, 2, n)) for n in range(1, 255) if n != 77}
    assert free.candidates(net, taken) == [bytes((10, 1, 2, 77))]
    assert free.candidates(address("10.1.2.1", 30), {bytes((10, 1, 2, 1))}) == [
        bytes((10, 1, 2, 2))
    ]
    upper = free.candidates(net, set())
    assert len(upper) == free.CANDIDATES
    assert all(128 <= host[3] <= 254 for host in upper)
    wide = free.candidates(address("10.1.2.1", 8), set())
    assert all(host[:1] == b"\n" and host[1] in (0, 1) for host in wide)


def test_leases_are_read_and_nonsense_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/dhcp.leases").write_bytes(
        b"1700000000 aa:bb:cc:00:00:01 192.168.1.200 phone *\n\xff\xfe\nx y 1.2.3\n1 2 999.1.1.1\n"
    )
    assert free.leased(str(tmp_path)) == {HOST}


def test_the_kernel_s_form_is_the_kernel_s_and_another_one_is_not() -> None:
    payload = message("OPTIONS").payload
    mapped = payload.replace(b"192.168.1.200:41000", b"198.51.100.2:41000")
    one = result(sent("OPTIONS", mapped))
    assert one.state == REWRITTEN
    assert "as the Linux kernel's helper does" in one.conclusion
    other = result(sent("OPTIONS", payload.replace(b"200:41000>", b"200:5060>")))
    assert other.state == REWRITTEN
    assert "not as the Linux kernel's helper does" in other.conclusion
    assert "not all of it to the NAT mapping" in other.conclusion
    assert result(sent("OPTIONS", payload)).state == UNTOUCHED
    assert result(sent("OPTIONS", payload), Sent(message("BYE"))).state == UNKNOWN


def test_a_copy_that_differs_in_white_space_or_order_alone_is_not_untouched() -> None:
    payload = message("OPTIONS").payload
    for left in (
        payload.replace(b"Max-Forwards: 70", b"Max-Forwards:  70"),
        payload.replace(b"CSeq: 1 OPTIONS\r\n", b"").replace(b"From:", b"CSeq: 1 OPTIONS\r\nFrom:"),
        payload + b"\r\n",
    ):
        assert result(sent("OPTIONS", left)).state == REWRITTEN


def test_a_header_that_is_gone_and_one_that_was_added_are_told() -> None:
    payload = message("REGISTER").payload
    left = payload.replace(b"Expires: 60\r\n", b"Server: me\r\n")
    told = {f.name: f.verdict for f in sent("REGISTER", left).fields if f.verdict != "same"}
    assert told == {"Expires": "missing", "Server": "added"}


def test_no_copy_however_broken_raises_or_is_called_untouched() -> None:
    chance = random.Random(11)
    payload = message("INVITE").payload
    for _ in range(300):
        left = bytearray(payload[: chance.randrange(len(payload) + 1)])
        for _ in range(chance.randrange(1, 6)):
            left.insert(chance.randrange(len(left) + 1), chance.randrange(256))
        one = result(sent("INVITE", bytes(left)))
        assert one.state == REWRITTEN
        assert text(one).isprintable() or "\n" in text(one)
        assert "\x1b" not in text(one)
        json.dumps(as_object(one))


def watched(user: bytes, call: bool = True) -> list[tuple[str, str]]:
    """What is reported of a probe, with a call of a phone beside it, whose messages have this user
    instead of the probe's."""
    house = House("linux", phone="192.168.1.200", port=41000, wan="198.51.100.2", wan_port=41000,
                  provider="192.0.2.1")  # fmt: skip
    for n, kind in enumerate(KINDS):
        house.out(5 + n / 10, sized(message(kind).payload.replace(b"algwatch-probe", user)))
    register(house, 60)
    if call:
        outgoing_call(house, 61, "phone@call")
    _, reports = analyzed(*house.sorted())
    return [(r.kind, str(getattr(r, "rule", getattr(r, "call_id", "")))) for r in reports]


def test_those_who_watch_meanwhile_do_not_take_it_for_a_failed_call() -> None:
    alone = watched(b"algwatch-probe")
    assert ("call", "phone@call") in alone
    assert not any("0123456789ab" in name for _, name in alone)
    # Those of a phone are not left out.
    assert any("0123456789ab" in name for _, name in watched(b"somebody-else!"))


def exchange(own: Sent) -> Exchange:
    """One that has sent this message with IP ID 7."""
    link = Link(struct.pack("=BxHiII", 0, 0, 1, 1, 0) + netlink.text(3, "br-lan"))
    place = Place(link, link, 0, address("192.168.1.1", 24), link)
    port = Port.__new__(Port)  # without the kernel's part
    port.mac, port.name, port.inner_name = bytes(6), "algo-c0a801c8", "algw-c0a801c8"
    nothing: Any = None  # no packet is sent or waited for
    made = Exchange(place, port, nothing, nothing, result(own), False)
    made._by_ident[7] = own
    return made


def left(source: bytes, ports: tuple[int, int], ident: int, payload: bytes) -> Copy:
    data = bytearray(frames.udp(MACS, source, FAR, ports, ident, payload)[14:])
    data[8] = 1
    return Copy(bytes(data), "wan", True)


def test_packets_of_others_are_not_taken_for_copies() -> None:
    """A host of the LAN may send whatever it likes to the same address meanwhile."""
    own = Sent(message("OPTIONS"))
    one = exchange(own)
    one._result.wan = "wan"
    other = own.message.payload.replace(b"0123456789ab", b"ab0123456789")
    for source, to, ident in (
        (5060, 5060, 7),
        (41001, 5060, 7),
        (41000, 5070, 7),
        (41000, 5060, 8),
    ):
        one._take(left(WAN, (source, to), ident, other))
        assert own.wan is None
    one._take(Copy(left(HOST, (41000, 5060), 7, other).packet, "br-lan", False))
    assert own.lan is None
    one._take(left(WAN, (41000, 5060), 7, b"nothing is left of it"))
    assert own.wan is not None


def test_a_copy_with_another_ip_id_and_port_is_known_by_its_token() -> None:
    own = Sent(message("OPTIONS"))
    one = exchange(own)
    one._take(left(WAN, (1024, 5060), 99, own.message.payload))
    assert own.wan is not None


def test_bad_ports_are_bad_usage() -> None:
    class Args:
        lan = wan = ""
        json = False
        port: list[int]

    for ports in ([0], [70000], [5060], [1, 2, 3, 4]):
        args = Args()
        args.port = ports
        with pytest.raises(Usage):
            main(args)  # type: ignore[arg-type]
