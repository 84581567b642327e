# SPDX-License-Identifier: Apache-2.0
"""A broker that takes less than others do: smaller packets, one at a time, nothing retained. No
finding is lost for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report import mqtt
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder, fitted
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.wire import decode
from brokers import Gate, Listener, Mosquitto, until

FINDINGS = 12
TAGS = {f"{number}": "x" * 60 for number in range(16)}


def finding(number: int) -> Finding:
    """Each other one is long."""
    vias = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" * (1 + number % 2 * 40)
    look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x@192.0.2.2 SIP/2.0\r\n" + vias + b"\r\n")
    name = str(number)
    return Finding("TXN001", "invite-unanswered", "error", "network", "observed", name, "lan", 1.0,
                   name, [look] * 4, name)  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("retain_available false", "retains nothing"),
        ("max_packet_size 2500", ""),
        ("message_size_limit 2500", "too large"),
        ("max_inflight_messages 1\nmax_topic_alias 0\nmax_keepalive 10", ""),
    ],
)
def test_every_finding_arrives_at_a_broker_that_takes_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, word: str
) -> None:
    monkeypatch.setattr(mqtt, "BACKOFF", (0.05, 0.4))
    broker = Mosquitto(tmp_path, f"allow_anonymous true\n{setting}")
    listener = Listener(broker.port)
    said: list[str] = []
    outbox = Outbox(1 << 20)
    publisher = Publisher(
        Broker(f"mqtt://127.0.0.1:{broker.port}"),
        Encoder("cpe1", "0.1.0", "b" * 16, Privacy(bytes(32), False)), outbox,
        time.time, said.append, {"tags": TAGS if "retain" in setting else {}}, daily=1 << 30,
    )  # fmt: skip
    publisher.start()
    try:
        for number in range(FINDINGS):
            publisher.finding(finding(number))
        reason = "It helps, and nothing speaks against it. " * 10
        publisher.advice([Advice("keep-sip-alg", "recommended", 0.5, [reason] * 8, [], [])] * 4)
        assert until(lambda: len({one["id"] for one in listener.of("finding")}) == FINDINGS), said
        assert until(lambda: not len(outbox)), said
        assert (outbox.refused, publisher._link.connections) == (0, 1), said
        cut = [one for one in listener.of("finding") if one["finding"].get("cut")]
        assert len(cut) == (FINDINGS // 2 if "size" in setting else 0)
        assert all(one["finding"]["evidence"] for one in listener.of("finding")
                   if not one["finding"].get("cut"))  # fmt: skip
        assert listener.of("state") and any(word in line for line in said)
    finally:
        publisher.stop(1.0)
        listener.close()
        broker.kill()


def test_a_broker_that_retains_again_has_the_end_of_the_router_retained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "BACKOFF", (0.05, 0.4))
    broker = Mosquitto(tmp_path, "allow_anonymous true\nretain_available false")
    gate = Gate(broker.port)
    said: list[str] = []
    publisher = Publisher(
        Broker(f"mqtt://127.0.0.1:{gate.port}"),
        Encoder("cpe1", "0.1.0", "b" * 16, Privacy(bytes(32), False)), Outbox(1 << 20),
        time.time, said.append, {},
    )  # fmt: skip
    publisher.start()
    assert until(lambda: publisher.connected), said
    config = tmp_path / "mosquitto.conf"
    config.write_text(config.read_text().replace("retain_available false", ""))
    broker.kill()
    broker.start()
    try:
        assert until(lambda: any("after all" in line for line in said)), said
        assert until(lambda: publisher.connected), said
        listener = Listener(broker.port)
        assert until(lambda: any(one["online"] for one in listener.of("state"))), said
        gate.shut()  # the connection is lost
        assert until(lambda: listener.of("state")[-1].get("reason") == "lost"), said
        late = Listener(broker.port)
        assert until(lambda: late.of("state"))
        assert late.of("state")[-1]["reason"] == "lost" and late.reports[0][2], "retained"
        late.close()
        listener.close()
    finally:
        publisher.stop(0.1)
        gate.shut()
        broker.kill()


def test_a_payload_that_is_cut_keeps_what_it_is_about() -> None:
    encoder = Encoder("cpe1", "0.1.0", "b" * 16, Privacy(bytes(32), False))
    whole = encoder.finding(finding(1), 0.0)
    least = len(fitted(whole, 1000))
    for room in range(least, len(whole) + 1, 50):
        made = fitted(whole, room)
        assert 0 < len(made) <= room
        body, full = decode(made), decode(whole)
        assert body["id"] == full["id"] and body["finding"]["summary"] == "1"
        looks = body["finding"]["evidence"]
        assert looks == full["finding"]["evidence"][: len(looks)]
    assert fitted(whole, least - 1) == b"" and fitted(whole, len(whole)) == whole
    reply = encoder.reply({"state": "done", "pcap": bytes(9000), "packets": 3}, 0.0)
    assert decode(fitted(reply, 1000))["reply"] == {
        "state": "done", "pcap": b"", "packets": 3, "cut": True,
    }  # fmt: skip
    for foreign in (b"\xc1" * 99, b"\x90" * 99, b"\x81\xa7finding" + b"\xa5abcde" * 20):
        assert fitted(foreign, 50) == b""
