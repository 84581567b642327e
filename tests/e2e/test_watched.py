# SPDX-License-Identifier: Apache-2.0
"""`watch` over a real ssh, and `--follow` of files that grow."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from algwatch.base.packet import LAN, WAN
from algwatch.cli import Usage
from algwatch.cli.watch import _interfaces, tcpdump
from craft import House, Incoming, outgoing_call, packets_of, pcap
from logs import FORMS, messages

HERE = Path(__file__).resolve().parent
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"}
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
NEEDED = ("sshd", "ssh", "ssh-keygen", "tcpdump", "unshare", "ip")


def house() -> House:
    made = House()
    outgoing_call(made, 1, "good@phone")
    lost = Incoming(made, "lost@provider")
    lost.invite(10)
    lost.dropped(11)
    return made


def may_watch() -> str:
    """ "" or what is missing."""
    missing = [name for name in NEEDED if not shutil.which(name, path=PATH)]
    if missing:
        return f"needs {', '.join(missing)}"
    done = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True)
    return "needs root" if done.returncode else ""


def test_a_router_with_nothing_but_tcpdump_is_watched_over_ssh(tmp_path: Path) -> None:
    if why := may_watch():
        assert os.environ.get("CI") != "true", why
        pytest.skip(why)
    lan, wan = house().sorted()
    for name, packets in (("lan", lan), ("wan", wan)):
        (tmp_path / name).write_bytes(pcap(packets))
    done = subprocess.run(
        ["unshare", "-n", sys.executable, HERE / "watched_router.py", tmp_path, tmp_path / "lan",
         tmp_path / "wan"],
        capture_output=True, text=True, check=False, timeout=90, env=ENVIRONMENT | {"PATH": PATH},
    )  # fmt: skip
    said = done.stdout
    assert "LAN br-lan, WAN wan of root@127.0.0.1" in done.stderr
    assert 'completed: "sip:100@example.net" to "sip:300@example.net"' in said, done.stderr
    report = said[said.index("SIP messages (") - 4 :]
    assert f"{len(lan) + len(wan)} SIP messages ({len(lan)} LAN, {len(wan)} WAN)" in report
    assert said.rstrip().endswith("0 left")  # no tcpdump stays on the router


def followed(path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "algwatch", "analyze", "--follow", *words, str(path)],
        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["pcap", "pjsip"])
def test_a_file_that_grows_is_read_on_until_ctrl_c(form: str, tmp_path: Path) -> None:
    lan, _ = house().sorted()
    path = tmp_path / "growing"
    whole = pcap(lan) if form == "pcap" else FORMS[form](
        messages(packets_of(pcap(lan))), "192.168.1.10").encode()  # fmt: skip
    path.write_bytes(whole[:100])
    with followed(path) as process:
        assert process.stdout is not None
        for start in range(100, len(whole), 700):  # pieces that end anywhere
            with path.open("ab") as file:
                file.write(whole[start : start + 700])
            time.sleep(0.01)
        first = process.stdout.readline()  # told while the file may still grow
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert 'completed: "sip:100@example.net" to "sip:300@example.net"' in first
    assert "DLG001 ack-lost" in rest and "2 calls (1 completed, 1 dropped)" in rest
    assert process.returncode == 1


def test_damage_of_a_followed_file_ends_in_the_report(tmp_path: Path) -> None:
    lan, _ = house().sorted()
    path = tmp_path / "growing"
    path.write_bytes(pcap(lan))
    with followed(path) as process:
        time.sleep(2)
        with path.open("ab") as file:
            file.write(b"\xff" * 3000)
        said, _ = process.communicate(timeout=30)
    assert "2 calls (1 completed, 1 dropped)" in said and process.returncode == 1


ROUTES = ("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
          "pppoe-wan\t00000000\t0100A8C0\t3\t0\t0\t0\t00000000\t0\n"
          "br-lan\t0001A8C0\t00000000\t1\t0\t0\t0\t00FFFFFF\t0\n")  # fmt: skip


def router(*names: str, routes: str = ROUTES, tcpdump_at: str = "/usr/sbin/tcpdump") -> str:
    listed = "".join(f"{name:>8}: 1 2 3\n" for name in ("lo", *names))
    return f"{routes}\nInter-|   Receive\n face |bytes\n{listed}\n{tcpdump_at}\n"


def test_the_sides_are_told_by_routes_and_names() -> None:
    said = router("eth0", "lan1", "br-lan", "pppoe-wan")
    assert _interfaces(said, None, None) == {LAN: "br-lan", WAN: "pppoe-wan"}
    assert _interfaces(said, "lan1", "eth0") == {LAN: "lan1", WAN: "eth0"}
    names = router("br-lan", "wan", routes="Iface\n")
    assert _interfaces(names, None, None) == {LAN: "br-lan", WAN: "wan"}


@pytest.mark.parametrize(
    ("said", "lan", "words"),
    [
        (router("br-lan", "wan", tcpdump_at="none"), None, "has no tcpdump"),
        (router("eth7", "eth8", routes="Iface\n"), None, "--lan-if NAME; there are: eth7, eth8"),
        (router("br-lan", "pppoe-wan"), "nowhere", "--lan-if NAME"),
        (router("br-lan", "pppoe-wan"), "pppoe-wan", "cannot be both sides"),
        (router("$(reboot)", "a;b", routes="Iface\n"), "a;b", "--lan-if NAME"),
    ],
)
def test_a_router_that_does_not_tell_is_asked_about(said: str, lan: str | None, words: str) -> None:
    with pytest.raises(Usage, match=words.replace("$", "\\$")):
        _interfaces(said, lan, None)


def test_the_line_on_the_router_is_one_for_its_shell() -> None:
    line = tcpdump("br-lan", [5060, 5080])
    assert "'port 5060 or port 5080 or ip[6:2] & 0x1fff != 0 or ip6 proto 44'" in line
    subprocess.run(["sh", "-n", "-c", line], check=True)
