# SPDX-License-Identifier: Apache-2.0
"""The least change that turns the SIP helper off, carried out on the stand-ins for OpenWrt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.advise.platforms import decide, uci
from algwatch.advise.platforms.plan import FW3, FW4, IPTABLES, NFTABLES, Edit, Plan
from openwrt.router import PHONE, STOCK, Router

ZONES = ("lan", "wan", "guest", "voice", "home")


def asked(router: Router, interface: str = "br-lan", **more: Any) -> decide.Router:
    """As a program on this router would ask plan()."""
    fw3 = router.programs.fw3
    root = router.root
    file = "usr/share/fw3/helpers.conf" if fw3 else "usr/share/firewall4/helpers"
    told = decide.Router(
        FW3 if fw3 else FW4,
        config=router.here("uci", "export", "firewall"),
        pending=router.here("uci", "changes", "firewall"),
        helpers=(root / file).read_text(),
        modules=frozenset(one.name for one in (root / "sys/module").iterdir()),
        networks=(root / "run/networks.json").read_text(),
        ruleset="" if fw3 else router.here("nft", "-j", "list", "ruleset"),
        iptables=router.here("iptables-save", "-t", "raw") if fw3 else "",
        ip6tables=router.here("ip6tables-save", "-t", "raw") if fw3 else "",
        interface=interface,
        address=PHONE,
    )
    return told._replace(**more)


def all_helpers(router: Router) -> dict[str, list[str]]:
    return {zone: router.helpers(zone) for zone in ZONES}


def carry_out(router: Router, plan: Plan) -> None:
    for edit in plan.edits:
        value = "" if edit.verb == "delete" else f"={edit.value}"
        router.here("uci", edit.verb, f"firewall.{edit.section}.{edit.option}{value}")
    router.here("uci", "commit", "firewall")
    router.here("fw3" if router.programs.fw3 else "fw4", "reload")


def zone(name: str, network: str, *more: str) -> str:
    lines = [f"option name '{name}'", f"list network '{network}'", *more]
    return "\nconfig zone\n" + "".join(f"\t{line}\n" for line in lines)


def lan(*more: str) -> str:
    """STOCK, and in its zone lan these lines."""
    return STOCK.replace("\t'lan'\n", "\t'lan'\n" + "".join(f"\t{line}\n" for line in more), 1)


RULE = "\nconfig rule\n\toption src '{}'\n\toption proto udp\n\toption dest_port {}\n"
HELPER = RULE + "\toption target 'HELPER'\n\toption set_helper '{}'\n"
REDIRECT = "\nconfig redirect\n\toption src wan\n\toption proto {}\n\toption src_dport {}\n{}"

# Configuration, release, zones from which SIP goes.
CASES: dict[str, tuple[str, str, set[str]]] = {
    "stock": (STOCK, "24.10", {"lan"}),
    "stock with fw3": (STOCK, "21.02", {"lan"}),
    "a named section": (
        STOCK.replace("zone\n\toption name\t\tlan", "zone 'home'\n\toption name lan"),
        "24.10", {"lan"}),
    "a rule that is called lan before the zone": (
        "config rule\n\toption name 'lan'\n\toption src wan\n\toption target ACCEPT\n\n" + STOCK,
        "24.10", {"lan"}),
    "no zone lan": (
        STOCK.replace("\tlan\n\tlist", "\thome\n\tlist").replace("src\t\tlan", "src home"),
        "24.10", {"home"}),
    "a zone of guests": (STOCK + zone("guest", "guest"), "24.10", {"lan"}),
    "two zones of one name, which fw3 takes": (STOCK + zone("lan", "guest"), "21.02", {"lan"}),
    "a list with sip": (lan("list helper 'sip'", "list helper 'ftp'"), "24.10", {"lan"}),
    "a list with nothing but sip": (lan("list helper 'sip'"), "24.10", {"lan"}),
    "a list in an option": (lan("option helper 'tftp sip'"), "24.10", {"lan"}),
    "sip twice": (lan("list helper 'sip'", "list helper 'ftp'", "list helper 'sip'"),
                  "24.10", {"lan"}),
    "a list in capitals with fw3": (lan("list helper 'SIP'", "list helper 'ftp'"),
                                    "21.02", {"lan"}),
    "a masqueraded zone with a list": (lan("option masq 1", "list helper 'sip'"), "24.10", {"lan"}),
    "a HELPER rule": (lan("option auto_helper 0") + HELPER.format("lan", 5070, "sip"),
                      "24.10", {"lan"}),
    "HELPER rules beside the automatic ones": (
        STOCK + HELPER.format("lan", 5070, "sip") + HELPER.format("lan", 2121, "ftp")
        + zone("guest", "guest") + HELPER.format("guest", 5070, "sip"), "24.10", {"lan"}),
    "a HELPER rule with fw3": (lan("option auto_helper 0") + HELPER.format("lan", 5070, "sip"),
                               "21.02", {"lan"}),
    "fw3 and a redirect to 5060": (
        STOCK + zone("guest", "guest") + REDIRECT.format("udp", 5060, "\toption dest lan\n")
        + REDIRECT.format("tcp", 21, "\toption dest guest\n"), "21.02", {"lan", "wan"}),
    "fw3 and a redirect for both protocols, which gets none": (
        STOCK + REDIRECT.format("'tcp udp'", 5060, "\toption dest lan\n"), "21.02", {"lan"}),
    "fw3 and a redirect that names it": (
        STOCK + REDIRECT.format("udp", 5080, "\toption dest lan\n\toption helper sip\n"),
        "21.02", {"lan", "wan"}),
    "fw4 and a redirect, whose helper is a condition": (
        STOCK + REDIRECT.format("udp", 5060, "\toption dest lan\n\toption helper sip\n"),
        "24.10", {"lan"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sip_goes_from_the_zone_of_the_phone_and_every_other_helper_stays(
    name: str, tmp_path: Path
) -> None:
    config, release, zones = CASES[name]
    router = Router(tmp_path, config, release)
    before = all_helpers(router)
    assert all("sip" in before[zone] for zone in zones)
    plan = decide.plan(asked(router))
    assert plan.edits and not plan.refusals
    assert plan.rules
    carry_out(router, plan)
    wanted = {
        zone: [one for one in before[zone] if one != "sip" or zone not in zones] for zone in ZONES
    }
    assert all_helpers(router) == wanted
    again = decide.plan(asked(router))
    assert not again.edits and not again.rules and not again.refusals
    assert "nothing to turn off" in again.notes[-1] or "other zones" in again.notes[-1]


def test_the_change_of_a_stock_router_is_three_edits(tmp_path: Path) -> None:
    plan = decide.plan(asked(Router(tmp_path)))
    assert plan.edits == (
        Edit("@zone[0]", "auto_helper", "set", "0"),
        Edit("@zone[0]", "helper", "add_list", "ftp"),
        Edit("@zone[0]", "helper", "add_list", "tftp"),
    )
    assert plan.kept == ("ftp", "tftp")
    assert [(rule.chain, rule.handle > 0) for rule in plan.rules] == [("helper_lan", True)]


def test_export_show_and_the_file_itself_are_read_alike(tmp_path: Path) -> None:
    config = lan("list helper 'sip'", "list helper 'ftp'", "option x 'it'\\''s'")
    config += zone("lan", "wan")
    router = Router(tmp_path)
    router.config.write_text(config)
    shown = uci.read(router.here("uci", "show", "firewall"))
    exported = uci.read(router.here("uci", "export", "firewall"))
    assert [one.ref for one in shown] == [one.ref for one in exported]
    assert exported == uci.read(config)
    assert shown[1].options["x"] == "it's" and shown[1].words("helper") == ["sip", "ftp"]
    ids = uci.read(router.here("uci", "-X", "show", "firewall"))
    assert ids[1].ref == "cfg02dc81" and ids[1].options == shown[1].options


def test_a_plan_from_show_is_carried_out_like_one_from_export(tmp_path: Path) -> None:
    router = Router(tmp_path, lan("list helper 'sip'"))
    plan = decide.plan(asked(router, config=router.here("uci", "-X", "show", "firewall")))
    carry_out(router, plan)
    assert router.helpers() == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no interface": ({"interface": ""}, "interface is not known"),
    "an interface of no zone": ({"interface": "br-iot"}, "br-iot is in no zone"),
    "pending changes": ({"pending": "firewall.cfg02dc81.masq='1'"}, "changes of the firewall wait"),
    "no ubus": ({"networks": ""}, "ubus does not tell the networks"),
    "ubus says something else": ({"networks": "[1]"}, "ubus does not tell the networks"),
    "a torn configuration": ({"config": "config zone 'lan"}, "a quote is not closed"),
    "no configuration": ({"config": ""}, "has no zone"),
    "nonsense": ({"config": "config zone\nnonsense a b\n"}, "begins with 'nonsense'"),
    "no list of helpers": ({"helpers": ""}, "does not name sip"),
    "no ruleset": ({"ruleset": "Error: Operation not permitted"}, "no ruleset in JSON"),
    "a negated helper": ({"config": lan("list helper '!sip'")}, "an `!`"),
    "an unknown helper": ({"config": lan("list helper 'spi'")}, "not known: 'spi'"),
    "neither yes nor no": ({"config": lan("option masq maybe")}, "neither yes nor no"),
    "on, which fw3 takes for no": ({"config": lan("option auto_helper on")}, "neither yes nor no"),
    "a list where none belongs": ({"config": lan("list masq 1", "list masq 0")}, "is a list"),
    "a negated network": ({"config": STOCK.replace("'lan'", "'!wan'")}, "by what it is not"),
    "two zones of one name": ({"config": STOCK + zone("lan", "guest")},
                              "two zones are called 'lan'"),
    "subnets, and an unknown phone": ({"config": lan("list subnet 10.0.0.0/8"), "address": ""},
                                      "told by addresses"),
    "the kernel does it by port": ({"sysctl": "1\n"}, "nf_conntrack_helper"),
    "a platform that is not known": ({"platform": "routeros"}, "no platform"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_planned_where_it_cannot_be_decided(name: str, tmp_path: Path) -> None:
    told, why = REFUSED[name]
    plan = decide.plan(asked(Router(tmp_path), **told))
    assert len(plan.refusals) == 1 and why in plan.refusals[0]
    assert not plan.edits and not plan.rules


def test_a_phone_in_another_zone_by_address_is_found_there(tmp_path: Path) -> None:
    config = lan("list subnet 192.168.1.128/25")
    config += zone("home", "lan", "list subnet 192.168.1.0/25")
    router = Router(tmp_path)
    plan = decide.plan(asked(router, config=config))
    assert {edit.section for edit in plan.edits} == {"@zone[2]"}


def test_a_wildcard_holds_the_devices_that_begin_like_it(tmp_path: Path) -> None:
    config = STOCK.replace("\tlist   network\t\t'lan'", "\tlist device 'br-+'")
    plan = decide.plan(asked(Router(tmp_path), config=config))
    assert {edit.section for edit in plan.edits} == {"@zone[0]"}


def test_without_the_helper_in_the_kernel_there_is_nothing_to_do(tmp_path: Path) -> None:
    plan = decide.plan(asked(Router(tmp_path, helpers=["ftp"])))
    assert plan.notes == ("the kernel has no SIP helper: nothing to turn off",)


# ── live rulesets, as nft 1.0.6 prints them ──

OBJECT = {"ct helper": {"family": "inet", "table": "t", "name": "voip", "handle": 2, "type": "sip",
                        "protocol": "udp", "l3proto": "ip"}}  # fmt: skip


def ruleset(*expressions: list[Any], table: str = "t") -> str:
    rows: list[Any] = [{"metainfo": {}}, OBJECT]
    for number, expression in enumerate(expressions, 4):
        rule = {"family": "inet", "table": table, "chain": "pre", "handle": number}
        rows.append({"rule": {**rule, "expr": expression}})
    return json.dumps({"nftables": rows})


PORT = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                  "right": 5060}}  # fmt: skip


def test_a_rule_that_sets_the_helper_is_known_by_the_type_of_its_object() -> None:
    text = ruleset([PORT, {"ct helper": "voip"}], [PORT, {"accept": None}])
    plan = decide.plan(decide.Router(NFTABLES, ruleset=text))
    assert [(rule.chain, rule.handle) for rule in plan.rules] == [("pre", 4)]
    assert "file" in plan.notes[0]


def test_an_object_that_no_rule_sets_is_no_helper_in_use() -> None:
    plan = decide.plan(decide.Router(NFTABLES, ruleset=ruleset([PORT, {"accept": None}])))
    assert not plan.rules and plan.notes == ("no rule sets the SIP helper",)


@pytest.mark.parametrize(("expression", "why"), [
    ([PORT, {"ct helper": "voip"}, {"accept": None}], "does more"),
    ([{"ct helper": {"map": {"key": {}, "data": {"set": [[5060, "voip"], [21, "ftp"]]}}}}],
     "a map"),
])  # fmt: skip
def test_a_rule_that_does_more_is_not_touched(expression: list[Any], why: str) -> None:
    plan = decide.plan(decide.Router(NFTABLES, ruleset=ruleset(expression)))
    assert why in plan.refusals[0] and not plan.rules


def test_a_helper_that_an_include_sets_is_no_matter_of_the_configuration(tmp_path: Path) -> None:
    router = Router(tmp_path)
    text = ruleset([PORT, {"ct helper": "voip"}], table="mine")
    plan = decide.plan(asked(router, ruleset=text.replace('"t"', '"mine"')))
    assert "an include" in plan.refusals[0]


def test_rules_of_iptables_are_told_for_both_families() -> None:
    text = "*raw\n-A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip\nCOMMIT\n"
    other = text.replace("5060 -j CT --helper sip", "21 -j CT --helper ftp")
    plan = decide.plan(decide.Router(IPTABLES, iptables=text + other, ip6tables=text))
    assert [(rule.family, rule.chain) for rule in plan.rules] == [
        ("ip", "PREROUTING"), ("ip6", "PREROUTING"),
    ]  # fmt: skip
    assert plan.rules[0].text == "-p udp -m udp --dport 5060 -j CT --helper sip"


@pytest.mark.parametrize("text", [
    "", "null", "[]", '{"nftables": 1}', '{"nftables": [1, {"rule": {}}]}', "[" * 100000,
    '{"nftables": [{"rule": {"family": [], "table": 1, "chain": {}, "expr": [{"ct helper": 1}]}}]}',
])  # fmt: skip
def test_what_is_no_ruleset_is_refused(text: str) -> None:
    plan = decide.plan(decide.Router(NFTABLES, ruleset=text))
    assert plan.refusals and not plan.rules
