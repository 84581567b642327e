# SPDX-License-Identifier: Apache-2.0
"""Plain nftables: the loaded rules that set the SIP helper are deleted. Their lines in
/etc/nftables.conf become comments when the change is kept. Until then a reboot undoes it."""

from __future__ import annotations

import os

from algwatch.act import copies, nftfile, ruleset, steps
from algwatch.act.router import Failed, Router
from algwatch.act.target import Target, check_restored
from algwatch.advise.platforms.plan import NFTABLES, HelperRule, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.act.journal import Journal

COPY = "nftables.conf"
_NEW = "nftables.conf.tried"
NO_RULE = ("no loaded rule sets the SIP helper, as far as nft shows them; algwatch doctor tells "
           "whether something else does")  # fmt: skip


def plan(router: Router) -> Plan:
    """Failed: the ruleset cannot be read."""
    rules = ruleset.helper_rules(router)
    if not rules:
        return Plan(NFTABLES, refusals=(NO_RULE,))
    found = [HelperRule(r.family, r.table, r.chain, r.handle, r.text) for r in rules]
    return Plan(NFTABLES, rules=tuple(found))


class Nftables(Target):
    def copy(self, journal: Journal) -> dict[str, Any]:
        data = self.router.read(nftfile.FILE)
        if data is None:
            return {"config": ""}
        fact = copies.save(journal.folder, COPY, data)
        return {"config": fact, **copies.owner(self.router.path(nftfile.FILE))}

    def change(self, journal: Journal, only: str) -> None:
        rules = ruleset.helper_rules(self.router)
        journal.step(steps.RULES, only=only, rules=[rule.facts() for rule in rules])
        if only:
            ruleset.exempt(self.router, rules, only, journal.number)
        else:
            ruleset.remove(self.router, rules)

    def keep(self, journal: Journal) -> list[str]:
        path = self.router.path(nftfile.FILE)
        data = self.router.read(nftfile.FILE)
        rules = journal.fact(steps.RULES, "rules", [])
        texts = "; ".join(ruleset.plain(rule["text"]) for rule in rules)
        tell = ("after a reboot the SIP helper is back, unless you take these rules out of the "
                f"file that loads them: {texts}")  # fmt: skip
        if data is None:
            return [f"{path} is not there: {tell}"]
        names = {name for rule in rules for name in ruleset.helpers_of(rule["text"])}
        new = nftfile.without_helper(data, names, len(rules), journal.number)
        if new is None:
            return [f"{path} does not hold these rules in a form that is safe to edit: {tell}"]
        tried = os.path.join(journal.folder, _NEW)
        copies.save(journal.folder, _NEW, new)
        try:
            self.router.run("nft", "-c", "-f", tried)
        except Failed as problem:
            return [f"{path} would not load without these rules ({problem}): {tell}"]
        journal.step(steps.KEEP, before=copies.digest(data), after=copies.digest(new))
        copies.install(path, new, copies.owner(path))
        return [f"{path}: what set the helper is a comment now, so that it stays off"]

    def restore(self, journal: Journal) -> list[str]:
        problems = self._restore_file(journal)
        rules = journal.fact(steps.RULES, "rules", [])
        try:
            if not journal.has(steps.RULES):
                return problems
            if journal.fact(steps.RULES, "only"):
                ruleset.end_exemption(self.router, journal.number)
            else:
                ruleset.put_back(self.router, rules)
        except Failed as problem:
            return [*problems, f"the rules are not back: {problem}"]
        if journal.fact(steps.BEGIN, "boot") == self.router.boot:
            problems += check_restored(self, journal)
        return problems

    def _restore_file(self, journal: Journal) -> list[str]:
        kept = journal.last(steps.KEEP)
        if kept is None:
            return []
        path = self.router.path(nftfile.FILE)
        try:
            now = self.router.read(nftfile.FILE)
            wanted = kept["before"]
            if copies.digest(now) == wanted:
                return []
            before = copies.load(journal.folder, COPY, wanted)
            if now is None:
                return [f"{path} is gone; the file from before is "
                        f"{os.path.join(journal.folder, COPY)}"]  # fmt: skip
            if before is None or copies.digest(now) != kept["after"]:
                before = nftfile.with_helper(now, journal.number)
                self.notes.append(f"{path} was changed by somebody else since; that is kept, and "
                                  "the rules that were comments are rules again")  # fmt: skip
            copies.install(path, before, journal.last(steps.SAVED) or {})
        except (Failed, OSError) as problem:
            return [f"{path} is not back: {problem}"]
        return []
