# SPDX-License-Identifier: Apache-2.0
"""A world: phones and a provider with habits that are drawn, a router with an ALG or without."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from ipaddress import ip_address

from craft import answer, linux_in, linux_out, sized

from worlds.endpoint import Endpoint
from worlds.router import Clock, Nat, Rewriter, Router
from worlds.talk import Plan, Talk
from worlds.text import Place, Text

WAN, PROVIDER = "198.51.100.2", "203.0.113.5"
ELSEWHERE = "10.9.9.9"
BEHIND = "203.0.113.77"

# ---- the ends ----


class Phone(Endpoint):
    """shows: the Contact; says: the sent-by of its Via; proxy: sends all to its provider."""

    near = True

    def __init__(self, clock: Clock, router: Router, name: str, nat: Nat, far: Place,
                 plans: dict[str, Plan]) -> None:  # fmt: skip
        here = nat.phone
        super().__init__(clock, name, "far", here, plans)
        self.nat = nat
        self.router, self.provider = router, far
        self.shows = self.says = here
        self.proxy = True
        self.registered = False
        router.hosts[here[0]] = self.heard

    def send(self, raw: bytes, to: Place) -> None:
        self.router.send(raw, self.here, to)

    @property
    def contact(self) -> Place:
        return self.shows

    @property
    def sent_by(self) -> Place:
        return self.says

    def way_back(self, asked: Text, source: Place) -> Place:
        return source

    def reach(self, text: Text, source: Place) -> tuple[Place, Place, str]:
        route = text["Record-Route"]
        to = text.route if route else text.contact
        return text.contact, self.provider if self.proxy else to, route

    def register(self, number: int) -> None:
        asked = self.made("REGISTER", f"reg-{self.name}", ("r", ""), self.provider, number,
                          ("Expires: 600",))  # fmt: skip

        def then(text: Text) -> None:
            self.registered = text.status == 200

        def gone() -> None:
            self.registered = False

        self.ask(asked, self.provider, then, gone)


class Provider(Endpoint):
    """handles: how it treats the NAT of a phone: alias (sends to where packets come from), rewrite
    (writes that into the Request-URI too), public (as rewrite where the Contact is private),
    contact (goes by the Contact). follows: it answers to where packets come from, always. behind:
    the Contact of its calls, where it is not its own address."""

    def __init__(self, clock: Clock, router: Router, here: Place, plans: dict[str, Plan]) -> None:
        super().__init__(clock, "far", "", here, plans)
        self.router = router
        self.handles, self.follows = "alias", True
        self.says = self.behind = here
        self.bound: dict[str, tuple[Place, Place]] = {}
        router.hosts[here[0]] = self.heard
        self.strict_uri = False

    def send(self, raw: bytes, to: Place) -> None:
        self.router.receive(raw, self.here, to)

    @property
    def contact(self) -> Place:
        return self.behind

    @property
    def sent_by(self) -> Place:
        return self.says

    def way_back(self, asked: Text, source: Place) -> Place:
        return source if self.follows else super().way_back(asked, source)

    def reach(self, text: Text, source: Place) -> tuple[Place, Place, str]:
        contact = text.contact
        private = contact[0] and ip_address(contact[0]).is_private and contact[0] != WAN
        if self.handles == "alias":
            return contact, source, ""
        if self.handles == "rewrite" or (self.handles == "public" and private):
            return source, source, ""
        return contact, contact, ""

    def _request(self, text: Text, source: Place) -> None:
        if text.method != "REGISTER" or self._unproven(text):
            super()._request(text, source)
            return
        self.bound[text["From"]] = self.reach(text, source)[:2]
        raw = text.raw.decode()
        shown = re.search(r"Contact: ([^\r]+)", raw)
        self.send(answer(200, text.raw, to_tag="p", contact=shown[1] if shown else "",
                         more=["Expires: 600"]), self.way_back(text, source))  # fmt: skip


# ---- ALGs ----


def lines(names: tuple[str, ...], old: str, new: str, kinds: tuple[str, ...] = ()) -> Rewriter:
    """New for old in lines that begin so; kinds: only in these methods."""

    def rewrite(raw: bytes) -> bytes:
        text = Text(raw)
        if kinds and text.method not in kinds:
            return raw
        head, _, body = raw.decode().partition("\r\n\r\n")
        every = [line.replace(old, new) if line.startswith(names) else line
                 for line in head.split("\r\n")]  # fmt: skip
        return sized(("\r\n".join(every) + "\r\n\r\n" + body).encode())

    return rewrite


def both(*some: Rewriter) -> Rewriter:
    def rewrite(raw: bytes) -> bytes | None:
        for one in some:
            changed = one(raw)
            if changed is None:
                return None
            raw = changed
        return raw

    return rewrite


def swallows(method: str, status: int) -> Rewriter:
    """Drops requests of that method, or its responses of that status."""

    def rewrite(raw: bytes) -> bytes | None:
        text = Text(raw)
        return None if (text.method, text.status) == (method, status) else raw

    return rewrite


def linux(nat: Nat) -> None:
    nat.outs = linux_out(*nat.phone, *nat.outside)
    undo = linux_in(*nat.phone, *nat.outside)

    def ins(raw: bytes) -> bytes:
        """The forced destination port (nf_conntrack_sip.c process_sip_request())."""
        text = Text(raw)
        if not text.status and text.sent_by[0] == PROVIDER and text.sent_by[1] != 5060:
            nat.forced = text.sent_by[1]
        return undo(raw)

    nat.ins = ins


def of_contact(nat: Nat, rng: random.Random) -> None:
    """Contact alone, by the mapping or not, put back or not."""
    inside = f"{nat.phone[0]}:{nat.phone[1]}"
    outside = rng.choice([f"{WAN}:{nat.outside[1]}", f"{WAN}:{nat.phone[1]}", f"{WAN}:5060",
                          "192.168.1.1:5060"])  # fmt: skip
    nat.outs = lines(("Contact",), inside, outside, rng.choice([(), ("INVITE",), ("REGISTER",)]))
    if rng.random() < 0.6:
        nat.ins = lines(("INVITE", "ACK", "BYE", "Contact"), outside, inside)


def of_via(nat: Nat, rng: random.Random) -> None:
    inside, outside = f"{nat.phone[0]}:{nat.phone[1]}", f"{WAN}:{nat.outside[1]}"
    if rng.random() < 0.3:
        outside = f"{WAN}:{nat.phone[1]}"
    nat.outs = lines(("Via",), inside, outside)
    if rng.random() < 0.6:
        nat.ins = lines(("Via",), outside, inside)
    elif rng.random() < 0.3:
        nat.outs, nat.ins = bytes, lines(("Via",), inside, outside)


def of_rport(nat: Nat, rng: random.Random) -> None:
    nat.outs = lines(("Via",), ";rport;", ";")


def of_name(nat: Nat, rng: random.Random) -> None:
    names = rng.choice([("Call-ID",), ("From", "To"), ("Via",)])
    old, new = {"Call-ID": (f"@{nat.phone[0]}", f"@{WAN}"), "From": ("tag=one", "tag=two"),
                "Via": ("branch=z9hG4bK-one", "branch=z9hG4bK-nat")}[names[0]]  # fmt: skip
    nat.outs = lines(names, old, new)
    if rng.random() < 0.5:
        nat.ins = lines(names, new, old)


def of_far_contact(nat: Nat, rng: random.Random) -> None:
    """The Contact of the far end, on its way to the phone."""
    nat.ins = lines(("Contact",), f"{PROVIDER}:5060", rng.choice([f"{ELSEWHERE}:5060",
                    f"{PROVIDER}:5090", "192.168.1.1:5060"]), ("INVITE",))  # fmt: skip


def of_sdp(nat: Nat, rng: random.Random) -> None:
    def outs(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        return sized(head + end + body.replace(nat.phone[0].encode(), WAN.encode()))

    nat.outs = outs


def of_drops(nat: Nat, rng: random.Random) -> None:
    what = rng.choice([("ACK", 0), ("INVITE", 200), ("BYE", 0), ("INVITE", 0), ("REGISTER", 200)])
    if rng.random() < 0.5:
        nat.outs = swallows(*what)
    else:
        nat.ins = swallows(*what)


def of_parameter(nat: Nat, rng: random.Random) -> None:
    inside = f"{nat.phone[0]}:{nat.phone[1]}"
    nat.outs = lines(("Contact",), f"{inside}>", f"{inside};transport=udp>")


ALGS: list[Callable[[Nat, random.Random], None]] = [
    of_contact, of_via, of_rport, of_name, of_far_contact, of_sdp, of_drops, of_parameter,
]  # fmt: skip

# ---- the world ----


class World:
    """seed draws all of it; with_alg: or the same without the ALG. algs: its name for each phone,
    "" where it leaves that alone. begun: the calls that were dialled, by phone. expires: NAT
    mappings go; loses: packets get lost, on the wire."""

    def __init__(self, seed: int, with_alg: bool) -> None:
        rng = random.Random(seed)
        self.clock = Clock()
        self.router = Router(self.clock)
        self.plans: dict[str, Plan] = {}
        self.provider = Provider(self.clock, self.router, (PROVIDER, 5060), self.plans)
        self.provider.handles = rng.choice(["alias", "alias", "rewrite", "public", "contact"])
        self.provider.follows = rng.random() < 0.6
        if rng.random() < 0.15:
            self.provider.says = (PROVIDER, 5080)
        self.algs: list[str] = []
        self.phones: list[Phone] = []
        self.phones.append(self._phone(rng, "one", 10))
        if rng.random() < 0.6:
            self.phones.append(self._phone(rng, "two", 11))
        for phone in self.phones:
            self._draw_alg(rng, phone, with_alg)
        self.begun: list[tuple[Phone, str]] = []
        habits = random.Random(f"{seed} habits")
        self.expires = self.loses = False
        self._draw_habits(habits)
        for phone in self.phones:
            self._play(rng, habits, phone)
        self.clock.run(500)

    def _draw_habits(self, rng: random.Random) -> None:
        self.provider.challenges = rng.random() < 0.4
        if rng.random() < 0.3:
            self.provider.behind = (BEHIND, 5060)
            self.provider.record = f"<sip:{PROVIDER}:5060;lr>"
        if rng.random() < 0.2:
            self.expires, self.router.lasts = True, rng.choice([30.0, 60.0, 180.0])
        if rng.random() < 0.2:
            self.loses = True
            self.router.loss = random.Random(rng.random()), rng.choice([0.01, 0.03, 0.08])

    def _phone(self, rng: random.Random, name: str, host: int) -> Phone:
        port = rng.choice([5060, 5060, 5062, 40000 + host])
        here = (f"192.168.1.{host}", port)
        nat = Nat(here, (WAN, port if rng.random() < 0.6 else rng.randrange(20000, 60000)))
        if any(port == other.here[1] for other in self.phones):
            nat.outside = (WAN, 61000 + host)
        self.router.add(nat)
        phone = Phone(self.clock, self.router, name, nat, (PROVIDER, 5060), self.plans)
        phone.rport = rng.random() < 0.7
        phone.strict_via, phone.strict_uri = rng.random() < 0.7, rng.random() < 0.4
        phone.proxy = rng.random() < 0.6
        if rng.random() < 0.15:  # STUN, or a configured address
            phone.shows = nat.outside
            if rng.random() < 0.5:
                phone.says = nat.outside
        elif rng.random() < 0.15:  # it listens on both
            phone.shows = (here[0], 5070)
            phone.strict_uri = False
        return phone

    def _draw_alg(self, rng: random.Random, phone: Phone, with_alg: bool) -> None:
        """Another phone may be on a flow that the ALG leaves alone."""
        spared = phone.name == "two" and rng.random() < 0.5
        one = rng.random()
        nat = phone.nat
        if one < 0.4:
            name, draw = "linux", lambda: linux(nat)
        else:
            kind = rng.choice(ALGS)
            name, draw = kind.__name__, lambda: kind(nat, rng)
        was = nat.outs, nat.ins
        draw()
        if spared or not with_alg:
            nat.outs, nat.ins, nat.forced = *was, 0
            name = ""
        self.algs.append(name)

    def _play(self, rng: random.Random, habits: random.Random, phone: Phone) -> None:
        start = rng.uniform(0, 2)
        self.clock.after(start, lambda: phone.register(1))
        at = start + 3
        for number in range(rng.randint(1, 3)):
            at += rng.uniform(1, 5)
            out = rng.random() < 0.5
            call_id = f"{number}{phone.name}-p@{phone.here[0] if out else PROVIDER}"
            after = rng.uniform(5, 25)
            plan = self.plans[call_id[:4]] = Plan(rng.random() < 0.5, after)
            end = habits.random()
            plan.busy, plan.gives_up = end < 0.1, 0.1 <= end < 0.2
            if habits.random() < 0.25:
                plan.again, plan.again_near = habits.uniform(2, after), habits.random() < 0.5
            if self.expires and habits.random() < 0.5:
                plan.after += 45
            self.begun.append((phone, call_id))
            self.clock.after(at, self._dialled(phone, call_id, out))
            at += 75 + (45 if self.expires else 0)
        self.clock.after(at, lambda: phone.register(11))

    def _dialled(self, phone: Phone, call_id: str, out: bool) -> Callable[[], None]:
        def dial() -> None:
            if out:
                phone.call(call_id, (PROVIDER, 5060), phone.provider)
                return
            bound = next((b for name, b in self.provider.bound.items() if phone.name in name), None)
            if bound is not None:
                self.provider.far = phone.name
                self.provider.call(call_id, *bound)

        return dial

    @property
    def calls(self) -> dict[str, Ended]:
        """By Call-ID, how those ended of which a tap shows all that matters."""
        found = {}
        for phone, call_id in self.begun:
            here, there = phone.talks.get(call_id), self._at_provider(call_id)
            if here is None and there is None:
                continue  # nobody knew where the phone is
            sent = [Text(raw) for raw in self.router.unseen]
            lost = {text.method for text in sent if text.call_id[:4] == call_id[:4]}
            if "INVITE" in lost or (lost == {"BYE"} and here is not None and here.lives):
                continue  # neither tap shows it, or only that it goes on
            found[call_id] = Ended(here, there)
        return found

    def _at_provider(self, call_id: str) -> Talk | None:
        """The router may have given it another Call-ID."""
        same = (talk for name, talk in self.provider.talks.items() if name[:4] == call_id[:4])
        return next(same, None)

    @property
    def all_shown(self) -> bool:
        return len(self.calls) == len(self.begun)

    @property
    def registered(self) -> list[bool]:
        return [phone.registered for phone in self.phones]

    @property
    def fine(self) -> bool:
        """All calls lived, and all phones are registered."""
        return all(ended.lived for ended in self.calls.values()) and all(self.registered)


class Ended:
    """How a call ended at the phone and at the provider. faults: what went wrong at each; lived: as
    its plan says; died: users noticed."""

    def __init__(self, here: Talk | None, there: Talk | None) -> None:
        self.faults = tuple("nothing came" if t is None else t.fault for t in (here, there))
        self.lived = (
            here is not None and there is not None and self.faults == ("", "")
            and (here.ended or there.ended)
        )  # fmt: skip
        # Over on both sides, though one of them was told so by silence.
        over = here is not None and there is not None and (here.ended or there.ended)
        self.died = not self.lived and not (over and set(self.faults) <= {"", "BYE unanswered"})
