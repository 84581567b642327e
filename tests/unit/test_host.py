# SPDX-License-Identifier: Apache-2.0
"""What the router says of itself: read from its files, and told by ALG017 and CAP006."""

from __future__ import annotations

from pathlib import Path

import algwatch.start
import pytest
from algwatch.base.host import HARDWARE, NO_OFFLOAD, NOT_READ, SOFTWARE, Host
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.capture.host import is_down, read_host
from algwatch.config import Config
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.start import CannotStart
from craft import LADDER_2XX, NS, START, House, Incoming, batch, register

EXPECTED = """\
178 l3proto = 2 proto=17 src=2.0.0.5 dst=1.0.0.2 sport=0 dport=5060 PERMANENT sip/signalling
30 l3proto = 2 proto=17 src=0.0.0.0 dst=198.51.100.2 sport=0 dport=4000 sip
297 l3proto = 2 proto=6 src=1.1.1.1 dst=2.2.2.2 sport=1 dport=1025 ftp/
"""
FIREWALL = """\
config defaults
\toption input 'REJECT'
\toption flow_offloading '{soft}'
\toption flow_offloading_hw '{hard}'

config zone
\toption name 'lan'
\toption flow_offloading_hw '1'
"""


def put(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_router_with_the_helper_as_a_module(tmp_path: Path) -> None:
    put(tmp_path, "sys/module/nf_conntrack_sip/initstate", "live\n")
    put(tmp_path, "proc/net/nf_conntrack_expect", EXPECTED)
    put(tmp_path, "proc/sys/net/netfilter/nf_conntrack_udp_timeout", "60\n")
    put(tmp_path, "proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", "180\n")
    host = read_host(7, str(tmp_path))
    assert (host.at, host.helper, host.loaded, host.expectations) == (7, True, True, 2)
    assert (host.udp_timeout, host.udp_timeout_stream) == (60, 180)


def test_what_is_not_there_is_not_known(tmp_path: Path) -> None:
    host = read_host(7, str(tmp_path))
    assert (host.helper, host.loaded, host.expectations) == (False, False, NOT_READ)
    assert (host.udp_timeout, host.udp_timeout_stream, host.offload) == (0, 0, NO_OFFLOAD)


@pytest.mark.parametrize(
    ("flags", "down"), [("0x1002", True), ("0x1003", False), ("", False), ("up", False)]
)
def test_an_interface_that_nobody_has_set_up_is_down(
    tmp_path: Path, flags: str, down: bool
) -> None:
    assert not is_down("lan1", str(tmp_path))  # what is not there is not known
    folder = tmp_path / "sys" / "class" / "net" / "lan1"
    folder.mkdir(parents=True)
    (folder / "flags").write_text(flags + "\n")
    assert is_down("lan1", str(tmp_path)) == down


def test_a_helper_that_is_built_in_is_no_module(tmp_path: Path) -> None:
    put(tmp_path, "sys/module/nf_conntrack_sip/parameters/ports", "5060\n")
    host = read_host(7, str(tmp_path))
    assert (host.helper, host.loaded) == (True, False)


@pytest.mark.parametrize(
    ("soft", "hard", "offload"),
    [("0", "0", NO_OFFLOAD), ("1", "0", SOFTWARE), ("1", "1", HARDWARE), ("0", "1", NO_OFFLOAD)],
)
def test_the_offload_is_that_of_the_defaults(
    tmp_path: Path, soft: str, hard: str, offload: str
) -> None:
    put(tmp_path, "etc/config/firewall", FIREWALL.format(soft=soft, hard=hard))
    assert read_host(7, str(tmp_path)).offload == offload


@pytest.mark.parametrize("text", ["", "\0" * 999, "x" * 300_000, "config", "9" * 5000])
def test_whatever_is_in_the_files_nothing_breaks(tmp_path: Path, text: str) -> None:
    for path in ("etc/config/firewall", "proc/net/nf_conntrack_expect",
                 "proc/sys/net/netfilter/nf_conntrack_udp_timeout"):  # fmt: skip
        put(tmp_path, path, text)
    assert read_host(7, str(tmp_path)).offload == NO_OFFLOAD


def told(*hosts: Host) -> list[tuple[str, str]]:
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    return [
        (f.rule, f.key) for host in hosts for f in pipeline.host(host) if isinstance(f, Finding)
    ]


def test_a_helper_is_told_once_and_once_more_when_it_is_seen_attached() -> None:
    loaded, attached = Host(1, True, True), Host(2, True, True, 3)
    assert told(loaded, loaded) == [("ALG017", "ALG017/loaded")]
    assert told(loaded, attached, loaded) == [
        ("ALG017", "ALG017/loaded"), ("ALG017", "ALG017/attached"),
    ]  # fmt: skip
    assert told(attached, loaded) == [("ALG017", "ALG017/attached")]


def test_a_helper_in_the_kernel_that_is_attached_to_nothing_is_no_news() -> None:
    assert told(Host(1, True, False), Host(2, True, False, 0)) == []


def test_the_offload_of_the_start_counts_once_the_settings_cannot_be_read(tmp_path: Path) -> None:
    assert read_host(7, str(tmp_path), before=HARDWARE).offload == NO_OFFLOAD, "no such file"
    (tmp_path / "etc/config/firewall").mkdir(parents=True)
    assert read_host(7, str(tmp_path), before=HARDWARE).offload == HARDWARE
    assert read_host(7, str(tmp_path)).offload == NO_OFFLOAD


@pytest.mark.parametrize("offload", [SOFTWARE, HARDWARE])
def test_with_hardware_offload_nobody_is_blamed_for_what_was_not_seen(offload: str) -> None:
    house = House()
    register(house, 0)
    call = Incoming(house, "offloaded")
    call.invite(2)
    call.ok(3)
    for after in LADDER_2XX:
        call.ok(3 + after)
    call.dropped(3)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    reports = pipeline.host(Host(START * NS, offload=offload))
    for tap, copies in zip((LAN, WAN), house.sorted(), strict=True):
        reports += pipeline.feed(batch(copies, tap))
    reports += pipeline.advance(LAN, (START + 100) * NS)
    reports += pipeline.advance(WAN, (START + 100) * NS) + pipeline.finish()
    found = {r.rule: r.where for r in reports if isinstance(r, Finding)}
    assert ("CAP006" in found) == (offload == HARDWARE)
    # The 2xx was repeated, so its ACK did not come; by which way it was lost, nobody saw.
    assert found["DLG001"] == ("unknown" if offload == HARDWARE else "network")


def test_run_refuses_hardware_offload_until_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algwatch.start, "read_host", lambda at, ports: Host(at, offload=HARDWARE))
    config = Config()
    config.set("lan", "no-such-lan")
    config.set("wan", "no-such-wan")
    with pytest.raises(CannotStart, match=r"hardware flow offload is on.*hardware_offload = on"):
        algwatch.start.run(config, 1, 2)
    config.set("hardware_offload", "on")
    with pytest.raises(CannotStart, match="no-such-lan"):
        algwatch.start.run(config, 1, 2)
