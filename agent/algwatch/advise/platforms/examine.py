# SPDX-License-Identifier: Apache-2.0
"""Facts about a router become lines for people, and one answer: is a SIP ALG at work here?

"No ALG" needs a kernel without SIP helper, or a full reading of everything that may attach it,
without a hit. After an unreadable ruleset, or on unknown firmware, the answer is "cannot tell".
"""

from __future__ import annotations

from typing import NamedTuple

from algwatch.advise.platforms import iptables, nft
from algwatch.advise.platforms.plan import FW3
from algwatch.base.host import HARDWARE, SOFTWARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.capture.examined import Facts, Said

OK, LOOK, PROBLEM = "ok", "look", "problem"
ON, NONE, CANNOT_TELL = "on", "none", "cannot-tell"
MOST = 4  # flows or rules named
THEN = "algwatch probe shows what it changes; algwatch run, whether it hurts"
APPLY = "algwatch apply turns it off"
# Places not changed by `algwatch apply`.
BY_HAND = "algwatch apply does not change that: take it out where it is set"
BY_IPTABLES = "algwatch doctor --platform iptables tells how it is turned off"
BY_PORT = "sysctl -w net.netfilter.nf_conntrack_helper=0 ends that, for all helpers"
STAYS = "a live flow keeps it when the rule is gone"
WATCH = "where calls fail all the same, algwatch run watches both sides of this router"


class Line(NamedTuple):
    """state: OK, LOOK or PROBLEM. do: the next step, "" for none."""

    state: str
    topic: str
    text: str
    do: str = ""


class Conclusion(NamedTuple):
    """state: ON, NONE or CANNOT_TELL."""

    state: str
    text: str
    next: str


def examined(facts: Facts) -> tuple[list[Line], Conclusion]:
    attached = _Attached(facts)
    lines = [_router(facts), *attached.lines(), *_flows(facts), *_capture(facts)]
    return lines, attached.conclusion()


def _router(facts: Facts) -> Line:
    named = ", ".join(one for one in (facts.model, facts.system) if one)
    kernel = f"Linux {facts.kernel}" if facts.kernel else "a kernel that /proc does not name"
    with_ = f", firewall: {facts.firewall}" if facts.firewall else ", no firewall that is known"
    if facts.system:
        return Line(OK, "router", f"{named}, {kernel}{with_}")
    text = f"{named or 'a system that nothing names'}, {kernel}{with_}"
    return Line(LOOK, "router", text, "algwatch doctor --platform list: systems that are known")


class _Attached:
    """Everything that gives flows the SIP helper, and everything unreadable."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.by: list[tuple[str, str]] = []  # a place, and its remedy
        self.unread: list[str] = []
        self._by_nft()
        self._by_iptables(facts.iptables, "iptables-save")
        self._by_iptables(facts.ip6tables, "ip6tables-save")
        if facts.sysctl == "1" and facts.helper:
            said = "the kernel, by port (net.netfilter.nf_conntrack_helper is 1)"
            self.by.append((said, BY_PORT))
        for module in facts.others:
            self.unread.append(f"the kernel module {module} may set helpers, too")
        if facts.helped is None:
            self.unread.append(f"live flows: {facts.unhelped_why or 'not read'}")
        if not facts.sysfs:
            self.unread.append("/sys/module is not there")
        if not facts.system:
            self.unread.append(
                "nothing names the system, and its maker's own ALG is not looked for"
            )

    def _by_nft(self) -> None:
        said = self.facts.ruleset
        if said.text is None:
            self.unread.append(f"the nftables ruleset: {said.why}")
            return
        try:
            found = nft.helpers(said.text)
        except nft.NotJson as why:
            self.unread.append(str(why))
            return
        for rule in found.rules:
            zone = f" (zone {rule.chain[7:]})" if rule.chain.startswith("helper_") else ""
            where = f"table {rule.family} {rule.table}, chain {rule.chain}{zone}"
            self.by.append((f"nft rule {rule.handle} in {where}", APPLY))
        self.by.extend((said, BY_HAND) for said in found.unclear)
        self.foreign = found.foreign
        if found.foreign and self.facts.iptables.text is None:
            self.unread.append("rules of iptables in the nftables ruleset")

    foreign = False

    def _by_iptables(self, said: Said, name: str) -> None:
        if said.text is None:
            old = self.facts.firewall not in (FW3, "iptables") and self.facts.raw is False
            if not old:
                self.unread.append(f"the raw table of iptables: {said.why}")
            return
        family = "ip6" if name.startswith("ip6") else "ip"
        for rule in iptables.helper_rules(said.text, family):
            where = f"{name[:-5]} rule in table raw, chain {rule.chain}: {rule.text[:160]}"
            self.by.append((where, APPLY if self.facts.firewall == FW3 else BY_IPTABLES))

    def lines(self) -> list[Line]:
        facts = self.facts
        if not facts.helper:
            text = "the kernel has no SIP helper (nf_conntrack_sip)"
            made = [Line(OK, "SIP helper", text)] if facts.sysfs else []
        else:
            how = "a module, which a package brought" if facts.helper == "module" else "built in"
            text = f"the kernel has the SIP helper: {how}"
            made = [Line(LOOK, "SIP helper", text)]
        for text, do in self.by[:MOST]:
            made.append(Line(LOOK, "attached by", text, do))
        if len(self.by) > MOST:
            made.append(Line(LOOK, "attached by", f"{len(self.by) - MOST} more"))
        if facts.helper and not self.by and facts.ruleset.text is not None:
            made.append(Line(OK, "attached by", "no rule that was read sets the SIP helper"))
        for text in self.unread if self._may_have_one() else ():
            do = "" if facts.root else "run algwatch doctor as root"
            made.append(Line(LOOK, "not read", text, do))
        if facts.pending:
            text = f"changes of the firewall wait in {', '.join(facts.pending)[:200]}"
            made.append(Line(LOOK, "configuration", text, "commit them or take them back"))
        for listener in facts.listeners[:MOST]:
            text = f"a program on this router waits for SIP ({listener}, port 5060)"
            do = "calls that it relays are rewritten by it, and by no ALG"
            made.append(Line(LOOK, "other SIP", text, do))
        return made

    def _may_have_one(self) -> bool:
        """False if the kernel was seen to have no SIP helper, on a known system."""
        return bool(self.facts.helper) or not self.facts.sysfs or not self.facts.system

    def conclusion(self) -> Conclusion:
        facts = self.facts
        if self.by or facts.helped:
            how = self.by[0][0] if self.by else f"{_several(len(facts.helped or ()))} with it"
            text = f"The SIP ALG is on: {how}."
            others = [do for _, do in self.by if do != APPLY]
            do = others[0] if others else APPLY if self.by else STAYS
            return Conclusion(ON, text, f"{THEN}; {do}")
        if not self._may_have_one():
            if facts.listeners:
                text = "The kernel has no SIP ALG, but a program on this router handles SIP itself."
                return Conclusion(CANNOT_TELL, text, "run algwatch probe (as root)")
            return Conclusion(NONE, "No SIP ALG here: the kernel has no SIP helper.", WATCH)
        if self.unread and not facts.root:
            text = "Whether a SIP ALG is at work cannot be told: not all of it may be read."
            return Conclusion(CANNOT_TELL, text, "run algwatch doctor as root")
        if self.unread or not facts.sysfs:
            why = "; ".join(self.unread)
            text = f"Whether a SIP ALG is at work cannot be told: {why}."
            return Conclusion(CANNOT_TELL, text, "run algwatch probe (as root)")
        if facts.listeners:
            text = "Nothing attaches the kernel's SIP ALG, but a program here handles SIP itself."
            return Conclusion(CANNOT_TELL, text, "run algwatch probe (as root)")
        text = "No SIP ALG here: the kernel has the SIP helper, and nothing attaches it to a flow."
        return Conclusion(NONE, text, WATCH)


def _several(count: int, what: str = "live flow") -> str:
    return f"{count} {what}" + "s" * (count != 1)


def _flows(facts: Facts) -> list[Line]:
    made = []
    if facts.helped:
        named = ", ".join(facts.helped[:MOST])
        text = f"{_several(len(facts.helped))} with the SIP helper: {named}"
        made.append(Line(LOOK, "live flows", text, STAYS))
    elif facts.helped is not None:
        made.append(Line(OK, "live flows", "none has the SIP helper"))
    if facts.expectations > 0:
        text = f"the SIP helper expects {_several(facts.expectations, 'flow')}"
        made.append(Line(LOOK, "live flows", text))
    if facts.udp_timeout_stream or facts.udp_timeout:
        times = facts.udp_timeout, facts.udp_timeout_stream
        text = "a UDP mapping lives {} s, and {} s once both sides have sent".format(*times)
        if facts.helper and facts.sip_timeout.isdigit():
            text += f"; with the SIP helper {facts.sip_timeout} s"
        short = 0 < facts.udp_timeout_stream < 60
        do = "set a keep-alive below that on the phones" if short else ""
        made.append(Line(LOOK if short else OK, "timeouts", text, do))
    else:
        made.append(Line(LOOK, "timeouts", "no connection tracking that can be read"))
    if facts.offload == HARDWARE:
        text = "hardware flow offload is on: packets pass without being captured"
        do = "uci set firewall.@defaults[0].flow_offloading_hw=0, commit, restart the firewall"
        made.append(Line(PROBLEM, "offload", text, do))
    elif facts.offload == SOFTWARE:
        made.append(Line(LOOK, "offload", "software flow offload is on: media are not counted",
                         "one-way audio is not seen meanwhile"))  # fmt: skip
    else:
        made.append(Line(OK, "offload", "flow offload is off, as far as OpenWrt's firewall says"))
    return made


def _capture(facts: Facts) -> list[Line]:
    made = []
    for names, side, example in (facts.lan, "LAN", "--lan br-lan"), (facts.wan, "WAN", "--wan wan"):
        if names:
            made.append(Line(OK, side, ", ".join(names)))
        else:
            why = facts.no_networks or f"ubus tells no {side} interface that is up"
            made.append(Line(LOOK, side, why, f"algwatch run {example}"))
    for name in facts.down:
        made.append(Line(PROBLEM, "interface", f"{name} is down", f"ip link set {name} up"))
    if facts.ring:
        made.append(Line(PROBLEM, "capture", facts.ring))
    else:
        made.append(Line(OK, "capture", "packets can be captured"))
    if not facts.root:
        text = "this is not root: rules and live flows are not all seen"
        made.append(Line(LOOK, "rights", text, "run algwatch doctor as root"))
    if facts.accounting is False:
        text = "the kernel does not count flows: one-way audio is not seen"
        made.append(Line(LOOK, "media", text, "sysctl -w net.netfilter.nf_conntrack_acct=1"))
    for package in facts.wanting:
        made.append(Line(PROBLEM, "packages", f"{package} is missing", f"install {package}"))
    return made
