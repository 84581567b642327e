# SPDX-License-Identifier: Apache-2.0
"""Apply: the SIP helper is turned off step by step, and each step is journaled before it is taken.
Any failure takes the change back."""

from __future__ import annotations

import time

from algwatch.act import before, live, reach, steps
from algwatch.act.changes import Changes
from algwatch.act.daemons import Evidence
from algwatch.act.journal import Journal
from algwatch.act.router import Failed, Router
from algwatch.act.target import check_effect
from algwatch.act.undo import facts, finish, target_of, undo
from algwatch.act.watch import FAILED, OPEN, WORKS, Watch
from algwatch.advise.platforms.plan import Plan
from algwatch.kernel.flows import Flows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NOT_HEARD = "not-heard"  # beside the words of watch.py: watched until the time was over
DONE, UNDONE, REFUSED, NOT_KNOWN, NOT_BACK = 0, 1, 2, 3, 4  # exit statuses


class Refused(Exception):
    """Nothing was changed; the text gives the reason and the next step."""


class Order:
    """The order for a change. ours: true for addresses of the phones concerned. only: address of a
    phone, "" for all of them. wait: seconds granted to a call before the change. watch: makes the
    watch of the phones afterwards, probe the probe of the router; None for neither. again: plans
    once more, after a wait for a call."""

    def __init__(self, ours: Callable[[str], bool], only: str = "", force: bool = False,
                 wait: float = 0.0,
                 watch: Callable[[list[str]], Watch] | None = None,
                 probe: Callable[[], list[str]] | None = None,
                 again: Callable[[], Plan] | None = None) -> None:  # fmt: skip
        self.ours, self.only, self.force, self.wait = ours, only, force, wait
        self.watch, self.probe, self.again = watch, probe, again


class Apply:
    """say: takes a line for people. guard: called with the journal once it has begun, and starts
    the process that takes the change back if this one dies."""

    def __init__(self, router: Router, changes: Changes, say: Callable[[str], None],
                 guard: Callable[[Journal], None]) -> None:  # fmt: skip
        self._router, self._changes, self._say, self._guard = router, changes, say, guard

    def run(self, made: Plan, order: Order, said: Evidence) -> tuple[int, Journal | None]:
        """The exit status and the journal. Refused: nothing was changed."""
        timeouts = live.Timeouts(self._router)
        phones = self._check(made, order, said, timeouts)
        journal = self._changes.create()
        try:
            journal.step(steps.BEGIN, only=order.only, boot=self._router.boot, phones=phones,
                         plan=facts(made))  # fmt: skip
        except OSError as problem:
            raise Refused(f"the journal cannot be written: {problem.strerror}; nothing was "
                          "changed") from None  # fmt: skip
        self._say(f"change {journal.number} begins: the SIP helper goes off for "
                  f"{order.only or 'all phones'}")  # fmt: skip
        try:
            self._guard(journal)
            result, why = self._change(made, order, journal, phones, timeouts)
            if result != FAILED:
                word = steps.VERIFIED if result == WORKS else steps.APPLIED
                finish(self._changes, journal, word, why=why)
        except (Failed, OSError) as problem:
            result, why = FAILED, str(problem)
        except KeyboardInterrupt:
            result, why = FAILED, "it was interrupted"
        if result == FAILED:
            problems = undo(self._router, self._changes, journal, why, self._say)
            for line in problems:
                self._say(line)
            return (NOT_BACK if problems else UNDONE), journal
        self._say(f"change {journal.number} is in force: {why}")
        return (NOT_KNOWN if result == NOT_HEARD else DONE), journal

    def _check(self, made: Plan, order: Order, said: Evidence,
               timeouts: live.Timeouts) -> list[str]:  # fmt: skip
        """The phones that have the helper now. Refused."""
        if made.refusals:
            raise Refused("; ".join(made.refusals))
        if not made.edits and not made.rules:
            raise Refused("; ".join(made.notes) or "nothing sets the SIP helper here")
        end = time.monotonic() + order.wait
        waited = False
        try:
            with Flows() as flows:
                entries = live.helped(flows, order.ours)
                objections = before.objections(said, entries, timeouts, order.only)
                if objections and not order.force:
                    raise Refused(f"{' '.join(objections)} (--force does it all the same)")
                found = {live.phone_of(flow) for flow in entries}
                phones = sorted(found | ({order.only} if order.only else set()))
                while busy := live.in_call(flows, phones, timeouts, sure=order.force):
                    if time.monotonic() >= end:
                        raise Refused(f"a call is up at {', '.join(sorted(busy))}: hang up, or let "
                                      "it end with --wait SECONDS")  # fmt: skip
                    waited = True
                    time.sleep(live.LOOK)
                for line in objections:
                    self._say(f"forced: {line}")
        except OSError as problem:
            raise Refused(f"connection tracking cannot be read: {problem.strerror}") from None
        if waited and order.again is not None:
            self._compare(made, order.again)
        return phones

    def _compare(self, made: Plan, again: Callable[[], Plan]) -> None:
        """Sections of a configuration are counted: somebody may have put another one before the
        plan's own during the wait for a call. Refused."""
        try:
            now = again()
        except Failed as why:
            raise Refused(f"{why}; nothing was changed") from None
        if now.refusals:
            raise Refused("; ".join(now.refusals))
        if now.edits != made.edits:
            raise Refused("somebody changed the firewall's configuration meanwhile; nothing was "
                          "changed: type this again")  # fmt: skip

    def _change(self, made: Plan, order: Order, journal: Journal, phones: list[str],
                timeouts: live.Timeouts) -> tuple[str, str]:  # fmt: skip
        """(WORKS or another word of watch.py, why). Failed, OSError."""
        target = target_of(self._router, made)
        near = reach.answering(phones)
        target.save(journal)
        target.change(journal, order.only)
        check_effect(target, journal, order.only)
        deaf = near - reach.answering(sorted(near))
        if deaf:
            raise Failed(f"{', '.join(sorted(deaf))} answered before and does not any more")
        with Flows() as flows:
            live.take_off(flows, journal, order.ours, timeouts, self._say)
        whose = f"of {order.only} " if order.only else ""
        self._say(f"new flows {whose}get no SIP helper, and live ones go on without it")
        if journal.fact(steps.EDIT, "override"):
            self._say("until the change is made lasting, settings of the firewall that anybody "
                      "saves are lost at a restart of the router, like the change")  # fmt: skip
        if order.probe is not None:
            journal.step(steps.PROBE)
            rewritten = order.probe()
            if rewritten:
                more = f" and {len(rewritten) - 1} more" if len(rewritten) > 1 else ""
                raise Failed(f"the probe still sees rewriting: {rewritten[0]}{more}")
        result, why = OPEN, "nobody watched it; algwatch verify does"
        if order.watch is not None and not phones:
            result, why = OPEN, "no phone had the helper, so none was watched"
        elif order.watch is not None:
            watch = order.watch(phones)
            journal.step(steps.WATCH, phones=phones, until=time.time() + watch.longest)
            self._say(f"watching {', '.join(phones)} for at most {watch.longest:.0f} s, until each "
                      "has registered; Ctrl-C puts everything back")  # fmt: skip
            result, why = watch.run()
            result = result or NOT_HEARD
            if result == FAILED:
                return result, why
        if order.only:
            self._say("the rule for this phone is gone after the next reload of the firewall")
        elif result == NOT_HEARD:
            self._say("the change is not made lasting yet: algwatch verify does that")
        else:
            for note in target.keep(journal):
                self._say(note)
        return result, why
