# SPDX-License-Identifier: Apache-2.0
"""Public captures against an independent reading of them (tshark 4.0, ../shared/captures/truth).

Where the two differ, the difference is listed here with its reason, and nothing else may differ.
"""

from __future__ import annotations

import contextlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
TRUTH = sorted(p.name for p in (CAPTURES / "truth").glob("*.json"))
PLAIN = [name for name in TRUTH if not name.endswith(".both.pcap.json")]
DANOS = ("danos__sipd1-snat", "danos__sipd1-dnat", "danos__sipd1-nonat-router")

pytestmark = pytest.mark.skipif(not TRUTH, reason="no ../shared/captures beside the project")

# File to (messages here - messages there, why).
MESSAGES: dict[str, tuple[int, str]] = {
    "arkime__gtp-iphone.pcap.json": (
        -17, "inside GTP-U, which is the mobile network's and never crosses a home router",
    ),
    "suricata-verify__sip-body-large.pcap.json": (
        -1, "an INVITE of 65,793 bytes over TCP: a span has 16 bits (AW_TOO_LONG)",
    ),
    "ptavi-p5__sip.cap.json": (
        -1, "frame 927 is frame 925 again 22 us later: captured twice (CAP007), not sent twice",
    ),
}  # fmt: skip
# (File, Call-ID) to (what is said here, why).
CALLS: dict[tuple[str, str], tuple[dict[str, object], str]] = {}
# Files in which a dialog-forming INVITE is not taken for one, Call-IDs, and why.
MISSING: dict[tuple[str, str], str] = {
    ("arkime__gtp-iphone.pcap.json", "zTHDK1uOm6wLihi3m15pRfSR"): "inside GTP-U",
}

# The state of each capture as a whole, by reading it; all others are fine.
STATES = {
    "ptavi-p5__sip.cap.json": "hurts",  # an echo test of which no RTP comes back (SDP003)
    "MichalCab-ISA__sip.ddc8fa50.pcap.json": "hurts",  # an INVITE and REGISTERs without any answer
    "ipfixprobe__inputs_sip.pcap.json": "hurts",  # challenged with 401, and nothing came of it
    "zeek__wireshark.pcap.json": "hurts",  # calls refused with 403
    "MichalCab-ISA__hodinovy_rozhovor_s_filipem.pcap.json": "cannot-tell",  # ends before the ACK
    "arkime__gtp-iphone.pcap.json": "cannot-tell",  # no SIP outside GTP-U
    "sip-capture__sip-i.pcap.json": "cannot-tell",  # an INVITE, and the capture ends
    "suricata-verify__public-cloudshark-sip-s0.pcap.json": "cannot-tell",  # one still rings
    "suricata-verify__sip-body-large.pcap.json": "cannot-tell",  # an INVITE that cannot be read
    "suricata-verify__sip-sdp_sdp.pcap.json": "cannot-tell",  # ends at the 2xx
    "suricata-verify__sip_compact_form.pcap.json": "cannot-tell",  # one INVITE
    "suricata-verify__sip_header_multi_val.pcap.json": "cannot-tell",  # one INVITE
    "zeek__invalid-content-length.pcap.json": "cannot-tell",  # ends at the 2xx
    "zeek__sip-junk-before-request.pcap.json": "cannot-tell",  # one REGISTER, and the capture ends
    "zeek__sip-long-request-response-paths.pcap.json": "cannot-tell",  # OPTIONS alone
}
EXIT = {"fine": 0, "hurts": 1, "cannot-tell": 3}


@cache
def analyze(*arguments: str) -> tuple[int, dict[str, Any]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main(["analyze", "--json", *arguments])
    return status, json.loads(out.getvalue())


def truth_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / "truth" / name).read_text())
    return found


def verdict_of(name: str) -> dict[str, Any]:
    return analyze(str(CAPTURES / name.removesuffix(".json")))[1]


def expected(call: dict[str, Any]) -> dict[str, object]:
    """The oracle's reading in our words. `ack` is about the latest INVITE that was answered."""
    ack = "unknown"
    if call["invite_2xx_cseqs"]:
        latest = call["invite_2xx_cseqs"][-1]
        ack = "seen"
        if latest not in call["ack_cseqs"]:
            # The README there: look how long the capture went on before calling it lost. Three
            # 2xx are 1.5 s of waiting; one alone proves nothing.
            ack = "missing" if call["invite_2xx_retransmissions"] >= 2 else "unknown"
    return {
        "ack": ack,
        "invite_retransmissions": call["invite_retransmissions"],
        "final_retransmissions": call["invite_2xx_retransmissions"],
    }


def invited(truth: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        call_id: call
        for call_id, call in truth["calls"].items()
        if any(m["kind"] == "INVITE" for m in call["messages"])
    }


@pytest.mark.parametrize("name", PLAIN)
def test_the_number_of_sip_messages_is_the_oracles(name: str) -> None:
    counted = verdict_of(name)["capture"]["sip_messages"]
    assert counted - truth_of(name)["meta"]["sip_messages"] == MESSAGES.get(name, (0, ""))[0]


@pytest.mark.parametrize("name", PLAIN)
def test_calls_are_read_as_the_oracle_reads_them(name: str) -> None:
    said = {call["call_id"]: call for call in verdict_of(name)["calls"]}
    truth = invited(truth_of(name))
    assert set(truth) - set(said) == {c for f, c in MISSING if f == name}
    for call_id, call in truth.items():
        if call_id not in said:
            continue
        want = expected(call) | CALLS.get((name, call_id), ({}, ""))[0]
        got = {key: said[call_id][key] for key in want}
        assert got == want, call_id


@pytest.mark.parametrize("name", TRUTH)
def test_no_public_capture_makes_anybody_turn_an_alg_off(name: str) -> None:
    verdict = verdict_of(name)
    assert not [a for a in verdict["advice"] if a["action"] == "disable-sip-alg"]
    assert all(f["evidence"] for f in verdict["findings"])


@pytest.mark.parametrize("name", TRUTH)
def test_the_state_of_a_public_capture_is_the_one_that_reading_it_gives(
    name: str,
) -> None:
    status, verdict = analyze(str(CAPTURES / name.removesuffix(".json")))
    state = STATES.get(name, "fine")
    assert (verdict["verdict"]["state"], status) == (state, EXIT[state]), verdict["verdict"]["why"]


def test_a_capture_that_ends_at_the_2xx_is_no_lost_ack() -> None:
    for name in ("suricata-verify__sip-sdp_sdp.pcap", "zeek__invalid-content-length.pcap"):
        rules = {f["rule"] for f in verdict_of(name)["findings"]}
        assert "DLG001" not in rules
        assert "CAP005" in rules


def test_the_lost_ack_of_a_real_call_is_predicted() -> None:
    """2xx at 0, 0.5, 1.5 and 3.5 s, no ACK, and the capture ends: 64*T1 have not passed."""
    verdict = verdict_of("MichalCab-ISA__hodinovy_rozhovor_s_filipem.pcap")
    (finding,) = (f for f in verdict["findings"] if f["rule"] == "DLG001")
    assert finding["call_id"] == "1693155022"
    assert (finding["where"], finding["harm"]) == ("unknown", "latent")


def danos(name: str, both: bool) -> tuple[int, dict[str, Any]]:
    if both:
        return analyze(str(CAPTURES / f"{name}.both.pcap"))
    return analyze("--lan", str(CAPTURES / f"{name}.lan.pcap"),
                   "--wan", str(CAPTURES / f"{name}.wan.pcap"))  # fmt: skip


@pytest.mark.parametrize("both", [False, True], ids=["two files", "one file"])
@pytest.mark.parametrize("name", DANOS[:2])
def test_a_vendors_alg_is_recognised_and_is_not_the_linux_helper(name: str, both: bool) -> None:
    status, verdict = danos(name, both)
    assert status == 0
    assert verdict["crossings"]["paired"] == 6
    assert verdict["crossings"]["rewritten"] >= 4
    prints = {f["rule"]: f["fingerprint"] for f in verdict["findings"] if "fingerprint" in f}
    assert "ALG001" in prints
    assert "Linux nf_nat_sip" not in prints.values()
    assert not verdict["advice"]
    assert [c["outcome"] for c in verdict["calls"]] == ["completed"]


@pytest.mark.parametrize("both", [False, True], ids=["two files", "one file"])
def test_a_router_without_nat_changes_nothing(both: bool) -> None:
    status, verdict = danos(DANOS[2], both)
    assert status == 0
    assert verdict["capture"]["lan"] == verdict["capture"]["wan"] == 6
    assert verdict["crossings"] == {
        "paired": 6, "lan_only": 0, "wan_only": 0, "unsolicited": 0, "rewritten": 0,
    }  # fmt: skip
    assert not verdict["findings"]
    assert not verdict["advice"]


@pytest.mark.parametrize("name", DANOS)
def test_one_file_with_both_sides_says_the_same_as_two_files(name: str) -> None:
    one, two = danos(name, True), danos(name, False)
    if name != "danos__sipd1-dnat":
        assert one == two
        return
    # Its *.lan is the side that an outside host calls from: a changed destination means that the
    # message entered from the WAN, so of one file the sides are named the other way round.
    said = [
        [(f["rule"], f["harm"], f["fingerprint"]) for f in v["findings"]] for _, v in (one, two)
    ]
    assert said[0] == said[1]
    assert one[1]["crossings"] == two[1]["crossings"]
