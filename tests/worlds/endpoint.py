# SPDX-License-Identifier: Apache-2.0
"""An endpoint on paper: transactions, and one dialog a call (RFC 3261 sections 9 to 17)."""

from __future__ import annotations

from craft import LADDER_2XX, LADDER_INVITE, LADDER_REQUEST, answer, sdp

from worlds.client import GIVE_UP, RINGS, WHO, Client
from worlds.talk import Talk
from worlds.text import Place, Text, plain

NOT_MINE = 481
PROVE = 'WWW-Authenticate: Digest realm="example.net", nonce="1"'


def is_of(talk: Talk | None, text: Text) -> bool:
    """The dialog is that of the request."""
    return talk is not None and text.tags == (talk.far_tag, talk.tag)


class Endpoint(Client):
    """The server half (UAS): what it does with the messages that come."""

    def heard(self, raw: bytes, source: Place, port: int) -> None:
        if port != self.here[1] or not raw.strip():
            return  # nobody listens there, or a keep-alive
        text = Text(plain(raw))
        if int(text["Content-Length"]) > len(text.body):  # RFC 3261 section 18.3
            if not text.status and text.method != "ACK":
                self.send(answer(400, text.raw, to_tag="cut"), self.way_back(text, source))
        elif text.status:
            self._response(text, source)
        else:
            self._request(text, source)

    def _request(self, text: Text, source: Place) -> None:
        talk = self.talk(text)
        back = self.way_back(text, source)
        foreign = self.strict_uri and text.uri != self.contact
        same = is_of(talk, text)
        if text.method in ("INVITE", "REGISTER", "SUBSCRIBE") and self._unproven(text):
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
            known = talk is not None and (talk.waits or self.plan(talk).gives_up)
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
        elif text.method == "PRACK":
            known = same and not foreign
            media = sdp(self.contact[0]) if known and text.body else b""
            self.send(answer(200 if known else NOT_MINE, text.raw, body=media), back)
            if talk is not None and known and not talk.proven:
                talk.proven = True
                if (plan := self.plan(talk)).early and plan.early_near == talk.near:
                    talk.cseq += 1
                    self._update(talk, talk, talk.cseq)
                self._rings(talk, text, back)
        elif text.method in ("UPDATE", "OPTIONS", "INFO"):
            self._in_call(talk, text, back, same and not foreign)

    def _in_call(self, talk: Talk | None, text: Text, back: Place, same: bool) -> None:
        """UPDATE, OPTIONS and INFO. same: inside a dialog of its own."""
        rung = talk is not None and text.tags[0] in talk.rung and text.tags[1] == talk.tag
        known = same or rung or not text.tags[1]
        refusal = self._refusal(talk, text) if talk is not None and known else None
        if refusal is not None:
            self.send(refusal, back)
            return
        more = self._contact() if text.method == "UPDATE" else ""
        timed = self._timed(talk) if talk is not None and known and more else []
        media = sdp(self.contact[0]) if known and text.body else b""
        self.send(answer(200 if known else NOT_MINE, text.raw, contact=more, more=timed,
                         body=media), back)  # fmt: skip

    def _refusal(self, talk: Talk, text: Text) -> bytes | None:
        """What a plan means to be refused, once where it is asked once more."""
        plan = self.plan(talk)
        if not plan.refuses or text.method not in ("INVITE", "UPDATE"):
            return None
        talk.refused += 1
        if plan.retries and talk.refused > 1:
            return None
        more = {422: ["Min-SE: 90"], 405: ["Allow: INVITE, ACK, BYE, CANCEL"]}
        return answer(plan.refuses, text.raw, more=more.get(plan.refuses, ()))

    def forsake(self, talk: Talk) -> None:
        if talk.invite is None:
            super().forsake(talk)
        elif talk.waits:
            invite = talk.invite
            self._decline(talk, invite, self.way_back(invite, talk.source), 500)

    def talk(self, text: Text) -> Talk | None:
        """The dialog of a request, or that of its INVITE."""
        talk = self.talks.get(text.call_id)
        return None if talk is None else talk.forks.get(text.tags[1], talk)

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
        talk.far, talk.source = text.caller, source
        uri, to, talk.route = self.reach(text, source)
        talk.aim(uri, to)
        plan = self.plan(talk)
        talk.near = self.near and not plan.house
        if plan.busy:
            self._decline(talk, text, back, 486)
            return
        talk.waits = True
        if self.trying:
            self.send(answer(100, text.raw), back)
        media = sdp(self.contact[0]) if self.rings_with == 183 or plan.offers else b""
        proof = ["Require: 100rel", "RSeq: 1"] if plan.reliable else []
        status = 183 if plan.offers else self.rings_with
        talk.answer = answer(status, text.raw, to_tag=talk.tag, contact=self._contact(),
                             more=[*self._recorded(), *proof], body=media)  # fmt: skip
        if plan.reliable:
            self._ring_reliably(talk, text, back)
        else:
            self.send(talk.answer, back)
            self._rings(talk, text, back)
        if plan.forks:
            self._fork(talk, text, back)

    def _fork(self, talk: Talk, text: Text, back: Place) -> None:
        """Another callee of a forking proxy rings, and may answer as well."""
        fork = talk.fork(f"{talk.tag}-b", talk.far_tag)
        talk.forks[fork.tag] = fork
        self.clock.after(0.1, lambda: self.send(answer(
            self.rings_with, text.raw, to_tag=fork.tag, contact=self._contact(),
            more=self._recorded()), back))  # fmt: skip
        if self.plan(talk).late:
            self.clock.after(RINGS + 0.2, lambda: self._take(fork, text, back))

    def _ring_reliably(self, talk: Talk, text: Text, back: Place) -> None:
        """Until the PRACK comes (RFC 3262 section 3)."""
        for after in (0, *LADDER_INVITE):
            self.clock.after(after, lambda: None if talk.proven or not talk.waits
                             else self.send(talk.answer, back))  # fmt: skip

        def give_up() -> None:
            if not talk.proven and talk.waits:
                talk.fault = "no PRACK"
                self._decline(talk, text, back, 504)

        self.clock.after(GIVE_UP, give_up)

    def _rings(self, talk: Talk, text: Text, back: Place) -> None:
        """Until it is answered, or cancelled."""
        invite = talk.invite or text
        if self.plan(talk).gives_up:
            self.clock.after(60, lambda: self._rings_on(talk))
        else:
            self.clock.after(RINGS, lambda: self._take(talk, invite, back))

    def _timed(self, talk: Talk) -> list[str]:
        """Header lines of a 2xx that agrees on a session timer."""
        plan = self.plan(talk)
        if not plan.timer:
            return []
        talk.refreshed = self.clock.now
        by = "uac" if talk.lives else ""
        return [self.timed(talk, by), "Require: timer"]

    def _recorded(self) -> list[str]:
        return [f"Record-Route: {self.record}"] if self.record else []

    def _rings_on(self, talk: Talk) -> None:
        if talk.waits:
            talk.fault = "rings on"

    def _invited_again(self, talk: Talk, text: Text, source: Place, back: Place) -> None:
        uri, to, _ = self.reach(text, source)
        talk.asked = text.cseq
        refusal = self._refusal(talk, text)
        if refusal is not None:
            self._repeat(talk, text, back, refusal, LADDER_REQUEST)
            return
        talk.aim(uri, talk.to if talk.route else to)
        self._take(talk, text, back)

    def _take(self, talk: Talk, text: Text, back: Place) -> None:
        """Answer with a 2xx, until its ACK comes (section 13.3.1.4)."""
        talk.waits = False
        told = self.plan(talk).offers and not talk.lives  # in the reliable 183
        raw = answer(200, text.raw, to_tag=talk.tag, contact=self._contact(),
                     body=b"" if told else sdp(self.contact[0]),
                     more=[*self._recorded(), *self._timed(talk)])  # fmt: skip
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
