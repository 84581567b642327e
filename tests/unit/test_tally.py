# SPDX-License-Identifier: Apache-2.0
"""The fleet's denominators: calls and registrations by provider, each counted once."""

from __future__ import annotations

import pytest
from algwatch.report.encode import Encoder
from algwatch.report.privacy import Privacy
from algwatch.report.providers import LIMIT, Providers
from algwatch.report.tally import CALLS, OTHER, PROVIDERS, Tally
from algwatch.report.wire import MAX_PAYLOAD, decode
from reports import call, finding, registration

LINE = "192.168.1.10 and 203.0.113.7"


def tally() -> Tally:
    return Tally(Providers())


def test_a_call_is_attempted_and_ends_in_one_way() -> None:
    one = tally()
    for outcome, ack in (("completed", "seen"), ("dropped", "missing"), ("cancelled", "unknown"),
                         ("rejected", "unknown"), ("unanswered", "unknown"), ("ongoing", "seen"),
                         ("of tomorrow", "unknown")):  # fmt: skip
        one.feed(call(outcome, ack=ack, line=LINE))
    [(provider, counted)] = one.items()
    assert provider == "203.0.113.7"
    assert counted.calls == {"attempted": 7, "answered": 3, "completed": 1, "dropped": 1,
                             "cancelled": 1, "rejected": 1, "unanswered": 1,
                             "unknown": 2}  # fmt: skip
    assert counted.dropped == {"unknown": 1}


def test_a_drop_has_the_cause_of_the_finding_that_is_no_symptom() -> None:
    one = tally()
    one.feed(finding(rule="DLG001", cause="unknown", symptom=True))
    one.feed(finding(rule="ALG001", cause="alg"))
    one.feed(finding(rule="TXN001", cause="network", symptom=True))
    one.feed(call("dropped", ack="missing", line=LINE))
    [(_, counted)] = one.items()
    assert (counted.dropped, counted.hurt) == ({"alg": 1}, {"alg": 1})


def test_what_has_hurt_one_call_is_not_counted_for_the_next_one() -> None:
    one = tally()
    one.feed(finding(cause="alg"))
    one.feed(call("completed", line=LINE))
    one.feed(call("dropped", ack="missing", line=LINE))
    [(_, counted)] = one.items()
    assert (counted.dropped, counted.hurt) == ({"unknown": 1}, {"alg": 1, "unknown": 1})


def test_what_hurts_nobody_and_who_knocks_from_outside_is_not_counted() -> None:
    one = tally()
    one.feed(finding("latent", cause="alg"))
    one.feed(call("completed", line=LINE))
    one.feed(call("rejected", unsolicited=True, line=LINE))
    one.feed(registration("refused", 403, unsolicited=True, line=LINE))
    [(_, counted)] = one.items()
    assert counted.calls["attempted"] == 1
    assert counted.hurt == {} and not any(counted.registrations.values())


@pytest.mark.parametrize(
    ("aor", "provider"),
    [
        ("sip:anna@Sip.Example.NET", "sip.example.net"),
        ("sip:anna@example.net:5060;transport=udp", "example.net"),
        ("<sip:anna@example.net>", "example.net"),
        ("sip:anna@203.0.113.7", "203.0.113.7"),
        ("sip:anna@[2001:db8::7]", "203.0.113.7"),
        ("sip:anna@localhost", "203.0.113.7"),
        ("sip:anna@exa mple.net", "203.0.113.7"),
        ("sip:anna@" + "a." * 200 + "net", "203.0.113.7"),
        ("", "203.0.113.7"),
    ],
)
def test_a_provider_is_the_domain_with_which_its_phone_has_registered(
    aor: str, provider: str
) -> None:
    providers = Providers()
    providers.feed(registration("accepted", 200, aor, line=LINE))
    assert providers.of(LINE) == ("192.168.1.10", provider)


def test_only_an_accepted_registration_names_the_provider_of_its_own_line() -> None:
    providers = Providers()
    providers.feed(registration("refused", 403, "sip:anna@evil.example", line=LINE))
    providers.feed(registration("accepted", 200, "sip:anna@evil.example", line=""))
    providers.feed(
        registration("accepted", 200, "sip:x@b.example", line="192.168.1.11 and 1.2.3.4")
    )
    assert providers.of(LINE) == ("192.168.1.10", "203.0.113.7")
    assert providers.of("") == ("", "")


def test_lines_and_providers_without_end_take_a_bounded_room() -> None:
    one = tally()
    for number in range(4 * LIMIT):
        line = f"192.168.1.10 and 203.0.{number // 250}.{number % 250}"
        one.feed(registration("accepted", 200, f"sip:a@p{number}.example", line=line))
        one.feed(finding(call_id=f"{number}@x"))
        one.feed(call("completed", call_id="other", line=line))
    assert len(one) == PROVIDERS + 1
    counted = dict(one.items())
    assert sum(each.calls["attempted"] for each in counted.values()) == 4 * LIMIT
    assert counted[OTHER].calls["attempted"] == 4 * LIMIT - PROVIDERS
    for number in range(2 * CALLS):
        one.feed(finding(call_id=f"more{number}@x"))
    payload = Encoder("c", "v", "b", Privacy(bytes(32))).health({}, 0.0, one)
    assert len(payload) < MAX_PAYLOAD // 2
    assert len(decode(payload)["health"]["providers"]) <= PROVIDERS + 1


def test_a_domain_in_a_report_names_no_person() -> None:
    one = tally()
    one.feed(registration("accepted", 200, "sip:a@anna-smith.example.net", line=LINE))
    payload = Encoder("c", "v", "b", Privacy(bytes(32))).health({}, 0.0, one)
    [name] = decode(payload)["health"]["providers"]
    assert name.endswith(".example.net") and "anna" not in name


def test_a_health_report_is_bounded_whatever_hurts_whom() -> None:
    one = tally()
    for number in range(PROVIDERS):
        line = f"192.168.1.10 and 203.0.113.{number}"
        name = ".".join(f"{label}{number:02d}" for label in "abcdefgh") + ".example"
        one.feed(registration("accepted", 200, f"sip:a@{name}", line=line))
        for _ in range(number + 1):
            one.feed(call("dropped", call_id="x", line=line))
            counted = dict(one.items())[name]
        for word in range(40):
            counted.hurt[f"some-cause-{word}"] = counted.dropped[f"some-cause-{word}"] = 1 << 40
    payload = Encoder("c", "v", "b", Privacy(bytes(32))).health({"uptime": 1.0}, 0.0, one)
    assert MAX_PAYLOAD - 3000 < len(payload) <= MAX_PAYLOAD
    health = decode(payload)["health"]
    assert health["cut"] is True and health["uptime"] == 1.0
    assert min(each["calls"]["attempted"] for each in health["providers"].values()) > 4
