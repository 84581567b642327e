# SPDX-License-Identifier: Apache-2.0
"""An endpoint on paper: transactions, and one dialog a call (RFC 3261 sections 12 to 17)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from craft import LADDER_2XX, LADDER_INVITE, LADDER_REQUEST, answer, request, sdp

from worlds.router import Clock
from worlds.text import Place, Text

GIVE_UP = 32.0  # Timers B, F and the wait for an ACK
NOT_MINE = 481


class Talk:
    """One call at one end. uri: the remote target; to: where requests of the dialog go. lives: the
    2xx, or its ACK, came; ended: by a BYE that was answered; fault: what went wrong instead."""

    def __init__(self, call_id: str, tag: str) -> None:
        self.call_id, self.tag = call_id, tag
        self.far_tag = ""
        self.uri = self.to = ("", 0)
        self.cseq = 1
        self.lives = self.ended = False
        self.fault = ""
        self.answer = self.ack = b""

    @property
    def lived(self) -> bool:
        return self.lives and self.ended and not self.fault


class Asked:
    """A request that waits for its final response."""

    def __init__(self, text: Text, then: Callable[[Text], None]) -> None:
        self.text, self.then = text, then
        self.heard = False


class Endpoint:
    """name: the user part; far: that of the other end. here: host and port. hangs_up: by Call-ID,
    seconds after which this end hangs up. strict_via: a response with another Via is not its own;
    strict_uri: nor is a request inside a call with another Request-URI than its Contact."""

    strict_via = strict_uri = True
    rport = True

    def __init__(self, clock: Clock, name: str, far: str, here: Place) -> None:
        self.clock, self.name, self.far, self.here = clock, name, far, here
        self.talks: dict[str, Talk] = {}
        self.hangs_up: dict[str, float] = {}
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

    def reach(self, contact: Place, source: Place) -> tuple[Place, Place]:
        """Request-URI of requests in a dialog, and where they go."""
        return contact, contact

    # ---- requests ----

    def made(self, method: str, call_id: str, tags: tuple[str, str], uri: Place, cseq: int,
             more: tuple[str, ...] = ()) -> Text:  # fmt: skip
        host, port = self.sent_by
        there = f"<sip:{self.far}@example.net>" + (f";tag={tags[1]}" if tags[1] else "")
        if method == "REGISTER":
            there = f"<sip:{self.name}@example.net>"
        return Text(request(
            method, f"sip:{self.far}@{uri[0]}:{uri[1]}", via=f"{host}:{port}",
            branch=f"z9hG4bK-{self.name}-{next(self._number)}", call_id=call_id, cseq=cseq,
            caller=f"<sip:{self.name}@example.net>;tag={tags[0]}", callee=there,
            rport=self.rport, contact=self._contact() if method not in ("ACK", "BYE") else "",
            body=sdp(self.contact[0]) if method == "INVITE" else b"", more=more,
        ))  # fmt: skip

    def _contact(self) -> str:
        host, port = self.contact
        return f"<sip:{self.name}@{host}:{port}>"

    def ask(self, text: Text, to: Place, then: Callable[[Text], None],
            gone: Callable[[], None]) -> None:  # fmt: skip
        """Send a request until it is answered, or Timer B or F (section 17.1)."""
        asked = Asked(text, then)
        self._asked.append(asked)
        ladder = LADDER_INVITE if text.method == "INVITE" else LADDER_REQUEST
        for after in (0, *ladder):
            self.clock.after(after, lambda: None if asked.heard else self.send(text.raw, to))
        self.clock.after(GIVE_UP, lambda: None if asked.heard else gone())

    def call(self, call_id: str, uri: Place, to: Place) -> None:
        talk = self.talks[call_id] = Talk(call_id, f"{self.name}-{call_id[:6]}")

        def then(text: Text) -> None:
            talk.fault = f"refused with {text.status}"

        def gone() -> None:
            talk.fault = "unanswered"

        self.ask(self.made("INVITE", call_id, (talk.tag, ""), uri, 1), to, then, gone)

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
        first, asked.heard = not asked.heard, True
        talk = self.talks.get(text.call_id)
        if asked.text.method == "INVITE" and talk is not None and text.status >= 200:
            talk.far_tag = text.tags[1]
            if text.status < 300:
                self._accepted(talk, asked.text, text, source)
                return
            raw = self.made("ACK", text.call_id, (talk.tag, talk.far_tag), asked.text.uri, 1).raw
            mine = Text(raw).branch.encode()
            self.send(raw.replace(mine, asked.text.branch.encode()), source)
        if text.status >= 200 and (first or asked.text.method == "INVITE"):
            asked.then(text)

    def _accepted(self, talk: Talk, asked: Text, text: Text, source: Place) -> None:
        if not talk.lives:
            talk.uri, talk.to = self.reach(text.contact, source)
            tags = talk.tag, talk.far_tag
            talk.ack = self.made("ACK", talk.call_id, tags, talk.uri, asked.cseq).raw
            talk.lives = True
            self._hang_up_later(talk)
        self.send(talk.ack, talk.to)

    def _request(self, text: Text, source: Place) -> None:
        talk = self.talks.get(text.call_id)
        back = self.way_back(text, source)
        foreign = self.strict_uri and text.uri != self.contact
        if text.method == "INVITE" and talk is None:
            if f"sip:{self.name}@" in text.start:
                self._invited(text, source, back)
            else:
                self.send(answer(404, text.raw, to_tag="none"), back)
        elif text.method == "INVITE" and talk is not None and talk.answer:
            self.send(talk.answer, back)  # it came once more
        elif text.method == "ACK":
            if talk is not None and not foreign and text.tags[1] == talk.tag and not talk.lives:
                talk.lives = True
                self._hang_up_later(talk)
        elif text.method == "BYE":
            known = talk is not None and text.tags == (talk.far_tag, talk.tag) and not foreign
            if talk is not None and known:
                talk.ended = True
            self.send(answer(200 if known else NOT_MINE, text.raw), back)

    def _invited(self, text: Text, source: Place, back: Place) -> None:
        talk = self.talks[text.call_id] = Talk(text.call_id, f"{self.name}-{text.call_id[:6]}")
        talk.far_tag = text.tags[0]
        talk.uri, talk.to = self.reach(text.contact, source)
        talk.answer = answer(180, text.raw, to_tag=talk.tag, contact=self._contact())
        self.send(talk.answer, back)

        def take() -> None:
            talk.answer = answer(200, text.raw, to_tag=talk.tag, contact=self._contact(),
                                 body=sdp(self.contact[0]))  # fmt: skip
            for after in (0, *LADDER_2XX):
                self.clock.after(after, repeat)
            self.clock.after(GIVE_UP, give_up)

        def repeat() -> None:
            if not talk.lives and not talk.ended:
                self.send(talk.answer, back)

        def give_up() -> None:
            if not talk.lives and not talk.ended:
                talk.fault = "no ACK"
                self._hang_up(talk)

        self.clock.after(2, take)

    # ---- the end ----

    def _hang_up_later(self, talk: Talk) -> None:
        # The router may have given the call another name.
        after = next(
            (s for name, s in self.hangs_up.items() if talk.call_id.startswith(name[:4])), None
        )
        if after is not None:
            self.clock.after(after, lambda: None if talk.ended else self._hang_up(talk))

    def _hang_up(self, talk: Talk) -> None:
        talk.cseq += 1
        bye = self.made("BYE", talk.call_id, (talk.tag, talk.far_tag), talk.uri, talk.cseq)

        def then(text: Text) -> None:
            talk.ended = True
            if text.status >= 300:
                talk.fault = talk.fault or f"BYE refused with {text.status}"

        def gone() -> None:
            talk.fault = talk.fault or "BYE unanswered"

        self.ask(bye, talk.to, then, gone)
