# SPDX-License-Identifier: Apache-2.0
"""The two ends of a world: a phone behind the router, and its provider."""

from __future__ import annotations

import re
from collections.abc import Callable

from craft import answer

from worlds.events import Notifier
from worlds.proxy import OWN, Proxy
from worlds.router import Clock, Nat, Router
from worlds.talk import Plan
from worlds.text import Place, Text, plain


class Phone(Notifier):
    """shows: the Contact; says: the sent-by of its Via; proxy: sends all to its provider. wire:
    what its messages go over; beside: another account of the same port. expires: s that it
    registers for; obeys: it does so again where that is too short (423)."""

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
        self.trunk = False  # it never registers
        self.beside: Phone | None = None
        self.expires, self.obeys = 600, True
        self.wire: Callable[[bytes, Place], None] | None = None
        router.listen(here[0], self.heard)

    def send(self, raw: bytes, to: Place) -> None:
        if self.wire is not None:
            self.wire(raw, to)
        else:
            self.router.send(raw, self.here, to)

    def heard(self, raw: bytes, source: Place, port: int) -> None:
        if self.beside is None or self._is_for_me(raw):
            super().heard(raw, source, port)

    def _is_for_me(self, raw: bytes) -> bool:
        """And not for the other account."""
        text = Text(plain(raw))
        return text.status > 0 or text.call_id in self.talks or (
            self.beside is not None and text.call_id not in self.beside.talks
            and text.user != self.beside.name
        )  # fmt: skip

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

    def move(self, here: Place) -> None:
        """To another address, and another mapping without ALG."""
        shows = self.shows
        self.nat = Nat(here, (self.nat.outside[0], 52000))
        self.router.add(self.nat)
        self.router.listen(here[0], self.heard)
        self.here = self.says = here
        self.shows = (here[0], shows[1]) if shows[0].startswith("192.") else self.nat.outside
        self.register(6)

    def register(self, number: int) -> None:
        if self.trunk:
            ping = self.made("OPTIONS", f"ping-{self.name}", ("o", ""), self.provider, number)
            self.ask(ping, self.provider, lambda text: None, lambda: None)
            return
        asked = self.made("REGISTER", f"reg-{self.name}", ("r", ""), self.provider, number,
                          (f"Expires: {self.expires}",))  # fmt: skip

        def then(text: Text) -> None:
            self.registered = text.status == 200
            if text.status == 423 and self.obeys:
                self.expires = int(text["Min-Expires"])
                self.register(number + 1)

        def gone() -> None:
            self.registered = False

        self.ask(asked, self.provider, then, gone)


PRIVATE = ("192.168.", "10.", "100.64.")


class Provider(Notifier):
    """handles: how it treats the NAT of a phone: alias (sends to where packets come from), rewrite
    (writes that into the Request-URI too), public (as rewrite where the Contact is private),
    contact (goes by the Contact). follows: it answers to where packets come from, always. behind:
    the Contact of its calls, where it is not its own address. reaches_all: no address is private
    to it. least: s that a registration has to be for; down: it is dead."""

    reaches_all = down = False
    least = 0

    def __init__(self, clock: Clock, router: Router, here: Place, plans: dict[str, Plan]) -> None:
        super().__init__(clock, "far", "", here, plans)
        self.router = router
        self.handles, self.follows = "alias", True
        self.says = self.behind = here
        self.bound: dict[str, tuple[Place, Place]] = {}
        router.listen(here[0], self.heard)
        self.strict_uri = False
        self.proxy = Proxy(here, self.bound, self.send)

    def send(self, raw: bytes, to: Place) -> None:
        if self.down:
            self.router.unseen.append(raw)
        else:
            self.router.receive(raw, self.here, to)

    def heard(self, raw: bytes, source: Place, port: int) -> None:
        if not self.down:
            super().heard(raw, source, port)

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
        private = contact[0].startswith(PRIVATE) and not self.reaches_all
        route = text["Record-Route"]
        if text.route[0] in ("", self.here[0]):
            route = ""  # none but its own
        if self.handles == "alias" or (self.handles == "rewrite" and route):
            return contact, source, route
        if self.handles == "rewrite" or (self.handles == "public" and private):
            return source, source, route
        return contact, text.route if route else contact, route

    def _response(self, text: Text, source: Place) -> None:
        if text.branch.startswith(OWN):
            self.proxy.returned(text)
        else:
            super()._response(text, source)

    def _request(self, text: Text, source: Place) -> None:
        plan = self.plans.get(text.call_id[:4])
        mine = self._unproven(text) or (self.sends_to is not None and not text.tags[1])
        if plan is not None and plan.house and not (text.method == "INVITE" and mine):
            self.proxy.bound, self.proxy.by_contact = self.bound, self.handles == "contact"
            self.proxy.forward(text, self.way_back(text, source))
            return
        if text.method != "REGISTER" or self._unproven(text):
            super()._request(text, source)
            return
        granted = int(text["Expires"])
        if granted < self.least:
            self.send(answer(423, text.raw, to_tag="p", more=[f"Min-Expires: {self.least}"]),
                      self.way_back(text, source))  # fmt: skip
            return
        self.bound[text["From"]] = self.reach(text, source)[:2]
        if ";ob" in text["Contact"]:  # RFC 5626: by the flow, whatever it says
            self.bound[text["From"]] = text.contact, source
        raw = text.raw.decode()
        shown = re.search(r"Contact: ([^\r]+)", raw)
        self.send(answer(200, text.raw, to_tag="p", contact=shown[1] if shown else "",
                         more=[f"Expires: {granted}"]), self.way_back(text, source))  # fmt: skip
