# SPDX-License-Identifier: Apache-2.0
"""Recorder: writes what the router's two interfaces carry into two capture files."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .namespace import Namespace

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>
ETH_P_ALL = 3
PACKET_AUXDATA, SOL_PACKET = 8, 263
TP_STATUS_VLAN_VALID = 0x10
# IPv4, IPv6, PPPoE session
KEPT = (b"\x08\x00", b"\x86\xdd", b"\x88\x64")
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)  # microseconds, Ethernet


def _tagged(frame: bytes, auxdata: bytes) -> bytes:
    """The frame with its VLAN tag, which comes beside it (struct tpacket_auxdata)."""
    status, tci = struct.unpack_from("=I12xH", auxdata)
    tag = struct.pack("!HH", 0x8100, tci)
    return frame[:12] + tag + frame[12:] if status & TP_STATUS_VLAN_VALID else frame


class Recorder:
    """Both interfaces on one clock: the kernel stamps each packet when it passes the device.

    devices: interface name -> file. ARP is left out. on_frame: called from the
    recorder's thread with the interface, seconds since 1970 and the Ethernet frame.
    """

    def __init__(
        self,
        namespace: Namespace,
        devices: dict[str, Path],
        on_frame: Callable[[str, float, bytes], None] | None = None,
    ) -> None:
        self._on_frame = on_frame
        self._taps: list[tuple[str, socket.socket, Path, list[bytes]]] = []
        with namespace:
            for device, path in devices.items():
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                tap.bind((device, ETH_P_ALL))
                tap.setblocking(False)
                self._taps.append((device, tap, path, [PCAP_HEADER]))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        sockets = [tap for _, tap, _, _ in self._taps]
        while not self._stopping.is_set():
            select.select(sockets, [], [], 0.2)
            self._drain()

    def _drain(self) -> None:
        for device, tap, _, records in self._taps:
            while True:
                try:
                    frame, control, _, _ = tap.recvmsg(65535, 128)
                except BlockingIOError:
                    break
                if frame[12:14] not in KEPT:
                    continue
                seconds, nanos = divmod(time.time_ns(), 10**9)
                for level, kind, data in control:
                    if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                        seconds, nanos = struct.unpack_from("@ll", data)
                    if level == SOL_PACKET and kind == PACKET_AUXDATA:
                        frame = _tagged(frame, data)
                head = struct.pack("<IIII", seconds, nanos // 1000, len(frame), len(frame))
                records.append(head + frame)
                if self._on_frame:
                    self._on_frame(device, seconds + nanos / 1e9, frame)

    def stop(self) -> None:
        """Takes what is still queued and writes the files; a second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._drain()
        for _, tap, path, records in self._taps:
            tap.close()
            path.write_bytes(b"".join(records))


class Logged:
    """What an nftables rule logs to a group of NFLOG, written by tcpdump as anybody would do it. It
    stamps packets when it reads them, so it must not wait for a busy machine.
    """

    def __init__(self, namespace: Namespace, group: int, path: Path) -> None:
        if not shutil.which("tcpdump"):
            raise RuntimeError("needs: apt-get install tcpdump")
        argv = ["nice", "-n", "-20", "tcpdump", "-U", "-i", f"nflog:{group}", "-w", str(path)]
        self._process = namespace.start(argv)
        assert self._process.stdout is not None
        while "listening" not in (line := self._process.stdout.readline()):
            if not line:
                raise RuntimeError("tcpdump cannot read NFLOG")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
