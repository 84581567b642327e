# SPDX-License-Identifier: Apache-2.0
"""An endpoint on paper: transactions, and one dialog a call (RFC 3261 sections 9 to 17)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from craft import LADDER_2XX, LADDER_INVITE, LADDER_REQUEST, answer, request, sdp

from worlds.router import Clock
from worlds.talk import Plan, Talk
from worlds.text import Place, Text

GIVE_UP = 32.0  # Timers B, F, H and the wait for the ACK of a 2xx
RINGS = 2.0
NOT_MINE = 481
WHO = "Authorization: Digest username=me"
PROVE = 'WWW-Authenticate: Digest realm="example.net", nonce="1"'


class Asked:
    """A request that waits for its final response. rings: a provisional one came."""

    def __init__(self, text: Text, to: Place, then: Callable[[Text], None],
                 gone: Callable[[], None]) -> None:  # fmt: skip
        self.text, self.to, self.then, self.gone = text, to, then, gone
        self.heard = self.rings = False


class Endpoint:
    """name: the user part; far: that of the other end. near: it is the phone. here: host and port.
    plans: by the first letters of a Call-ID, of which the router may change the rest. strict_via:
    a response with another Via is not its own; strict_uri: nor is a request inside a call with
    another Request-URI than its Contact. challenges: it wants to know who asks. record: its
    Record-Route. once: it sends a request once; patience: s that it waits for a response. trying:
    it sends 100; rings_with: the status that follows. sends_to: callers go there with a 302."""

    strict_via = strict_uri = rport = True
    near = challenges = False
    record = ""
    once = trying = False
    patience = GIVE_UP
    rings_with = 180
    sends_to: Place | None = None

    def __init__(self, clock: Clock, name: str, far: str, here: Place,
                 plans: dict[str, Plan]) -> None:  # fmt: skip
        self.clock, self.name, self.far, self.here, self.plans = clock, name, far, here, plans
        self.talks: dict[str, Talk] = {}
        self._asked: list[Asked] = []
        self._number = count(1)

    # ---- what each end does in its own way ----

    def send(self, raw: bytes, to: Place) -> None:
        raise NotImplementedError

    @property
    def contact(self) -> Place:
        return self.here

    @property
    def sent_by(self) -> Place:
        return self.here

    def way_back(self, asked: Text, source: Place) -> Place:
        """Where a response goes (RFC 3261 section 18.2.2, RFC 3581)."""
        return source if asked.asks_rport else (source[0], asked.sent_by[1])

    def reach(self, text: Text, source: Place) -> tuple[Place, Place, str]:
        """Of the other end's Contact: Request-URI of requests in the dialog, where they go, and
        their Route."""
        return text.contact, text.contact, ""

    # ---- requests ----

    def made(self, method: str, call_id: str, tags: tuple[str, str], uri: Place, cseq: int,
             more: tuple[str, ...] = ()) -> Text:  # fmt: skip
        host, port = self.sent_by
        there = f"<sip:{self.far}@example.net>" + (f";tag={tags[1]}" if tags[1] else "")
        if method == "REGISTER":
            there = f"<sip:{self.name}@example.net>"
        if method == "INVITE" and self.record:
            more = (*more, f"Record-Route: {self.record}")
        return Text(request(
            method, f"sip:{self.far}@{uri[0]}:{uri[1]}", via=f"{host}:{port}",
            branch=f"z9hG4bK-{self.name}-{next(self._number)}", call_id=call_id, cseq=cseq,
            caller=f"<sip:{self.name}@example.net>;tag={tags[0]}", callee=there,
            rport=self.rport, contact="" if method in ("ACK", "BYE") else self._contact(),
            body=sdp(self.contact[0]) if method == "INVITE" else b"", more=more,
        ))  # fmt: skip

    def inside(self, method: str, talk: Talk, cseq: int) -> Text:
        """A request of the dialog."""
        tags = talk.tag, talk.far_tag
        return self.made(method, talk.call_id, tags, talk.uri, cseq, talk.more)

    def _contact(self) -> str:
        host, port = self.contact
        return f"<sip:{self.name}@{host}:{port}>"

    def ask(self, text: Text, to: Place, then: Callable[[Text], None],
            gone: Callable[[], None]) -> Asked:  # fmt: skip
        """Send a request until it is answered, or Timer B or F (section 17.1)."""
        asked = Asked(text, to, then, gone)
        self._asked.append(asked)
        invites = text.method == "INVITE"
        ladder = LADDER_INVITE if invites else LADDER_REQUEST

        def quiet() -> bool:
            return asked.heard or (invites and asked.rings)

        for after in (0,) if self.once else (0, *ladder):
            if after < self.patience:
                self.clock.after(after, lambda: None if quiet() else self.send(text.raw, to))
        self.clock.after(self.patience, lambda: None if quiet() else gone())
        return asked

    def call(self, call_id: str, uri: Place, to: Place) -> None:
        talk = self.talks[call_id] = Talk(call_id, f"{self.name}-{call_id[:6]}")
        plan = self.plan(talk)

        def then(text: Text) -> None:
            meant = (plan.busy and text.status == 486) or (plan.gives_up and text.status == 487)
            talk.ended = meant
            talk.fault = "" if meant else f"refused with {text.status}"

        def gone() -> None:
            talk.fault = talk.fault or "unanswered"

        invite = self.made("INVITE", call_id, (talk.tag, ""), uri, 1)
        self.ask(invite, to, then, gone)
        if plan.gives_up:
            self.clock.after(2 * RINGS, lambda: self._cancel(talk))

    def plan(self, talk: Talk) -> Plan:
        return self.plans[talk.call_id[:4]]

    def _cancel(self, talk: Talk) -> None:
        """Of the INVITE that rings (section 9.1). Without a final response it is given up."""
        asked = next((a for a in self._asked if a.text.call_id == talk.call_id
                      and a.text.method == "INVITE" and not a.heard), None)  # fmt: skip
        if asked is None or not asked.rings:
            talk.fault = talk.fault or "unanswered"
            return
        head = asked.text.raw.split(b"\r\n\r\n")[0].decode().split("\r\n")
        keep = [line for line in head[1:]
                if line.startswith(("Via", "Max-", "From", "To", "Call-ID"))]  # fmt: skip
        raw = "\r\n".join([head[0].replace("INVITE", "CANCEL", 1), *keep,
                           f"CSeq: {asked.text.cseq} CANCEL", "Content-Length: 0"])  # fmt: skip

        def gone() -> None:
            talk.fault = talk.fault or "CANCEL unanswered"

        def refused(text: Text) -> None:
            if text.status >= 300:
                talk.fault = talk.fault or f"CANCEL refused with {text.status}"

        self.ask(Text(f"{raw}\r\n\r\n".encode()), asked.to, refused, gone)
        self.clock.after(GIVE_UP, lambda: None if asked.heard else asked.gone())

    # ---- what comes ----

    def heard(self, raw: bytes, source: Place, port: int) -> None:
        if port != self.here[1]:
            return  # nobody listens there
        text = Text(raw)
        if text.status:
            self._response(text, source)
        else:
            self._request(text, source)

    def _is_mine(self, asked: Text, text: Text) -> bool:
        same = asked.call_id == text.call_id and asked.cseq == text.cseq
        if not same or asked.method != text.method:
            return False
        return not self.strict_via or (asked.branch, asked.sent_by) == (text.branch, text.sent_by)

    def _response(self, text: Text, source: Place) -> None:
        asked = next((a for a in self._asked if self._is_mine(a.text, text)), None)
        if asked is None:
            return
        if text.status < 200:
            asked.rings = True
            return
        first, asked.heard = not asked.heard, True
        talk = self.talks.get(text.call_id)
        if asked.text.method == "INVITE" and talk is not None:
            if text.status < 300:
                talk.far_tag = talk.far_tag or text.tags[1]
                self._accepted(talk, asked.text, text, source)
                return
            self._acknowledge(asked, text, talk, source)
        if first and text.status == 401 and WHO.encode() not in asked.text.raw:
            self._prove(asked, talk)
        elif first and text.status == 302:
            self._prove(asked, talk, text.contact)
        elif first:
            asked.then(text)

    def _acknowledge(self, asked: Asked, text: Text, talk: Talk, source: Place) -> None:
        """Of a response that is no 2xx, with the branch of its INVITE (section 17.1.1.3)."""
        tags = talk.tag, text.tags[1]
        ack = self.made("ACK", text.call_id, tags, asked.text.uri, asked.text.cseq)
        self.send(ack.raw.replace(ack.branch.encode(), asked.text.branch.encode()), asked.to)

    def _prove(self, asked: Asked, talk: Talk | None, there: Place | None = None) -> None:
        """Ask once more, with a password; there: where a 302 sends it."""
        cseq = asked.text.cseq + 1
        if talk is not None:
            talk.cseq = cseq
        text = self.made(asked.text.method, asked.text.call_id, (asked.text.tags[0], ""),
                         there or asked.text.uri, cseq, (*asked.text.kept, WHO))  # fmt: skip
        self.ask(text, there or asked.to, asked.then, asked.gone)

    def _accepted(self, talk: Talk, asked: Text, text: Text, source: Place) -> None:
        """A 2xx, of the call or of a re-INVITE."""
        if asked.cseq not in talk.acks:
            uri, to, route = self.reach(text, source)
            talk.route = talk.route or ("" if talk.lives else route)
            talk.aim(uri, to)
            talk.acks[asked.cseq] = self.inside("ACK", talk, asked.cseq).raw
            if not talk.lives:
                talk.lives = True
                self._go_on(talk)
        self.send(talk.acks[asked.cseq], talk.to)

    def _request(self, text: Text, source: Place) -> None:
        talk = self.talks.get(text.call_id)
        back = self.way_back(text, source)
        foreign = self.strict_uri and text.uri != self.contact
        same = talk is not None and text.tags[0] == talk.far_tag and text.tags[1] == talk.tag
        if text.method == "INVITE" and self._unproven(text):
            self.send(answer(401, text.raw, to_tag="who", more=[PROVE]), back)
        elif text.method == "INVITE" and self.sends_to is not None and not text.tags[1]:
            host, port = self.sends_to
            moved = f"<sip:{self.name}@{host}:{port}>"
            self.send(answer(302, text.raw, to_tag="moved", contact=moved), back)
        elif text.method == "INVITE" and talk is None:
            if f"sip:{self.name}@" in text.start:
                self._invited(text, source, back)
            else:
                self.send(answer(404, text.raw, to_tag="none"), back)
        elif text.method == "INVITE" and talk is not None:
            if text.cseq == talk.asked:
                self.send(talk.answer, back)  # it came once more
            elif foreign or not same:
                self.send(answer(NOT_MINE, text.raw, to_tag="none"), back)
            else:
                self._invited_again(talk, text, source, back)
        elif text.method == "CANCEL":
            known = talk is not None and self.plan(talk).gives_up
            self.send(answer(200 if known else NOT_MINE, text.raw), back)
            if talk is not None and talk.waits and talk.invite is not None:
                self._decline(talk, talk.invite, back, 487)
        elif text.method == "ACK":
            if talk is not None and not foreign and text.tags[1] == talk.tag:
                self._acked(talk, text)
        elif text.method == "BYE":
            known = same and not foreign
            if talk is not None and known:
                talk.ended = True
            self.send(answer(200 if known else NOT_MINE, text.raw), back)
        elif text.method in ("UPDATE", "OPTIONS", "INFO"):
            known = (same and not foreign) or not text.tags[1]
            more = self._contact() if text.method == "UPDATE" else ""
            self.send(answer(200 if known else NOT_MINE, text.raw, contact=more), back)

    def _unproven(self, text: Text) -> bool:
        return self.challenges and not text.tags[1] and WHO.encode() not in text.raw

    def _acked(self, talk: Talk, text: Text) -> None:
        talk.acked.add(text.cseq)
        if text.cseq == talk.asked and not talk.ended and not talk.lives:
            talk.lives = True
            self._go_on(talk)

    def _invited(self, text: Text, source: Place, back: Place) -> None:
        talk = self.talks[text.call_id] = Talk(text.call_id, f"{self.name}-{text.call_id[:6]}")
        talk.far_tag, talk.asked, talk.invite = text.tags[0], text.cseq, text
        uri, to, talk.route = self.reach(text, source)
        talk.aim(uri, to)
        plan = self.plan(talk)
        if plan.busy:
            self._decline(talk, text, back, 486)
            return
        talk.waits = True
        if self.trying:
            self.send(answer(100, text.raw), back)
        media = sdp(self.contact[0]) if self.rings_with == 183 else b""
        talk.answer = answer(self.rings_with, text.raw, to_tag=talk.tag, contact=self._contact(),
                             more=self._recorded(), body=media)  # fmt: skip
        self.send(talk.answer, back)
        if plan.gives_up:
            self.clock.after(60, lambda: self._rings_on(talk))
        else:
            self.clock.after(RINGS, lambda: self._take(talk, text, back))

    def _recorded(self) -> list[str]:
        return [f"Record-Route: {self.record}"] if self.record else []

    def _rings_on(self, talk: Talk) -> None:
        if talk.waits:
            talk.fault = "rings on"

    def _invited_again(self, talk: Talk, text: Text, source: Place, back: Place) -> None:
        uri, to, _ = self.reach(text, source)
        talk.aim(uri, to)
        talk.asked = text.cseq
        self._take(talk, text, back)

    def _take(self, talk: Talk, text: Text, back: Place) -> None:
        """Answer with a 2xx, until its ACK comes (section 13.3.1.4)."""
        talk.waits = False
        raw = answer(200, text.raw, to_tag=talk.tag, contact=self._contact(),
                     body=sdp(self.contact[0]), more=self._recorded())  # fmt: skip
        self._repeat(talk, text, back, raw, LADDER_2XX)

        def give_up() -> None:
            if text.cseq not in talk.acked and not talk.ended:
                talk.fault = talk.fault or "no ACK"
                self._hang_up(talk)

        self.clock.after(GIVE_UP, give_up)

    def _decline(self, talk: Talk, text: Text, back: Place, status: int) -> None:
        talk.waits, talk.ended = False, True
        raw = answer(status, text.raw, to_tag=talk.tag)
        self._repeat(talk, text, back, raw, LADDER_REQUEST)

    def _repeat(self, talk: Talk, text: Text, back: Place, raw: bytes,
                ladder: tuple[float, ...]) -> None:  # fmt: skip
        talk.answer = raw
        over = talk.ended

        def send() -> None:
            if text.cseq not in talk.acked and talk.ended == over:
                self.send(raw, back)

        for after in (0, *ladder):
            self.clock.after(after, send)

    # ---- in the call, and its end ----

    def _go_on(self, talk: Talk) -> None:
        plan = self.plan(talk)
        if plan.again and plan.again_near == self.near:
            self.clock.after(plan.again, lambda: self._again(talk))
        if plan.near == self.near:
            self.clock.after(plan.after, lambda: None if talk.ended else self._hang_up(talk))

    def _again(self, talk: Talk) -> None:
        if talk.ended:
            return
        talk.cseq += 1

        def over(why: str) -> None:
            talk.fault = talk.fault or why
            if not talk.ended:
                self._hang_up(talk)

        method = self.plan(talk).method
        name = method.replace("INV", "re-INV")

        def then(text: Text) -> None:
            if text.status >= 300:
                over(f"{name} refused with {text.status}")

        self.ask(self.inside(method, talk, talk.cseq), talk.to, then,
                 lambda: over(f"{name} unanswered"))  # fmt: skip

    def _hang_up(self, talk: Talk) -> None:
        talk.cseq += 1

        def then(text: Text) -> None:
            talk.ended = True
            if text.status >= 300:
                talk.fault = talk.fault or f"BYE refused with {text.status}"

        def gone() -> None:
            talk.fault = talk.fault or "BYE unanswered"

        self.ask(self.inside("BYE", talk, talk.cseq), talk.to, then, gone)
