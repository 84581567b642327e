# SPDX-License-Identifier: Apache-2.0
"""The verdict of a capture: one of three states, why, and what to do next."""

from __future__ import annotations

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.report.render.grades import KEPT
from algwatch.report.render.verdict import CANNOT_TELL, FINE, HURTS, WHY, Verdict
from reports import call, finding, registration

Counts = dict[str, dict[str, int]]


def counts(capture: dict[str, int] | None = None, **crossings: int) -> Counts:
    """Those of a capture of both sides in which all is paired, or otherwise."""
    both = {"packets": 20, "sip_messages": 20, "lan": 10, "wan": 10, "truncated": 0}
    paired = {"paired": 10, "lan_only": 0, "wan_only": 0, "rewritten": 0}
    return {"capture": both | (capture or {}), "crossings": paired | crossings}


def settled(*reports: Report, of: Counts | None = None) -> Verdict:
    verdict = Verdict()
    for report in reports:
        verdict.feed(report)
    verdict.settle(of or counts())
    return verdict


def advice(action: str = "disable-sip-alg", state: str = "recommended") -> Advice:
    return Advice(action, state, 0.9, ["because"], [], ["uci commit"], "a line")


# ---- hurts ----


@pytest.mark.parametrize(
    "status", [401, 407, 400, 403, 408, 415, 420, 421, 423, 481, 482, 483, 488, 491, 493, 500, 503,
               504, 513, 606],
)  # fmt: skip
def test_a_call_that_was_refused_for_no_visible_reason_hurts(status: int) -> None:
    verdict = settled(call("rejected", status))
    assert (verdict.state, verdict.status) == (HURTS, 1)
    (why,) = verdict.why
    assert why.startswith('The call from "sip:anna@example.net" to "sip:ben@example.net" was')
    assert f"refused with {status}" in why and verdict.next


@pytest.mark.parametrize(
    "status", [404, 410, 480, 484, 485, 486, 487, 600, 603, 604]
)  # fmt: skip
def test_a_call_to_somebody_who_is_busy_or_does_not_exist_is_fine(status: int) -> None:
    verdict = settled(call("rejected", status), call(call_id="c2@phone"))
    assert (verdict.state, verdict.status, verdict.next) == (FINE, 0, "")
    assert verdict.why == ["All 2 calls that were seen ended well; 1 call found nobody to take it."]


def test_a_call_that_was_redirected_is_fine_and_told_as_that() -> None:
    verdict = settled(call("rejected", 302), call(call_id="c2@phone"))
    assert (verdict.state, verdict.status, verdict.next) == (FINE, 0, "")
    assert verdict.why == ["All 2 calls that were seen ended well; 1 call was redirected."]


@pytest.mark.parametrize("outcome", ["dropped", "unanswered"])
def test_a_call_that_died_hurts_although_no_rule_has_found_why(outcome: str) -> None:
    assert settled(call(), call(outcome, call_id="c2@phone")).state == HURTS


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        ("refused", 403, "was refused with 403 (Forbidden)"),
        ("unanswered", 0, "got no answer"),
        ("challenged", 401, "was asked for credentials (401), and nothing came of it"),
    ],
)
def test_a_registration_that_failed_hurts(outcome: str, status: int, words: str) -> None:
    verdict = settled(call(), registration(outcome, status))
    assert verdict.state == HURTS
    assert verdict.why == [f'The registration of "sip:anna@example.net" {words}.']
    assert verdict.next


def test_a_registration_that_is_accepted_in_the_end_is_fine() -> None:
    verdict = settled(registration("challenged", 401), registration("unanswered"), registration())
    assert verdict.state == FINE
    assert verdict.why == ["The one registration that was seen ended well."]


def test_one_that_fails_after_it_was_accepted_hurts() -> None:
    assert settled(registration(), registration("refused", 403)).state == HURTS


def test_the_latest_word_counts_unless_it_says_nothing() -> None:
    assert settled(call("rejected", 401), call()).state == FINE
    assert settled(call(), call("unknown", ack="unknown")).state == FINE
    assert settled(call("unanswered"), call("unknown", ack="unknown")).state == HURTS
    assert settled(registration("refused", 503), registration("unknown")).state == HURTS
    assert settled(call(), registration(), registration("unknown")).state == FINE


def test_a_finding_that_is_said_again_replaces_the_earlier_one() -> None:
    worse = settled(call(), finding("latent", key="k"), finding("observed", key="k"))
    assert (worse.state, len(worse.why)) == (HURTS, 1)
    assert settled(call(), finding("observed", key="k"), finding("none", key="k")).state == FINE


def test_causes_come_first_then_symptoms_without_one_then_what_nothing_explains() -> None:
    verdict = settled(
        call("dropped", call_id="a"),
        call("dropped", call_id="b"),
        call("rejected", 503, call_id="c"),
        registration("unanswered"),
        finding(rule="DLG001", call_id="a", symptom=True),
        finding(rule="DLG001", call_id="b", symptom=True, summary="B broke."),
        finding(rule="ALG011", call_id="a", summary="The ALG broke A."),
    )
    assert verdict.why[:2] == ["The ALG broke A.", "B broke."]
    assert "503" in verdict.why[2] and "registration" in verdict.why[3]
    assert len(verdict.why) == 4  # neither A's symptom nor calls that a finding speaks of


def test_reasons_are_few_and_the_same_one_is_told_once() -> None:
    many = settled(*[call("rejected", 500 + n, call_id=f"c{n}") for n in range(40)])
    assert len(many.why) == WHY and many.why[-1] == "There are 35 more reasons like these."
    same = settled(*[call("rejected", 503, call_id=f"c{n}") for n in range(40)])
    assert len(same.why) == 1 and same.why[0].endswith("(Service Unavailable) (40 times).")


def test_names_from_the_wire_are_quoted_and_cut() -> None:
    verdict = settled(call("rejected", 503, to="sip:" + "x" * 60_000),
                      finding(summary="y" * 60_000, call_id="other"))  # fmt: skip
    assert all(len(why) < 500 for why in verdict.why)
    assert 'xxx..." was refused with 503' in verdict.why[1]


def test_what_is_kept_does_not_grow_with_the_capture() -> None:
    verdict = Verdict()
    for n in range(5 * KEPT):
        verdict.feed(call("dropped", call_id=f"dead{n}"))
        verdict.feed(call(call_id=f"well{n}"))
        verdict.feed(registration("refused", 403, f"sip:{n}@example.net"))
        verdict.feed(finding(key=f"k{n}"))
    sizes = [len(table) for table in verdict._findings.values()]
    for tally in (verdict.calls, verdict.registrations):
        sizes += [len(table) for table in tally._latest.values()]
    assert max(sizes) <= KEPT
    verdict.settle(counts())
    assert verdict.state == HURTS and verdict.calls.total == 10 * KEPT


# ---- what never counts ----


def test_what_is_unsolicited_is_nobody_s_fault_and_proves_nothing() -> None:
    scans = call("unanswered", unsolicited=True), registration("refused", 403, unsolicited=True)
    assert settled(*scans, call(call_id="own")).state == FINE
    alone = settled(*scans)
    assert alone.state == CANNOT_TELL and "phone here" in alone.why[0]


# ---- cannot tell ----


def test_a_dead_call_of_a_provider_known_only_later_stands_beside_no_all_clear() -> None:
    dead = call("unanswered", unsolicited=True, call_id="dead", sender="203.0.113.5")
    later = call(call_id="own", line="192.168.1.10 and 203.0.113.5")
    for reports in (dead, later), (later, dead), (dead, registration(line=later.line)):
        said = settled(*reports)
        assert said.state == CANNOT_TELL and "reached no phone" in said.why[0]
    assert settled(dead, call(call_id="own", line="192.168.1.10 and 192.0.2.9")).state == FINE
    fine = call(unsolicited=True, call_id="own-pbx", sender="203.0.113.5")
    assert settled(fine, later).state == FINE


def test_without_sip_it_is_told_what_was_there_and_how_to_capture_sip() -> None:
    nothing = {"packets": 40, "sip_messages": 0, "lan": 0, "wan": 0}
    verdict = settled(of=counts(nothing | {"other": 30, "not_ip": 10}, paired=0))
    assert (verdict.state, verdict.status) == (CANNOT_TELL, 3)
    assert verdict.why == ["No SIP message was read in 40 packets: 10 not IP and 30 of other "
                           "kinds."]  # fmt: skip
    assert "tcpdump -i any -s 0 -w FILE 'port 5060 or" in verdict.next
    tls = settled(of=counts(nothing | {"tls": 40}, paired=0))
    assert "40 of TLS" in tls.why[0] and "Turn TLS off" in tls.next
    empty = settled(of=counts(nothing | {"packets": 0}, paired=0))
    assert empty.why == ["No packet could be read."]


def test_a_capture_that_cannot_be_trusted_says_so_with_the_step_of_its_finding() -> None:
    doubt = finding("none", "CAP008", "", cause="capture", severity="warning",
                    summary="The clocks differ.", next_step="Shift one file.")  # fmt: skip
    verdict = settled(call(), doubt)
    assert (verdict.state, verdict.why, verdict.next) == (
        CANNOT_TELL, ["The clocks differ."], "Shift one file.",
    )  # fmt: skip
    mere = finding("none", "CAP001", "", cause="capture", severity="info")
    assert settled(call(), mere).state == FINE


@pytest.mark.parametrize(
    ("capture", "crossings", "words"),
    [
        ({}, {"paired": 0, "lan_only": 10, "wan_only": 10}, "no message was found on both"),
        ({}, {"lan_only": 1}, "1 message was seen on one side of the router only"),
        ({}, {"undecided": 2}, "2 messages were captured on one side when nothing came on the"),
        ({}, {"wan_only": 7}, "7 messages were seen on one side"),
        ({"truncated": 3}, {}, "3 packets were cut off by the capture"),
    ],
)
def test_sides_that_do_not_fit_get_no_all_clear(
    capture: dict[str, int], crossings: dict[str, int], words: str
) -> None:
    verdict = settled(call(), of=counts(capture, **crossings))
    assert verdict.state == CANNOT_TELL and verdict.next
    assert words in verdict.why[0] and len(verdict.why) == 1


@pytest.mark.parametrize(
    "open_end",
    [call("unknown", ack="unknown"), call("ongoing", ack="unknown"), call("ongoing", ack="missing"),
     registration("unknown")],
)  # fmt: skip
def test_what_was_not_decided_in_the_capture_gets_no_all_clear(open_end: Report) -> None:
    verdict = settled(call(call_id="other"), open_end)
    assert verdict.state == CANNOT_TELL
    assert "until 32 s after its last message" in verdict.next


def test_harm_counts_more_than_doubt() -> None:
    assert settled(call("dropped"), of=counts({"truncated": 3}, lan_only=4)).state == HURTS


# ---- fine ----


def test_fine_is_told_with_the_numbers() -> None:
    calls = [call(call_id=f"c{n}") for n in range(3)]
    both = [registration(aor=f"sip:{n}@example.net") for n in range(2)]
    verdict = settled(*calls, *both)
    assert verdict.why == ["All 3 calls and 2 registrations that were seen ended well."]
    assert (verdict.state, verdict.next, verdict.doubtful) == (FINE, "", False)


def test_two_sides_without_a_pair_may_be_those_of_a_pbx() -> None:
    verdict = settled(call(), of=counts(paired=0, lan_only=10, wan_only=10))
    assert "PBX, SBC or proxy (siproxd) on the router" in verdict.why[0]


def test_a_call_that_goes_on_with_its_ack_is_fine() -> None:
    verdict = settled(call("ongoing", ack="seen"), call(call_id="c2"))
    assert verdict.state == FINE
    assert verdict.why == ["All 2 calls that were seen went well; 1 call had not ended when the "
                           "capture did."]  # fmt: skip


def test_one_call_and_one_registration_are_not_called_all() -> None:
    why = settled(call(), registration("accepted")).why
    assert why == ["The one call and the one registration that were seen ended well."]


def test_one_side_that_is_fine_says_that_the_router_was_not_seen() -> None:
    verdict = settled(call(), of=counts({"wan": 0}, paired=0))
    assert verdict.state == FINE
    assert "what the router changed is not known" in verdict.why[1]


def test_what_may_do_harm_is_named_beside_a_fine_state() -> None:
    verdict = settled(call(), finding("latent", summary="A port is wrong."))
    assert (verdict.state, verdict.doubtful) == (FINE, True)
    assert verdict.why[0] == "This may do harm: A port is wrong."


# ---- the SIP ALG ----


def test_what_hurts_is_told_with_what_to_do_about_the_alg_where_that_is_not_the_next_step() -> None:
    hurt = call("dropped"), finding(where="phone", cause="phone")
    assert settled(*hurt).alg == "leave it as it is: nothing here shows that it did harm."
    other = advice("phone-fix")
    assert "nothing here shows" in settled(*hurt, other).alg
    assert settled(*hurt, advice()).alg == "" and "ALG off" in settled(*hurt, advice()).next
    assert settled(*hurt, other, advice()).alg.startswith("turn it off as well")
    assert settled(*hurt, advice("keep-sip-alg")).alg == "keep it on: a phone here needs it."
    assert settled(call()).alg == ""  # fine: nothing to do


def test_a_fault_in_the_router_gets_no_all_clear_for_its_alg() -> None:
    here = settled(call("dropped"), finding(where="router", cause="router"))
    assert here.alg.endswith("it is not proved that turning the ALG off mends it.")


def test_one_side_says_nothing_of_the_alg() -> None:
    verdict = settled(call("dropped"), finding(), of=counts(paired=0, lan_only=20))
    assert "no message was seen on both sides" in verdict.alg


# ---- next ----


def test_advice_in_force_is_the_next_step() -> None:
    hurt = call("dropped"), finding(next_step="Look here.")
    assert settled(*hurt).next == "Look here."
    printed = "Turn the router's SIP ALG off (the lines to type stand with the advice)."
    assert settled(*hurt, advice()).next == printed
    assert settled(*hurt, advice(), advice(state="none")).next == "Look here."
    assert "as a trial" in settled(*hurt, advice(state="suspected")).next
    assert settled(*hurt, advice("keep-sip-alg")).next == "Look here."
    assert settled(call(), advice("keep-sip-alg")).next.startswith("Keep the router's SIP ALG on")


@pytest.mark.parametrize(
    ("where", "why", "first"),
    [("router", "router", "Look at the firewall rules"), ("phone", "phone", "Look at the settings"),
     ("network", "unknown", "Ask the provider"), ("provider", "provider", "Ask the provider"),
     ("unknown", "refused", "Ask whoever refused it"), ("router", "alg", "Read what else"),
     ("unknown", "unknown", "Read what else")],
)  # fmt: skip
def test_the_next_step_follows_from_the_place(where: str, why: str, first: str) -> None:
    step = settled(finding(where=where, cause=why)).next
    assert step.startswith(first)
    assert step.endswith("ead what else looks the same: algwatch explain ALG011.")


@pytest.mark.parametrize(("networks", "both"), [(0, True), (2, False)])
def test_harm_seen_on_one_side_calls_for_the_other_one(networks: int, both: bool) -> None:
    """Where a PBX on the router has calls of its own, both sides were there."""
    one_side = counts({"networks": networks}, paired=0)
    step = settled(finding(where="unknown", cause="unknown"), of=one_side).next
    assert step.startswith("Capture both sides") == both
    refused = settled(finding(where="unknown", cause="refused"), of=one_side).next
    assert refused.startswith("Ask whoever refused it")
