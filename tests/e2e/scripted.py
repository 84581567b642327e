# SPDX-License-Identifier: Apache-2.0
"""A broker of the tests that acknowledges reports as it is told."""

from __future__ import annotations

import struct
import time

from algwatch.report.wire import decode
from hostile import Connection, HostileBroker, connack, packet


class Scripted:
    """got: (topic's last word, payload as a map) of each PUBLISH. at: monotonic seconds of each
    finding. reasons: of PUBACK by that word. most: PUBLISH until it drops the connection. together:
    the first findings get their PUBACK once so many have come."""

    def __init__(self, answer: bytes = b"", most: int = 10**9, together: int = 0) -> None:
        self.got: list[tuple[str, dict[str, object]]] = []
        self.at: list[float] = []
        self.reasons: dict[str, int] = {}
        self.together = together
        self.answer = answer or connack()
        self.most = most
        self.server = HostileBroker()
        self.server.turn(self._serve, after=False)
        self.url = f"mqtt://127.0.0.1:{self.server.port}"

    def of(self, kind: str) -> list[dict[str, object]]:
        return [body for name, body in list(self.got) if name == kind]

    def _serve(self, connection: Connection) -> None:
        connection.send(self.answer)
        connection.sock.settimeout(0.05)
        packets = 0
        held = bytearray()
        while packets < self.most and not connection.over.is_set():
            try:
                first, body = connection.read()
            except TimeoutError:
                continue
            packets += 1
            if first & 0xF0 == 0x30:
                at = 2 + struct.unpack("!H", body[:2])[0]
                kind = body[2:at].decode().rpartition("/")[2]
                self.got.append((kind, decode(body[at + 3 + body[at + 2] :])))
                reason = bytes([self.reasons.get(kind, 0)])
                answer = packet(0x40, body[at : at + 2] + reason + b"\0")
                if kind == "finding":
                    self.at.append(time.monotonic())
                    held += answer
                    if len(self.at) < self.together:
                        continue
                    answer = bytes(held)
                    held.clear()
                connection.send(answer)
        time.sleep(0.05)
