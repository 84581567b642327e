# SPDX-License-Identifier: Apache-2.0
"""`algwatch doctor` on the files and the programs of a router: no false all-clear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.advise.platforms.examine import Conclusion, Line, examined
from algwatch.advise.platforms.others import OTHERS
from algwatch.capture.examined import Facts, Said, examine
from openwrt.router import Router

EMPTY = Said('{"nftables": []}')
NOTHING = Facts(
    root=True, model="", system="OpenWrt 24.10.1", openwrt=True, kernel="6.6.1", sysfs=True,
    helper="module", firewall="fw4", ruleset=EMPTY,
    iptables=Said(None, "there is no iptables-save"),
    ip6tables=Said(None, "there is no ip6tables-save"), raw=False, sysctl="", others=(), helped=(),
    unhelped_why="", expectations=0, udp_timeout=60, udp_timeout_stream=180, sip_timeout="3600",
    offload="", pending=(), lan=("br-lan",), wan=("wan",), no_networks="", down=(), listeners=(),
    ring="", accounting=True, wanting=(),
)  # fmt: skip
"""A router with the helper's module, on which nothing attaches it."""


def judged(**changes: Any) -> tuple[list[Line], Conclusion]:
    return examined(NOTHING._replace(**changes))


def test_nothing_that_attaches_the_helper_is_no_alg() -> None:
    lines, conclusion = judged()
    assert conclusion.state == "none" and "nothing attaches it" in conclusion.text
    assert {line.state for line in lines} == {"ok", "look"}
    assert judged(helper="")[1].text == "No SIP ALG here: the kernel has no SIP helper."


RAW = "*raw\n-A PREROUTING -p udp --dport 5060 -j CT --helper sip\nCOMMIT\n"


@pytest.mark.parametrize("changes", [
    {"helped": ("udp 192.168.1.10:5060 -> 192.0.2.1:5060",)}, {"sysctl": "1"},
    {"iptables": Said(RAW)}, {"ip6tables": Said(RAW)},
    {"helped": ("udp [fd::1]:5060 -> [fd::2]:5060",), "ruleset": Said(None, "nft: no")},
])  # fmt: skip
def test_whatever_attaches_the_helper_is_the_alg(changes: dict[str, Any]) -> None:
    assert judged(**changes)[1].state == "on"


@pytest.mark.parametrize("changes", [
    {"ruleset": Said(None, "nft: Operation not permitted")}, {"ruleset": Said("{}")},
    {"ruleset": Said('{"nftables": [{"rule": {"family": "ip", "table": "raw", "chain": "P", '
                     '"handle": 1, "expr": [{"xt": null}]}}]}')},
    {"helped": None, "unhelped_why": "Operation not permitted"}, {"raw": True}, {"raw": None},
    {"others": ("act_ct",)}, {"sysfs": False}, {"system": ""}, {"system": "", "helper": ""},
    {"listeners": ("udp 0.0.0.0",)}, {"listeners": ("udp 0.0.0.0",), "helper": ""},
    {"firewall": "fw3"}, {"firewall": "iptables"}, {"sysfs": False, "helper": ""},
])  # fmt: skip
def test_what_could_not_be_seen_is_no_all_clear(changes: dict[str, Any]) -> None:
    _, conclusion = judged(**changes)
    assert conclusion.state == "cannot-tell", conclusion
    assert conclusion.next == "run algwatch probe (as root)"


@pytest.mark.parametrize(("changes", "state", "said"), [
    ({"offload": "hardware"}, "problem", "hardware flow offload"),
    ({"offload": "software"}, "look", "software flow offload"),
    ({"down": ("br-lan",)}, "problem", "br-lan is down"),
    ({"ring": "no privilege to capture on lo"}, "problem", "no privilege"),
    ({"accounting": False}, "look", "does not count flows"),
    ({"wanting": ("kmod-veth",)}, "problem", "kmod-veth is missing"),
    ({"pending": ("/tmp/.uci/firewall",)}, "look", "wait in /tmp/.uci/firewall"),
    ({"udp_timeout_stream": 30}, "look", "30 s once"),
    ({"lan": (), "no_networks": "there is no ubus here"}, "look", "there is no ubus"),
    ({"root": False}, "look", "this is not root"),
])  # fmt: skip
def test_every_hindrance_has_a_line(changes: dict[str, Any], state: str, said: str) -> None:
    lines, _ = judged(**changes)
    assert any(line.state == state and said in line.text for line in lines)


@pytest.mark.parametrize("release", ["24.10", "21.02"])
def test_an_openwrt_router_is_read(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, Router(tmp_path, release=release))
    facts = examine(str(tmp_path))
    assert facts.system == f"OpenWrt {release}.1" and facts.openwrt
    assert facts.firewall == ("fw3" if release == "21.02" else "fw4")
    if release == "21.02":
        assert facts.iptables.text and facts.ruleset.text


def environment(monkeypatch: pytest.MonkeyPatch, router: Router) -> None:
    for name, value in router.environment.items():
        monkeypatch.setenv(name, value)


def test_doctor_tells_zone_and_interfaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    router = Router(tmp_path)
    environment(monkeypatch, router)
    (tmp_path / "tmp/.uci").mkdir()
    (tmp_path / "tmp/.uci/firewall").write_text("firewall.x.y='1'\n")
    assert main(["doctor", "--json", "--root", str(tmp_path)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["conclusion"]["state"] == "on"
    assert "chain helper_lan (zone lan)" in told["conclusion"]["text"]
    assert "br-lan" in told["lan"] and told["wan"] == ["pppoe-wan", "eth0.20"]
    assert any(line["topic"] == "configuration" for line in told["lines"])
    assert main(["doctor", "--root", str(tmp_path)]) == 1
    assert "The SIP ALG is on: nft rule" in capsys.readouterr().out


def test_an_empty_folder_is_no_router_and_gets_no_all_clear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--root", str(tmp_path)]) == 3
    said = capsys.readouterr().out
    assert "there is no ubus here" in said and "cannot be told" in said
    assert main(["doctor", "--root", str(tmp_path / "nosuch")]) == 2


def test_hostile_names_command_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    router = Router(tmp_path)
    environment(monkeypatch, router)
    (tmp_path / "tmp/sysinfo").mkdir()
    (tmp_path / "tmp/sysinfo/model").write_text("\x1b[2Jevil\u202e")
    main(["doctor", "--root", str(tmp_path)])
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_a_program_that_prints_without_end_or_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algwatch.capture.examined.SECONDS", 0.5)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/nft"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    program.chmod(0o755)
    assert "does not answer" in examine(str(tmp_path)).ruleset.why


def test_other_systems_are_told_and_never_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--platform", "list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [one.name for one in OTHERS] and len(set(names)) == len(names)
    for one in OTHERS:
        assert one.off and one.seen in ("source", "hearsay")
        assert main(["doctor", "--platform", one.name]) == 0
        said = capsys.readouterr().out
        assert all(line in said for line in (*one.off, *one.check, *one.back))
        assert "does not run these lines" in said
        assert ("hearsay" in said) == (one.seen == "hearsay")
    assert main(["doctor", "--platform", "nosuch"]) == 2
    page = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
    for one in OTHERS:
        assert f"| `{one.name}` | {one.title} | {one.seen} |\n" in page


@pytest.mark.parametrize("changes,does", [
    ({"sysctl": "1"}, "sysctl -w net.netfilter.nf_conntrack_helper=0"),
    ({"iptables": Said(RAW), "firewall": "iptables"}, "doctor --platform iptables"),
    ({"iptables": Said(RAW), "firewall": "fw3"}, "algwatch apply turns it off"),
    ({"helped": ("udp 192.168.1.10:5060 -> 192.0.2.1:5060",)}, "keeps it when the rule is gone"),
])  # fmt: skip
def test_apply_is_named_only_where_it_turns_the_alg_off(changes: dict[str, Any], does: str) -> None:
    lines, conclusion = judged(**changes)
    assert does in conclusion.next
    said = " ".join([conclusion.next, *(line.do for line in lines)])
    assert ("algwatch apply turns it off" in said) == (does == "algwatch apply turns it off")


def test_without_root_the_next_step_is_root() -> None:
    no = "nft: Operation not permitted (you must be root)"
    lines, conclusion = judged(root=False, ruleset=Said(None, no))
    assert (conclusion.state, conclusion.next) == ("cannot-tell", "run algwatch doctor as root")
    assert any(no in line.text for line in lines)


def test_a_reader_that_leaves_changes_no_exit_status(tmp_path: Path) -> None:
    """`algwatch apply | head -1`: whether it worked is in the status (set -o pipefail)."""
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "algwatch", "doctor", "--root", str(tmp_path)]
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, env=env)
    os.close(write)
    assert (done.returncode, done.stderr) == (3, "")
