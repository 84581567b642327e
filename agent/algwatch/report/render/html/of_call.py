# SPDX-License-Identifier: Apache-2.0
"""A call on the page: its ladder, its findings, and its messages."""

from __future__ import annotations

from datetime import UTC, datetime

from algwatch.base.quote import quoted, somebody
from algwatch.report.render.html import found
from algwatch.report.render.html.copies import as_it_is, side_by_side
from algwatch.report.render.html.drawn import drawing, fields, way
from algwatch.report.render.html.gathered import Gathered
from algwatch.report.render.html.markup import Child, Markup, el
from algwatch.report.render.ladder import CallLadder, Step
from algwatch.report.render.story import call_story
from algwatch.report.render.text import CALL_ID
from algwatch.report.secrets import without_secrets

KINDS = {"bold red": "bad", "bold green": "good", "bold yellow": "warn"}


class Room:
    """bytes: of messages still allowed on the page. key: of the fillers for secrets."""

    __slots__ = ("bytes", "key")

    def __init__(self, size: int, key: bytes) -> None:
        self.bytes = size
        self.key = key


def of_call(call: CallLadder, number: int, gathered: Gathered, room: Room) -> Markup:
    """The part of the page about a call. number: its anchor is call-NUMBER."""
    ladder = gathered.ladder
    summary = gathered.collected.calls.get(call.call_id)
    findings = gathered.findings(call.call_id)
    text, style = call_story(summary, findings, call, ladder.two_sided)
    who = f": {somebody(summary.from_)} to {somebody(summary.to)}" if summary else ""
    when = datetime.fromtimestamp(call.started // 10**9, UTC)
    anchor = f"call-{number}"
    told: list[Child] = [
        el("h3", f"Call {number}{who}"),
        el("p", f"{when:%Y-%m-%d %H:%M:%S} UTC, Call-ID {quoted(call.call_id, CALL_ID)}",
           class_="soft small"),
        el("p", text, class_=f"story {KINDS.get(style, '')}".rstrip()),
        drawing(call, ladder.two_sided, ladder.newest,
                f"Ladder of call {number}, {len(call.steps)} steps. {text}", f"{anchor}-"),
    ]  # fmt: skip
    started = call.started / 1e9
    if findings:
        told += [el("h4", "Findings"), *found.findings(findings, started)]
    messages = _messages(call, anchor, room, ladder.two_sided)
    if messages:
        told += [el("h4", "Messages", class_=None if call.rewritten else "plain"), *messages]
    return el("section", *told, class_="panel call", id=anchor)


def _messages(call: CallLadder, anchor: str, room: Room, two_sided: bool) -> list[Markup]:
    made: list[Markup] = []
    shown: set[tuple[str, ...]] = set()
    for number, step in enumerate(call.ordered(), 1):
        if step.copies is None:
            continue
        size = sum(map(len, step.copies))
        if size > room.bytes:
            made.append(el("p", "More messages found no room on this page.", class_="soft small"))
            break
        room.bytes -= size
        names = tuple(a or b for a, b in step.lines)
        # The first of its kind is open: a repeated change is no news.
        news = bool(names) and names not in shown
        shown.add(names)
        made.append(_message(step, call, f"{anchor}-{number}", news, room.key, two_sided))
    return made


def _message(step: Step, call: CallLadder, anchor: str, news: bool, key: bytes,
             two_sided: bool) -> Markup:  # fmt: skip
    assert step.copies is not None
    entered, left = (without_secrets(copy, key) for copy in step.copies)
    what = f"rewritten: {fields(step)}" if step.lines else ""
    if two_sided and not step.lines:
        what = "unchanged" if step.lan and step.wan else "seen on one side only"
    chip = el("span", what, class_="chip warn" if step.lines else "chip") if what else None
    at = f"{(step.at - call.started) / 1e9:.3f} s "
    head = el("summary", el("span", at, class_="mono soft"), el("b", step.label), " ", chip, " ",
              el("span", way(step), class_="soft small"))  # fmt: skip
    body = side_by_side(entered, left) if step.lines else as_it_is(entered)
    style = "message" if step.lines else "message plain"
    return el("details", head, body, class_=style, id=anchor, open="" if news else None)
