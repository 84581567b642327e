# SPDX-License-Identifier: Apache-2.0
"""Blindness: floods and slow messages, beside a call whose harm has to be told all the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from craft import answer

from ..stage import Attempt, Stage, dying
from ..wire import Address, ipv4, tcp, udp

Make = Callable[[Stage, int], None]


def _far(stage: Stage, number: int) -> Address:
    """An address of the Internet, another one each time."""
    return (f"{11 + number % 40}.{number // 40 % 250}.{number // 10000 % 250}.7", 5060)


def _near(stage: Stage, number: int) -> Address:
    """A host of the LAN, another one each time, and never one that was drawn."""
    hosts = [str(stage.draw.lan[n]) for n in range(2, 255)]
    free = [host for host in hosts if host not in stage.draw.addresses()]
    return free[number % len(free)], 5060


def _responses(stage: Stage, number: int) -> None:
    source = (stage.wan_host, 5060)
    stage.wan.udp(source, stage.mapped, stage.response(200, stage.wan_host), ttl=60)


def _responses_of_many(stage: Stage, number: int) -> None:
    source = _far(stage, number)
    stage.wan.udp(source, stage.mapped, stage.response(200, source[0]), ttl=60)


def _invites_of_lan(stage: Stage, number: int) -> None:
    source = (stage.lan_host, 5060)
    stage.lan.udp(source, (stage.wan_host, 5060), stage.request("INVITE", stage.lan_host))


def _invites_of_many_lan(stage: Stage, number: int) -> None:
    source = _near(stage, number)
    stage.lan.udp(source, stage.registrar, stage.request("INVITE", source[0]))


def _invites_of_provider(stage: Stage, number: int) -> None:
    made = stage.request("INVITE", stage.draw.provider_ip)
    stage.wan.udp(stage.registrar, stage.mapped, made, ttl=60)


def _invites_of_many(stage: Stage, number: int) -> None:
    source = _far(stage, number)
    stage.wan.udp(source, stage.mapped, stage.request("INVITE", source[0]), ttl=60)


def _crossings(stage: Stage, number: int) -> None:
    """Requests that really cross, each to another address."""
    made = stage.request("OPTIONS", stage.lan_host)
    stage.lan.udp((stage.lan_host, 5060), _far(stage, number), made, ident=number % 65000 + 1)


def _crossing_calls(stage: Stage, number: int) -> None:
    made = stage.request("INVITE", stage.lan_host)
    stage.lan.udp((stage.lan_host, 5060), _far(stage, number), made, ident=number % 65000 + 1)


def _registers(stage: Stage, number: int) -> None:
    made = stage.request("REGISTER", stage.lan_host)
    stage.lan.udp((stage.lan_host, 5060), stage.registrar, made, ident=number % 65000 + 1)


def _scanners(stage: Stage, number: int) -> None:
    source = _far(stage, number)
    stage.wan.udp(source, stage.mapped, stage.request("OPTIONS", source[0]), ttl=60)


def _tags(stage: Stage, number: int) -> None:
    """The call's own Call-ID with ever new tags, as if it forked without end."""
    if not stage.answered.is_set():
        return
    final = stage.final
    made = answer(
        200, stage.request("INVITE", stage.draw.provider_ip, caller=final.get("From"),
                           call_id=final.get("Call-ID")),
        to_tag=stage.token(),
    )  # fmt: skip
    stage.wan.udp(stage.registrar, stage.mapped, made, ttl=60)


def _branches(stage: Stage, number: int) -> None:
    """The call's own Call-ID and tags with ever new branches."""
    if not stage.answered.is_set():
        return
    final = stage.final
    made = stage.request(
        "INFO", stage.draw.provider_ip, caller=final.get("From"), callee=final.get("To"),
        call_id=final.get("Call-ID"), cseq=number + 2, contact="",
    )  # fmt: skip
    stage.wan.udp((stage.wan_host, 5060), stage.mapped, made, ttl=60)


def _begun_fragments(stage: Stage, number: int) -> None:
    data = udp(_far(stage, number), stage.mapped, stage.request("INVITE", "192.0.2.1") * 3)
    stage.wan.packet(
        ipv4(_far(stage, number)[0], stage.mapped[0], 17, data[:1200], ttl=60,
             ident=number % 65000 + 1, fragment=0x2000)
    )  # fmt: skip


def _begun_streams(stage: Stage, number: int) -> None:
    data = stage.request("INVITE", stage.lan_host)[:200]
    source = (stage.lan_host, 10000 + number % 50000)
    stage.lan.packet(ipv4(*_ends(source, stage.registrar), 6, tcp(source, stage.registrar, data)))


def _ends(source: Address, target: Address) -> tuple[str, str]:
    return source[0], target[0]


def _keepalives(stage: Stage, number: int) -> None:
    stage.wan.udp(_far(stage, number), stage.mapped, b"\r\n\r\n", ttl=60)


def _unreachables(stage: Stage, number: int) -> None:
    quoted = ipv4(
        stage.mapped[0], stage.draw.provider_ip, 17,
        udp(stage.mapped, stage.registrar, b"SIP/2.0 200 OK\r\n"),
    )  # fmt: skip
    icmp = bytes([3, 3]) + bytes(6) + quoted[:64]
    stage.wan.packet(ipv4(_far(stage, number)[0], stage.mapped[0], 1, icmp, ttl=60))


def _noise(stage: Stage, number: int) -> None:
    stage.wan.udp(_far(stage, number), stage.mapped, stage.chance.randbytes(600), ttl=60)


def _rewritten_calls(stage: Stage, number: int) -> None:
    """Calls that the ALG really rewrites, each to another address: each is a finding."""
    made = stage.request("INVITE", stage.lan_host, callee=f"<sip:x{number}@192.0.2.1>")
    stage.lan.udp((stage.lan_host, 5060), _far(stage, number), made, ident=number % 65000 + 1)


def flood(make: Make, rate: float) -> Callable[[Stage], None]:
    return lambda stage: stage.repeat(rate, partial(make, stage))


SHAPES = {
    "quotes": lambda size: '"\\"' * (size // 3),
    "folds": lambda size: "x\r\n " * (size // 4),
    "commas": lambda size: "," * size,
    "brackets": lambda size: "<" * size,
    "semicolons": lambda size: ";a=" * (size // 3),
}
FIELDS = ("Contact", "From", "To", "Via", "Route")


def _slow(shape: str) -> Callable[[Stage], None]:
    """60 kB of it in every field whose grammar invites to look again and again."""

    def attack(stage: Stage) -> None:
        text = SHAPES[shape](58_000)

        def send(number: int) -> None:
            field = FIELDS[number % len(FIELDS)]
            made = stage.request("OPTIONS", stage.wan_host)
            head, _, rest = made.partition(b"\r\n")
            made = head + f"\r\n{field}: {text}\r\n".encode() + rest
            stage.wan.udp((stage.wan_host, 5060), stage.mapped, made, ttl=60, ident=number + 1)

        stage.repeat(8, send)

    return attack


OWN = "CAP005 CAP002"  # calls of a flood have no end, and a flood is not captured whole


def _attempts() -> list[Attempt]:
    made = []
    floods: dict[str, tuple[Make, tuple[int, ...], str]] = {
        "responses": (_responses, (80, 1000), "200s that answer nothing, of one host"),
        "responses-of-many": (_responses_of_many, (1000,), "the same from spoofed addresses"),
        "invites-of-lan": (_invites_of_lan, (80, 800), "INVITEs of a LAN host"),
        "invites-of-many-lan": (_invites_of_many_lan, (300,), "INVITEs of a whole LAN"),
        "invites-of-provider": (_invites_of_provider, (150, 800), "with the provider's address"),
        "invites-of-many": (_invites_of_many, (1000,), "INVITEs of spoofed addresses"),
        "crossings": (_crossings, (50, 300), "messages that cross to ever new addresses"),
        "crossing-calls": (_crossing_calls, (50,), "calls that cross to ever new addresses"),
        "registers": (_registers, (300,), "registrations of a LAN host"),
        "scanners": (_scanners, (500,), "a thousand scanners"),
        "tags": (_tags, (300,), "the call's own Call-ID with ever new tags"),
        "branches": (_branches, (300,), "the call's own dialog with ever new branches"),
        "begun-fragments": (_begun_fragments, (500,), "first fragments without a second"),
        "begun-streams": (_begun_streams, (500,), "streams that begin a message"),
        "keepalives": (_keepalives, (1000,), "keep-alives"),
        "unreachables": (_unreachables, (500,), "ICMP errors that quote the call's flow"),
        "noise": (_noise, (1000,), "noise on the SIP port"),
        "rewritten-calls": (_rewritten_calls, (100,), "as many findings as possible"),
    }  # fmt: skip
    for name, (make, rates, aim) in floods.items():
        for rate in rates:
            made.append(Attempt(
                f"{name}-{rate}", "blindness", dying, f"{aim}, {rate} a second",
                flood(make, rate), may=OWN, quick=(name, rate) in QUICK,
            ))  # fmt: skip
    for shape in SHAPES:
        made.append(Attempt(
            f"slow-{shape}", "blindness", dying, f"60 kB of {shape} in one header field",
            _slow(shape), may=OWN, quick=shape == "quotes",
        ))  # fmt: skip
    return made


QUICK = {("responses", 1000), ("invites-of-provider", 150)}
ATTEMPTS = _attempts()
