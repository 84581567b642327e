"""Recommend: from findings and what is known of a phone and its provider to advice.

A false "disable the ALG" breaks a working phone, the worst fault that this program can have. So
it is recommended only when harm was observed or is certain from the bytes, the ALG is its cause,
and the same call would work without it (Line.works_without is "yes").
"""

from __future__ import annotations

from algwatch.advise.advice import Advice
from algwatch.advise.commands import disable_on_openwrt
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.line import Line, Lines
from algwatch.diagnose.finding import Finding

# Two harmful calls of a class that is not certain count as independent when so far apart.
APART = 60.0  # seconds
LIMIT = 256
DISABLE = "disable-sip-alg"
LONG_EXPIRES = 180  # seconds: longer than an unhelped UDP mapping lives on OpenWrt


class Recommender:
    """Findings in, advice that changed out. Advice is kept by action and subject."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self._given: Table[tuple[str, str], tuple[str, float]] = Table(LIMIT)
        self._harmed: Table[str, list[tuple[str, float]]] = Table(LIMIT)

    def call(self, call: Call, findings: list[Finding]) -> list[Advice]:
        """Findings that are new about one call."""
        advice: list[Advice] = []
        peer = self._peer(call)
        hurt = [f for f in findings if f.harm in ("observed", "certain")]
        for finding in hurt:
            if finding.rule.startswith("ALG") and finding.where == "router" and peer is not None:
                advice.append(self._disable(finding, peer))
            elif finding.rule == "DLG002":
                advice += self._contact(call, finding, peer)
            elif finding.rule == "DLG004":
                advice.append(
                    Advice(
                        "provider-add-record-route",
                        "recommended",
                        0.9,
                        [finding.summary],
                        [],
                        [],
                        _subject(peer),
                    )
                )
        advice += [self._keep(f, peer) for f in findings if f.rule == "ALG015" and peer is not None]
        return [a for a in advice if self._is_news(a)]

    def reconsider(self, peer: Line) -> list[Advice]:
        """A call of this phone is over and more is known: advice that it speaks against is
        withdrawn, which is to give it with state "none"."""
        if peer.works_without != "no" or (DISABLE, _subject(peer)) not in self._given:
            return []
        gone = Advice(DISABLE, "none", 0.0, [], _speaks_against(peer), [], _subject(peer))
        return [gone] if self._is_news(gone) else []

    def _peer(self, call: Call) -> Line | None:
        for way in (*call.flow_pairs.values(), *(c.flow_pair for c in call.changed.values())):
            if way is not None:
                return self.lines.of(way)
        return None

    def _disable(self, finding: Finding, peer: Line) -> Advice:
        harmed = self._harmed.get(peer.phone)
        if harmed is None:
            harmed = []
            self._harmed.add(peer.phone, harmed)
        if finding.call_id not in [c for c, _ in harmed]:
            harmed.append((finding.call_id, finding.at))
            del harmed[:-LIMIT]
        certain = finding.key.endswith("/forced")
        independent = any(abs(at - harmed[0][1]) >= APART for _, at in harmed)
        works = peer.works_without
        for_ = [finding.summary, *_speaks_for(peer)]
        against = _speaks_against(peer)
        if works == "no":
            return Advice(DISABLE, "none", 0.0, for_, against, [], _subject(peer))
        if works == "yes" and (certain or (independent and peer.shown_without)):
            state, confidence = "recommended", 0.9 if certain else 0.8
        else:
            state, confidence = "suspected", 0.5
            against.append("it is not known whether the same call works without the ALG: try it")
        commands = disable_on_openwrt(peer.phone)
        return Advice(DISABLE, state, confidence, for_, against, commands, _subject(peer))

    def _contact(self, call: Call, finding: Finding, peer: Line | None) -> list[Advice]:
        against = []
        if peer is not None:  # both copies were seen
            against.append("the router left this Contact as the phone wrote it")
            if not call.changed:
                against[0] += ": the ALG is not the cause"
        subject = _subject(peer)
        return [
            Advice("enable-rport-stun-outbound", "recommended", 0.8, [finding.summary],
                   against, [], subject),
            Advice("provider-fix-contact", "recommended", 0.6, [finding.summary],
                   against, [], subject),
        ]  # fmt: skip

    def _keep(self, finding: Finding, peer: Line) -> Advice:
        return Advice(
            "keep-sip-alg", "recommended", 0.8, [finding.summary], [], [], _subject(peer)
        )  # fmt: skip

    def _is_news(self, advice: Advice) -> bool:
        key = (advice.action, advice.subject)
        now = (advice.state, advice.confidence)
        before = self._given.get(key)
        if advice.state == "none":
            if before is None or before[0] == "none":
                return False
        elif before is not None and before[1] >= now[1]:
            return False
        self._given.add(key, now)
        return True


def _subject(peer: Line | None) -> str:
    return f"{peer.phone} and {peer.remote}" if peer is not None else ""


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _speaks_for(peer: Line) -> list[str]:
    """Evidence that the phone works without the ALG (reference, end of section 3)."""
    said = []
    if peer.completed_untouched:
        said.append(
            f"{_calls(peer.completed_untouched)} of this phone completed with nothing rewritten"
        )
    if peer.nat_handled:
        said.append(
            "the provider sent in-dialog requests to where the phone's packets come from, not to "
            f"its private Contact ({peer.nat_handled} seen)"
        )
    if peer.rport_asked and peer.rport_answered:
        said.append("the phone asks for rport and the provider answers with it (RFC 3581)")
    if peer.keepalive:
        said.append("the phone or the provider keeps the mapping open with keep-alives")
    elif 0 < peer.expires <= LONG_EXPIRES:
        said.append(f"the registration is refreshed every {peer.expires} s or sooner")
    return said


def _speaks_against(peer: Line) -> list[str]:
    """Evidence that turning the ALG off would break something."""
    said = []
    if peer.dropped_untouched:
        said.append(
            f"{_calls(peer.dropped_untouched)} of this phone dropped with nothing rewritten"
        )
    if peer.rport_missing:
        said.append("the phone sends requests without rport")
    if peer.private_contact and not (peer.completed_untouched or peer.nat_handled):
        said.append(
            "without the ALG the provider sees a private Contact, and it was not yet seen to "
            "handle one"
        )
    if not peer.keepalive and (peer.expires == 0 or peer.expires > LONG_EXPIRES):
        said.append(
            "no keep-alive was seen: the mapping lives 3600 s with the helper and 180 s without, "
            "so incoming calls may stop ringing (set one of 30 s on the phone first)"
        )
    return said
