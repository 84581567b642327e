# SPDX-License-Identifier: Apache-2.0
"""A broker that means harm: raw MQTT bytes from a plain socket on 127.0.0.1.

Section numbers are of MQTT 5.0 (OASIS, 2019). An attack gets the connection behind CONNECT (and,
where `after` is true, behind a good CONNACK) and does with it as it likes.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

FULL = b"\xff\xff\xff\x7f"  # the largest remaining length, 256 MB (section 1.5.5)
BLOCK = bytes(65536)


def varint(number: int) -> bytes:
    """Variable byte integer, section 1.5.5."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def packet(first: int, body: bytes = b"") -> bytes:
    return bytes([first]) + varint(len(body)) + body


def connack(properties: bytes = b"", code: int = 0, session_present: int = 0) -> bytes:
    """Section 3.2."""
    return packet(0x20, bytes([session_present, code]) + varint(len(properties)) + properties)


def publish(qos: int, topic: bytes = b"t", properties: bytes = b"", payload: bytes = b"x") -> bytes:
    """Section 3.3, retained."""
    number = b"\0\7" if qos else b""
    name = struct.pack("!H", len(topic)) + topic
    return packet(0x31 | qos << 1, name + number + varint(len(properties)) + properties + payload)


def text(identifier: int, value: bytes) -> bytes:
    """A property that is a string: 0x1F reason string, 0x12 assigned client id."""
    return bytes([identifier]) + struct.pack("!H", len(value)) + value


def user_properties(count: int) -> bytes:
    return (b"\x26" + b"\0\1k" + b"\0\1v") * count


FORGED = text(0x1F, b'x"\nalgwatch: all is well\x1b[2J')


class Connection:
    """The means of an attack: a socket, what the client sent, and whether the attack is over."""

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        self.sock = sock
        self.over = over
        self.level = 0  # of the protocol, from CONNECT
        self.packets: list[tuple[float, int]] = []  # (monotonic seconds, first byte)
        self.acknowledged = 0
        self._buffer = b""

    def read(self) -> tuple[int, bytes]:
        """The client's next packet. OSError when there is none in time."""
        while True:
            size, at = 0, 1
            while at < len(self._buffer):
                size |= (self._buffer[at] & 127) << 7 * (at - 1)
                at += 1
                if self._buffer[at - 1] < 128:
                    if len(self._buffer) >= at + size:
                        first, body = self._buffer[0], self._buffer[at : at + size]
                        self._buffer = self._buffer[at + size :]
                        self.packets.append((time.monotonic(), first))
                        if first == 0x10:
                            self.level = body[6]
                        return first, body
                    break
            data = self.sock.recv(65536)
            if not data:
                raise OSError("closed")
            self._buffer += data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def flood(self, data: bytes) -> None:
        """Without an end, as fast as the client reads."""
        block = data * max(1, 65536 // len(data))
        while not self.over.is_set():
            self.sock.sendall(block)

    def drip(self, data: bytes, pause: float) -> None:
        for byte in data:
            if self.over.is_set():
                return
            self.sock.sendall(bytes([byte]))
            time.sleep(pause)

    def hold(self) -> None:
        """Read, answer nothing."""
        with suppress(TimeoutError):
            while not self.over.is_set():
                self.read()

    def polite(self) -> None:
        """Acknowledge as a broker should, until the attack."""
        while not self.over.is_set():
            with suppress(TimeoutError):
                first, body = self.read()
                if first & 0xF0 == 0x30:
                    at = 2 + struct.unpack("!H", body[:2])[0]
                    self.send(packet(0x40, body[at : at + 2]))
                    self.acknowledged += 1
                elif first == 0xC0:
                    self.send(packet(0xD0))

    def reset(self) -> None:
        """RST, as an injected one."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Attack = Callable[[Connection], object]


class HostileBroker:
    """Polite until `attack` is set; then each connection meets it.

    after: the attack begins behind a good CONNACK, otherwise in place of it. context: TLS.
    raw: the attack gets the TCP connection, before TLS and CONNECT."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.attack: Attack | None = None
        self.after = True
        self.raw = False
        self.connections: list[Connection] = []
        self.times: list[float] = []  # monotonic seconds of each connection
        self._context = context
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def acknowledged(self) -> int:
        """Reports, in all connections."""
        return sum(connection.acknowledged for connection in self.connections)

    def turn(self, attack: Attack | None, after: bool = True, raw: bool = False) -> None:
        """From now on hostile (None: polite); the connections so far end."""
        self.attack, self.after, self.raw = attack, after, raw
        self._over.set()
        self._over = threading.Event()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._over.set()
        for connection in self.connections:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.times.append(time.monotonic())
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        attack, over = self.attack, self._over
        with suppress(OSError):
            if attack is not None and self.raw:
                connection = Connection(sock, over)
                self.connections.append(connection)
                attack(connection)
                return
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            connection = Connection(sock, over)
            self.connections.append(connection)
            sock.settimeout(10)
            connection.read()
            if attack is None or self.after:
                connection.send(connack() if connection.level == 5 else packet(0x20, b"\0\0"))
            sock.settimeout(0.05)
            if attack is None:
                connection.polite()
            else:
                sock.settimeout(5)
                attack(connection)
        with suppress(OSError):
            sock.close()


def flood(data: bytes) -> Attack:
    return lambda connection: connection.flood(data)


def once(data: bytes) -> Attack:
    """Send it once, and then read without an answer."""

    def attack(connection: Connection) -> None:
        connection.send(data)
        connection.hold()

    return attack


def answered(answer: bytes) -> Attack:
    """A CONNACK of this kind, and then all that a good broker does."""

    def attack(connection: Connection) -> None:
        connection.send(answer if connection.level == 5 else packet(0x20, b"\0\0"))
        connection.sock.settimeout(0.05)
        connection.polite()

    return attack


def endless(head: bytes) -> Attack:
    def attack(connection: Connection) -> None:
        connection.send(head)
        connection.flood(BLOCK)

    return attack


def noise(connection: Connection) -> None:
    while not connection.over.is_set():
        connection.send(os.urandom(65536))


def acknowledge_with(properties: bytes) -> Attack:
    """Every PUBACK with these properties."""

    def attack(connection: Connection) -> None:
        while not connection.over.is_set():
            first, body = connection.read()
            if first & 0xF0 == 0x30:
                at = 2 + struct.unpack("!H", body[:2])[0]
                tail = b"\0" + varint(len(properties)) + properties
                connection.send(packet(0x40, body[at : at + 2] + tail))
                connection.acknowledged += 1

    return attack


def drip(data: bytes, pause: float = 0.1) -> Attack:
    return lambda connection: connection.drip(data, pause)


# name: (attack, behind a good CONNACK, what the agent must say of it, a regular expression)
ATTACKS: dict[str, tuple[Attack, bool, str]] = {
    # Size (sections 1.5.5 and 3.1.2.11.4)
    "one PUBLISH of 256 MB": (endless(b"\x30" + FULL), True, "bytes long"),
    "one PUBACK of 256 MB": (endless(b"\x40" + FULL), True, "bytes long"),
    "PUBLISH of 20 kB without an end": (flood(publish(0, payload=bytes(20000))), True, "long"),
    "a remaining length without an end": (flood(b"\x30" + b"\xff" * 999), True, "no length"),
    "DISCONNECT with 200 kB of user properties": (
        once(packet(0xE0, b"\x00" + varint(210000) + user_properties(30000))), True, "long"),
    "PUBACK with 1 MB of user properties": (
        acknowledge_with(user_properties(150000)), True, "bytes long"),
    # Floods of what nobody asked for
    "PUBLISH, QoS 0": (flood(publish(0)), True, "did not ask"),
    "PUBLISH, QoS 1": (flood(publish(1)), True, "did not ask"),
    "PUBLISH, QoS 2": (flood(publish(2)), True, "did not ask"),
    "PUBLISH, QoS 2, other ids": (
        flood(b"".join(packet(0x34, b"\0\1t" + struct.pack("!H", n) + b"\0x")
                       for n in range(1, 5000))), True, "did not ask"),
    "PUBLISH, QoS 3": (flood(packet(0x36, b"\0\1t\0\1\0x")), True, "did not ask"),
    "PUBLISH with a topic alias": (
        flood(publish(0, b"", b"\x23\0\1")), True, "did not ask"),
    "PUBLISH, 4 kB of user properties": (
        flood(publish(1, properties=user_properties(570))), True, "did not ask"),
    "PUBACK of other ids": (flood(packet(0x40, b"\xf0\0")), True, "PUBACK"),
    "PUBREC": (flood(packet(0x50, b"\xf0\0")), True, "PUBREC"),
    "PUBREL": (flood(packet(0x62, b"\xf0\0")), True, "PUBREL"),
    "PUBCOMP": (flood(packet(0x70, b"\xf0\0")), True, "PUBCOMP"),
    "SUBACK": (flood(packet(0x90, b"\xf0\0\0\0")), True, "SUBACK"),
    "UNSUBACK": (flood(packet(0xB0, b"\xf0\0\0\0")), True, "UNSUBACK"),
    "PINGRESP": (flood(packet(0xD0)), True, "PINGRESP"),
    "AUTH": (flood(packet(0xF0, b"\x18\0")), True, "AUTH"),
    "CONNACK again and again": (flood(connack()), True, "CONNACK"),
    "SUBSCRIBE, as a client does": (flood(packet(0x82, b"\0\1\0\0\1#\0")), True, "SUBSCRIBE"),
    "the reserved type": (flood(b"\0\0"), True, "packet type 0"),
    # Malformed, slow, mute
    "noise": (noise, True, ""),
    "PUBACK without an id": (flood(packet(0x40)), True, "malformed"),
    "PINGRESP with a body": (flood(packet(0xD0, b"x")), True, "malformed"),
    "a PUBLISH a byte at a time": (drip(packet(0x30, bytes(4000))), True, "slow"),
    "acknowledges nothing": (lambda connection: connection.hold(), True, "acknowledge"),
    "reads nothing": (lambda connection: bool(connection.over.wait(60)), True, "acknowledge"),
    "reset behind CONNACK": (lambda connection: connection.reset(), True, "lost"),
    "DISCONNECT whose reason forges a line": (
        once(packet(0xE0, b"\x8b" + varint(len(FORGED)) + FORGED)), True, "shutting down"),
    # In place of a good CONNACK
    "reset at CONNECT": (lambda connection: connection.reset(), False, "reset"),
    "no answer to CONNECT": (lambda connection: connection.hold(), False, "no answer"),
    "CONNACK of 256 MB": (endless(b"\x20" + FULL), False, "bytes long"),
    "CONNACK with 60 kB of user properties": (
        answered(connack(user_properties(8500))), False, "bytes long"),
    "CONNACK a byte at a time": (drip(connack(user_properties(500))), False, "CONNACK"),
    "CONNACK with properties past its end": (
        answered(packet(0x20, b"\0\0\x7f\x26\0\1k")), False, "malformed"),
    "CONNACK with an unknown property": (answered(connack(b"\x7e\0")), False, "malformed"),
    "CONNACK with a property twice": (
        answered(connack(b"\x21\0\5\x21\0\5")), False, ""),
    "CONNACK with a string that is no UTF-8": (
        answered(connack(text(0x1F, b"\xff\xfe\xed\xa0\x80"))), False, ""),
    "CONNACK with an unknown reason": (answered(connack(code=0xFE)), False, ""),
    "CONNACK that refuses with a forged line": (
        once(connack(FORGED, 0x87)), False, "refused"),
    "CONNACK with Receive Maximum 0": (
        answered(connack(b"\x21\0\0")), False, "Receive Maximum 0|malformed"),
    "CONNACK with Maximum Packet Size 20": (
        answered(connack(b"\x27\0\0\0\x14")), False, "packets of at most 20 bytes"),
    "CONNACK with Maximum QoS 0": (answered(connack(b"\x24\0")), False, "QoS"),
    "PUBLISH before CONNACK": (flood(publish(0)), False, "PUBLISH before CONNACK"),
    "AUTH before CONNACK": (flood(packet(0xF0, b"\x18\0")), False, "AUTH"),
}  # fmt: skip

# Odd, and not wrong: reports are published all the same.
ODD: dict[str, tuple[Attack, bool]] = {
    "session present": (answered(connack(session_present=1)), False),
    "Receive Maximum 1": (answered(connack(b"\x21\0\1")), False),
    "Server Keep Alive 1": (answered(connack(b"\x13\0\1")), False),
    "Server Keep Alive 0": (answered(connack(b"\x13\0\0")), False),
    "Topic Alias Maximum 65535": (answered(connack(b"\x22\xff\xff")), False),
    "another client id": (answered(connack(text(0x12, b"somebody"))), False),
    "user properties": (answered(connack(user_properties(500))), False),
    "user properties in PUBACK": (acknowledge_with(user_properties(500)), True),
}
