# SPDX-License-Identifier: Apache-2.0
"""What stands between the phones of a house and its router: a proxy, a PBX, another router."""

from __future__ import annotations

import random
import re

from craft import LADDER_INVITE, LADDER_REQUEST, answer

from worlds.ends import Phone
from worlds.router import Clock, Rewriter, Router
from worlds.text import Place, Text, plain

OWN = "z9hG4bK-lan-"


class LanProxy:
    """All phones reach their provider through it. here: its place; records: it adds a Record-Route;
    masks: it writes its own place into Contacts; renames: it is a back-to-back user agent, with
    Call-IDs and tags of its own, and (keeps) the branches of the phones; stateful: it repeats
    requests itself (RFC 3261 section 16.6).
    """

    def __init__(self, clock: Clock, router: Router, here: Place, phones: list[Phone],
                 rng: random.Random) -> None:  # fmt: skip
        self.clock, self.router, self.here, self.phones = clock, router, here, phones
        kind = rng.choice(["proxy", "proxy", "masks", "pbx", "pbx"])
        self.renames = kind == "pbx"
        self.masks = kind != "proxy"
        self.records = kind == "proxy" and rng.random() < 0.6
        self.stateful = kind != "pbx" and rng.random() < 0.5
        self.keeps = rng.random() < 0.4
        self._back: dict[str, Place] = {}  # by branch
        self._asked: dict[tuple[str, str], bytes] = {}  # by branch and method: the last response
        self._names: dict[str, str] = {}  # of the phones, by its own
        router.listen(here[0], self._heard)

    def from_phone(self, phone: Phone, raw: bytes, to: Place) -> None:
        """The phone sends, to its proxy."""
        text = Text(raw)
        target = to if text.status else self.phones[0].provider

        def came(raw: bytes, source: Place, port: int) -> None:
            self._on(text, source, target, outbound=True)

        if self.router.shows_switch:
            self.router.switch(raw, phone.here, self.here)
        self.clock.after(0.0002, lambda: came(raw, phone.here, self.here[1]))

    def _heard(self, raw: bytes, source: Place, port: int) -> None:
        if port != self.here[1] or not raw.strip() or source[0].startswith("192.168."):
            return  # a phone's own way is from_phone()
        text = Text(plain(raw))
        phone = self._phone_of(text)
        if phone is None:
            if not text.status and text.method != "ACK":
                self.router.send(answer(404, text.raw, to_tag="lan"), self.here, source)
            return
        self._on(text, source, phone.here, outbound=False)

    def _phone_of(self, text: Text) -> Phone | None:
        if text.status:
            back = self._back.get(text.branch)
            return next((p for p in self.phones if p.here == back), None)
        call_id = self._named(text.call_id)
        named = (p for p in self.phones if p.name == text.user)
        return next(named, next((p for p in self.phones if call_id in p.talks), None))

    def _on(self, text: Text, source: Place, target: Place, outbound: bool) -> None:
        if text.status:
            self._answered(text, target, outbound)
            return
        branch = text.branch if self.renames and self.keeps else OWN + text.branch
        key = branch, text.method
        if self.stateful and key in self._asked:
            if self._asked[key]:
                self._send(self._asked[key], source, not outbound)
            return
        if text.method == "ACK" and text.tags[1] == "lan":
            return
        self._back[branch] = source
        raw = self._forwarded(text, branch, outbound)
        if self.stateful and text.method not in ("ACK", "CANCEL"):
            self._asked[key] = b""
            invites = text.method == "INVITE"
            if invites:
                self._asked[key] = answer(100, text.raw)
                self._send(self._asked[key], source, not outbound)
            for after in LADDER_INVITE if invites else LADDER_REQUEST:
                self.clock.after(after, lambda: None if key not in self._waits
                                 else self._send(raw, target, outbound))  # fmt: skip
            self._waits.add(key)
            self.clock.after(32, lambda: self._waits.discard(key))
        self._send(raw, target, outbound)

    @property
    def _waits(self) -> set[tuple[str, str]]:
        """Requests of its own without any response."""
        return self.__dict__.setdefault("waits", set())

    def _forwarded(self, text: Text, branch: str, outbound: bool) -> bytes:
        via = f"Via: SIP/2.0/UDP {self.here[0]}:{self.here[1]};rport;branch={branch}"
        mine = f"sip:{self.here[0]}:{self.here[1]};lr"
        lines = [line for line in text.lines if not (line.startswith("Route: ") and mine in line)]
        if self.renames:
            self._back[f"{branch} via"] = self._back[branch]
            own = "\r\n".join(line for line in lines if line.startswith("Via: "))
            self._names[f"via {branch} {text.method}"] = own
            lines = [line for line in lines if not line.startswith("Via: ")]
        if self.records and text.method in ("INVITE", "SUBSCRIBE") and not text.tags[1]:
            via += f"\r\nRecord-Route: <{mine}>"
        start = text.start
        if not outbound and (self.masks or not text.uri[0].startswith("192.168.")):
            phone = self._phone_of(text)
            if phone is not None:
                host, port = phone.contact
                start = re.sub(r"sip:[^ ;>]+", f"sip:{phone.name}@{host}:{port}", start)
        head = "\r\n".join([start, via, *(self._line(line, outbound) for line in lines)])
        return head.encode() + b"\r\n\r\n" + text.body

    def _line(self, line: str, outbound: bool) -> str:
        """One header line, as the other side gets it."""
        if line.startswith("Contact: ") and outbound and self.masks:
            line = re.sub(r"@[^;>]+", f"@{self.here[0]}:{self.here[1]}", line)
        if not self.renames:
            return line.replace("Max-Forwards: 70", "Max-Forwards: 69")
        if line.startswith("Call-ID: "):
            name = line[9:]
            other = self._renamed(name) if outbound else self._named(name)
            return f"Call-ID: {other}"
        if line.startswith(("From: ", "To: ")):
            return re.sub(r";tag=([^;>\s]+)", lambda tag: f";tag={self._tag(tag[1])}", line)
        return line

    def _tag(self, tag: str) -> str:
        """Each tag has another on the other side; what was made here is undone."""
        return tag[2:] if tag.startswith("B-") else f"B-{tag}"

    def _renamed(self, name: str) -> str:
        if name in self._names:
            return self._names[name]
        other = f"{name[:4]}-pbx{len(self._names)}@{self.here[0]}"
        self._names[name], self._names[other] = other, name
        return other

    def _named(self, name: str) -> str:
        return self._renamed(name) if self.renames else name

    def _answered(self, text: Text, target: Place, outbound: bool) -> None:
        """A response, on its way back."""
        key = text.branch, text.method
        back = self._back.get(text.branch)
        if back is None:
            return
        self._waits.discard(key)
        if self.renames:
            own = self._names.get(f"via {text.branch} {text.method}", "")
            lines = [own, *(line for line in text.lines if not line.startswith("Via: "))]
        else:
            first = next(line for line in text.lines if line.startswith("Via: "))
            lines = [line for line in text.lines if line != first]
        head = "\r\n".join([text.start, *(self._line(line, outbound) for line in lines)])
        raw = head.encode() + b"\r\n\r\n" + text.body
        if self.stateful:
            if text.status == 100:
                return
            if (key in self._asked and text.status < 300) or text.method != "INVITE":
                self._asked[key] = raw
        self._send(raw, back, outbound)

    def _send(self, raw: bytes, to: Place, outbound: bool) -> None:
        if outbound:
            self.router.send(raw, self.here, to)
        elif self.router.shows_switch:
            self.router.switch(raw, self.here, to)
        else:
            self.router.send(raw, self.here, to)  # to the LAN: the switch


class Inner:
    """Another router, between one phone and this one. here: its address on this LAN."""

    def __init__(self, clock: Clock, router: Router, phone: Phone, here: Place,
                 alg: tuple[Rewriter, Rewriter]) -> None:  # fmt: skip
        self.clock, self.router, self.phone, self.here = clock, router, phone, here
        self.outs, self.ins = alg
        self._known: set[Place] = set()
        router.listen(here[0], self._heard)

    def send(self, raw: bytes, to: Place) -> None:
        """The phone sends."""
        left = self.outs(raw)
        self._known.add(to)
        if left is not None:
            self.clock.after(0.0002, lambda: self.router.send(left, self.here, to))

    def _heard(self, raw: bytes, source: Place, port: int) -> None:
        come = self.ins(raw) if port == self.here[1] and source in self._known else None
        if come is not None:
            self.phone.heard(come, source, self.phone.here[1])
