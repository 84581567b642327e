# SPDX-License-Identifier: Apache-2.0
"""Leaks: names, numbers and texts of people in what leaves the router or stays in its log.

The attacker is a phone of the house whose messages the ALG rewrites, so that they are evidence.
"""

from __future__ import annotations

from collections.abc import Callable

from craft import request

from ..stage import Attempt, Stage, harmless
from .blindness import OWN

Write = Callable[[Stage, Callable[[], str]], bytes]


def _headers(stage: Stage, secret: Callable[[], str]) -> bytes:
    """Every header field that may name somebody."""
    return stage.request(
        "REGISTER", stage.lan_host,
        caller=f'"{secret()}, {secret()}" <sip:{secret()}@{stage.lan_host}>;tag=1',
        callee=f"{secret()} <sip:{secret()}@{stage.lan_host}>",
        contact=f"<sip:{secret()}@{stage.lan_host}:5060>;+sip.instance=\"<urn:{secret()}>\"",
        call_id=f"{secret()}@{secret()}",
        more=[
            f"User-Agent: {secret()} phone of {secret()}", f"Server: {secret()}",
            f"Subject: {secret()}", f"Organization: {secret()}",
            f"P-Asserted-Identity: <tel:{secret()};phone-context={secret()}>",
            f"Remote-Party-ID: {secret()} <sip:{secret()}@x>;party=calling",
            f'Authorization: Digest username="{secret()}", response="{secret()}"',
            f"Alert-Info: <http://x/{secret()}>", f"X-{secret()}: {secret()}",
            f'Warning: 399 x "{secret()}"', f"Reason: Q.850;cause=16;text=\"{secret()}\"",
            f"Reply-To: {secret()} <sip:{secret()}@x>", f"Geolocation: <cid:{secret()}@x>",
        ],
    )  # fmt: skip


def _contacts(stage: Stage, secret: Callable[[], str]) -> bytes:
    """Contacts that are folded, escaped, second, long, with parameters and header fields."""
    name = secret()
    escaped = "".join(f"%{ord(letter):02x}" for letter in secret()[:4]) + secret()
    return stage.request(
        "REGISTER", stage.lan_host, contact=f"{secret()} <sip:{secret()}@{stage.lan_host}>",
        more=[
            f"Contact: \"{secret()}\\\"{secret()}\"\r\n <sip:{escaped}:{secret()}@{stage.lan_host}"
            f";x={secret()}?Replaces={secret()}>;y=\"{secret()}\"",
            f"m: <sip:{name}@{stage.lan_host}>, {secret()}\r\n\t<sip:{secret()}@{stage.lan_host}>",
            f"Contact: <sip:{'x' * 3000}{secret()}@{stage.lan_host}>",
        ],
    )  # fmt: skip


def _message(stage: Stage, secret: Callable[[], str]) -> bytes:
    """A text message whose lines look like a session description."""
    body = "\r\n".join([
        f"c=IN IP4 {secret()}", f"m=audio 1 {secret()}", f"o={secret()} 1 1 IN IP4 x",
        f"a={secret()}", secret(), f"v={secret()}",
    ]).encode()  # fmt: skip
    made = stage.request("MESSAGE", stage.lan_host, body=body)
    return made.replace(b"application/sdp", b"text/plain")


def _sdp(stage: Stage, secret: Callable[[], str]) -> bytes:
    """A session description with free text and lines that nobody knows."""
    body = "\r\n".join([
        "v=0", f"o={secret()} 1 1 IN IP4 {stage.lan_host}", f"s={secret()}", f"i={secret()}",
        f"e={secret()}@x", f"p={secret()}", f"u=http://{secret()}", f"c=IN IP4 {stage.lan_host}",
        "t=0 0", f"m=audio 4000 RTP/AVP 0 {secret()}", f"a=label:{secret()}", f"z={secret()}",
        f"k=clear:{secret()}", f"a=crypto:1 x inline:{secret()}", "",
    ]).encode()  # fmt: skip
    return stage.request("INVITE", stage.lan_host, body=body)


def _behind(stage: Stage, secret: Callable[[], str]) -> bytes:
    """Names behind byte 4096, and behind bare CR and LF."""
    return stage.request(
        "REGISTER", stage.lan_host,
        more=[*[f"X-Pad: {'x' * 200}"] * 25, f"Contact: <sip:{secret()}@{stage.lan_host}>",
              f"Authorization: Digest a=\"b\"\r{secret()}", f"Subject: x\n {secret()}",
              f"From: \"{secret()}"],
    )  # fmt: skip


def _uris(stage: Stage, secret: Callable[[], str]) -> bytes:
    """Request-URI, Route, Refer-To, Call-ID, tags and branches with names in them."""
    host = stage.lan_host
    return request(
        "REFER", f"sip:{secret()}:{secret()}@{stage.draw.provider_ip};user={secret()}?a={secret()}",
        via=f"{host}:5060", branch=f"z9hG4bK{secret()}", call_id=f"{secret()}@{host}", cseq=1,
        caller=f"<sip:{secret()}@{host}>;tag={secret()}", callee=f"<tel:{secret()}>",
        contact=f"<sip:{secret()}@{host}>",
        more=[f"Refer-To: <sip:{secret()}@x?Replaces={secret()}>",
              f"Referred-By: <sip:{secret()}@x>",
              f"Route: <sip:{secret()}@{stage.draw.provider_ip};lr;x={secret()}>",
              f"History-Info: <sip:{secret()}@x>;index=1", f"Diversion: <tel:{secret()}>"],
    )  # fmt: skip


def leak(write: Write) -> Callable[[Stage], None]:
    def attack(stage: Stage) -> None:
        def secret() -> str:
            stage.secrets.append(f"zq{stage.token(9)}")
            return stage.secrets[-1]

        def send(number: int) -> None:
            if number > 25:
                return
            made = write(stage, secret)
            source = (stage.lan_host, 5060 + number)
            stage.lan.udp(source, stage.registrar, made, ident=number + 1)

        stage.repeat(8, send)

    return attack


WRITERS: dict[str, tuple[Write, str]] = {
    "headers": (_headers, "header fields that name people"),
    "contacts": (_contacts, "folded, escaped, second and long Contacts"),
    "message": (_message, "a text that looks like a session description"),
    "sdp": (_sdp, "free text of a session description"),
    "behind": (_behind, "names behind byte 4096 and behind bare line ends"),
    "uris": (_uris, "URIs, tags, branches and Call-IDs"),
}
ATTEMPTS = [
    Attempt(f"leak-{name}", "leaks", harmless, aim, leak(write), may=OWN,
            quick=name in ("headers", "message"))
    for name, (write, aim) in WRITERS.items()
]  # fmt: skip
