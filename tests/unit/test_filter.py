# SPDX-License-Identifier: Apache-2.0
"""The kernel filter lets in what the agent needs, and nothing else."""

from __future__ import annotations

import random
import struct

import pytest
from algwatch.capture import filter as kernel_filter
from capture_frames import (
    ICMP,
    ICMP6,
    INVITE,
    TCP,
    ether,
    fragment6,
    ipv4,
    ipv6,
    tcp,
    udp,
)

pcapy = pytest.importorskip("pcapy", reason="pcapy-ng is not installed")

PORTS = (5060, 5080)
RESPONSE = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n"
RTP = bytes.fromhex("8008000100000001deadbeef") + bytes(160)
DNS = bytes.fromhex("1a2b01000001000000000000") + b"\3www\7example\3org\0\0\1\0\1"

ADMITTED = {
    "an INVITE on 5060": ipv4(udp(INVITE)),
    "a keep-alive of two bytes on 5060": ipv4(udp(b"\r\n")),
    "an empty datagram on 5060": ipv4(udp(b"")),
    "any bytes to the second port": ipv4(udp(RTP, 40000, 5080)),
    "any bytes from the second port": ipv4(udp(RTP, 5080, 40000)),
    "a TCP handshake on 5060": ipv4(tcp(b"", 40000, 5060, flags=2), TCP),
    "TCP data on 5060 with IP options": ipv4(tcp(b"x"), TCP, options=b"\1\1\1\0"),
    "an INVITE on an odd port": ipv4(udp(INVITE, 40000, 40001)),
    "a response on an odd port with IP options": ipv4(
        udp(RESPONSE, 40000, 40001), options=b"\1\1\1\0"
    ),
    "a TCP request on an odd port with TCP options": ipv4(
        tcp(INVITE, 40000, 40001, options=b"\1\1\x08\x0a" + bytes(8)), TCP
    ),
    "a middle fragment of eight bytes": ipv4(b"12345678", offset=1480, more=True),
    "a last fragment of one byte": ipv4(b"1", offset=2960),
    "a last TCP fragment": ipv4(b"1", TCP, offset=2960),
    "the first fragment of an INVITE on 5060": ipv4(udp(INVITE)[:64], more=True),
    "the first fragment of an INVITE on an odd port": ipv4(
        udp(INVITE, 40000, 40001)[:64], more=True
    ),
    "port unreachable": ipv4(b"\3\3\0\0\0\0\0\0" + ipv4(udp(INVITE))[:28], ICMP),
    "time exceeded": ipv4(b"\x0b\0\0\0\0\0\0\0" + ipv4(udp(INVITE))[:28], ICMP),
    "an IPv6 INVITE on 5060": ipv6(udp(INVITE)),
    "an IPv6 keep-alive on 5060": ipv6(udp(b"\r\n")),
    "an IPv6 INVITE on an odd port": ipv6(udp(INVITE, 40000, 40001)),
    "an IPv6 TCP request on an odd port": ipv6(tcp(INVITE, 40000, 40001), TCP),
    "the first IPv6 fragment": fragment6(udp(INVITE)[:64], 0, True),
    "the last IPv6 fragment": fragment6(b"1", 64, False),
    "an IPv6 fragment that begins with destination options": fragment6(
        b"\x11\0\1\4\0\0\0\0" + udp(INVITE)[:64], 0, True, proto=60
    ),
    "an IPv6 INVITE behind destination options": ipv6(b"\x11\0\1\4\0\0\0\0" + udp(INVITE), 60),
    "an IPv6 port unreachable": ipv6(b"\1\4\0\0\0\0\0\0" + ipv6(udp(INVITE))[:48], ICMP6),
} | {
    f"{word!r} on an odd port": ipv4(udp(word + b"sip:x SIP/2.0\r\n", 40000, 40001))
    for word in kernel_filter.START_WORDS
}

REJECTED = {
    "RTP": ipv4(udp(RTP, 40000, 40002)),
    "DNS": ipv4(udp(DNS, 40000, 53)),
    "an empty datagram on an odd port": ipv4(udp(b"", 40000, 40001)),
    "three bytes of a start line on an odd port": ipv4(udp(b"INV", 40000, 40001)),
    "other text on an odd port": ipv4(udp(b"HELLO WORLD", 40000, 40001)),
    "lower case on an odd port": ipv4(udp(b"invite sip:a SIP/2.0", 40000, 40001)),
    "SSDP search": ipv4(udp(b"M-SEARCH * HTTP/1.1\r\n\r\n", 40000, 1900)),
    "HTTPS": ipv4(tcp(b"\x16\3\1\2\0\1", 40000, 443), TCP),
    "an HTTP GET": ipv4(tcp(b"GET / HTTP/1.1\r\n\r\n", 40000, 80), TCP),
    "a bare TCP ACK": ipv4(tcp(b"", 40000, 443, flags=16), TCP),
    "5060 as payload": ipv4(udp(struct.pack("!HH", 5060, 5060), 40000, 40001)),
    "a ping": ipv4(b"\x08\0\0\0" + bytes(60), ICMP),
    "a redirect": ipv4(b"\5\1\0\0" + bytes(60), ICMP),
    "a fragment of ICMP": ipv4(b"1" * 64, ICMP, offset=1480),
    "the first fragment of something else": ipv4(udp(DNS, 40000, 53), more=True),
    "a GRE packet": ipv4(bytes(60), 47),
    "a fragment of GRE": ipv4(bytes(60), 47, offset=1480),
    "IP in IP": ipv4(ipv4(udp(INVITE)), 4),
    "the first fragment of IP in IP": ipv4(ipv4(udp(INVITE))[:64], 4, more=True),
    "a fragment of 6in4": ipv4(bytes(60), 41, offset=1480),
    "DS-Lite": ipv6(ipv4(udp(INVITE)), 4),
    "DS-Lite with the limit option": ipv6(b"\4\0\4\1\4\1\1\0" + ipv4(udp(INVITE)), 60),
    "the first fragment of DS-Lite": fragment6(ipv4(udp(INVITE))[:64], 0, True, proto=4),
    "a later fragment of DS-Lite": fragment6(bytes(60), 64, False, proto=4),
    "IPv6 RTP": ipv6(udp(RTP, 40000, 40002)),
    "an IPv6 neighbour solicitation": ipv6(b"\x87\0" + bytes(30), ICMP6),
    "an IPv6 ping": ipv6(b"\x80\0" + bytes(30), ICMP6),
    "IPv6 HTTPS": ipv6(tcp(b"\x16\3\1\2\0\1", 40000, 443), TCP),
}

LAYOUTS = {
    "untagged": ether,
    "one tag": lambda packet: ether(packet, (0x8100, 20)),
    "a service tag": lambda packet: ether(packet, (0x88A8, 20)),
    "two tags": lambda packet: ether(packet, (0x88A8, 20), (0x8100, 30)),
}


class Machine:
    """Classic BPF as the kernel runs it (bpf_filter), because pcapy's own filter() runs what
    libpcap holds and not the bytes that are attached."""

    def __init__(self, program: bytes) -> None:
        self.code = list(struct.iter_unpack("=HBBI", program))

    def run(self, frame: bytes) -> tuple[int, int]:
        """(bytes accepted, instructions executed)."""
        a = x = pc = steps = 0
        memory = [0] * 16
        while True:
            code, jt, jf, k = self.code[pc]
            pc += 1
            steps += 1
            kind = code & 7
            if kind in (0, 1) and code & 0xE0 in (0x20, 0x40, 0xA0):
                if code & 0xE0 == 0xA0:  # ldx 4*([k]&0xf)
                    if k >= len(frame):
                        return 0, steps
                    x = (frame[k] & 15) * 4
                    continue
                at = k + (x if code & 0xE0 == 0x40 else 0)
                size = {0: 4, 8: 2, 0x10: 1}[code & 0x18]
                if at + size > len(frame):
                    return 0, steps
                a = int.from_bytes(frame[at : at + size], "big")
            elif kind in (0, 1):
                value = {0: k, 0x60: memory[k & 15], 0x80: len(frame)}[code & 0xE0]
                if kind == 0:
                    a = value
                else:
                    x = value
            elif kind == 2:
                memory[k] = a
            elif kind == 3:
                memory[k] = x
            elif kind == 4:
                value = x if code & 8 else k
                a = {
                    0x00: a + value, 0x10: a - value, 0x50: a & value, 0x40: a | value,
                    0x60: a << (value & 31), 0x70: a >> (value & 31),
                }[code & 0xF0] & 0xFFFFFFFF  # fmt: skip
            elif kind == 5:
                value = x if code & 8 else k
                if code & 0xF0 == 0:
                    pc += k
                else:
                    test = {
                        0x10: a == value, 0x20: a > value, 0x30: a >= value, 0x40: a & value != 0
                    }[code & 0xF0]  # fmt: skip
                    pc += jt if test else jf
            elif kind == 6:
                return k, steps
            elif code & 0xF8 == 0x80:
                a = x
            else:
                x = a


@pytest.fixture(scope="module")
def ethernet() -> Machine:
    return Machine(kernel_filter.compile_apart(kernel_filter.EN10MB, PORTS))


@pytest.fixture(scope="module")
def raw() -> Machine:
    return Machine(kernel_filter.compile_apart(kernel_filter.RAW, PORTS))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ADMITTED)
def test_admits(ethernet: Machine, name: str, layout: str) -> None:
    frame = LAYOUTS[layout](ADMITTED[name])
    assert ethernet.run(frame)[0] >= len(frame)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", REJECTED)
def test_rejects(ethernet: Machine, name: str, layout: str) -> None:
    assert ethernet.run(LAYOUTS[layout](REJECTED[name]))[0] == 0


@pytest.mark.parametrize("name", ADMITTED)
def test_admits_without_a_link_header(raw: Machine, name: str) -> None:
    assert raw.run(ADMITTED[name])[0] >= len(ADMITTED[name])


@pytest.mark.parametrize("name", REJECTED)
def test_rejects_without_a_link_header(raw: Machine, name: str) -> None:
    assert raw.run(REJECTED[name])[0] == 0


def test_cut_and_broken_frames_get_the_same_answer_from_libpcap(ethernet: Machine) -> None:
    text = kernel_filter.expression(kernel_filter.EN10MB, PORTS)
    optimised, plain = (
        pcapy.compile(kernel_filter.EN10MB, kernel_filter.SNAPLEN, text, optimise, 0)
        for optimise in (1, 0)
    )
    rng = random.Random(1)
    frames = [
        layout(packet)
        for packet in (*ADMITTED.values(), *REJECTED.values())
        for layout in LAYOUTS.values()
    ]
    for frame in frames:
        cut = frame[: rng.randrange(len(frame))]
        broken = bytearray(frame)
        for _ in range(3):
            broken[rng.randrange(min(80, len(broken)))] = rng.randrange(256)
        for candidate in (frame, cut, bytes(broken)):
            assert ethernet.run(candidate)[0] == optimised.filter(candidate)
        # The optimiser may leave out a load, and with it the rejection of a cut frame; on a
        # whole one it must not change the answer.
        assert ethernet.run(frame)[0] == plain.filter(frame)


def test_arp_and_pppoe_do_not_enter(ethernet: Machine) -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(46)
    pppoe = bytes(12) + b"\x88\x64\x11\0\0\1\0\x62\0\x21" + ipv4(udp(INVITE))
    assert ethernet.run(arp)[0] == 0
    assert ethernet.run(pppoe)[0] == 0  # the tap belongs on the PPP device


def test_what_is_not_sip_leaves_after_few_instructions(ethernet: Machine) -> None:
    worst = max(ethernet.run(ether(packet))[1] for packet in REJECTED.values())
    media = ethernet.run(ether(REJECTED["RTP"]))[1]
    assert media <= 30
    assert worst <= 60


# A classic instruction takes 8 bytes, and about 32 more once the kernel has translated it.
@pytest.mark.parametrize(("tags", "most"), [(2, 620), (1, 380), (0, 180)])
def test_the_program_fits_the_kernel_with_every_port_in_use(tags: int, most: int) -> None:
    ports = range(5060, 5060 + kernel_filter.MAX_PORTS)
    program = kernel_filter.compile_apart(kernel_filter.EN10MB, ports, tags)
    assert len(program) // 8 <= most


@pytest.mark.parametrize("tags", [0, 1])
@pytest.mark.parametrize("packet", [*ADMITTED, *REJECTED])
def test_a_smaller_filter_says_the_same_of_fewer_tags(tags: int, packet: str) -> None:
    machine = Machine(kernel_filter.program(kernel_filter.EN10MB, PORTS, tags))
    data = ADMITTED.get(packet) or REJECTED[packet]
    for number, name in enumerate(("untagged", "one tag", "two tags")):
        wanted = packet in ADMITTED and number <= tags
        assert bool(machine.run(LAYOUTS[name](data))[0]) == wanted


@pytest.mark.parametrize("ports", [(), (0,), (65536,), (-1,), ("5060",), (5060.0,), (True,)])
def test_a_wrong_port_is_refused_before_libpcap_sees_it(ports: tuple[int, ...]) -> None:
    with pytest.raises(kernel_filter.FilterError):
        kernel_filter.compile_apart(kernel_filter.EN10MB, ports)


def test_more_ports_than_fit_are_refused() -> None:
    with pytest.raises(kernel_filter.FilterError, match="at most"):
        kernel_filter.checked_ports(range(1, kernel_filter.MAX_PORTS + 2))


def test_a_link_type_without_a_filter_is_refused() -> None:
    with pytest.raises(kernel_filter.FilterError, match="link type 105"):
        kernel_filter.compile_apart(105, (5060,))


def test_a_compiler_that_fails_in_the_child_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(linktype: int, ports: tuple[int, ...], tags: int) -> bytes:
        raise ImportError("No module named 'pcapy'")

    monkeypatch.setattr(kernel_filter, "program", broken)
    with pytest.raises(kernel_filter.FilterError, match="No module named 'pcapy'"):
        kernel_filter.compile_apart(kernel_filter.EN10MB, (5060,))
