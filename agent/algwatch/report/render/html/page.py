# SPDX-License-Identifier: Apache-2.0
"""The page of a whole capture: verdict, steps to take, lines, times of the calls, and each hurt
call with its ladder, its findings and both copies of its messages.

Its size is bounded: a limited number of ladders, and MESSAGES bytes of messages; the rest is
counted.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

from algwatch import __version__
from algwatch.base.quote import somebody
from algwatch.compare.line import ends_of
from algwatch.report.render.grades import DEAD, DECLINED, GOES_ON, OPEN, REDIRECTED, WELL, graded
from algwatch.report.render.headline import headline
from algwatch.report.render.html import found
from algwatch.report.render.html.gathered import Gathered, Shown
from algwatch.report.render.html.markup import Child, Markup, cut, el
from algwatch.report.render.html.of_call import Room, of_call
from algwatch.report.render.html.style import DRAWN, PAGE, PALETTE, SCRIPT
from algwatch.report.render.html.timeline import Bar, timeline
from algwatch.report.render.ladder import CallLadder
from algwatch.report.render.of_lines import OfLine
from algwatch.report.render.sentences import several
from algwatch.report.render.text import outside_line
from algwatch.report.render.verdict import FINE

MESSAGES = 2 << 20  # bytes
BARS = 60
LINES = 60

OUTCOMES = {"completed": "good", "dropped": "bad", "unanswered": "bad", "unknown": "warn",
            "rejected": "warn"}  # fmt: skip
GRADES = {WELL: ("ended well", "good"), DEAD: ("died", "bad"), OPEN: ("not known", "warn"),
          GOES_ON: ("going on", "good"), DECLINED: ("declined", ""),
          REDIRECTED: ("redirected", "")}  # fmt: skip


def page(gathered: Gathered, names: list[str], key: bytes) -> str:
    """The whole page. names: of the capture files. key: random bytes; see without_secrets."""
    shown = gathered.shown()
    numbers = {call.call_id: n for n, call in enumerate(shown, 1)}
    room = Room(MESSAGES, key)
    sections = [
        ("to-do", "What to do", [found.advice(one) for one in gathered.collected.advice]),
        ("lines", "Phones and providers", _lines(gathered)),
        ("time", "When the calls were", _timeline(gathered, numbers)),
        ("calls", "The calls", _calls(gathered, shown, room)),
        ("outside", "Outside these calls" if gathered.ladder.calls else "No calls",
         _outside(gathered)),
    ]  # fmt: skip
    there = [(name, title, parts) for name, title, parts in sections if parts]
    links = [el("a", title, href=f"#{name}") for name, title, _ in there]
    main: list[Child] = [_top(gathered, names), _verdict(gathered), _tiles(gathered)]
    main.append(el("nav", *links))
    for name, title, parts in there:
        main += [el("h2", title, id=name), *parts]
    main.append(_foot())
    return _document(_title(gathered, names), el("main", *main))


def _document(title: str, body: Markup) -> str:
    style, script = PALETTE + DRAWN + PAGE, SCRIPT
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = [
        el("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", Markup(style)),
    ]
    whole = el("html", el("head", *head), el("body", body, el("script", Markup(script))), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _title(gathered: Gathered, names: list[str]) -> str:
    verdict = gathered.collected.verdict
    said = headline(verdict.state, verdict.doubtful)
    return f"{said}: {cut(', '.join(names), 100)}"


def _top(gathered: Gathered, names: list[str]) -> Markup:
    sides = "both sides of the router" if gathered.ladder.two_sided else "one side"
    when = ""
    if gathered.begin:
        begin, end = (datetime.fromtimestamp(t, UTC) for t in (gathered.begin, gathered.end))
        until = f"{end:%H:%M:%S}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
        when = f", {begin:%Y-%m-%d %H:%M:%S} to {until} UTC"
    return el("div", el("span", "algwatch", class_="brand"),
              el("span", f"{cut(', '.join(names), 200)}: {sides}{when}", class_="soft small"),
              class_="top")  # fmt: skip


def _verdict(gathered: Gathered) -> Markup:
    verdict = gathered.collected.verdict
    said = headline(verdict.state, verdict.doubtful)
    if verdict.state == FINE and not verdict.doubtful and not verdict.next:
        said += ": nothing to do"
    kind = "doubtful" if verdict.doubtful else verdict.state
    why = [el("li", text) for text in verdict.why]
    return el("section", el("h1", said), el("ul", *why) if why else None,
              el("p", el("b", "SIP ALG: "), verdict.alg) if verdict.alg else None,
              el("p", f"Next: {verdict.next}", class_="next") if verdict.next else None,
              class_=f"panel verdict {kind}")  # fmt: skip


def _tiles(gathered: Gathered) -> Markup:
    capture, crossings = gathered.numbers["capture"], gathered.numbers["crossings"]
    calls, registrations = (
        gathered.collected.verdict.calls,
        gathered.collected.verdict.registrations,
    )
    tiles = [(capture["sip_messages"], "SIP messages", ""), (calls.total, "calls", "")]
    if calls.counts[DEAD]:
        tiles.append((calls.counts[DEAD], "calls that died", "bad"))
    tiles.append((registrations.total, "registrations", ""))
    if registrations.counts[DEAD]:
        tiles.append((registrations.counts[DEAD], "that failed", "bad"))
    if gathered.ladder.two_sided:
        tiles.append((crossings["paired"], "seen on both sides", ""))
        changed = crossings["rewritten"]
        tiles.append((changed, "rewritten", "warn" if changed else ""))
    shown = [el("div", el("b", f"{n:,}"), el("span", what), class_=f"tile {kind}".strip())
             for n, what, kind in tiles]  # fmt: skip
    return el("div", *shown, class_="tiles")


def _lines(gathered: Gathered) -> list[Markup]:
    kept = gathered.collected.of_lines
    lines = [one for one in kept.worst_first() if one.name]
    if not lines:
        return []
    head = el("tr", *[el("th", name) for name in ("phone", "provider", "calls", "registrations",
                                                  "findings")])  # fmt: skip
    table = el("table", el("thead", head), el("tbody", *[_line(one) for one in lines[:LINES]]),
               class_="lines")  # fmt: skip
    more = kept.lines.evicted + max(0, len(lines) - LINES)
    note = (
        el("p", f"{several(more, 'more line')} not shown.", class_="soft small") if more else None
    )
    return [el("div", table, note, class_="panel")]


def _line(one: OfLine) -> Markup:
    phone, provider = ends_of(one.name)
    calls = [el("span", f"{n} {outcome}", class_=f"chip {OUTCOMES.get(outcome, '')}".strip())
             for outcome, n in one.outcomes.items() if n]  # fmt: skip
    said = [el("span", f"{somebody(aor)} {outcome}",
               class_=f"chip {'good' if outcome == 'accepted' else 'bad'}")
            for aor, outcome in one.registrations.items()]  # fmt: skip
    rules = [el("span", rule.partition(" ")[0] + (f" x{n}" if n > 1 else ""),
                class_=f"chip {kind}")
             for kind, rules in (("bad", one.rules), ("warn", one.may))
             for rule, n in rules.items() if n]  # fmt: skip
    return el("tr", el("td", phone, class_="mono"), el("td", provider, class_="mono"),
              el("td", *calls), el("td", *said), el("td", *rules))  # fmt: skip


def _timeline(gathered: Gathered, numbers: dict[str, int]) -> list[Markup]:
    calls = {**gathered.rows, **gathered.collected.calls}
    rows = [c for c in calls.values() if c.call_id in numbers and not c.unsolicited]
    if gathered.total <= BARS:
        rows += [c for c in gathered.rows.values() if c.call_id not in numbers]
    rows = sorted(rows, key=lambda call: call.start)[:BARS]
    if not rows:
        return []
    bars = []
    for call in rows:
        number = numbers.get(call.call_id, 0)
        flags = [f.at for f in gathered.findings(call.call_id) if f.hurts and isinstance(f, Shown)]
        label = (f"{number}. " if number else "") + f"{_user(call.from_)} → {_user(call.to)}"
        kind = GRADES[graded(call)][1] or "other"
        bars.append(Bar(label, call.start, call.end, kind, f"#call-{number}" if number else "",
                        flags))  # fmt: skip
    many = gathered.density if gathered.total > len(bars) else None
    note = None
    if many is not None:
        note = el("p", f"{several(gathered.total - len(bars), 'more call')} in all without a bar.",
                  class_="soft small")  # fmt: skip
    legend = el("p", "A bar is a call, from its INVITE to its last message; a triangle, where it "
                "went wrong.", class_="soft small")  # fmt: skip
    return [el("div", timeline(bars, many), note, legend, class_="panel")]


def _user(uri: str) -> str:
    """The user of an address, else all of it."""
    bare = uri.partition(":")[2] or uri
    return bare.partition("@")[0] or "somebody"


def _calls(gathered: Gathered, shown: list[CallLadder], room: Room) -> list[Markup]:
    made = [of_call(call, number, gathered, room) for number, call in enumerate(shown, 1)]
    more = max(0, gathered.total - len(shown))
    if more and made:
        made.append(el("p", f"{several(more, 'more call')} of which nothing has to be shown.",
                       class_="soft"))  # fmt: skip
    return made


def _outside(gathered: Gathered) -> list[Markup]:
    two_sided = gathered.ladder.two_sided
    said = [outside_line(m, traffic, two_sided) for m, traffic in gathered.ladder.outside.items()]
    said += gathered.collected.registrations
    findings = found.findings(gathered.findings(""), gathered.begin)
    if not said and not findings:
        return []
    return [el("div", el("ul", *[el("li", text) for text in said]) if said else None, *findings,
               class_="panel")]  # fmt: skip


def _foot() -> Markup:
    return el("footer", el("p", f"Made by algwatch {__version__}. Digests and media keys are left "
              "out of the messages; names, numbers and addresses are not. To send a capture to "
              "somebody else: algwatch anonymize IN OUT."),
              el("p", "A rule in full: algwatch explain RULE."))  # fmt: skip
