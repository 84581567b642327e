# SPDX-License-Identifier: Apache-2.0
"""Findings and advice on the page, with the rule's own explanation and its sources."""

from __future__ import annotations

import re

from algwatch.advise.actions import DISABLE, in_words
from algwatch.advise.advice import Advice
from algwatch.advise.commands import UNDO, UNDO_TRIAL
from algwatch.diagnose.rules import RULES
from algwatch.report.render.explained import parts
from algwatch.report.render.how import HOW
from algwatch.report.render.html.gathered import Shown
from algwatch.report.render.html.markup import Child, Markup, el, join
from algwatch.report.render.sentences import Brief, several
from algwatch.report.render.text import HARM_WORDS, SURE

HARM_KINDS = {"observed": "bad", "certain": "bad", "latent": "warn", "none": "good"}
SIDES = {"lan": "LAN", "wan": "WAN", "unknown": "the only side"}
_RFC = re.compile(r"RFC (\d{3,5})(?: (?:section )?(\d+(?:\.\d+)*))?")
_RULES = {module.RULE.id: module for module in RULES}


def findings(briefs: list[Brief], started: float) -> list[Markup]:
    """Harmless findings are folded. started: seconds since 1970, the zero of times."""
    harmless = [finding(one, started) for one in briefs if one.harm == "none"]
    shown = [finding(one, started) for one in briefs if one.harm != "none"]
    if harmless:
        fold = el("summary", f"{several(len(harmless), 'finding')} without harm")
        shown.append(el("details", fold, *harmless, class_="plain"))
    return shown


def finding(brief: Brief, started: float) -> Markup:
    """started: seconds since 1970, the zero of times."""
    kind = HARM_KINDS[brief.harm]
    head = el("p", el("span", brief.rule, class_="rule"), el("span", brief.slug, class_="soft"),
              " ", el("span", HARM_WORDS[brief.harm], class_=f"chip {kind}"),
              el("span", f"where: {brief.where}", class_="chip"))  # fmt: skip
    step = el("p", el("b", "Next: "), brief.next_step) if brief.next_step else None
    looks = _looks(brief, started) if isinstance(brief, Shown) else None
    return el("div", head, el("p", brief.summary), step, looks, _explained(brief.rule),
              class_=f"finding {kind}")  # fmt: skip


def _looks(brief: Shown, started: float) -> Markup:
    rows: list[Markup] = []
    for side, at, observed, expected in brief.looks:
        when = f"{SIDES.get(side, side)}, {at - started:.3f} s"
        more: tuple[Child, ...] = (
            (el("span", "; expected: ", class_="soft"), expected) if expected else ()
        )
        rows += [el("dt", when), el("dd", observed, *more)]
    return el("dl", *rows, class_="small")


def _explained(rule: str) -> Markup | None:
    module = _RULES.get(rule)
    if module is None:
        return None
    title, sections = parts(module)
    told = [el("p", el("b", f"{rule}: {title}"))]
    for heading, text in sections:
        if heading == "References":
            continue
        told += [el("h4", heading), el("p", text)]
    links: list[Child] = []
    for name in module.RULE.rfc:
        links += [", " if links else None, reference(name)]
    told.append(el("p", el("b", "References: "), *links))
    return el("details", el("summary", "Why this matters, and where it is written"), *told,
              class_="why plain small")  # fmt: skip


def reference(name: str) -> Markup:
    """ "RFC 3261 13.3.1.4" as a link to that section; other texts as they are."""
    match = _RFC.fullmatch(name)
    if match is None:
        return el("span", name)
    number, section = match.groups()
    href = f"https://www.rfc-editor.org/rfc/rfc{number}" + (
        f"#section-{section}" if section else ""
    )
    return el("a", name, href=href, rel="noreferrer")


def advice(one: Advice) -> Markup:
    kind = "warn" if one.state == "suspected" else "good"
    state = SURE.get(one.state, one.state)
    told: list[Child] = [
        el("h3", in_words(one)),
        el("p", el("span", state, class_=f"chip {kind}"),
           el("span", f"{one.confidence:.0%} sure", class_="chip"),
           el("span", f"about {one.subject}", class_="small soft") if one.subject else None),
    ]  # fmt: skip
    for name, texts in (("What speaks for it", one.for_), ("What speaks against it", one.against)):
        if texts:
            told += [el("h4", name), el("ul", *[el("li", text) for text in texts])]
    if one.action in HOW:
        told += [el("h4", "How"), el("p", HOW[one.action])]
    if one.commands:
        where = "Type on the router (OpenWrt)"
        if one.short:
            told += [el("h4", "Type on the router"), typed(one.short)]
            where = "Or on OpenWrt without algwatch"
        lines: list[Child] = [typed(one.commands)]
        if one.action == DISABLE:
            undo = UNDO_TRIAL if one.state == "suspected" else UNDO
            lines += [el("h4", "To undo those"), typed(undo)]
        told.append(el("details", el("summary", where), *lines, open=None if one.short else ""))
    return el("section", *told, class_="panel")


def typed(lines: list[str] | tuple[str, ...]) -> Markup:
    """Lines to copy; the script adds a button."""
    return el("div", el("pre", join(*_with_ends(lines))), class_="typed")


def _with_ends(lines: list[str] | tuple[str, ...]) -> list[Child]:
    return [part for line in lines for part in (line, Markup("\n"))]
