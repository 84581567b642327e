# SPDX-License-Identifier: Apache-2.0
"""OpenWrt with fw4 or fw3: options of the zone in /etc/config/firewall, then a reload.

From 24.10 on the change is in /var/run/uci until it is kept, so a reboot undoes it. Before 24.10 it
is committed at once, after the check. The rules of one phone's trial are live ones.
"""

from __future__ import annotations

import os
import re
import shlex
import time

from algwatch.act import copies, ruleset, steps, uci
from algwatch.act.router import Failed
from algwatch.act.target import Target, check_restored
from algwatch.advise.platforms.plan import FW3
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.act.journal import Journal

COPY = "firewall"
AGAIN = 2.0  # seconds before a second reload
_INIT = "etc/init.d/firewall"
_COUNTS = re.compile(r" \[\d+:\d+\]$|^#.*$", re.M)


class OpenWrt(Target):
    """fw4."""

    def copy(self, journal: Journal) -> dict[str, Any]:
        data = self.router.read(uci.CONFIG)
        if data is None:
            raise Failed(f"{self.router.path(uci.CONFIG)} is not there")
        return {
            "config": copies.save(journal.folder, COPY, data),
            "shown": uci.shown(self.router),
            **copies.owner(self.router.path(uci.CONFIG)),
        }

    def change(self, journal: Journal, only: str) -> None:
        if only:
            journal.step(steps.RULES, only=only, rules=[])
            self.exempt(journal, only)
            return
        router, edits = self.router, self.plan.edits
        if waits := uci.pending(router):  # made since the plan: they would be committed, too
            raise Failed(f"changes of the firewall wait that somebody else made just now "
                         f"({', '.join(waits)})")  # fmt: skip
        override = uci.knows_override(router)
        journal.step(steps.EDIT, override=override, prior=uci.prior(router, edits))
        if override:
            saved = copies.load(journal.folder, COPY, journal.fact(steps.SAVED, "config"))
            if saved is None:
                raise Failed("the copy of the configuration is damaged")
            path = router.path(uci.OVERRIDE)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            copies.install(path, saved, journal.last(steps.SAVED) or {})
        uci.edit(router, edits)
        self.check()
        journal.step(steps.COMMIT, shown=uci.shown(router))
        uci.commit(router)
        journal.step(steps.RELOAD)
        self.reload()

    def still_set(self) -> list[str]:
        """Rules in the chains of the plan: another zone may keep the helper."""
        chains = {rule[:3] for rule in self.plan.rules}
        return [f"{rule.place} {rule.text}" for rule in ruleset.helper_rules(self.router)
                if (rule.family, rule.table, rule.chain) in chains]  # fmt: skip

    def check(self) -> None:
        """fw4 reads the uncommitted changes, too. With -q it would hide their failure."""
        self.router.run("fw4", "check")

    def reload(self) -> None:
        self.router.run(self.router.path(_INIT), "reload")

    def exempt(self, journal: Journal, phone: str) -> None:
        ruleset.exempt(self.router, ruleset.helper_rules(self.router), phone, journal.number)

    def end_exemption(self, journal: Journal) -> None:
        ruleset.end_exemption(self.router, journal.number)

    def keep(self, journal: Journal) -> list[str]:
        path, override = (self.router.path(name) for name in (uci.CONFIG, uci.OVERRIDE))
        if not journal.fact(steps.EDIT, "override"):
            return [f"{path} has the change; its comments are in the saved copy"]
        new, now = self.router.read(uci.OVERRIDE), self.router.read(uci.CONFIG)
        if new is None:
            raise Failed(f"{override} is gone: somebody undid the trial")
        if copies.digest(now) != journal.fact(steps.SAVED, "config"):
            raise Failed(f"{path} was edited during the trial, which does not see that")
        notes = [f"{path} has the change now; its comments are in the saved copy"]
        if uci.shown(self.router) != journal.fact(steps.COMMIT, "shown"):
            notes.append("other changes that were made during the trial are kept with it")
        journal.step(steps.KEEP, before=copies.digest(now), after=copies.digest(new))
        copies.install(path, new, copies.owner(path))
        os.unlink(override)
        return notes

    def restore(self, journal: Journal) -> list[str]:
        same_boot = journal.fact(steps.BEGIN, "boot") == self.router.boot
        if same_boot and journal.has(steps.EDIT) and not journal.has(steps.RELOAD):
            # Pending changes are this apply's own: there were no others at its start.
            with suppress(Failed):
                uci.revert(self.router)
        try:
            with uci.alone(self.router):
                return self._restore(journal, same_boot)
        except OSError as problem:
            return [f"changes of others that wait cannot be set aside: {problem}"]

    def _restore(self, journal: Journal, same_boot: bool) -> list[str]:
        problems: list[str] = []
        try:
            if journal.has(steps.EDIT):
                if self._restore_config(journal, same_boot) or (
                    same_boot and journal.has(steps.RELOAD)
                ):
                    self.reload()
            elif journal.has(steps.RULES) and same_boot:
                self.end_exemption(journal)
        except (Failed, OSError) as problem:
            problems.append(f"not everything is back: {problem}; the file from before is "
                            f"{os.path.join(journal.folder, COPY)}")  # fmt: skip
        if not same_boot or not journal.has(steps.SAVED):
            return problems
        differs = check_restored(self, journal)
        if differs and not problems and journal.has(steps.RELOAD):
            # A reload begun by a killed apply may have ended only now.
            time.sleep(AGAIN)
            with suppress(Failed):
                self.reload()
            differs = check_restored(self, journal)
        return problems + differs

    def _restore_config(self, journal: Journal, same_boot: bool) -> bool:
        """True if something was changed. Failed, OSError: it is not wholly restored."""
        router = self.router
        path, override = router.path(uci.CONFIG), router.path(uci.OVERRIDE)
        changed = False
        ours = journal.fact(steps.SAVED, "shown"), journal.fact(steps.COMMIT, "shown")
        if journal.fact(steps.EDIT, "override") and same_boot and os.path.exists(override):
            kept = journal.fact(steps.KEEP, "after")
            is_kept = kept is not None and copies.digest(router.read(uci.CONFIG)) == kept
            if not is_kept and self._is_others(ours):
                self._take_back(journal, f"changes that others made during the trial are in {path}")
                data = router.read(uci.OVERRIDE)
                assert data is not None
                copies.install(path, data, copies.owner(path))
                os.unlink(override)
                return True
            os.unlink(override)
            changed = True
        now = copies.digest(router.read(uci.CONFIG))
        wanted = journal.fact(steps.SAVED, "config")
        if now == wanted:
            return changed
        if self._is_others(ours):
            self._take_back(journal, f"changes that others made in {path} since then are kept; "
                            "only the options of this change are as they were")  # fmt: skip
            return True
        saved = copies.load(journal.folder, COPY, wanted)
        if saved is None:
            self._take_back(journal, "the copy of the configuration is damaged; the options of "
                            "this change are as they were")  # fmt: skip
            return True
        copies.install(path, saved, journal.last(steps.SAVED) or {})
        return True

    def _is_others(self, ours: tuple[str, str]) -> bool:
        """True if the configuration is neither the earlier one nor this change's. A configuration
        unreadable for uci is nobody's: the copy replaces it."""
        try:
            return uci.shown(self.router) not in ours
        except Failed:
            return False

    def _take_back(self, journal: Journal, note: str) -> None:
        uci.reverse(self.router, journal.fact(steps.EDIT, "prior", []))
        uci.commit(self.router)
        self.notes.append(note)


class Fw3(OpenWrt):
    """iptables instead of nft, and no check: fw3 has none."""

    def listing(self) -> str:
        texts = [self.router.run(f"{name}-save") for name in self._programs()]
        return _COUNTS.sub("", "\n".join(texts))

    def still_set(self) -> list[str]:
        starts = tuple(f"-A {rule.chain} " for rule in self.plan.rules)
        lines = self.listing().splitlines()
        return [line for line in lines if line.startswith(starts) and "--helper sip" in line]

    def _programs(self) -> list[str]:
        """A router without IPv6 may have no ip6tables."""
        return ["iptables", *["ip6tables"] * self.router.has("ip6tables-save")]

    def check(self) -> None:
        """uci has read the changes already (uci.shown())."""

    def exempt(self, journal: Journal, phone: str) -> None:
        program, family = ("ip6tables", "ip6") if ":" in phone else ("iptables", "ip")
        rules = [rule for rule in self.plan.rules if rule.family == family]
        if not rules:
            raise Failed(f"no rule sets the SIP helper for {phone}")
        mark = ["-m", "comment", "--comment", ruleset.mark_of(journal.number)]
        for rule in rules:
            matches = _without_target(shlex.split(rule.text))
            self.router.run(program, "-t", "raw", "-I", rule.chain, "-s", phone, *matches, *mark,
                            "-j", "RETURN")  # fmt: skip

    def end_exemption(self, journal: Journal) -> None:
        for program in self._programs():
            for line in self.router.run(program, "-t", "raw", "-S").splitlines():
                words = shlex.split(line)
                if ruleset.mark_of(journal.number) in words and words[0] == "-A":
                    self.router.run(program, "-t", "raw", "-D", *words[1:])


def _without_target(words: list[str]) -> list[str]:
    """The matches of a rule: neither -j and its options nor comments."""
    words = words[: words.index("-j")] if "-j" in words else words
    while "--comment" in words:
        at = words.index("--comment")
        words = words[: at - 2] + words[at + 2 :]  # -m comment --comment TEXT
    return words


def of(platform: str) -> type[OpenWrt]:
    return Fw3 if platform == FW3 else OpenWrt
