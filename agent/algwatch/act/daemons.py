# SPDX-License-Identifier: Apache-2.0
"""Facts from the running daemon's status file (report/status.py): advice, calls, findings.

An old, damaged or missing file gives no facts; no text of it becomes more than a sentence.
"""

from __future__ import annotations

import json

from algwatch import files
from algwatch.act.router import Router
from algwatch.act.watch import FAILED, NO_FAILURE, OPEN, WORKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATUS = "var/run/algwatch/status.json"
MOST = 1 << 20  # bytes of it
FRESH = 180.0  # seconds of age; an older file does not count
AHEAD = 2.0  # seconds a call may begin after `now`
SENTENCE = 300  # characters
DISABLE, KEEP = "disable-sip-alg", "keep-sip-alg"
GIVEN = ("suspected", "recommended")
HURTS = ("observed", "certain")


class Evidence:
    """known: a daemon runs. advised: state of "turn the SIP ALG off", the strongest of all lines
    asked about. needed: reasons in sentences to keep it on. tried: a trial with one phone was
    verified here."""

    def __init__(self, known: bool = False) -> None:
        self.known = known
        self.advised = "none"
        self.needed: list[str] = []
        self.tried = False


def evidence(router: Router, path: str, now: float, only: str = "") -> Evidence:
    """path: of the status file, "" for the usual one. now: seconds since 1970. only: address of a
    phone, "" for all."""
    whole = _read(router, path, now)
    said = Evidence(whole is not None)
    for one in _rows(whole, "advice"):
        action, state = one.get("action"), one.get("state")
        if state not in GIVEN or only not in ("", _phone(one.get("subject"))):
            continue
        if action == DISABLE:
            said.advised = GIVEN[GIVEN[1] in (state, said.advised)]
        elif action == KEEP:
            reasons = one.get("for")
            first = reasons[0] if isinstance(reasons, list) and reasons else ""
            said.needed.append(str(first)[:SENTENCE] or "a phone works because of it")
    return said


def calls_since(router: Router, path: str, now: float, since: float, phones: list[str],
                whole: bool = False) -> tuple[str, str]:  # fmt: skip
    """The daemon's sightings of these phones since a time (seconds since 1970): a word of watch.py,
    and the reason. WORKS: a call completed, and none failed. whole: a dropped call of any other
    phone leaves it open."""
    status = _read(router, path, now)
    for one in _rows(status, "findings"):
        if one.get("harm") in HURTS and _is_of(one, "at", (since, now), phones):
            return FAILED, f"{one.get('rule')}: {str(one.get('summary'))[:SENTENCE]}"
    completed = 0
    doubt = False
    for one in _rows(status, "calls"):
        if one.get("unsolicited"):
            continue
        if not _is_of(one, "start", (since, now), phones):
            doubt |= one.get("outcome") not in NO_FAILURE and _is_of(
                one, "start", (since, now), [_phone(one.get("line"))])  # fmt: skip
            continue
        if one.get("outcome") not in NO_FAILURE:
            return FAILED, f"a call of {_phone(one.get('line'))} was {str(one.get('outcome'))[:20]}"
        completed += one.get("outcome") == "completed" and one.get("ack") == "seen"
    if not completed or (doubt and whole):
        return OPEN, ""
    return WORKS, f"the running algwatch saw {completed} call{'s' * (completed != 1)} complete"


def _read(router: Router, path: str, now: float) -> dict[str, Any] | None:
    try:
        text = files.read(path or router.path(STATUS), MOST)
        whole = json.loads(text) if text else None
    except (files.FileError, ValueError, RecursionError):
        return None
    if not isinstance(whole, dict) or whole.get("running") is not True:
        return None
    at = whole.get("at")
    return whole if isinstance(at, int | float) and abs(now - at) <= FRESH else None


def _rows(whole: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    rows = (whole or {}).get(name)
    return [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []


def _phone(line: object) -> str:
    """The phone in "192.168.1.20 and 203.0.113.9"."""
    return str(line).partition(" and ")[0]


def _is_of(one: dict[str, Any], when: str, times: tuple[float, float], phones: list[str]) -> bool:
    """times: (since, now). A call in the future was made before the clock was set back."""
    at = one.get(when)
    if not isinstance(at, int | float) or not times[0] < at <= times[1] + AHEAD:
        return False
    return _phone(one.get("line")) in phones
