# SPDX-License-Identifier: Apache-2.0
"""pcapng: every block and byte order, unlike interfaces, damage, and bytes of an enemy."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN
from algwatch.capture.interfaces import sides_of
from algwatch.capture.packets import LONGEST
from algwatch.capture.pcap import CaptureError, CaptureFile
from algwatch.capture.pcapng import LONGEST_BLOCK, MOST_INTERFACES, Pcapng
from capture_frames import ether, invite, ipv4, udp

START = 1_700_000_000_000_000_000
PORTS = (5060,)


def options(order: str, some: Sequence[tuple[int, bytes]]) -> bytes:
    made = b"".join(
        struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
        for code, value in some
    )
    return made + bytes(4) if some else b""


class Maker:
    """A pcapng file, block by block."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""

    def block(self, kind: int, body: bytes) -> Maker:
        body += bytes(-len(body) % 4)
        size = struct.pack(self.order + "I", 12 + len(body))
        self.data += struct.pack(self.order + "I", kind) + size + body + size
        return self

    def section(self, order: str = "") -> Maker:
        self.order = order or self.order
        return self.block(0x0A0D0D0A, struct.pack(self.order + "IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, linktype: int = 1, snaplen: int = 0, name: str = "",
                  more: Sequence[tuple[int, bytes]] = ()) -> Maker:  # fmt: skip
        some = [(2, name.encode())] if name else []
        body = struct.pack(self.order + "HHI", linktype, 0, snaplen)
        return self.block(1, body + options(self.order, [*some, *more]))

    def packet(self, ticks: int, data: bytes, interface: int = 0,
               more: Sequence[tuple[int, bytes]] = ()) -> Maker:  # fmt: skip
        head = (interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        body = struct.pack(self.order + "5I", *head) + data + bytes(-len(data) % 4)
        return self.block(6, body + options(self.order, [(1, b"a comment"), *more]))

    def old_packet(self, ticks: int, data: bytes, interface: int = 0) -> Maker:
        head = (interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, struct.pack(self.order + "HH4I", *head) + data)

    def simple_packet(self, data: bytes) -> Maker:
        return self.block(3, struct.pack(self.order + "I", len(data)) + data)

    def file(self, folder: Path) -> Path:
        path = folder / "a.pcapng"
        path.write_bytes(self.data)
        return path


def frame(name: str, linktype: int = 1) -> bytes:
    packet = ipv4(udp(invite(name)))
    return ether(packet) if linktype == 1 else packet


def read(path: Path, most: int = 960) -> tuple[list[tuple[int, bytes]], CaptureFile]:
    """(time, Call-ID) of each message."""
    file = CaptureFile(str(path), 0, PORTS, Counts(), most=most)
    found = []
    for batch in file:
        for row in layout.ROW.iter_unpack(batch.rows):
            text = bytes(batch.buffer[row[8] : row[8] + row[9]])
            found.append((row[0], text.split(b"Call-ID: ")[1].split(b"\r\n")[0]))
    return found, file


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_block_that_holds_a_packet_is_read(order: str, tmp_path: Path) -> None:
    micro = START // 1000
    made = (
        Maker(order).section().block(0x0BAD, b"unknown").interface()
        .packet(micro, frame("enhanced")).block(5, b"statistics " * 9)
        .old_packet(micro + 1, frame("old")).simple_packet(frame("simple"))
        .block(4, b"names" * 1000).packet(micro + 2, frame("last"))
    )  # fmt: skip
    for most in (1, 2, 960):
        found, file = read(made.file(tmp_path), most)
        assert found == [
            (START, b"enhanced"), (START + 1000, b"old"), (START + 1000, b"simple"),
            (START + 2000, b"last"),
        ]  # fmt: skip
        assert (file.packets, file.problem) == (4, "")


def test_sections_have_their_own_byte_order_and_interfaces(tmp_path: Path) -> None:
    micro = START // 1000
    made = Maker("<").section().interface(101).packet(micro, frame("raw", 101))
    made.section(">").interface(1).packet(micro + 5, frame("ethernet"))
    assert read(made.file(tmp_path))[0] == [(START, b"raw"), (START + 5000, b"ethernet")]


def test_interfaces_of_any_link_type_and_snap_length_are_read_in_order(tmp_path: Path) -> None:
    made = Maker().section().interface(1, 65535, "br-lan").interface(101, 0, "pppoe-wan")
    made.interface(1, 262144)
    for number in range(90):
        which = (0, 1, 2)[number * number % 3]
        data = frame(f"{number}", (1, 101, 1)[which])
        made.packet(START // 1000 + number, data, which)
    for most in (1, 7, 960):
        found, file = read(made.file(tmp_path), most)
        assert found == [(START + n * 1000, b"%d" % n) for n in range(90)]
        assert [(one.name, one.linktype) for one in file.interfaces] == [
            ("br-lan", 1), ("pppoe-wan", 101), ("", 1),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "at"),
    [
        (None, None, START // 1000, START),
        (6, None, START // 1000, START),
        (9, None, START + 123, START + 123),
        (3, None, START // 10**6, START),
        (0, None, START // 10**9, START),
        (0x80 | 10, None, 1_700_000_000 * 1024 + 512, START + 500_000_000),
        (9, 1_700_000_000, 77, START + 77),
        (6, -5, START // 1000 + 5_000_000, START),
        (9, -(1 << 63), START, 0),
        (12, 1 << 62, START, 0xFFFFFFFF * 10**9),
        (127, None, START, 0),
        (0x80 | 127, None, START, 0),
    ],
)
def test_each_interface_has_its_own_resolution_and_offset(
    resolution: int | None, offset: int | None, ticks: int, at: int, tmp_path: Path
) -> None:
    more = [] if resolution is None else [(9, bytes((resolution,)))]
    more += [] if offset is None else [(14, struct.pack("<q", offset))]
    made = Maker().section().interface(more=more).interface(more=[(9, b"\x09")])
    made.packet(ticks, frame("one"), 0).packet(START + 7, frame("two"), 1)
    assert read(made.file(tmp_path))[0] == [(at, b"one"), (START + 7, b"two")]


def test_an_interface_that_cannot_be_read_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    made = Maker().section().interface(105, name="wlan0mon").interface(1, name="eth0")
    made.packet(START // 1000, b"radio", 0).packet(START // 1000, frame("a"), 1)
    found, file = read(made.file(tmp_path))
    assert found == [(START, b"a")]
    assert "1 packets: link type 105 is not read" in file.problem
    alone = Maker().section().interface(105).packet(0, b"radio")
    with pytest.raises(CaptureError, match="link type 105 is not read; these are"):
        read(alone.file(tmp_path))


BROKEN = {
    "no interface": Maker().section().packet(0, b"x").data,
    "an interface that is not there": Maker().section().interface().packet(0, b"x", 7).data,
    "a version of the future": struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 2, 0, -1, 28),
    "no byte order": struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 7, 1, 0, -1, 28),
    "a short section": struct.pack("<IIII", 0x0A0D0D0A, 16, 0x1A2B3C4D, 16),
    "a block of no length": Maker().section().data + bytes(12),
    "a block of odd length": Maker().section().data + struct.pack("<III", 9, 13, 0) + b"x",
    "unlike lengths": Maker().section().data + struct.pack("<IIII", 9, 16, 0, 20),
    "a packet larger than its block": Maker().section().interface().data
    + struct.pack("<IIIIIIIII", 6, 36, 0, 0, 0, 99, 99, 0, 36),
    "a packet block of four gigabytes": Maker().section().interface().data
    + struct.pack("<III", 6, 0xFFFFFFFC, 0),
    "an interface without a link type": Maker().section().block(1, b"").data,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_named_and_what_came_before_is_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    good = Maker().section().interface().packet(START // 1000, frame("before")).data
    path.write_bytes(good + data)
    found, file = read(path)
    assert found == [(START, b"before")]
    assert (file.truncated_tail, bool(file.problem)) == (1, True)


def test_a_truncated_tail_is_told_wherever_the_file_ends(tmp_path: Path) -> None:
    whole = Maker().section().interface().packet(START // 1000, frame("a")).data
    two = Maker().section().interface().packet(START // 1000, frame("a"))
    more = two.packet(START // 1000 + 1, frame("b")).data
    path = tmp_path / "a.pcapng"
    for size in range(len(whole) + 1, len(more)):
        path.write_bytes(more[:size])
        found, file = read(path)
        assert found == [(START, b"a")]
        assert file.truncated_tail == 1 and "truncated" in file.problem


def test_a_block_of_a_gigabyte_that_is_not_read_takes_no_memory() -> None:
    walker = Pcapng()
    walker.feed(Maker().section().data + struct.pack("<II", 0x4711, 1 << 30))
    for _ in range(1 << 12):
        assert not walker.feed(bytes(1 << 18)).count
        assert len(walker._rest) < 100
    walker.end()
    assert not walker._skip or walker.problem


def test_more_interfaces_than_anybody_has_are_refused() -> None:
    made = Maker().section()
    one = Maker().interface().data
    walker = Pcapng()
    walker.feed(made.data + one * (MOST_INTERFACES + 1))
    assert "interfaces" in walker.problem


def test_the_limit_of_a_block_holds_the_largest_packet() -> None:
    made = Maker().section().interface().packet(0, bytes(LONGEST))
    packets = Pcapng().feed(made.data)
    assert packets.count == 1 and LONGEST < LONGEST_BLOCK


def sample(rng: random.Random) -> bytearray:
    made = Maker(rng.choice("<>"))
    for _ in range(rng.randint(1, 3)):
        made.section(rng.choice("<>"))
        for _ in range(rng.randint(0, 3)):
            made.interface(rng.choice((1, 101, 105)), rng.choice((0, 96)), rng.choice(("", "wan")),
                           [(9, bytes((rng.randrange(256),)))])  # fmt: skip
        for _ in range(rng.randint(0, 5)):
            data = frame("x")[: rng.randint(0, 400)]
            kind = rng.randrange(4)
            if kind == 0:
                made.packet(rng.getrandbits(64), data, rng.randint(0, 3))
            elif kind == 1:
                made.old_packet(rng.getrandbits(64), data, rng.randint(0, 3))
            elif kind == 2:
                made.simple_packet(data)
            else:
                made.block(rng.getrandbits(32), data)
    return bytearray(made.data)


@pytest.mark.parametrize("seed", range(60))
def test_hostile_bytes_end_in_a_capture_error_or_in_packets_inside_the_file(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "a.pcapng"
    for _ in range(25):
        data = sample(rng)
        for _ in range(rng.randint(0, 4)):
            at = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                at -= at % 4
                data[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 12, 28, 0xFFFFFFFF, 6)))
        # As it comes in parts, so it comes whole.
        whole, walker = Pcapng().feed(bytes(data)), Pcapng()
        count = at = 0
        while at < len(data):
            size = rng.randint(1, 200)
            packets = walker.feed(bytes(data[at : at + size]))
            count += packets.count
            at += size
            for numbers in packets.records.values():
                for _, micro, offset, length in zip(*[iter(numbers)] * 4, strict=True):
                    assert micro < 1_000_000
                    assert offset + length <= len(packets.buffer) and length <= LONGEST
            assert len(walker._rest) <= LONGEST_BLOCK + size
        assert count == whole.count
        path.write_bytes(data)
        try:
            file = CaptureFile(str(path), 0, PORTS, Counts(), most=rng.choice((1, 5, 960)))
            for _ in file:
                pass
        except CaptureError as error:
            assert str(error).startswith(f"{path}: ")


# ---- sides by the names of interfaces ----


@pytest.mark.parametrize(
    ("names", "lan", "wan"),
    [
        (["br-lan", "pppoe-wan"], ["br-lan"], ["pppoe-wan"]),
        (["br0", "ppp0"], ["br0"], ["ppp0"]),
        (["lan", "wan"], ["lan"], ["wan"]),
        (["br-lan", "eth1.2"], ["br-lan"], ["eth1.2"]),
        (["eth0", "wwan0"], ["eth0"], ["wwan0"]),
        (["lan1", "lan2", "wan", "lo"], ["lan1", "lan2"], ["wan"]),
        (["br-lan.10", "usb0"], ["br-lan.10"], ["usb0"]),
    ],
)
def test_names_that_tell_both_sides(names: list[str], lan: list[str], wan: list[str]) -> None:
    sides = sides_of(names)
    assert sides is not None
    assert [name for name in names if sides[name] == LAN] == lan
    assert [name for name in names if sides[name] == WAN] == wan


@pytest.mark.parametrize(
    "names", [[], [""], ["eth0"], ["eth0", "eth1"], ["br-lan"], ["br-lan", "br-guest"], ["wan"],
              ["wan", "pppoe-wan"], ["", "pppoe-wan"], ["any"], ["planet", "swan"]],
)  # fmt: skip
def test_names_that_tell_no_two_sides(names: list[str]) -> None:
    assert sides_of(names) is None


def test_who_names_one_side_names_the_other() -> None:
    assert sides_of(["a", "b"], lan=["a"]) == {"a": LAN, "b": WAN}
    assert sides_of(["a", "b"], wan=["a"]) == {"a": WAN, "b": LAN}
    assert sides_of(["wan", "br-lan"], lan=["wan"], wan=["br-lan"]) == {"wan": LAN, "br-lan": WAN}
