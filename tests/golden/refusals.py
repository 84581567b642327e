# SPDX-License-Identifier: Apache-2.0
"""One transaction that fails, in a house where everything else works: every method, from either
end, with every end that a transaction has, over UDP and TCP, seen on both sides or on one."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Finding
from algwatch.report.render.verdict import Verdict
from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Outgoing,
    Packet,
    analyzed,
    answer,
    one_sided,
    register,
    request,
    sized,
    tcp_frame,
)

PHONE, FAR = "phone", "far"
UNHEARD, STOPPED, HELD = "unheard", "stopped", "held"
"""No answer to a request that crossed; none to one that stays in the router; answers that came to
the router and not to the sender."""
OUTSIDE = ("OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "REGISTER", "REFER", "INVITE")
INSIDE = ("INFO", "UPDATE", "PRACK", "re-INVITE", "in REFER", "in MESSAGE", "in OPTIONS",
          "in NOTIFY", "BYE", "CANCEL")  # fmt: skip
SILENT = (UNHEARD, STOPPED, HELD)
REFUSED = (302, 401, 403, 404, 405, 481, 486, 488, 491, 503, 603)
AT = 20.0
BODIES = {"INFO": "application/dtmf-relay", "MESSAGE": "text/plain"}
MORE = {
    "SUBSCRIBE": ["Event: message-summary", "Expires: 3600"],
    "PUBLISH": ["Event: presence", "Expires: 3600"],
    "NOTIFY": ["Event: message-summary", "Subscription-State: active"],
    "REFER": ["Refer-To: <sip:400@example.net>"],
    "REGISTER": ["Expires: 120"],
    "PRACK": ["RAck: 1 1 INVITE"],
}


class Row(NamedTuple):
    """fate: one of SILENT, or a final status. late: seconds until it comes."""

    method: str
    by: str
    fate: str | int
    tcp: bool = False
    files: str = "both"
    late: float = 0.03

    def __str__(self) -> str:
        tcp = "tcp" if self.tcp else "udp"
        late = "" if self.late < 1 else " late"
        return f"{self.method} of {self.by}, {self.fate}{late}, {tcp}, {self.files}"


class Judged(NamedTuple):
    state: str
    findings: list[Finding]
    advice: list[Advice]
    why: list[str]
    next: str
    failures: dict[str, int]


def rows(method: str) -> Iterator[Row]:
    """Every end of this method, with each end as its sender. Over TCP or on one side alone, one
    refusal stands for all."""
    for by in (PHONE, FAR):
        if (method in ("REGISTER", "PUBLISH", "PRACK", "CANCEL") and by == FAR) or (
            method == "in NOTIFY" and by == PHONE
        ):
            continue
        for fate in (*SILENT, *REFUSED):
            yield Row(method, by, fate)
        yield Row(method, by, 200, late=20)
        for tcp, files in ((False, "lan"), (False, "wan"), (True, "both")):
            for fate in (*SILENT, 503):
                row = Row(method, by, fate, tcp, files)
                if is_seen(row):
                    yield row


def is_seen(row: Row) -> bool:
    """False for a failure on the other side of the router alone."""
    near, far = ("lan", "wan") if row.by == PHONE else ("wan", "lan")
    if row.fate == STOPPED:
        return row.files != far
    if row.fate == HELD:  # the same as UNHEARD, or over TCP a request and its response
        return row.files != near and (row.files != far or not row.tcp)
    return True


def house_of(row: Row) -> House:
    house = House()
    register(house, 0)
    Made(house, row).play()
    if row.method != "REGISTER":
        register(house, 90, n=2)
    other = House(phone="192.168.1.11", wan_port=40011)
    register(other, 1, n=11)
    register(other, 95, n=12)
    house.lan += other.lan
    house.wan += other.wan
    if row.tcp:
        house.lan, house.wan = _segments(house)
    return house


def judged(row: Row) -> Judged:
    lan, wan = house_of(row).sorted()
    if row.files == "both":
        pipeline, reports = analyzed(lan, wan, size=20, to_the_end=True)
    else:
        pipeline, reports = one_sided(lan if row.files == "lan" else wan)
    verdict = Verdict()
    for report in reports:
        verdict.feed(report)
    verdict.settle(pipeline.counts())
    latest = {one.key: one for one in reports if isinstance(one, Finding)}
    advice = [one for one in reports if isinstance(one, Advice)]
    return Judged(verdict.state, list(latest.values()), advice, verdict.why, verdict.next,
                  pipeline.failures)  # fmt: skip


class Made:
    """The failing transaction, and the call around it."""

    def __init__(self, house: House, row: Row) -> None:
        self.house, self.row = house, row
        self.method = row.method.removeprefix("in ").removeprefix("re-")
        self.ladder = LADDER_INVITE if self.method == "INVITE" else LADDER_REQUEST

    def play(self) -> None:
        name = self.row.method
        if name in OUTSIDE:
            self.fail(self._outside())
            return
        call = Outgoing(self.house, "call@phone")
        if name in ("PRACK", "CANCEL"):
            call.invite(AT - 2)
            call.respond(AT - 1.8, 180)
        else:
            call.set_up(AT - 10)
        made = self._inside(call)
        if name == "INFO" or name == "in MESSAGE":
            made = with_body(made, BODIES[self.method])
        self.fail(made)
        if name == "CANCEL":
            call.respond(AT + 45, 480)
            call.nak(AT + 45.02)
        elif name == "PRACK":
            call.ok(AT + 35)
            call.ack(AT + 35.02)
        if name not in ("BYE", "CANCEL"):
            bye = call._request("BYE", 9, "sip:300@203.0.113.5:5060", ";tag=f-call-phone")
            self.house.into(AT + 60.03, answer(200, self.house.out(AT + 60, bye)))

    def _outside(self) -> bytes:
        house, method = self.house, self.method
        own, uri = self._end(self.row.by == PHONE), f"sip:100@{house.public}"
        caller, contact = "<sip:300@example.net>;tag=f1", f"<sip:300@{house.provider}>"
        if self.row.by == PHONE:
            uri = "sip:300@example.net"
            caller, contact = "<sip:100@example.net>;tag=p1", house.contact
        made = request(
            method, uri, via=own, branch="z9hG4bKfails", call_id="reg1@192.168.1.10" if
            method == "REGISTER" else "fails@here", cseq=7, caller=caller,
            callee="<sip:100@example.net>" if method == "REGISTER" else f"<{uri}>",
            contact=contact if method in ("SUBSCRIBE", "REGISTER", "INVITE", "NOTIFY", "REFER")
            else "", more=MORE.get(method, []),
        )  # fmt: skip
        return with_body(made, BODIES[method]) if method in BODIES else made

    def _end(self, of_phone: bool) -> str:
        """sent-by"""
        house = self.house
        return f"{house.phone}:{house.port}" if of_phone else f"{house.provider}:5060"

    def _inside(self, call: Outgoing) -> bytes:
        method, more = self.method, MORE.get(self.method, [])
        if self.row.by == FAR:
            if method == "NOTIFY":
                more = ["Event: refer", "Subscription-State: active"]
            made = call.from_far(method, 5, more)
        elif method == "CANCEL":
            made = call._request("CANCEL", 1, "sip:300@example.net", "", branch="invite")
        else:
            made = call._request(
                method, 4, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                call.contact if method in ("INVITE", "UPDATE") else "",
                call.body if method == "INVITE" else b"", branch=f"x{method.lower()}",
            )  # fmt: skip
            for line in more:
                made = made.replace(b"Max-Forwards", line.encode() + b"\r\nMax-Forwards", 1)
        return made

    def fail(self, made: bytes) -> None:
        row, house = self.row, self.house
        out = row.by == PHONE
        send, reply = (house.out, house.into) if out else (house.into, house.out)
        far, near = ("wan", "lan") if out else ("lan", "wan")
        crosses = {far: row.fate != STOPPED}
        silent = row.fate in SILENT
        times = [0.0]
        if not row.tcp and (silent or row.late > 1):
            times += [t for t in self.ladder if silent or t < row.late]
        for after in times:
            seen = send(AT + after, made, **crosses)  # type: ignore[arg-type]
            if row.fate == HELD:
                reply(AT + after + 0.03, answer(200, seen, to_tag="x"), **{near: False})  # type: ignore[arg-type]
        if silent:
            return
        status = int(row.fate)
        more = {401: ['WWW-Authenticate: Digest realm="x", nonce="y"'],
                302: ["Contact: <sip:500@example.net>"]}.get(status, ())  # fmt: skip
        registered = row.method == "REGISTER" and status == 200
        contact = f"{house.contact};expires=120" if registered else ""
        reply(AT + row.late, answer(status, seen, to_tag="x", more=more, contact=contact))
        if status == 200 and self.method == "SUBSCRIBE":
            told = request(
                "NOTIFY", "sip:any@example.net", via=self._end(not out), branch="z9hG4bKtells",
                call_id="fails@here", cseq=1, caller="<sip:any@example.net>;tag=x",
                callee=f"<sip:any@example.net>;tag={'p1' if out else 'f1'}", more=MORE["NOTIFY"],
            )  # fmt: skip
            send(AT + row.late + 0.2, answer(200, reply(AT + row.late + 0.1, told)))
        if self.method == "INVITE":
            ack = made.replace(b"INVITE sip", b"ACK sip").replace(b" INVITE\r\n", b" ACK\r\n")
            if b";tag=x" not in ack and row.method == "INVITE":
                ack = ack.replace(b"\r\nCall-ID", b";tag=x\r\nCall-ID", 1)
            if status == 200:
                ack = ack.replace(b"branch=z9hG4bK", b"branch=z9hG4bKack")
            send(AT + row.late + 0.02, sized(ack.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"))


def with_body(made: bytes, kind: str) -> bytes:
    return made.replace(
        b"Content-Length: 0\r\n\r\n", b"Content-Type: %b\r\nContent-Length: 8\r\n\r\nSignal=5"
        % kind.encode()
    )  # fmt: skip


def _segments(house: House) -> tuple[list[Packet], list[Packet]]:
    """The same messages over TCP, one connection a phone."""
    ends: dict[tuple[int, bool], int] = {}
    given: dict[tuple[int, bytes, bool], int] = {}
    made: dict[str, list[Packet]] = {"lan": [], "wan": []}
    some = [(at, side, data) for side in made for at, data in getattr(house, side)]
    for at, side, data in sorted(some, key=lambda one: one[0]):
        src, dst = (str(ip_address(data[i : i + 4])) for i in (26, 30))
        sport, dport = (int.from_bytes(data[i : i + 2], "big") for i in (34, 36))
        outward = dst == house.provider
        phone = sport if outward else dport
        who = (phone, data[18:20], outward)
        payload = data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        if who not in given:
            given[who] = ends.get((phone, outward), 1000)
            ends[phone, outward] = given[who] + len(payload)
        one = tcp_frame(payload, src, sport, dst, dport, given[who],
                        int.from_bytes(data[18:20], "big"))  # fmt: skip
        made[side].append((at, one[:22] + data[22:23] + one[23:]))
    return made["lan"], made["wan"]
