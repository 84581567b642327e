# SPDX-License-Identifier: Apache-2.0
"""Owner: a program on the router with its own SIP port."""

from __future__ import annotations

UDP, TCP = "UDP", "TCP"


class Owner:
    """proto: UDP or TCP (it listens). host: its address as text, "" for every address of the
    router. port: number. device: the interface of this address, "" if host is empty or the device
    is not known. program: its name, "" without permission to know it."""

    __slots__ = ("device", "host", "port", "program", "proto")

    def __init__(self, proto: str, host: str, port: int, device: str = "",
                 program: str = "") -> None:  # fmt: skip
        self.proto = proto
        self.host = host
        self.port = port
        self.device = device
        self.program = program

    @property
    def place(self) -> tuple[str, str, int]:
        return self.proto, self.host, self.port

    def __str__(self) -> str:
        """As "asterisk has UDP port 5060 of every address"."""
        where = self.host or "every address"
        return f"{self.program or 'a program'} has {self.proto} port {self.port} of {where}"
