# SPDX-License-Identifier: Apache-2.0
"""The lines to type on OpenWrt (fw4 and fw3): to turn the SIP ALG off, to try that with one phone,
and to clear the NAT state of a phone.

The phone's address is the only text from packets, and only a literal IP address gets into a line.
No line has a double quote or a backslash, so JSON shows it ready to type. The change is one
subshell: it starts only when its last line is there, and a failing line ends it.

On a router with algwatch, one line does the same and more (by_algwatch()). By hand, in this order:
pending changes of others end it (LuCI keeps its own elsewhere than uci). The phone's interface
tells the zone; all sections of this name are changed. The new ruleset is printed before any commit,
and compared: only rules that set the SIP helper may differ. fw4 checks it, aloud. From 24.10 on it
is tried in memory (/var/run/uci). Flash is written only if the loaded ruleset has no SIP helper,
otherwise everything is put back. The first copy of the configuration is never overwritten; undoing
removes it.
"""

from __future__ import annotations

from algwatch.advise.actions import CLEAR_NAT, DISABLE
from algwatch.base import address

UNDO = (
    "rm -f /var/run/uci/firewall",
    "mv /etc/config/firewall.before-algwatch /etc/config/firewall",
    "/etc/init.d/firewall reload",
)
"""Lines to restore the copy of disable_on_openwrt, and drop all edits since. After a full flash
("Off until a restart only") the file in memory would still replace the restored one."""
UNDO_TRIAL = ("/etc/init.d/firewall reload",)

_ZONE = "d=$(ip route get PHONE | sed 's/.* dev //;s/ .*//;q'); z=$(fw3 -q device $d)"
# p, l: the rules of the configuration, and the loaded ones. n: the helpers of a zone, in both. q: a
# checksum of all rules except those that set the SIP helper and those that lead to the zone's
# helpers.
_DISABLE = (
    "( f=/etc/config/firewall; b=$f.before-algwatch; t=/var/run/uci/firewall; o=/tmp/firewall.old",
    "no() { echo Nothing was changed: $*; exit 1; }; back() { uci revert firewall; no $*; }",
    "uci show firewall >/dev/null || no uci cannot read $f",
    "uci changes firewall | grep . && no these changes wait for uci commit",
    "grep -ls . $t /var/run/rpcd/*/firewall | grep . && no these changes wait, of LuCI or a trial",
    _ZONE + " || no $d is in no zone",
    "p() { fw3 print; [ -x /sbin/fw4 ] || fw3 -6 print; } 2>/dev/null",
    "l() { nft list table inet fw4 || { iptables-save; ip6tables-save; }; } 2>/dev/null",
    "n() { awk -v c=helper_$z -v d=zone_${z}_helper '/chain /{o=$2==c} (o||index($0,d))&&",
    "(sub(/.*helper set ./,e)||sub(/.*-helper /,e)){sub(/[^A-Za-z0-9_.-].*/,e);print}' |",
    "sort -u; }; has() { echo ' '$*' ' | grep -qi ' sip '; }; q() { p |",
    "grep -ve 'helper set .sip' -e '-helper sip' -e helper_$z' ' -e ' 'zone_${z}_helper'$' |",
    "sort -u | md5sum | cut -c 1-32; }; w=$(q)",
    "p | grep 'DNAT.*-helper sip' && no fw3 gives it to this port forwarding, see docs/doctor.md",
    "has $(p | n) || no zone $z gives SIP no helper",
    "for s in $(uci show firewall | sed -n 's/[.]set_helper=.[sS][iI][pP].$//p'); do",
    "case $(uci -q get $s.src) in $z) uci set $s.enabled=0;; esac; done; k=$(p | n)",
    "has $k && for s in $(uci show firewall | sed -n 's/=zone$//p'); do",
    "case $(uci -q get $s.name) in $z) h=$(uci -q get $s.helper || echo $k); has $h && {",
    "uci -q delete $s.helper; uci set $s.auto_helper=0; for i in $h; do",
    "case $i in [sS][iI][pP]) ;; *) uci add_list $s.helper=$i;; esac; done; };; esac; done",
    "[ $w ] && [ $(q) = $w ] || back other rules would change, too",
    "has $(p | n) && back something else gives zone $z the helper",
    "[ ! -x /sbin/fw4 ] || fw4 check || back the check failed",
    "[ -e $b ] || { cp -p $f $b.new && mv $b.new $b; } || back no room for $b",
    "m=$f; uci 2>&1 | grep -q override && m=$t && mkdir -p ${t%/*}",
    "cp -p $f $o && { [ $m = $f ] || cp -p $f $m; } || back no room in memory",
    "uci commit firewall && /etc/init.d/firewall reload",
    "if has $(l | n) || ! l | grep -qi prerouting; then rm -f $t",
    "[ $m = $t ] || { cp -p $o $f.new && mv $f.new $f; }; /etc/init.d/firewall reload",
    "back the loaded rules are not right; fi",
    "[ $m = $f ] || { cp -p $t $f.new && mv $f.new $f && rm $t; } || echo Off until a restart only",
    "echo Zone $z gives SIP no helper any more )",
)
_TRY = (
    "( " + _ZONE + " && r='-s PHONE -p udp --dport 5060 -j RETURN'",
    "nft insert rule inet fw4 helper_$z FAMILY saddr PHONE udp dport 5060 return ||",
    "IPTABLES -t raw -I zone_${z}_helper $r ) 2>/dev/null &&",
    "echo New flows of PHONE get no helper || echo Nothing was changed",
)
# Flows opened by the phone, and by the provider: there the phone is in the reply.
_FORGET = (
    "if [ -x /usr/sbin/conntrack ]; then for i in udp tcp; do    # when no call is up",
    "conntrack -D -f CONNTRACK -p $i -s PHONE --dport 5060",
    "conntrack -D -f CONNTRACK -p $i -r PHONE --sport 5060",
    "done; else echo PHONE > /proc/net/nf_conntrack; fi",
)
_CLEAR = (
    "if [ -x /usr/sbin/conntrack ]; then    # when no call is up",
    "conntrack -D -f CONNTRACK -s PHONE; conntrack -D -f CONNTRACK -r PHONE",
    "else echo PHONE > /proc/net/nf_conntrack; fi",
)


def disable_on_openwrt(phone: str) -> list[str]:
    """For every phone of its zone, to stay. phone: its address; empty for any other text.

    A running conntrack entry keeps its helper, so the last lines delete the entries of the phone.
    Its next packet makes them anew."""
    return _lines(phone, _DISABLE + _FORGET)


def try_on_openwrt(phone: str) -> list[str]:
    """For one phone, in the live ruleset only: a reload of the firewall ends it."""
    return _lines(phone, _TRY + _FORGET)


def clear_on_openwrt(phone: str) -> list[str]:
    """All entries of the phone, of every protocol: SIP may use TCP as well. Its next packet makes
    them anew."""
    return _lines(phone, _CLEAR)


def by_algwatch(phone: str, trial: bool) -> list[str]:
    """The line for a router with algwatch on it."""
    return _lines(phone, ("algwatch apply --only PHONE" if trial else "algwatch apply",))


def lines_for(action: str, state: str, phone: str) -> tuple[list[str], tuple[str, ...]]:
    """The lines to type for an advice, and those for a router with algwatch on it. action, state:
    its words."""
    if action == CLEAR_NAT:
        return clear_on_openwrt(phone), ()
    if action != DISABLE or state == "none":
        return [], ()
    trial = state == "suspected"
    by_hand = try_on_openwrt(phone) if trial else disable_on_openwrt(phone)
    return by_hand, tuple(by_algwatch(phone, trial))


def _lines(phone: str, lines: tuple[str, ...]) -> list[str]:
    if not address.is_literal(phone):
        return []
    six = ":" in phone
    words = {"PHONE": phone, "FAMILY": "ip6" if six else "ip",
             "IPTABLES": "ip6tables" if six else "iptables",
             "CONNTRACK": "ipv6" if six else "ipv4"}  # fmt: skip
    made = []
    for line in lines:
        for word, value in words.items():
            line = line.replace(word, value)
        made.append(line)
    return made
