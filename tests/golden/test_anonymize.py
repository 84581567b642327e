# SPDX-License-Identifier: Apache-2.0
"""`algwatch anonymize`: a capture without people that is diagnosed as before."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.anonymize.addresses import Addresses
from algwatch.anonymize.cipher import Cipher
from algwatch.anonymize.frame import Frames
from algwatch.anonymize.streams import Streams
from algwatch.anonymize.words import Words
from algwatch.base import address
from algwatch.cli.anonymize import anonymized
from cases import CASES
from craft import frame
from sample import some

HERE = Path(__file__).resolve().parent
LAB = [path.parent for path in sorted((HERE / "lab").glob("*/lan.pcap"))]
KEY = bytes(range(32))


@pytest.fixture
def words() -> Words:
    cipher = Cipher(KEY)
    return Words(cipher, Addresses(cipher), KEY)


def analyze(*arguments: str) -> tuple[int, Any]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main(["analyze", "--json", *arguments])
    return status, json.loads(out.getvalue() or "null")


def shape(verdict: Any) -> dict[str, Any]:
    """Everything that a report says but names and sentences."""
    findings = Counter(
        (f["rule"], f["where"], f["harm"], f["severity"], f["cause"], f["certain"], f["symptom"],
         f["side"], f["at"], f.get("fingerprint", ""), "next" in f,
         tuple((e["side"], e["at"], len(e["bytes"])) for e in f["evidence"]))
        for f in verdict["findings"]
    )  # fmt: skip
    calls = [{k: v for k, v in c.items() if k not in ("call_id", "from", "to", "line")}
             for c in verdict["calls"]]  # fmt: skip
    registered = [{k: v for k, v in r.items() if k not in ("aor", "call_id", "line")}
                  for r in verdict["registrations"]]  # fmt: skip
    advice = Counter((a["action"], a["state"], a["confidence"], len(a["for"]), len(a["against"]))
                     for a in verdict["advice"])  # fmt: skip
    counts = {k: v for k, v in verdict.items() if k in ("capture", "crossings", "evicted")}
    return {"state": verdict["verdict"]["state"], "findings": findings, "calls": calls,
            "registrations": registered, "advice": advice, **counts}  # fmt: skip


def assert_same(arguments: list[str], folder: Path, key: bytes = KEY) -> list[Path]:
    """The diagnosis of the files without people is that of the files. Returns the new ones."""
    made, new = [], []
    for number, word in enumerate(arguments):
        if word.startswith("--"):
            new.append(word)
            continue
        made.append(folder / f"{number}.pcapng")
        anonymized(word, str(made[-1]), key)
        new.append(str(made[-1]))
    (status, verdict), (again, other) = analyze(*arguments), analyze(*new)
    assert status == again
    if verdict is not None:
        assert shape(other) == shape(verdict)
    return made


def names(verdict: Any) -> set[str]:
    """Users and hosts of those who called or registered, long enough to be nobody else's."""
    people = [c[k] for c in verdict["calls"] for k in ("from", "to", "call_id")]
    people += [r[k] for r in verdict["registrations"] for k in ("aor", "call_id")]
    found = {word for one in people for word in re.split(r"[^A-Za-z0-9]", one)}
    return {w for w in found if len(w) > 5 and not w.isdigit()} | {w for w in found if len(w) > 7}


@pytest.mark.parametrize("name", some(CASES, 12))
def test_every_golden_capture_is_diagnosed_as_before_under_any_key(
    name: str, tmp_path: Path
) -> None:
    key = random.Random(name).randbytes(32)
    assert_same(CASES[name].arguments(str(HERE / name)), tmp_path, key)


@pytest.mark.parametrize("folder", some(LAB, 24), ids=lambda folder: folder.name)
def test_no_name_of_a_real_call_survives_and_the_diagnosis_does(
    folder: Path, tmp_path: Path
) -> None:
    arguments = ["--lan", str(folder / "lan.pcap"), "--wan", str(folder / "wan.pcap")]
    made = assert_same(arguments, tmp_path)
    people = names(analyze(*arguments)[1])
    before = b"".join(Path(word).read_bytes() for word in arguments[1::2])
    after = b"".join(path.read_bytes() for path in made)
    for name in people:
        assert name.encode() in before
        assert name.encode() not in after, name


def test_every_length_stays(words: Words) -> None:
    rng = random.Random(7)
    alphabet = b'sip:@<>;="%.-_\r\n \t,/[]0123456789abcXYZ\xc3\xbc\xff\x00\\'
    for _turn in range(300):
        payload = b"INVITE sip:a@b SIP/2.0\r\n" + bytes(rng.choices(alphabet, k=rng.randrange(400)))
        assert len(words.message(payload)) == len(payload)


MESSAGE = """\
MESSAGE sip:+4915112345678@sip.anna-schmidt.de:5060;user=phone SIP/2.0\r
Via: SIP/2.0/UDP 192.168.1.77:5060;branch=z9hG4bKannaschmidt1;rport\r
From: "Anna Schmidt" <sip:anna.schmidt@example.net>;tag=annaschmidt\r
To: Benjamin Fuchs <sip:benjamin:secretpassword@[2001:db8::77]:5060?Subject=anna>\r
Call-ID: annaschmidt-192.168.1.77@anna-laptop\r
CSeq: 4711 MESSAGE\r
Contact: <sip:%61nna%73chmidt@192.168.1.77:5060>;+sip.instance="<urn:uuid:000b82aabbcc>"\r
X-Anna: annaschmidt, schmidt@anna.example\r
Authorization: Digest username="anna.schmidt", realm="schmidt.example", nonce="5ecre7n0nce",\r
 response="0123456789abcdef0123456789abcdef", cnonce="cn0nce", opaque="0paque"\r
Subject: lunch with Benjamin\r
Organization: Schmidt and Fuchs\r
User-Agent: Grandstream HT801 1.0.41.2 000b82aabbcc\r
Content-Type: text/plain\r
Content-Length: 39\r
\r
Anna, the door code is 4711. Benjamin.\r
"""
SECRETS = ("anna", "schmidt", "benjamin", "fuchs", "secretpassword", "4915112345678", "lunch",
           "000b82aabbcc", "5ecre7n0nce", "cn0nce", "0paque", "0123456789abcdef", "laptop",
           "door", "192.168.1.77", "2001:db8::77")  # fmt: skip


def test_names_vanish_wherever_a_message_may_have_them(words: Words) -> None:
    text = MESSAGE.replace("X-Anna", "X-Any").encode()
    said = words.message(text).decode().lower()
    for secret in SECRETS:
        assert secret not in said, secret
    body = said.partition("\r\n\r\n")[2]
    assert "4711" not in body and "4711" in said  # the number of the request stays
    for kept in ("sip/2.0/udp 192.168.", ":5060", "user=phone", "grandstream ht801 1.0.41.2",
                 "content-length: 39", "z9hg4bk", ".de:5060"):  # fmt: skip
        assert kept in said, kept


def test_the_same_name_becomes_the_same_and_two_never_become_one(words: Words) -> None:
    one = words.message(b"Call-ID: anna@h\r\n")
    assert words.message(b"Call-ID: anna@h\r\n") == one
    numbers = {words.message(b"OPTIONS sip:%03d@h SIP/2.0\r\n" % n) for n in range(1000)}
    assert len(numbers) == 1000


def _hosts() -> Iterator[str]:
    rng = random.Random(3)
    firsts = (10, 100, 127, 169, 172, 192, 8, 84, 203, 224, 255)
    for _turn in range(4000):
        yield ".".join(str(rng.choice((*firsts, rng.randrange(256)))) for _part in range(4))


def test_addresses_keep_kind_length_and_network_and_stay_different() -> None:
    new = Addresses(Cipher(KEY))
    hosts = sorted(set(_hosts()))
    made = [new.text4(host) for host in hosts]
    assert len(set(made)) == len(made)
    for host, other in zip(hosts, made, strict=True):
        assert len(other) == len(host)
        assert address.is_unroutable(other) == address.is_unroutable(host), (host, other)
        assert new.packed4(bytes(map(int, host.split(".")))) == bytes(map(int, other.split(".")))
    nets = {host.rpartition(".")[0]: other.rpartition(".")[0]
            for host, other in zip(hosts, made, strict=True)}  # fmt: skip
    assert len(set(nets.values())) == len(nets)


@pytest.mark.parametrize(
    "host", ["2001:db8::77", "FE80::1:2ab", "fd00:12::ab%eth0", "::ffff:192.168.1.10", "::1",
             "2a02:8109:0b3f:4e00:1a2b:3c4d:5e6f:7081", "ff02::1", "64:ff9b::198.51.100.3"],
)  # fmt: skip
def test_an_ipv6_address_stays_one_of_its_kind_and_length(host: str) -> None:
    new = Addresses(Cipher(KEY)).text6(host)
    assert len(new) == len(host) and address.is_ipv6(new)
    assert new[0].lower() == host[0].lower()
    same = host in ("::1", "ff02::1")
    assert (new == host) == same


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_right_checksums_stay_right(tmp_path: Path) -> None:
    """Of IPv4 and of UDP, whose pseudo header has the addresses (RFC 768)."""
    payload = MESSAGE.encode()
    made = bytearray(frame(payload, "192.168.1.77", 5060, "203.0.113.5", 5060))
    udp, pseudo = bytes(made[34:]), bytes(made[26:34]) + struct.pack("!HH", 17, len(made) - 34)
    made[24:26] = b"\0\0"
    made[24:26] = (~_sum(bytes(made[14:34])) & 0xFFFF).to_bytes(2)
    made[40:42] = (~_sum(pseudo + udp[:6] + b"\0\0" + udp[8:]) & 0xFFFF).to_bytes(2)
    cipher = Cipher(KEY)
    addresses = Addresses(cipher)
    frames = Frames(cipher, addresses, Words(cipher, addresses, KEY))
    new = frames.replaced(bytes(made), 1)
    assert new[26:34] != bytes(made[26:34]) and new[42:] != payload
    assert _sum(new[14:34]) == 0xFFFF
    assert _sum(new[26:34] + struct.pack("!HH", 17, len(new) - 34) + new[34:]) == 0xFFFF


def test_a_name_that_lies_in_two_segments_of_a_stream_vanishes(words: Words) -> None:
    from craft import tcp_frame

    cipher = Cipher(KEY)
    frames = Frames(cipher, Addresses(cipher), words)
    streams = Streams(frames, words)
    payload = MESSAGE.encode()
    cut = payload.index(b"Schmidt") + 3
    parts = [tcp_frame(data, "192.168.1.77", 5060, "203.0.113.5", 5060, seq)
             for data, seq in ((payload[:cut], 1000), (payload[cut:], 1000 + cut))]  # fmt: skip
    for part in parts:
        streams.add(part, 1)
    made = b"".join(frames.replaced(part, 1, *streams.part(part, 1))[54:] for part in parts)
    assert made == words.message(payload)


def test_what_is_no_sip_keeps_its_first_bytes_and_no_more() -> None:
    cipher = Cipher(KEY)
    addresses = Addresses(cipher)
    frames = Frames(cipher, addresses, Words(cipher, addresses, KEY))
    rtp = b"\x80\x08" + bytes(range(10)) + b"speech" * 20
    assert frames.payload(rtp) == rtp[:12] + bytes(120)
    assert frames.payload(b"GET /anna HTTP/1.0\r\n") == bytes(20)
    assert frames.payload(b"\r\n\r\n") == b"\r\n\r\n"


def test_a_key_file_makes_the_same_of_two_captures_and_is_for_its_owner(tmp_path: Path) -> None:
    key, out = tmp_path / "key", [tmp_path / "a.pcapng", tmp_path / "b.pcapng"]
    lan = str(HERE / "alg001-contact" / "lan.pcap")
    for path in out:
        with contextlib.redirect_stderr(io.StringIO()):
            assert main(["anonymize", lan, str(path), "--key", str(key)]) == 0
    assert out[0].read_bytes() == out[1].read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["anonymize", lan, str(out[0])]) == 2
    assert "is there already" in said.getvalue()
