# SPDX-License-Identifier: Apache-2.0
"""The client half of an endpoint (RFC 3261: UAC): its requests, and the responses to them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from craft import LADDER_INVITE, LADDER_REQUEST, request, sdp

from worlds.router import Clock
from worlds.talk import Plan, Talk
from worlds.text import Place, Text

GIVE_UP = 32.0  # Timers B, F, H and the wait for the ACK of a 2xx
RINGS = 2.0
T4 = 5.0  # RFC 3261 section 17
CROSSED = "unheard at the end"  # a request that nobody misses, as the call went its way
WHO = "Authorization: Digest username=me"


def offered(plan: Plan) -> tuple[str, ...]:
    """Header lines of the INVITE for extensions."""
    every = [name for name, has in (("timer", plan.timer), ("100rel", plan.reliable)) if has]
    lines = (f"Supported: {', '.join(every)}",) if every else ()
    return (*lines, f"Session-Expires: {plan.timer:.0f}") if plan.timer else lines


class Asked:
    """A request that waits for its final response. rings: a provisional one came."""

    def __init__(self, text: Text, to: Place, then: Callable[[Text], None],
                 gone: Callable[[], None]) -> None:  # fmt: skip
        self.text, self.to, self.then, self.gone = text, to, then, gone
        self.heard = self.rings = False


class Client:
    """name: the user part; far: that of the other end. near: it is the phone. here: host and port.
    plans: by the first letters of a Call-ID, of which the router may change the rest. strict_via:
    a response with another Via is not its own; strict_uri: nor is a request inside a call with
    another Request-URI than its Contact. challenges: it wants to know who asks. record: its
    Record-Route. once: it sends a request once; patience: s that it waits for a response. trying:
    it sends 100; rings_with: the status that follows. sends_to: callers go there with a 302. marks:
    parameters of its Contact's URI."""

    marks = ""
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
             more: tuple[str, ...] = (), far: str = "", offer: bool = False) -> Text:  # fmt: skip
        """far: user part of the other end, where it is not that of all; offer: with SDP."""
        host, port = self.sent_by
        far = far or self.far
        there = f"<sip:{far}@example.net>" + (f";tag={tags[1]}" if tags[1] else "")
        if method == "REGISTER":
            there = f"<sip:{self.name}@example.net>"
        if method == "INVITE" and self.record:
            more = (*more, f"Record-Route: {self.record}")
        return Text(request(
            method, f"sip:{far}@{uri[0]}:{uri[1]}", via=f"{host}:{port}",
            branch=f"z9hG4bK-{self.name}-{next(self._number)}", call_id=call_id, cseq=cseq,
            caller=f"<sip:{self.name}@example.net>;tag={tags[0]}", callee=there,
            rport=self.rport, contact="" if method in ("ACK", "BYE", "PRACK") else self._contact(),
            body=sdp(self.contact[0]) if offer or method == "INVITE" else b"", more=more,
        ))  # fmt: skip

    def inside(self, method: str, talk: Talk, cseq: int, *more: str, offer: bool = False) -> Text:
        """A request of the dialog. more: further header lines; offer: with SDP."""
        tags = talk.tag, talk.far_tag
        return self.made(method, talk.call_id, tags, talk.uri, cseq, (*talk.more, *more),
                         talk.far, offer)  # fmt: skip

    def _contact(self) -> str:
        host, port = self.contact
        return f"<sip:{self.name}@{host}:{port}{self.marks}>"

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

    def call(self, call_id: str, uri: Place, to: Place, far: str = "") -> None:
        talk = self.talks[call_id] = Talk(call_id, f"{self.name}-{call_id[:6]}")
        plan, talk.far, talk.near = self.plan(talk), far or self.far, self.near

        def then(text: Text) -> None:
            meant = (plan.busy and text.status == 486) or (plan.gives_up and text.status == 487)
            talk.ended = meant
            talk.fault = "" if meant else f"refused with {text.status}"

        def gone() -> None:
            talk.fault = talk.fault or "unanswered"

        invite = self.made("INVITE", call_id, (talk.tag, ""), uri, 1, offered(plan), talk.far)
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

    # ---- responses ----

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
            if text["RSeq"] and (talk := self.talks.get(text.call_id)) is not None:
                self._prack(talk, text, source)
            return
        first, asked.heard = not asked.heard, True
        talk = self.talks.get(text.call_id)
        if asked.text.method == "INVITE" and talk is not None:
            if text.status < 300:
                self._accepted(self._dialog(talk, asked.text, text), asked.text, text, source)
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
        ack = self.made("ACK", text.call_id, tags, asked.text.uri, asked.text.cseq,
                        far=asked.text.user)  # fmt: skip
        self.send(ack.raw.replace(ack.branch.encode(), asked.text.branch.encode()), asked.to)

    def _prove(self, asked: Asked, talk: Talk | None, there: Place | None = None) -> None:
        """Ask once more, with a password; there: where a 302 sends it."""
        cseq = asked.text.cseq + 1
        if talk is not None:
            talk.cseq = cseq
        text = self.made(asked.text.method, asked.text.call_id, (asked.text.tags[0], ""),
                         there or asked.text.uri, cseq, (*asked.text.kept, WHO),
                         asked.text.user)  # fmt: skip
        self.ask(text, there or asked.to, asked.then, asked.gone)

    def _prack(self, talk: Talk, text: Text, source: Place) -> None:
        """A PRACK (RFC 3262 section 4), once: the far end repeats its response until then."""
        tag = text.tags[1]
        if tag in talk.rung:
            return
        talk.rung.add(tag)
        talk.cseq += 1
        early = talk.fork(talk.tag, tag)
        uri, to, early.route = self.reach(text, source)
        early.aim(uri, to)
        plan = self.plan(talk)
        asked = self.inside("PRACK", early, talk.cseq, f"RAck: {text['RSeq']} {text.cseq} INVITE",
                            offer=plan.offers)  # fmt: skip

        def proven(text: Text) -> None:
            if plan.early and plan.early_near == talk.near and text.status == 200:
                talk.cseq += 1
                self._update(talk, early, talk.cseq)

        self.ask(asked, to, proven, lambda: None)

    def _update(self, talk: Talk, early: Talk, cseq: int) -> None:
        """Before the call is answered (RFC 3311). A dialog unknown to the other end is over."""

        def over(why: str) -> None:
            if talk.lives or talk.ended:
                talk.fault = talk.fault or CROSSED
            else:
                talk.fault = talk.fault or why
                self.forsake(talk)

        def then(text: Text) -> None:
            if text.status in (408, 481):
                over(f"UPDATE refused with {text.status}")

        self.ask(self.inside("UPDATE", early, cseq, offer=True), early.to, then,
                 lambda: over("UPDATE unanswered"))  # fmt: skip

    def forsake(self, talk: Talk) -> None:
        """End a call that is not answered yet."""
        self._cancel(talk)

    def _dialog(self, talk: Talk, asked: Text, text: Text) -> Talk:
        """The dialog of a 2xx: each tag of a callee makes one (section 13.2.2.4)."""
        tag = text.tags[1]
        talk.far_tag = talk.far_tag or tag
        if asked.tags[1] or tag == talk.far_tag:
            return talk
        return talk.forks.setdefault(tag, talk.fork(talk.tag, tag))

    def _accepted(self, talk: Talk, asked: Text, text: Text, source: Place) -> None:
        """A 2xx, of the call or of a re-INVITE."""
        if asked.cseq not in talk.acks:
            uri, to, route = self.reach(text, source)
            talk.route = talk.route or ("" if talk.lives else route)
            talk.aim(uri, talk.to if talk.lives and talk.route else to)
            talk.acks[asked.cseq] = self.inside("ACK", talk, asked.cseq).raw
            if not talk.lives:
                talk.lives = True
                self._go_on(talk)
        self.send(talk.acks[asked.cseq], talk.to)

    # ---- in the call, and its end ----

    def _go_on(self, talk: Talk) -> None:
        """The call lives. One answer of a forked call is enough for its caller."""
        plan = self.plan(talk)
        if talk.spare:
            if talk.acks:
                self._hang_up(talk)
            return
        if plan.timer:
            talk.refreshed = self.clock.now
            self.clock.after(plan.timer / 2, lambda: self._keep(talk))
        if plan.again and plan.again_near == talk.near:
            self.clock.after(plan.again, lambda: self._again(talk))
        if plan.near == talk.near:
            self.clock.after(plan.after, lambda: None if talk.ended else self._hang_up(talk))

    def _keep(self, talk: Talk) -> None:
        """The session timer (RFC 4028 section 10)."""
        plan = self.plan(talk)
        if talk.ended or talk.leaves or talk.fault:
            return
        if plan.forgets and plan.timer_near == talk.near:
            return
        left = talk.refreshed + plan.timer - min(32, plan.timer / 3) - self.clock.now
        if plan.timer_near == talk.near:
            self._again(talk, self.timed(talk, "uac"))
            left = plan.timer / 2
        if left > 0:
            self.clock.after(left, lambda: self._keep(talk))
            return
        talk.fault = "no refresh"
        self._hang_up(talk)

    def timed(self, talk: Talk, caller: str = "") -> str:
        """Header line of the session timer. caller: of this request, uac."""
        plan = self.plan(talk)
        refresher = caller or ("uas" if plan.timer_near == talk.near else "uac")
        return f"Session-Expires: {plan.timer:.0f};refresher={refresher}"

    def _again(self, talk: Talk, *more: str) -> None:
        if talk.ended or talk.leaves:
            return
        talk.cseq += 1

        def over(why: str) -> None:
            crossed = talk.ended and asked not in missed
            talk.fault = talk.fault or (CROSSED if crossed else why)
            if not talk.ended:
                self._hang_up(talk)

        missed: list[Asked] = []  # unheard for long before the end

        def miss() -> None:
            if not asked.heard and not talk.ended:
                missed.append(asked)

        method = self.plan(talk).method
        name = method.replace("INV", "re-INV")
        plan = self.plan(talk)

        def then(text: Text) -> None:
            meant = text.status == plan.refuses
            if meant and plan.retries:
                self.clock.after(2.5 if text.status == 491 else 0, lambda: self._again(talk, *more))
            elif text.status >= 300 and (plan.stubborn or not meant):
                over(f"{name} refused with {text.status}")

        if method == "REFER":
            more = (*more, "Refer-To: <sip:other@example.net>")
        asked = self.ask(self.inside(method, talk, talk.cseq, *more), talk.to, then,
                         lambda: over(f"{name} unanswered"))  # fmt: skip
        self.clock.after(T4, miss)

    def _hang_up(self, talk: Talk) -> None:
        talk.leaves = True
        talk.cseq += 1

        def then(text: Text) -> None:
            talk.ended = True
            if text.status >= 300:
                talk.fault = talk.fault or f"BYE refused with {text.status}"

        def gone() -> None:
            talk.fault = talk.fault or "BYE unanswered"

        self.ask(self.inside("BYE", talk, talk.cseq), talk.to, then, gone)
