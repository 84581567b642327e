# SPDX-License-Identifier: Apache-2.0
"""Options are put back in the section that was changed, wherever others have moved it."""

from __future__ import annotations

from pathlib import Path

import pytest
from algwatch.act import uci
from algwatch.act.router import Failed
from algwatch.act.router import Router as Machine
from algwatch.advise.platforms.plan import SET, Edit
from openwrt.router import STOCK, Router

RULE = "\nconfig rule\n\toption src {}\n\toption target HELPER\n\toption set_helper sip\n"
THEIRS = "\nconfig rule\n\toption src wan\n\toption target ACCEPT\n\toption enabled 0\n"
ORIGINAL = STOCK + RULE.format("lan")  # @rule[1]
OFF = [Edit("@rule[1]", "enabled", SET, "0")]


def changed(folder: Path, config: str) -> tuple[Machine, list[dict[str, object]], Path]:
    router = Router(folder, config)
    machine = Machine(str(folder), router.environment)
    facts = uci.prior(machine, OFF)
    uci.edit(machine, OFF)
    uci.commit(machine)
    return machine, facts, router.config


def enabled(machine: Machine) -> list[str]:
    """Of all rules, in their order."""
    status = [machine.attempt("uci", "-q", "get", f"firewall.@rule[{n}].enabled")
              for n in range(3)]  # fmt: skip
    return [out.strip() if not code else "" for code, out, _ in status]


def test_a_rule_that_others_put_before_it_stays_switched_off(tmp_path: Path) -> None:
    machine, facts, config = changed(tmp_path, ORIGINAL)
    first, _, rest = config.read_text().partition("config rule")
    config.write_text(first + THEIRS.lstrip() + "\nconfig rule" + rest)
    assert enabled(machine) == ["0", "", "0"]
    uci.reverse(machine, facts)
    uci.commit(machine)
    assert enabled(machine) == ["0", "", ""]


def test_a_section_that_is_gone_takes_no_other_along(tmp_path: Path) -> None:
    machine, facts, config = changed(tmp_path, ORIGINAL)
    config.write_text(STOCK + THEIRS)
    with pytest.raises(Failed, match="not the one that was changed"):
        uci.reverse(machine, facts)
    assert enabled(machine) == ["", "0", ""]
    assert machine.run("uci", "changes") == ""


def test_a_section_with_a_name_is_known_although_others_changed_it(tmp_path: Path) -> None:
    named = ORIGINAL.replace("\toption target HELPER", "\toption name x\n\toption target HELPER")
    machine, facts, config = changed(tmp_path, named)
    config.write_text(config.read_text().replace("src 'lan'", "src 'guest'"))
    uci.reverse(machine, facts)
    uci.commit(machine)
    assert enabled(machine)[1] == ""


def test_a_journal_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    machine, facts, _ = changed(tmp_path, ORIGINAL)
    (fact,) = facts
    del fact["rest"], fact["type"]
    fact["name"] = None
    uci.reverse(machine, facts)
    uci.commit(machine)
    assert enabled(machine)[1] == ""
