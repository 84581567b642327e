# SPDX-License-Identifier: Apache-2.0
"""ctnetlink on a real router with the kernel's SIP helper."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest
from algwatch.kernel.flows import UDP, Busy, Flow, Flows
from lab.home import SDP, Line, at_home, receive
from lab.network import Network


@pytest.fixture(scope="module")
def house() -> Iterator[Network]:
    with at_home() as net:
        yield net


@pytest.fixture
def net(house: Network) -> Network:
    house.forget_flows()
    return house


@pytest.fixture
def line(net: Network) -> Iterator[Line]:
    one = Line(net)
    yield one
    one.close()


@pytest.fixture
def flows(net: Network) -> Iterator[Flows]:
    with net.router:
        opened = Flows()
    with opened:
        yield opened


def only(found: list[Flow]) -> Flow:
    assert len(found) == 1, [flow.called for flow in found]
    return found[0]


def test_a_helped_flow_is_found_with_its_addresses(net: Network, line: Line, flows: Flows) -> None:
    assert not line.register()
    flow = only(flows.helped())
    assert (flow.proto, flow.helper, flow.master) == (UDP, "sip", None)
    assert (flow.source, flow.target) == ((line.ip, 5060), (line.far, 5060))
    assert flow.reply_target == (net.draw.wan_ip, 5060) == line.public
    assert 3590 <= flow.timeout <= 3600
    assert flow.is_of(line.ip) and not flow.is_of(net.draw.other_ip)


def test_without_its_helper_a_flow_keeps_its_port_and_passes_unrewritten(
    net: Network, line: Line, flows: Flows
) -> None:
    line.register()
    before = line.public
    flow = only(flows.helped())
    assert flows.take_helper_off(flow)
    assert flows.helped() == []
    assert line.register(), line.arrived
    assert line.public == before
    assert b"Contact: <sip:jo@%s:5060>" % line.ip.encode() in line.answer()
    left = only(flows.entries(lambda f: f.is_of(line.ip)))
    assert left.helper == "" and left.timeout <= 180


def test_the_expectations_of_a_flow_go_with_its_helper(
    net: Network, line: Line, flows: Flows
) -> None:
    line.register()
    assert [one.media for one in flows.expectations()] == [False]
    line.request("INVITE", SDP.format(ip=line.ip, port=40000))
    assert any(one.media and one.master[0] == line.ip for one in flows.expectations())
    flows.take_helper_off(only(flows.helped()))
    assert flows.expectations() == []


def test_media_of_a_call_know_whose_they_are(net: Network, line: Line, flows: Flows) -> None:
    line.register()
    line.call(net)
    media = flows.entries(lambda flow: flow.master is not None)
    assert {flow.master for flow in media} == {(line.ip, 5060)}


def test_a_flow_that_was_expected_is_busy_and_can_be_deleted(
    net: Network, line: Line, flows: Flows
) -> None:
    line.register()  # the helper expects requests of the registrar from any port
    with net.provider.udp(line.far, 5099) as other:
        other.sendto(b"OPTIONS sip:jo@%s SIP/2.0\r\nCall-ID: 1\r\n\r\n" % line.public[0].encode(),
                     line.public)  # fmt: skip
        assert receive(line.phone, 1) is not None
    child = only([flow for flow in flows.helped() if flow.master])
    assert child.source == (line.far, 5099) and child.is_of(line.ip)
    with pytest.raises(Busy):
        flows.take_helper_off(child)
    assert flows.delete(child)
    assert only(flows.helped()).master is None


def test_what_is_gone_is_said_to_be_gone_and_is_not_made(
    net: Network, line: Line, flows: Flows
) -> None:
    line.register()
    flow = only(flows.helped())
    net.forget_flows()
    assert not flows.take_helper_off(flow)
    assert not flows.delete(flow)
    assert flows.entries(lambda _: True) == []


def test_one_flow_of_thousands_is_found_while_the_table_changes(
    net: Network, line: Line, flows: Flows
) -> None:
    line.register()
    for port in range(1, 3001):
        line.phone.sendto(b"x", (net.draw.far_ips[port % 3], 10000 + port))
    started = time.monotonic()
    assert len(flows.entries(lambda _: True)) >= 3000
    assert time.monotonic() - started < 10
    for port in range(1, 11):
        line.phone.sendto(b"x", (net.draw.far_ips[0], 20000 + port))
        assert only(flows.helped()).target == (line.far, 5060)


def test_a_process_without_the_right_is_refused(net: Network) -> None:
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", "--"]
    read = "from algwatch.kernel.flows import Flows\nwith Flows() as f: f.helped()"
    done = net.router.start([*without, sys.executable, "-c", read])
    said, _ = done.communicate(timeout=20)
    assert done.returncode == 1 and "Operation not permitted" in said
