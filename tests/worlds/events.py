# SPDX-License-Identifier: Apache-2.0
"""SUBSCRIBE, REFER and NOTIFY on paper (RFC 6665, RFC 3515)."""

from __future__ import annotations

from craft import answer

from worlds.client import GIVE_UP
from worlds.endpoint import NOT_MINE, Endpoint, is_of
from worlds.talk import Talk
from worlds.text import Place, Text

MAILBOX = "Event: message-summary"
LATER = 15.0  # s to the second NOTIFY


class Notifier(Endpoint):
    """An endpoint that subscribes, and tells those who did."""

    def subscribe(self, call_id: str, to: Place) -> None:
        talk = self.talks[call_id] = Talk(call_id, f"{self.name}-{call_id[:6]}")
        talk.to = to

        def then(text: Text, source: Place = to) -> None:
            if text.status >= 300:
                talk.fault = f"SUBSCRIBE refused with {text.status}"
                return
            talk.far_tag = text.tags[1]
            talk.uri, talk.to, talk.route = self.reach(text, source)

        def unheard() -> None:
            if not talk.lives and not talk.ended:
                talk.fault = talk.fault or "no NOTIFY"

        asked = self.made("SUBSCRIBE", call_id, (talk.tag, ""), to, 1, (MAILBOX, "Expires: 600"))
        self.ask(asked, to, then, lambda: self._failed(talk, "SUBSCRIBE unanswered"))
        self.clock.after(2 * GIVE_UP, unheard)

    def unsubscribe(self, call_id: str) -> None:
        talk = self.talks.get(call_id)
        if talk is None or talk.fault or talk.ended:
            return
        talk.cseq = 20
        asked = self.inside("SUBSCRIBE", talk, talk.cseq, MAILBOX, "Expires: 0")

        def then(text: Text) -> None:
            talk.ended = True
            if text.status >= 300:
                self._failed(talk, f"SUBSCRIBE refused with {text.status}")

        self.ask(asked, talk.to, then, lambda: self._failed(talk, "SUBSCRIBE unanswered"))

    def _failed(self, talk: Talk, why: str) -> None:
        talk.fault = talk.fault or why

    def _notify(self, talk: Talk, *lines: str) -> None:
        talk.cseq += 1

        def failed(how: str) -> None:
            if not talk.ended:  # after its end nobody misses it
                self._failed(talk, f"NOTIFY {how}")

        self.ask(self.inside("NOTIFY", talk, talk.cseq, *lines), talk.to,
                 lambda text: failed(f"refused with {text.status}") if text.status >= 300 else None,
                 lambda: failed("unanswered"))  # fmt: skip

    def _request(self, text: Text, source: Place) -> None:
        back, talk = self.way_back(text, source), self.talk(text)
        known = is_of(talk, text) and not (self.strict_uri and text.uri != self.contact)
        if text.method == "SUBSCRIBE" and not self._unproven(text):
            self._subscribed(text, source, back)
        elif text.method == "NOTIFY" and talk is not None:
            # It may come before the 2xx of its SUBSCRIBE (RFC 6665 section 4.4.1).
            known = known or (not talk.far_tag and text.tags[1] == talk.tag)
            talk.lives = talk.lives or known
            self.send(answer(200 if known else NOT_MINE, text.raw), back)
        elif text.method == "REFER" and talk is not None and known:
            self.send(answer(202, text.raw, contact=self._contact()), back)
            event = f"Event: refer;id={text.cseq}"
            self._notify(talk, event, "Subscription-State: active;expires=60")
            self.clock.after(1, lambda: None if talk.ended else self._notify(
                talk, event, "Subscription-State: terminated;reason=noresource"))  # fmt: skip
        elif text.method in ("NOTIFY", "REFER"):
            self.send(answer(NOT_MINE, text.raw), back)
        else:
            super()._request(text, source)

    def _subscribed(self, text: Text, source: Place, back: Place) -> None:
        talk = self.talk(text)
        if text.tags[1] and not is_of(talk, text):
            self.send(answer(NOT_MINE, text.raw), back)
            return
        first = talk is None
        if talk is None:
            talk = self.talks[text.call_id] = Talk(text.call_id, f"{self.name}-{text.call_id[:6]}")
            talk.far_tag, talk.asked, talk.far = text.tags[0], text.cseq, text.caller
            uri, to, talk.route = self.reach(text, source)
            talk.aim(uri, to)
        expires = text["Expires"]
        self.send(answer(200, text.raw, to_tag=talk.tag, contact=self._contact(),
                         more=[*self._recorded(), f"Expires: {expires}"]), back)  # fmt: skip
        state = "terminated;reason=timeout" if expires == "0" else f"active;expires={expires}"
        if first or (expires == "0" and not talk.ended):
            talk.lives, talk.ended = True, expires == "0"
            self._notify(talk, MAILBOX, f"Subscription-State: {state}")
            if first:
                self.clock.after(LATER, lambda: None if talk.ended or talk.fault else self._notify(
                    talk, MAILBOX, f"Subscription-State: {state}"))  # fmt: skip
