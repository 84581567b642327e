# SPDX-License-Identifier: Apache-2.0
"""The loaded nftables ruleset: rules that set the SIP helper go and come back in their places.

Names and texts are the kernel's own. Everything that belongs together is one transaction of nft, so
a rule is never half there.
"""

from __future__ import annotations

import re

from algwatch.act.router import Failed, Router

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = re.compile(r"[A-Za-z_][\w/.-]{0,127}")
_RULE = re.compile(r"^\t\t(.*?) # handle (\d+)$", re.M)
_COUNTER = re.compile(r"counter packets \d+ bytes \d+")
_BASE = re.compile(r"^\t\ttype \S+ hook \S+ .*policy (\w+);", re.M)
_OBJECT = re.compile(r'^\tct helper (\S+) \{[^}]*?type "sip"', re.M | re.S)
_TABLE = re.compile(r"^table (\S+) (\S+) \{", re.M)
_CHAIN = re.compile(r"^\tchain (\S+) \{(?: # handle \d+)?$", re.M)
_MARK = "algwatch-change-"
_SETS = re.compile(r'ct helper set (?:"([^"]*)"|(\S+))')
_COUNTS_ONLY = re.compile(r'(^| )counter( comment "[^"]*")?$')
_COMMENT = re.compile(r' ?comment "[^"]*"$')  # the last word of a rule, with any text


class Rule:
    """A rule that sets the SIP helper. after, behind: handle and text of the remaining rule before
    it, 0 and "" if it is the first; neighbour: text of the next one before outside any trial, since
    a trial may be gone by then. text: as nft lists it, counters included. last: later rules of its
    chain only count or set a helper. policy: of a base chain, else ""."""

    __slots__ = ("after", "behind", "chain", "family", "handle", "last", "neighbour", "policy",
                 "table", "text")  # fmt: skip

    def __init__(self, family: str, table: str, chain: str, handle: int, text: str,
                 before: tuple[int, str, str], last: bool, policy: str) -> None:  # fmt: skip
        self.family, self.table, self.chain = family, table, chain
        self.handle, self.text, self.last, self.policy = handle, text, last, policy
        self.after, self.behind, self.neighbour = before

    @property
    def place(self) -> str:
        return f"{self.family} {self.table} {self.chain}"

    def facts(self) -> dict[str, Any]:
        """For the journal."""
        return {name: getattr(self, name) for name in self.__slots__}


def listing(router: Router) -> str:
    """All of it without counters and changing elements of sets (nft -s -t)."""
    return router.run("nft", "-s", "-t", "list", "ruleset")


def helper_rules(router: Router) -> list[Rule]:
    """Every loaded rule that sets the SIP helper, by any name of the helper object. Failed: the
    ruleset is unreadable, or has names this program does not type."""
    text = router.run("nft", "-a", "-t", "list", "ruleset")
    found: list[Rule] = []
    tables = [*_TABLE.finditer(text)]
    for table, end in _spans(tables, len(text)):
        part = text[table.end() : end]
        objects = {name.strip('"') for name in _OBJECT.findall(part)}
        if objects:
            for chain, over in _spans([*_CHAIN.finditer(part)], len(part)):
                body = part[chain.end() : over].partition("\n\t}")[0]
                found += _of_chain(table[1], table[2], chain[1], body, objects)
    return found


def _spans(starts: list[re.Match[str]], end: int) -> list[tuple[re.Match[str], int]]:
    ends = [start.start() for start in starts[1:]] + [end]
    return list(zip(starts, ends, strict=bool(starts)))


def _of_chain(family: str, table: str, chain: str, body: str, objects: set[str]) -> list[Rule]:
    rules = [(match[1], int(match[2])) for match in _RULE.finditer(body)]
    base = _BASE.search(body)
    found: list[Rule] = []
    before = 0, "", ""
    for n, (text, handle) in enumerate(rules):
        if not objects.intersection(helpers_of(text)):
            before = handle, plain(text), before[2] if _MARK in text else plain(text)
            continue
        for name in family, table, chain:
            if not _NAME.fullmatch(name):
                raise Failed(f"the name {name!r} in the ruleset is none that can be typed safely")
        last = all(_may_be_skipped(other) for other, _ in rules[n + 1 :])
        policy = base[1] if base else ""
        found.append(Rule(family, table, chain, handle, text, before, last, policy))
    return found


def _may_be_skipped(text: str) -> bool:
    """It sets a helper not needed for SIP, or counts; or it is of a trial."""
    return bool(helpers_of(text)) or _MARK in text or _COUNTS_ONLY.search(plain(text)) is not None


def helpers_of(text: str) -> list[str]:
    """Names of the helper objects set by a rule."""
    return [quoted or bare for quoted, bare in _SETS.findall(_COMMENT.sub("", text))]


def remove(router: Router, rules: list[Rule]) -> None:
    """Failed: none is removed."""
    lines = [f"delete rule {rule.place} handle {rule.handle}\n" for rule in rules]
    router.run("nft", "-f", "-", text="".join(lines))


def put_back(router: Router, rules: list[dict[str, Any]]) -> None:
    """Put removed rules (facts of the journal) in their places; present ones stay. The place is
    behind the earlier rule before it, also after this one was loaded anew with another handle.
    Failed: none is put back."""
    lines = []
    for fact in reversed(rules):
        place = f"{fact['family']} {fact['table']} {fact['chain']}"
        there = _handles(router, fact["family"], fact["table"], fact["chain"])
        if plain(fact["text"]) in there.values():
            continue
        same = [handle for handle, text in there.items() if text == fact["neighbour"]]
        if fact["after"] and there.get(fact["after"]) == fact["behind"]:
            lines.append(f"add rule {place} handle {fact['after']} {fact['text']}\n")
        elif not fact["neighbour"]:
            lines.append(f"insert rule {place} {fact['text']}\n")
        elif len(same) == 1:
            lines.append(f"add rule {place} handle {same[0]} {fact['text']}\n")
        else:
            raise Failed(f"chain {place} was changed by others meanwhile")
    if lines:
        router.run("nft", "-f", "-", text="".join(lines))


def plain(text: str) -> str:
    """A rule without the numbers of its counters."""
    return _COUNTER.sub("counter", text)


def _handles(router: Router, family: str, table: str, chain: str) -> dict[int, str]:
    """Rules of a chain by handle, without the numbers of counters."""
    text = router.run("nft", "-a", "list", "chain", family, table, chain)
    return {int(match[2]): plain(match[1]) for match in _RULE.finditer(text)}


def mark_of(number: int) -> str:
    """The comment of rules added by change `number`: one word, so every firewall quotes it
    alike."""
    return f"{_MARK}{number}"


def is_marked(line: str, number: int) -> bool:
    return re.search(rf"\b{mark_of(number)}\b", line) is not None


def exempt(router: Router, rules: list[Rule], phone: str, number: int) -> None:
    """Flows of this phone get no SIP helper any more: a rule with the same matches returns before
    the one that sets it. Failed: nothing is added; also if `return` would skip other rules of the
    chain, or end in a policy that drops."""
    lines = []
    for rule in rules:
        version = "ip6" if ":" in phone else "ip"
        if rule.family not in (version, "inet"):
            continue
        if rule.policy not in ("", "accept"):
            raise Failed(f"the policy of the base chain {rule.place} is to {rule.policy}: for one "
                         "phone its rule cannot be left out")  # fmt: skip
        if not rule.last:
            raise Failed(
                f"the rule of chain {rule.place} stands before other rules: for one phone it "
                "cannot be left out without them"
            )
        matches = _COUNTER.sub("", _SETS.sub("", _COMMENT.sub("", rule.text))).strip()
        words = " ".join(["insert rule", rule.place, f"handle {rule.handle}", version, "saddr",
                          phone, matches])  # fmt: skip
        lines.append(f'{words} return comment "{mark_of(number)}"\n')
    if not lines:
        raise Failed(f"no rule sets the SIP helper for {phone}")
    router.run("nft", "-f", "-", text="".join(lines))


def end_exemption(router: Router, number: int) -> None:
    """Delete the rules added by exempt(). Failed."""
    text = router.run("nft", "-a", "-t", "list", "ruleset")
    mark = f'comment "{mark_of(number)}"'
    lines = []
    for table, end in _spans([*_TABLE.finditer(text)], len(text)):
        part = text[table.end() : end]
        for chain, over in _spans([*_CHAIN.finditer(part)], len(part)):
            body = part[chain.end() : over]
            place = f"{table[1]} {table[2]} {chain[1]}"
            lines += [f"delete rule {place} handle {match[2]}\n"
                      for match in _RULE.finditer(body) if match[1].endswith(mark)]  # fmt: skip
    if lines:
        router.run("nft", "-f", "-", text="".join(lines))


def differences(before: str, after: str) -> list[str]:
    """Lines added or removed without a relation to helpers: there must be none."""
    gone, come = _lines(before), _lines(after)
    other: list[str] = []
    for lines, against, sign in (gone, come, "-"), (come, gone, "+"):
        for line, count in lines.items():
            if count > against.get(line, 0):
                other.append(f"{sign} {line}")
    return other


def lost_helpers(before: str, after: str) -> list[str]:
    """Rules that set a helper, and are gone."""
    left = after.splitlines()
    lost = []
    for line in before.splitlines():
        if "helper set" not in line and "--helper" not in line:
            continue
        if line in left:
            left.remove(line)
        else:
            lost.append(line.strip())
    return lost


def _lines(text: str) -> dict[str, int]:
    """The count of each line. Lines about helpers, or inside a chain or an object of helpers, are
    left out; a line carries its table and chain."""
    counts: dict[str, int] = {}
    table = chain = ""
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("table "):
            table, chain = word.rstrip(" {"), ""
        elif line.endswith("{") and line.startswith("\t") and not line.startswith("\t\t"):
            chain = word.rstrip(" {")  # or a set, or a `ct helper` object
        if "helper" in word or "helper" in chain or word in ("", "}"):
            continue
        key = f"{table} | {chain} | {word}"
        counts[key] = counts.get(key, 0) + 1
    return counts
