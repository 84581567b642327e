# SPDX-License-Identifier: Apache-2.0
"""Decoys: a phone and a far end of the attacker's own, whose messages really cross. Beside each one
that matters goes another one that never crosses, so that the two sides first see different
ones: the router must not look as if it had made the one of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from craft import answer, sdp

from ..stage import Attempt, Stage, harmless, living
from ..wire import Address

NOWHERE = ("127.0.0.2", 5999)  # where the decoys go: no router sends them on


class Own:
    """The attacker's line. near: its phone; public: what the NAT makes of that; far: its far end,
    on a port that no helper looks at."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.near: Address = (stage.lan_host, 5062)
        self.public: Address = (stage.draw.wan_ip, 5062)
        self.far: Address = (stage.wan_host, 5999)
        self.ident = stage.chance.randrange(1, 30000)

    def out(self, payload: bytes, to: Address | None = None) -> None:
        self.ident += 1
        self.stage.sent += 1
        self.stage.lan.udp(self.near, to or self.far, payload, ident=self.ident)

    def into(self, payload: bytes) -> None:
        self.ident += 1
        self.stage.sent += 1
        self.stage.lan.arp(self.near[0], self.stage.draw.router_ip)
        self.stage.wait(0.02)
        self.stage.wan.udp(self.far, self.public, payload, ttl=60, ident=self.ident)

    def request(self, method: str, **how: Any) -> bytes:
        contact = f"<sip:x@{self.near[0]}:{self.near[1]}>"
        return self.stage.request(method, *self.near, contact=contact, **how)

    def answers(self, status: int, asked: bytes, **how: Any) -> None:
        """The far end answers a request of the phone."""
        self.into(answer(status, asked, received=self.public[0], rport=self.public[1], **how))

    def works(self) -> None:
        """A call to the phone with its private Contact, which lives: nothing needs an ALG here."""
        name = self.stage.token()
        caller, callee = f"<sip:far@x>;tag={name}", f"<sip:near@x>;tag=n{name}"
        ids: dict[str, Any] = {
            "call_id": name, "contact": "", "uri": f"sip:near@{self.public[0]}:{self.public[1]}",
        }  # fmt: skip
        asked = self.stage.request("INVITE", *self.far, caller=caller, callee="<sip:near@x>", **ids)
        self.into(asked)
        self.stage.wait(0.2)
        contact = f"<sip:near@{self.near[0]}:{self.near[1]}>"
        offer = sdp(self.near[0])
        self.out(answer(200, asked, to_tag=f"n{name}", contact=contact, body=offer))
        for method, cseq in (("ACK", 1), ("BYE", 2)):
            self.stage.wait(0.3)
            made = self.stage.request(
                method, *self.far, caller=caller, callee=callee, cseq=cseq, **ids
            )
            self.into(made)
        self.out(answer(200, made))


def _ack(own: Own) -> None:
    """Each 2xx gets two ACKs: the right one goes nowhere, the one that crosses is addressed
    wrongly."""
    stage, name = own.stage, own.stage.token()
    caller = f"<sip:near@x>;tag={name}"
    asked = own.request("INVITE", call_id=name, caller=caller)
    own.out(asked)
    target = f"sip:far@{own.far[0]}:{own.far[1]}"
    for pause in (0.4, 0.5, 1.0, 2.0):
        stage.wait(pause)
        own.answers(200, asked, to_tag=f"f{name}", contact=f"<{target}>")
        callee = f"<sip:x{name}@{stage.draw.domain}>;tag=f{name}"
        for uri, to in ((target, NOWHERE), (f"sip:nobody@{own.far[0]}", None)):
            stage.wait(0.05)
            made = stage.request("ACK", *own.near, uri=uri, call_id=name, caller=caller,
                                 callee=callee, contact="")  # fmt: skip
            own.out(made, to)
    stage.wait(0.3)
    own.into(stage.request("BYE", *own.far, uri=f"sip:near@{own.public[0]}", call_id=name,
                           caller=callee, callee=caller, contact=""))  # fmt: skip


def _register(own: Own) -> None:
    """The REGISTER that goes nowhere asks for an hour, the one that crosses for a minute, which
    its registrar refuses as too brief."""
    stage, name = own.stage, own.stage.token()
    for cseq in range(1, 5):
        ids: dict[str, Any] = {"call_id": name, "branch": f"z9hG4bK{name}{cseq}", "cseq": cseq}
        own.out(own.request("REGISTER", more=["Expires: 3600"], **ids), NOWHERE)
        stage.wait(0.05)
        asked = own.request("REGISTER", more=["Expires: 60"], **ids)
        own.out(asked)
        stage.wait(0.2)
        own.answers(423, asked, more=["Min-Expires: 1800"])
        stage.wait(0.3)


def _attack(act: Callable[[Own], None]) -> Callable[[Stage], None]:
    def attack(stage: Stage) -> None:
        own = Own(stage)
        own.out(own.request("OPTIONS"))
        stage.wait(0.2)
        own.works()
        act(own)

    return attack


ATTEMPTS = [
    Attempt("decoy-ack", "lies", living, "the router has changed the ACK that it sent on",
            _attack(_ack), quick=True),
    Attempt("decoy-ack-beside-harmless", "lies", harmless, "the same beside a harmless ALG",
            _attack(_ack)),
    Attempt("decoy-register", "lies", living, "the router has changed the time of a registration",
            _attack(_register)),
]  # fmt: skip
