# SPDX-License-Identifier: Apache-2.0
"""The schema of the wire format: what is sent, what is documented and what is listed are one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.report.encode import bare
from algwatch.report.providers import Providers
from algwatch.report.schema import BESIDE, FIELDS, problems
from algwatch.report.tally import Tally
from algwatch.report.wire import REVISION, decode
from reports import call, registration
from test_wire import advice, encoder, finding

ROOT = Path(__file__).parents[2]
PAYLOADS = Path(__file__).parent / "payloads"


def birth() -> dict[str, object]:
    return {"mqtt": "MQTT 5", "taps": {"br-lan": "lan", "wan": "wan"}, "model": "Acme R1",
            "board": "acme,r1", "firmware": "OpenWrt 24.10.4", "kernel": "6.6.110",
            "machine": "mips", "helper": "module", "offload": "none",
            "tags": {"region": "north"}}  # fmt: skip


def tally() -> Tally:
    one = Tally(Providers())
    line = "192.168.1.10 and 203.0.113.7"
    one.feed(registration("accepted", 200, line=line))
    one.feed(call("completed", line=line))
    return one


ANSWER: dict[str, object] = {
    "state": "done", "id": "0123456789abcdef" * 2, "command": "apply", "reason": "none",
    "status": 0, "lines": ["change 1 is in force"], "change": 1, "result": "verified",
    "conclusion": "This router rewrites Via.", "uptime": 1.5, "level": "all", "pcap": b"x",
    "packets": 1, "cut": True,
}  # fmt: skip


def sent() -> dict[str, bytes]:
    """A payload of each kind, of this revision; the same bytes each time."""
    one = encoder()
    seq = one.next()
    health: dict[str, object] = {
        "uptime": 1.5, "rss": 20000, "clock_steps": 0, "crossings": {"paired": 3}
    }  # fmt: skip
    return {
        "birth": one.state(True, 1e9, seq, "", **birth()),
        "will": one.state(False, 1e9, seq, "lost"),
        "finding": (said := one.finding(finding(), 1e9 + 1.5, "series")),
        "again": one.again(bare(said), 1e9 + 1.75, 12, 1e9, 1e9 + 1.7),
        "advice": one.advice(advice(), 1e9 + 2),
        "none-yet": one.advice(None, 1e9 + 3),
        "health": one.health(health, 1e9 + 4, tally()),
        "reply": one.reply(ANSWER, 1e9 + 5),
    }


def parts(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The maps of a payload by the part of the schema that lists their fields."""
    found = {"envelope": {k: v for k, v in body.items() if k in names("envelope")}}
    rest = {k: v for k, v in body.items() if k not in found["envelope"]}
    if "online" in rest:
        return {**found, "state": rest}
    for part in ("finding", "health", "reply"):
        if part in rest:
            found[part] = rest.pop(part)
    if "finding" in found:
        found.update({"evidence": look} if (look := next(iter(found["finding"]["evidence"]), None))
                     else {})  # fmt: skip
    if "advice" in rest:
        found.update({"advice": row} if (row := next(iter(rest.pop("advice")), None)) else {})
        rest = {k: v for k, v in rest.items() if k not in [name for name, _, _ in BESIDE["advice"]]}
    assert not rest
    return found


def names(part: str) -> list[str]:
    return [name for name, _, _ in FIELDS[part]]


def test_every_field_that_is_sent_is_listed_and_every_one_that_is_listed_is_sent() -> None:
    seen: dict[str, set[str]] = {part: set() for part in FIELDS}
    for payload in sent().values():
        body = decode(payload)
        assert problems(body) == []
        for part, fields in parts(body).items():
            assert set(fields) <= set(names(part)), part
            seen[part] |= set(fields)
    rare = {"dropped", "cut", "taps", "frames", "capture", "evicted", "rule_failures", "untold",
            "mqtt"}  # fmt: skip
    for part, sent_names in seen.items():
        assert set(names(part)) - sent_names <= rare, part


def test_the_document_lists_the_same_fields_with_the_same_types() -> None:
    text = (ROOT / "docs" / "wire.md").read_text()
    text = text[: text.index("## Broker")]
    told: dict[str, str] = {}
    for words, kind in re.findall(r"^\| (`[a-z_`, ]+`) \| ([a-z ]+) \|", text, re.M):
        told.update(dict.fromkeys(re.findall(r"`([a-z_]+)`", words), kind))
    for part, fields in FIELDS.items():
        for name, kind, _ in fields:
            wanted = "array" if kind == "array of map" else kind
            assert name in told, (part, name)
            several = ("at", "side", "state", "taps", "mqtt", "cut", "id", "reason")
            if name not in several:  # parts that have it
                assert told[name] == wanted, (part, name)
    for name in told:
        assert any(name in names(part) for part in FIELDS) or name == "none_yet", name


def test_the_document_says_which_fields_came_with_which_revision() -> None:
    text = (ROOT / "docs" / "wire.md").read_text()
    for revision in range(2, REVISION + 1):
        said = re.search(rf"^\| {revision} \| (.*) \|$", text, re.M)
        assert said
        new = {name for fields in FIELDS.values() for name, _, since in fields if since == revision}
        assert new == set(re.findall(r"`([a-z_]+)`", said[1]))


@pytest.mark.parametrize("kind", sorted(sent()))
def test_the_bytes_of_this_revision_stay_as_they_are(kind: str) -> None:
    assert sent()[kind] == (PAYLOADS / f"{REVISION}-{kind}.msgpack").read_bytes()


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.msgpack")), ids=lambda path: path.stem)
def test_payloads_of_every_revision_are_read(path: Path) -> None:
    body = decode(path.read_bytes())
    assert problems(body) == []
    assert body.get("revision", 1) == int(path.stem.split("-")[0])


@pytest.mark.parametrize("kind", sorted(set(sent()) - {"reply"}))
def test_a_reader_of_the_first_revision_understands_what_is_sent_now(kind: str) -> None:
    """It asks for schema 1, and for the fields that it knows, of the type that it knows."""
    body = msgpack.unpackb(sent()[kind], raw=False)
    assert body["schema"] == 1
    first = "finding" if kind == "again" else kind
    old = msgpack.unpackb((PAYLOADS / f"1-{first}.msgpack").read_bytes(), raw=False)
    if kind == "again":
        old["finding"]["evidence"] = []
    for part, fields in parts(old).items():
        now = parts(body)[part]
        for name, value in fields.items():
            if name != "key":
                assert type(now[name]) is type(value), name


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"seq": "1"}, "seq is str, not int"),
        ({"seq": True}, "seq is bool"),
        ({"at": None}, "at is NoneType"),
        ({"finding": 5}, "finding is not a map"),
        ({"finding": {"evidence": [7]}}, "evidence is not a map"),
        ({"finding": {"evidence": 7}}, "evidence is int"),
        ({"finding": {"certain": 1}}, "certain is int, not bool"),
        ({"advice": {}}, "not an array"),
        ({"advice": [{"for": [1]}]}, "for holds something that is no text"),
        ({"health": {"providers": []}}, "providers is list, not map"),
        ({"online": True, "tags": "north"}, "tags is str, not map"),
    ],
)
def test_what_is_no_field_of_ours_is_told_in_words(body: dict[str, Any], why: str) -> None:
    assert any(why in one for one in problems({"schema": 1, **body}))
