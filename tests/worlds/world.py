# SPDX-License-Identifier: Apache-2.0
"""A world: phones and a provider with habits that are drawn, a router with an ALG or without."""

from __future__ import annotations

import random
from collections.abc import Callable

from worlds.algs import ALGS, PROVIDER, linux
from worlds.client import CROSSED
from worlds.ends import Phone, Provider
from worlds.kinds import KINDS
from worlds.router import WAN, Clock, Nat, Router
from worlds.talk import Plan, Talk
from worlds.text import Place, Text
from worlds.turns import TURNS
from worlds.wide import DIMENSIONS

UNNOTICED = {"", "BYE unanswered", "fork", CROSSED}
BEHIND = "203.0.113.77"


class World:
    """seed draws all of it; with_alg: or the same without the ALG. algs: its name for each phone,
    "" where it leaves that alone. begun: the calls that were dialled, by phone. expires: NAT
    mappings go; loses: packets get lost, on the wire; calm: neither, and the rest is the same.
    turn: its name; caller: the host that calls; refresh: the method inside calls. kind: of the
    calls, "" where they are plain; shape: what it makes of a plan; longer: s that calls may take
    more. wide: its dimension, "" of those before there were any. helps: s that a mapping lives
    where the ALG is on, 0 = no longer; leaks: the router itself loses packets; deaf: no message of
    some kind passes between the LAN tap and the phone; vendors: what the ALG does, in place of
    ALGS.
    """

    def __init__(self, seed: int, with_alg: bool, calm: bool = False, wide: str = "") -> None:
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
        self.begun: list[tuple[Phone, str]] = []
        habits = random.Random(f"{seed} habits")
        self.expires = self.loses = False
        self._draw_habits(habits)
        self.refresh = "INVITE"
        self.watches = self.tcp = self.six = self.leaks = self.deaf = False
        self.caller = self.provider
        self.shape: Callable[[Plan], None] = lambda plan: None
        self.longer = self.helps = 0.0
        self.vendors: list[Callable[[Nat, random.Random], None]] = []
        self.with_alg, self.turn, self.kind, self.wide = with_alg, "", "", wide
        if wide:
            self._widen(random.Random(f"{seed} {wide}"))
        else:
            self._take_turn(random.Random(f"{seed} turn"))
            self._draw_kind(random.Random(f"{seed} kind"))
        for phone in self.phones:
            self._draw_alg(rng, phone, with_alg)
        if calm:
            self.router.lasts, self.router.loss, self.router.drops = 1e9, None, None
        for phone in self.phones:
            self._play(rng, habits, phone)
        self.clock.run(500 + 3 * self.longer)

    def _widen(self, rng: random.Random) -> None:
        self.expires = self.loses = False
        self.router.lasts, self.router.loss = 1e9, None
        DIMENSIONS[self.wide](self, rng)

    def _take_turn(self, rng: random.Random) -> None:
        if rng.random() < 0.6:
            turn = rng.choice(TURNS)
            self.turn = turn.__name__
            turn(self, rng)

    def _draw_kind(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            kind = rng.choice(KINDS)
            self.kind = kind.__name__
            kind(self, rng)

    def second(self, here: Place) -> Provider:
        """Another host of the provider, which knows all that the first knows."""
        first = self.provider
        other = Provider(self.clock, self.router, here, self.plans)
        other.handles, other.follows, other.challenges = first.handles, first.follows, False
        other.talks, other.bound = first.talks, first.bound
        return other

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
        same = next((i for i, p in enumerate(self.phones) if p.nat is nat), 0)
        if self.phones[same] is not phone:
            self.algs.append(self.algs[same])  # one flow of two phones
            return
        if self.vendors:
            vendor = rng.choice(self.vendors)
            name, draw = vendor.__name__, lambda: vendor(nat, rng)
        elif one < 0.4:
            name, draw = "linux", lambda: linux(nat)
        else:
            kind = rng.choice(ALGS)
            name, draw = kind.__name__, lambda: kind(nat, rng)
        was = nat.outs, nat.ins
        draw()
        if spared or not with_alg:
            nat.outs, nat.ins, nat.forced = *was, 0
            name = ""
        elif name == "linux":
            nat.remap = lambda: linux(nat)
        if name:
            nat.lasts = self.helps
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
                plan.method = self.refresh
                plan.again, plan.again_near = habits.uniform(2, after), habits.random() < 0.5
            self.shape(plan)
            plan.house = plan.house and out
            if self.expires and habits.random() < 0.5:
                plan.after += 45
            self.begun.append((phone, call_id))
            self.clock.after(at, self._dialled(phone, call_id, out))
            at += 75 + self.longer + (45 if self.expires else 0)
        if self.watches:
            self._subscribes(phone, start + 1, at - 5)
        self.clock.after(at, lambda: phone.register(11))

    def _subscribes(self, phone: Phone, begin: float, end: float) -> None:
        """To what its mailbox holds."""
        call_id = f"s{phone.name}-p@{phone.here[0]}"
        self.begun.append((phone, call_id))
        self.clock.after(begin, lambda: phone.subscribe(call_id, phone.provider))
        self.clock.after(end, lambda: phone.unsubscribe(call_id))

    def _dialled(self, phone: Phone, call_id: str, out: bool) -> Callable[[], None]:
        def dial() -> None:
            if out:
                other = next(one.name for one in (*self.phones, phone) if one is not phone) \
                    if self.plans[call_id[:4]].house else ""  # fmt: skip
                phone.call(call_id, (PROVIDER, 5060), phone.provider, other)
                return
            caller = self.caller
            bound = next((b for name, b in self.provider.bound.items() if phone.name in name), None)
            if bound is not None:
                caller.far = phone.name
                caller.call(call_id, *bound)

        return dial

    @property
    def calls(self) -> dict[str, Ended]:
        """By Call-ID, how those ended of which a tap shows all that matters."""
        found = {}
        for phone, call_id in self.begun:
            here, there = self._at(phone, call_id), self._elsewhere(phone, call_id)
            if here is None and there is None:
                continue  # nobody knew where the phone is
            sent = [Text(raw) for raw in self.router.unseen]
            lost = {text.method for text in sent if text.call_id[:4] == call_id[:4]}
            if "INVITE" in lost or (lost - {"ACK"} and here is not None and not here.fault):
                continue  # neither tap shows it, or only that it goes on
            found[call_id] = Ended(here, there)
        return found

    def _at(self, phone: Phone, call_id: str) -> Talk | None:
        """At the phone. A PBX gives its calls other Call-IDs."""
        same = (talk for name, talk in phone.talks.items() if name[:4] == call_id[:4])
        return phone.talks.get(call_id) or next(same, None)

    def _elsewhere(self, phone: Phone, call_id: str) -> Talk | None:
        """At the other end. The router may have given it another Call-ID."""
        plan = self.plans.get(call_id[:4])
        ends = self.phones if plan is not None and plan.house else [self.provider, self.caller]
        same = (talk for end in ends if end is not phone for name, talk in end.talks.items()
                if name[:4] == call_id[:4])  # fmt: skip
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
        return all(ended.well for ended in self.calls.values()) and all(self.registered)


class Ended:
    """How a call ended at the phone and at the provider. faults: what went wrong at each; lived: as
    its plan says; well: nobody can say otherwise; died: users noticed."""

    def __init__(self, here: Talk | None, there: Talk | None) -> None:
        self.faults = tuple("nothing came" if t is None else t.faults for t in (here, there))
        self.lived = (
            here is not None and there is not None and self.faults == ("", "")
            and (here.ended or there.ended)
        )  # fmt: skip
        # Over on both sides, though one of them was told so by silence.
        over = here is not None and there is not None and (here.ended or there.ended)
        # Or but for a request that crossed its end.
        self.well = self.lived or (over and set(self.faults) <= {"", CROSSED})
        self.died = not self.lived and not (over and set(self.faults) <= UNNOTICED)
