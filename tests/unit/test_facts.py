# SPDX-License-Identifier: Apache-2.0
"""What the fleet knows of a provider: whose word counts, how long, and what speaks against it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.advise.recommend import Recommender
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.cli import fact
from algwatch.compare import line as words
from algwatch.compare.counterfactual import NO, UNKNOWN, YES, needs_alg, without_alg
from algwatch.compare.fact import Fact
from algwatch.compare.line import Line
from algwatch.compare.lines import Lines
from algwatch.control import ed25519
from algwatch.control.ed25519 import is_signed
from algwatch.control.facts import LABEL, PROVIDER, Facts, NoKey, public_key
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.pipeline import Pipeline
from algwatch.report.privacy import provider_part

# RFC 8032 section 7.1: secret key, public key, message, signature.
VECTORS = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"),
]  # fmt: skip
SEED = bytes.fromhex(VECTORS[0][0])
PUBLIC = bytes.fromhex(VECTORS[0][1])


def signature(message: bytes, seed: bytes = SEED) -> bytes:
    """RFC 8032 section 5.1.6; slow, and not for keys that count."""
    whole = hashlib.sha512(seed).digest()
    a = int.from_bytes(whole[:32], "little") & (1 << 254) - 8 | 1 << 254
    key = _packed(a)
    r = int.from_bytes(hashlib.sha512(whole[32:] + message).digest(), "little") % ed25519._L
    nonce = _packed(r)
    k = int.from_bytes(hashlib.sha512(nonce + key + message).digest(), "little") % ed25519._L
    return nonce + ((r + k * a) % ed25519._L).to_bytes(32, "little")


def _packed(factor: int) -> bytes:
    x, y, z, _ = ed25519._two(factor, ed25519._BASE, 0, ed25519._BASE)
    inverse = pow(z, -1, ed25519._P)
    x, y = x * inverse % ed25519._P, y * inverse % ed25519._P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@pytest.mark.parametrize(("seed", "key", "message", "signed"), VECTORS)
def test_the_vectors_of_rfc_8032(seed: str, key: str, message: str, signed: str) -> None:
    data, good = bytes.fromhex(message), bytes.fromhex(signed)
    assert is_signed(bytes.fromhex(key), data, good)
    assert signature(data, bytes.fromhex(seed)) == good
    assert not is_signed(bytes.fromhex(key), data + b"x", good)
    for at in (0, 31, 32, 63):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        assert not is_signed(bytes.fromhex(key), data, bad)
    s = int.from_bytes(good[32:], "little") + ed25519._L
    assert not is_signed(bytes.fromhex(key), data, good[:32] + s.to_bytes(32, "little"))
    assert not is_signed(bytes(31), data, good) and not is_signed(b"\xff" * 32, data, good)


NOW = time.time()


def payload(seed: bytes = SEED, **change: Any) -> bytes:
    body = {"provider": "example.net", "serial": 7, "at": NOW, "expires": NOW + 86400,
            "handles": True, "servers": ["203.0.113.5"], "calls": 412, "routers": 37}  # fmt: skip
    packed = msgpack.packb(body | change)
    made: bytes = msgpack.packb(
        {"schema": 1, "body": packed, "signature": signature(LABEL + packed, seed)}
    )
    return made


class Router:
    """said: its lines for people. now: of its clock."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.now = NOW
        self.path = str(folder / "serials")
        self.start()

    def start(self) -> None:
        self.knowledge = Facts(PUBLIC, self.path, self.said.append, lambda: self.now)

    def take(self, data: bytes, provider: str = "example.net") -> dict[str, Fact] | None:
        self.knowledge.take(PROVIDER + provider, data)
        return self.knowledge.news()


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


def test_a_signed_fact_is_known_until_it_expires_or_is_withdrawn(router: Router) -> None:
    told = router.take(payload())
    assert told is not None and set(told) == {"203.0.113.5"}
    one = told["203.0.113.5"]
    assert (one.provider, one.calls, one.routers) == ("example.net", 412, 37)
    assert router.take(payload()) is None, "the same again is no news"
    assert router.take(b"") == {}, "deleted at the broker"
    assert router.take(payload(serial=8)) == router.knowledge._facts["example.net"]
    assert router.take(payload(serial=9, handles=False)) == {}, "withdrawn with a signature"
    assert router.take(payload(serial=10)) != {}
    router.now += 86401
    assert router.knowledge.news() == {}
    assert len(router.said) == 3 and "says that example.net finds phones" in router.said[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (payload(bytes(32)), "not signed with the key of this fleet"),
        (payload(provider="example.com"), "about another provider"),
        (payload(expires=NOW + 32 * 86400), "longer than 31 days"),
        (payload(at=NOW + 7200, expires=NOW + 86400), "of another time"),
        (payload(at=NOW - 7200, expires=NOW - 3600), "has expired"),
        (payload(servers=[]), "names no servers"),
        (payload(servers=["sip.example.net"]), "no IP address"),
        (payload(serial=True), "are numbers"),
        (payload(calls=-1), "are numbers"),
        (payload(at=None), "at and expires are numbers"),
        (payload(expires="tomorrow"), "at and expires are numbers"),
        (b"\x91" * 1000, "no fact"),
        (msgpack.packb({"schema": 1, "body": b"x"}), "not signed"),
    ],
)
def test_what_is_in_doubt_counts_as_not_said(router: Router, data: bytes, why: str) -> None:
    router.take(payload(serial=6))
    assert router.take(data) == {}, "nor does what was known before"
    assert len(router.said) == 2 and why in router.said[1]


def test_a_fact_that_was_withdrawn_cannot_be_played_again_not_even_after_a_restart(
    router: Router,
) -> None:
    old = payload()
    router.take(old)
    router.take(payload(serial=8, handles=False))
    assert not router.take(old) and "older than 8" in router.said[-1]
    router.start()
    assert not router.take(old) and "older than 8" in router.said[-1]
    assert router.take(payload(serial=8)), "the number itself is not older"


def test_no_damage_to_the_numbers_revives_a_fact_that_was_withdrawn(router: Router) -> None:
    old = payload()
    router.take(payload(serial=8, handles=False))
    path = Path(router.path)
    data = path.read_bytes()
    spoiled = [data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
               for at in range(len(data)) for bit in (1, 8, 64)]  # fmt: skip
    for damaged in [*spoiled, *(data[:at] for at in range(1, len(data)))]:
        path.write_bytes(damaged)
        router.start()
        assert not router.take(old), damaged
        assert "is damaged" in router.said[-1] or "older than 8" in router.said[-1], damaged


def test_a_number_that_cannot_be_remembered_is_not_believed(router: Router, tmp_path: Path) -> None:
    router.knowledge._path = str(tmp_path / "missing" / "serials")
    assert not router.take(payload())
    assert "cannot be remembered" in router.said[-1]


def test_a_flood_of_forged_facts_is_not_all_computed(router: Router) -> None:
    began = time.process_time()
    for number in range(2000):
        router.take(payload(serial=number)[:-1] + b"x" if number < 3 else b"\x80" * 90)
    assert time.process_time() - began < 2.0 and len(router.said) <= 21


def test_a_line_whose_provider_is_known_would_work_until_something_speaks_against_it() -> None:
    told = Fact("example.net", "2026-11-30", 412, 37, NOW)
    line = Line("phone", "203.0.113.5")
    line.observe(words.PRIVATE_CONTACT, None, 1)
    line.told = told
    assert without_alg(line, []).answer == UNKNOWN, "nothing shows that it asks for rport"
    line.observe(words.RPORT_ASKED, None, 1)
    assert without_alg(line, []).answer == YES
    for word in (words.RPORT_MISSING, words.URI_REFUSED):
        line.observe(word, None, 1)
        assert without_alg(line, []).answer == UNKNOWN
        del line.seen[word]
    for word in (words.DROPS_UNTOUCHED, words.FOLLOWS_PHONE):
        line.observe(word, None, 1)
        assert without_alg(line, []).answer == NO
        del line.seen[word]
        beside = Line("other", "203.0.113.5")
        beside.observe(word, None, 1)
        assert without_alg(line, [beside]).answer == NO
    line.observe(words.RPORT_MISSING, None, 1)
    assert needs_alg(line, []), "no fact of the fleet makes it do without"


def test_advice_is_raised_by_a_fact_and_goes_back_with_it() -> None:
    lines = Lines(10)
    recommender = Recommender(lines, True)
    line = Line("192.168.1.10", "203.0.113.5", lines.fresh)
    for word in (words.RPORT_ASKED, words.ACCEPTED):
        line.observe(word, None, 1)
    lines.table.add(b"key", line)
    harm = Finding("ALG011", "", "error", "router", "observed", "c", "lan", 1.0, "harm", [], "",
                   cause=cause.ALG, certain=True, line=line.name)  # fmt: skip
    assert [one.state for one in recommender.feed([harm])] == ["suspected"]
    told = Fact("example.net", "2026-11-30", 412, 37, NOW)
    raised = recommender.told({"203.0.113.5": told})
    assert [one.state for one in raised] == ["recommended"]
    assert "the operator has seen that example.net finds phones" in " ".join(raised[0].for_)
    assert "412 calls completed on 37 of its routers" in " ".join(raised[0].for_)
    assert recommender.told({"203.0.113.5": told}) == [], "no news"
    assert [one.state for one in recommender.told({})] == ["suspected"]
    assert [one.state for one in recommender.told({"203.0.113.6": told})] == []
    recommender.told({"203.0.113.5": told})
    line.observe(words.DROPS_UNTOUCHED, None, 2)
    assert [one.state for one in recommender.reconsider(line)] == ["none"]


def test_advice_that_a_fact_had_raised_waits_for_the_fact_after_a_restart() -> None:
    """It may have been withdrawn meanwhile."""
    taps = [Tap("lan", LAN), Tap("wan", WAN)]
    old, new = Pipeline(taps, live=True), Pipeline(taps, live=True)
    line = Line("192.168.1.10", "203.0.113.5", old._comparison.lines.fresh)
    for word in (words.RPORT_ASKED, words.ACCEPTED):
        line.observe(word, None, 1)
    key = bytes([192, 168, 1, 10, *[0] * 12, 203, 0, 113, 5, *[0] * 12])
    old._comparison.lines.table.add(key, line)
    harm = Finding("ALG011", "", "error", "router", "observed", "c", "lan", 1.0, "harm",
                   [Evidence("lan", 1.0, "o", "e", b"")], "key",
                   cause=cause.ALG, certain=True, line=line.name)  # fmt: skip
    known = {"203.0.113.5": Fact("example.net", "2026-11-30", 412, 37, NOW)}
    for advice in (*old._recommender.feed([harm]), *old.knowledge.told(known)):
        old.knowledge.in_force.feed(advice)
    assert [one.state for one in old.knowledge.in_force.all()] == ["recommended"]
    new.knowledge.recall(list(old.knowledge.whole()), 0, 10**18, True)
    assert new.knowledge.in_force.all() == [] and new.knowledge.given
    assert [one.state for one in new._recommender.refresh()] == ["suspected"]
    assert [one.state for one in new.knowledge.told(known)] == ["recommended"]


def test_the_public_half_of_an_openssl_key_is_read(tmp_path: Path) -> None:
    for text in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff"):
        (tmp_path / "bad").write_bytes(text)
        with pytest.raises(NoKey, match="no public key of Ed25519"):
            public_key(str(tmp_path / "bad"))
    with pytest.raises(NoKey, match="no such file"):
        public_key(str(tmp_path / "none"))


def test_what_openssl_signs_a_router_believes(
    router: Router, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    from algwatch.__main__ import main

    assert main(["fact", "example.net", "--key", str(key), "--server", "203.0.113.5", "--calls",
                 "412", "--routers", "37", "--print"]) == 0  # fmt: skip
    sys.stdout.flush()
    data = capfdbinary.readouterr().out
    router.knowledge = Facts(public_key(str(public)), router.path, router.said.append)
    told = router.take(data)
    assert told and told["203.0.113.5"].calls == 412, router.said
    assert fact.DAY == 86400.0


@pytest.mark.parametrize(
    ("domain", "part"),
    [("sip.example.net", "example.net"), ("anna.example.co.uk", "example.co.uk"),
     ("fritz.box", ""), ("localhost", ""), ("Example.NET", "example.net")],
)  # fmt: skip
def test_only_the_providers_own_name_is_subscribed_to(domain: str, part: str) -> None:
    assert provider_part(domain) == part
