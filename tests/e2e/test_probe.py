# SPDX-License-Identifier: Apache-2.0
"""The probe on a real router with the kernel's SIP helper: header by header, and nothing stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from algwatch.kernel import links, netlink
from algwatch.kernel.flows import Flow, Flows
from algwatch.kernel.netlink import Netlink
from algwatch.probe import free
from algwatch.probe.result import REWRITTEN, UNKNOWN, UNTOUCHED, Result
from algwatch.probe.run import packet_socket, probe
from lab.home import Line, at_home, receive
from lab.network import HELPER_RULE, Network

# One that leaves 192.0.2.0/24 to nobody.
SEED = 3
ON_UDP = {
    "OPTIONS": ["Via", "From", "Contact"],
    "REGISTER": ["Via", "Contact"],
    "INVITE": ["Via", "From", "Contact", "Content-Length", "SDP o=", "SDP c="],
    "200 OK": ["To", "Contact", "Content-Length", "SDP o=", "SDP c="],
    "ACK": ["Via", "From", "Contact"],
    "BYE": ["Via", "From"],
}
HEADERS = {
    "OPTIONS": ["Request-URI", "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact",
                "Content-Length"],
    "BYE": ["Request-URI", "Via", "Max-Forwards", "Route", "From", "To", "Call-ID", "CSeq",
            "Content-Length"],
}  # fmt: skip
# Nothing of INVITE leaves, so that a probe takes a second longer and is met while it runs.
SLOW = """table inet more { chain c { type filter hook forward priority -1;
          udp dport 5060 @th,64,32 0x494e5649 drop; }; }"""
BUSY = 5.0  # seconds that a probe may take


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home(SEED) as net:
        yield net


@pytest.fixture(autouse=True)
def quick_arp(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nobody in these namespaces sleeps. The probes in processes of their own take their second."""
    if "answers_arp" not in request.node.name:
        monkeypatch.setattr(free, "PAUSES", (0.0, 0.01, 0.01))
        monkeypatch.setattr(free, "LISTEN", 0.03)


@pytest.fixture
def net(house: Network) -> Network:
    house.helper(True)
    return house


@contextmanager
def rule(net: Network, text: str) -> Iterator[None]:
    """One more table of the router, for a moment."""
    net.router.run("nft", "-f", "-", text=text)
    try:
        yield
    finally:
        net.router.run("nft", "delete", "table", "inet", "more")


def probed(net: Network, lan: str = "", wan: str = "") -> Result:
    with net.router:
        result = probe(lan, wan)
    assert result.seconds < BUSY
    return result


def flows(net: Network) -> list[Flow]:
    with net.router, Flows() as opened:
        return opened.entries(lambda flow: True)


def left(net: Network, before: set[str], bridge: bytes) -> None:
    """Nothing of a probe is there."""
    with net.router, Netlink(netlink.ROUTE) as nl:
        now = links.links(nl)
        arp = {".".join(map(str, host)) for _, host in links.neighbours(nl) if host[0] < 224}
    assert {link.name for link in now} == before
    assert next(link.mac for link in now if link.name == "br-lan") == bridge
    assert not [f.called for f in flows(net) if f.target[0] == "192.0.2.1"]
    with net.router, Flows() as opened:
        assert not opened.expectations()
    assert arp <= {net.draw.phone_ip, net.draw.other_ip, net.draw.gateway_ip}


@contextmanager
def nothing_stays(net: Network) -> Iterator[None]:
    with net.router, Netlink(netlink.ROUTE) as nl:
        before = links.links(nl)
    yield
    left(net, {x.name for x in before}, next(x.mac for x in before if x.name == "br-lan"))


def changed(result: Result, tcp: bool, port: int) -> dict[str, list[str]]:
    """By message, the names of what was rewritten; all of it to the mapping."""
    found: dict[str, list[str]] = {}
    for sent in result.sent:
        if (sent.message.tcp, sent.message.far_port) == (tcp, port) and sent.message.port != 5060:
            names = [f.name for f in sent.fields if f.verdict == "rewritten to the mapping"]
            assert all(f.verdict == "same" or f.name in names for f in sent.fields)
            assert sent.fields, sent.message.name
            found[sent.message.kind] = names
    return found


NONE: dict[str, list[str]] = {kind: [] for kind in ON_UDP}


def test_the_kernel_s_helper_is_told_header_by_header(net: Network) -> None:
    with nothing_stays(net):
        result = probed(net)
    assert (result.state, result.reasons, result.lost) == (REWRITTEN, [], [])
    assert changed(result, False, 5060) == ON_UDP
    assert changed(result, False, 5070) == NONE
    assert changed(result, True, 5060) == changed(result, True, 5070) == NONE
    for kind, names in HEADERS.items():
        fields = next(s.fields for s in result.sent if s.message.kind == kind)
        assert [f.name for f in fields] == names
    first = result.sent[0]
    wan, own = net.draw.wan_ip, first.message.host
    assert (first.source, first.mapped) == (f"{own}:{first.message.port}",
                                            f"{wan}:{first.message.port}")  # fmt: skip
    via = next(f for f in first.fields if f.name == "Via")
    assert via.after == via.before.replace(own, wan) != via.before
    assert {s.helper for s in result.sent if s.state == REWRITTEN} == {"sip"}
    assert {s.helper for s in result.sent if s.state == UNTOUCHED} == {""}
    assert result.conclusion == (
        "This router rewrites Via, From, Contact, Content-Length, SDP and To for new flows that go "
        "out over UDP to port 5060, as the Linux kernel's helper does; SIP over UDP to port 5070, "
        "and TCP to ports 5060 and 5070 passes untouched."
    )


def test_without_the_helper_every_header_is_the_same(net: Network) -> None:
    net.helper(False)
    with nothing_stays(net):
        result = probed(net)
    assert (result.state, result.reasons, result.lost) == (UNTOUCHED, [], [])
    for tcp, port in ((False, 5060), (False, 5070), (True, 5060), (True, 5070)):
        assert changed(result, tcp, port) == NONE
    assert len(result.sent) == 25
    assert result.conclusion == (
        "SIP passes this router untouched for new flows that go out over UDP and TCP to ports 5060 "
        "and 5070."
    )


def test_a_helper_for_tcp_and_one_on_another_port_are_found(net: Network) -> None:
    net.helper(False)
    net.router.run(
        "nft", "-f", "-",
        text='add rule inet fw4 helper_lan tcp dport 5060 ct helper set "sip-tcp"\n'
        + HELPER_RULE.replace("5060", "5070"),
    )  # fmt: skip
    with nothing_stays(net):
        result = probed(net)
    assert changed(result, False, 5060) == NONE
    assert changed(result, False, 5070) == ON_UDP
    assert changed(result, True, 5060) == ON_UDP
    assert changed(result, True, 5070) == NONE


def test_a_rule_that_sets_ttl_stops_it_after_options(net: Network) -> None:
    net.helper(False)
    text = """table inet more { chain c { type filter hook postrouting priority 0;
              oifname "wan" ip ttl set 64; }; }"""
    with rule(net, text), nothing_stays(net):
        result = probed(net)
    assert result.state == UNKNOWN
    assert "OPTIONS left with TTL 64 instead of 1" in result.conclusion
    assert len(result.sent) == 1


def test_a_router_that_drops_is_not_said_to_swallow(net: Network) -> None:
    text = """table inet more { chain c { type filter hook forward priority -1;
              ip daddr 192.0.2.0/24 drop; }; }"""
    with rule(net, text), nothing_stays(net):
        result = probed(net)
    assert result.state == UNKNOWN
    assert result.conclusion.startswith("Cannot tell: OPTIONS entered by br-lan and nothing of it")


def test_one_kind_of_message_that_never_leaves_is_cannot_tell(net: Network) -> None:
    net.helper(False)
    with rule(net, SLOW), nothing_stays(net):
        result = probed(net)
    assert result.state == UNKNOWN
    assert [s.message.name for s in result.lost] == ["INVITE over UDP to port 5060"]
    assert "no copy of INVITE over UDP to port 5060 left by wan" in result.conclusion


def test_a_router_that_redirects_sip_is_cannot_tell(net: Network) -> None:
    text = f"""table inet more {{ chain c {{ type nat hook prerouting priority dstnat;
               iifname "br-lan" udp dport 5060 dnat ip to {net.draw.provider_ip}; }}; }}"""
    with rule(net, text), nothing_stays(net):
        result = probed(net)
    assert result.state == UNKNOWN
    assert f"sends on to {net.draw.provider_ip} what goes to 192.0.2.1" in result.conclusion


def test_a_wrong_rewrite_is_told_as_wrong(net: Network) -> None:
    """The router writes two digits of its own into the host of the Request-URI."""
    net.helper(False)
    text = """table inet more { chain c { type filter hook forward priority -1;
              udp dport 5060 @th,64,64 0x4f5054494f4e5320 @th,208,16 set 0x3939; }; }"""
    with rule(net, text), nothing_stays(net):
        result = probed(net)
    assert result.state == REWRITTEN
    wrong = [f.name for f in result.sent[0].fields if f.verdict == "rewritten wrongly"]
    assert wrong == ["Request-URI"]
    assert "not as the Linux kernel's helper does" in result.conclusion


def test_without_nat_it_says_that_the_helper_had_nothing_to_do(net: Network) -> None:
    net.router.run("nft", "flush", "chain", "inet", "fw4", "srcnat")
    try:
        with nothing_stays(net):
            result = probed(net)
    finally:
        net.router.run("nft", "-f", "-", text='add rule inet fw4 srcnat meta nfproto ipv4 oifname '
                       '"wan" masquerade\n')  # fmt: skip
    assert (result.state, result.sent[0].helper) == (UNTOUCHED, "sip")
    assert "there is no NAT on this way" in result.notes[0]


def test_a_wan_that_is_down_and_a_second_one_are_refused(net: Network) -> None:
    gateway = net.draw.gateway_ip
    with nothing_stays(net):
        net.router.run("ip", "route", "del", "default")
        assert "the WAN is down: there is no default route" in probed(net).conclusion
        assert not probed(net).usage
        net.router.run("ip", "route", "add", "default", "dev", "br-lan", "metric", "9")
        net.router.run("ip", "route", "add", "default", "via", gateway)
        result = probed(net)
        assert result.usage
        assert "this router has 2 WANs, wan and br-lan: name one" in result.conclusion
        net.router.run("ip", "route", "del", "default", "dev", "br-lan")
        assert "wan is no bridge" in probed(net, lan="wan", wan="wan").conclusion
        assert "there is no such interface" in probed(net, wan="ppp9").conclusion


def test_a_bridge_that_cannot_serve_is_refused(net: Network) -> None:
    batch = ("ip", "-batch", "-")
    with nothing_stays(net):
        net.router.run("ip", "link", "set", "br-lan", "type", "bridge", "stp_state", "1")
        assert "br-lan runs the spanning tree protocol" in probed(net).conclusion
        net.router.run("ip", "link", "set", "br-lan", "type", "bridge", "stp_state", "0")
        net.router.run(*batch, text="link add br-x type bridge\naddr add 10.9.9.1/24 dev br-x\n")
        assert "br-x is down" in probed(net, lan="br-x").conclusion
        net.router.run("ip", "link", "set", "br-x", "up")
        assert "br-x has no port" in probed(net, lan="br-x").conclusion
        net.router.run("ip", "link", "del", "br-x")


UBUS = """#!/bin/sh
echo '{"interface": [{"interface": "lan", "up": true, "proto": "static", "l3_device": "br-guest"}]}'
"""


def test_of_two_lans_the_one_that_ubus_names_is_probed(
    net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.router.run(
        "ip", "-batch", "-",
        text="link add br-guest type bridge\naddr add 10.9.9.1/24 dev br-guest\n"
        "link set br-guest up\n",
    )  # fmt: skip
    try:
        assert probed(net).lan == "br-lan"
        (tmp_path / "ubus").write_text(UBUS)
        (tmp_path / "ubus").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert "br-guest has no port" in probed(net).conclusion
        (tmp_path / "ubus").write_text("#!/bin/sh\necho '[[[['\n")
        assert probed(net).lan == "br-lan"
    finally:
        net.router.run("ip", "link", "del", "br-guest")


def test_a_network_without_a_free_address_is_refused(net: Network) -> None:
    ip, lan = net.draw.phone_ip, net.draw.lan
    first = ".".join(str(lan[0]).split(".")[:3])
    net.phone.run("ip", "-batch", "-", text="".join(
        f"addr add {first}.{n}/24 dev eth0\n" for n in range(2, 255)
        if f"{first}.{n}" not in (ip, net.draw.other_ip, *net.draw.more_ips)
    ))  # fmt: skip
    try:
        with nothing_stays(net):
            assert "belongs to somebody" in probed(net).conclusion
    finally:
        net.phone.run("ip", "-batch", "-", text="".join(
            f"addr del {first}.{n}/24 dev eth0\n" for n in range(2, 255)
            if f"{first}.{n}" not in (ip, net.draw.other_ip, *net.draw.more_ips)
        ))  # fmt: skip


def test_without_root_it_says_so(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = probed(net)
    assert result.usage
    assert "only root with CAP_NET_ADMIN" in result.conclusion


def test_a_wan_on_top_of_another_device_shows_each_packet_twice_and_is_named(net: Network) -> None:
    """As a VLAN, or the port of a switch (DSA), does."""
    wan = "203.0.113.77"
    net.router.run(
        "ip", "-batch", "-",
        text=f"link add link wan name voice type macvlan\nlink set voice up\n"
        f"addr add {wan}/24 dev voice\nroute del default\n"
        f"route add default via {net.draw.gateway_ip} dev voice\n",
    )  # fmt: skip
    net.router.run("nft", "-f", "-", text='add rule inet fw4 forward oifname "voice" accept\n'
                   'add rule inet fw4 srcnat oifname "voice" masquerade\n')  # fmt: skip
    try:
        with nothing_stays(net):
            result = probed(net, wan="voice")
    finally:
        net.router.run("ip", "link", "del", "voice")
        net.router.run("ip", "route", "add", "default", "via", net.draw.gateway_ip)
    assert (result.state, result.wan, result.lost) == (REWRITTEN, "voice", [])
    assert result.sent[0].mapped.startswith(wan)
    assert not result.notes


def test_a_phone_that_answers_arp_keeps_its_address(net: Network) -> None:
    phone, nobody = (bytes(map(int, ip.split("."))) for ip in (
        net.draw.phone_ip, str(next(n for n in net.draw.lan.hosts()
                                    if str(n) not in (net.draw.phone_ip, net.draw.other_ip)))
    ))  # fmt: skip
    with net.router, Netlink(netlink.ROUTE) as nl, packet_socket("br-lan", 0x0806) as wire:
        bridge = links.link(nl, "br-lan")
        assert bridge is not None
        assert free.claimed([phone, nobody], wire, bridge.mac) == {phone}


def test_a_registered_phone_keeps_its_port_and_is_still_called(net: Network) -> None:
    line = Line(net)
    try:
        line.register()
        public = line.public
        before = [(f.called, f.helper, f.reply_target) for f in flows(net)]
        with net.router, Flows() as opened:
            expected = [(e.master, e.target) for e in opened.expectations()]
        assert public == (net.draw.wan_ip, 5060)
        assert expected
        assert probed(net).state == REWRITTEN
        now = [(f.called, f.helper, f.reply_target) for f in flows(net)]
        assert [flow for flow in now if flow in before] == before
        with net.router, Flows() as opened:
            assert [(e.master, e.target) for e in opened.expectations()] == expected
        assert not line.register()
        assert line.public == public
        with net.provider.udp(line.far, 6060) as other:  # nothing but the expectation lets it in
            other.sendto(b"hello hello hello", public)
            assert receive(line.phone, 1) is not None
    finally:
        line.close()


def test_a_rule_that_names_phones_is_not_taken_for_no_alg(net: Network) -> None:
    """The probe has an address that is no phone's."""
    only = HELPER_RULE.replace("udp", f"ip saddr {net.draw.phone_ip} udp")
    net.router.run("nft", "-f", "-", text="flush chain inet fw4 helper_lan\n" + only)
    line = Line(net)
    try:
        assert not line.register(), "this phone is rewritten"
        result = probed(net)
    finally:
        line.close()
        net.forget_flows()
    assert not any(sent.helper for sent in result.sent)
    assert result.state == UNKNOWN
    assert f"live flows of {line.ip} have the SIP helper" in result.conclusion


def test_a_call_beside_it_loses_nothing(net: Network) -> None:
    line = Line(net)
    try:
        line.register()
        line.call(net)
        with rule(net, SLOW):
            one = start(net)
            wait_for_flows(net)
            rounds = 0
            while one.poll() is None:
                line.talk(net)  # a packet each way, and both arrive
                rounds += 1
        assert rounds >= 3
        assert not line.request("BYE")
    finally:
        line.close()
    assert one.returncode == 1, one.communicate()[0]


def start(net: Network, *options: str) -> subprocess.Popen[str]:
    return net.router.start([sys.executable, "-m", "algwatch", "probe", *options])


def wait_for_flows(net: Network) -> None:
    """Until the probe has sent something."""
    end = time.monotonic() + 30
    while not any(f.target[0] == "192.0.2.1" for f in flows(net)):
        assert time.monotonic() < end, "the probe sent nothing"
        time.sleep(0.002)


@pytest.mark.parametrize("probe_again", [True, False])
def test_after_a_kill_9_the_next_start_cleans_up(net: Network, probe_again: bool) -> None:
    with nothing_stays(net):
        with rule(net, SLOW):
            one = start(net)
            wait_for_flows(net)
            one.kill()
            one.communicate()
        with net.router, Netlink(netlink.ROUTE) as nl:
            names = [link.name for link in links.links(nl)]
        assert [name for name in names if name.startswith("algw-")], names
        if probe_again:
            result = probed(net)
            assert result.state == REWRITTEN
            cleaned = result.cleaned
        else:
            words = "rollback", "--if-unfinished", "--changes", "/nonexistent"  # of the init script
            said = net.router.run(sys.executable, "-m", "algwatch", *words)
            cleaned = [said.strip().rpartition("(")[2].rstrip(")")]
        assert len(cleaned) == 1
        assert cleaned[0].startswith(str(net.draw.lan[0]).rpartition(".")[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_nothing_stays(net: Network, number: int) -> None:
    with rule(net, SLOW), nothing_stays(net):
        one = start(net)
        wait_for_flows(net)
        os.kill(one.pid, number)
        out, _ = one.communicate(timeout=60)
    assert one.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM), out


def test_two_at_once_do_not_meet(net: Network) -> None:
    with rule(net, SLOW):
        one = start(net, "--json")
        wait_for_flows(net)
        refused = probed(net)
    assert refused.conclusion.startswith("Cannot tell: another probe is running")
    out, _ = one.communicate(timeout=60)
    assert one.returncode == 1
    assert json.loads(out)["state"] == REWRITTEN
