# SPDX-License-Identifier: Apache-2.0
"""/etc/config/firewall of OpenWrt through uci: who else is changing it, edits and their reverse.

Until `uci commit` edits wait in /tmp/.uci and belong to whoever commits first. LuCI keeps those of
its sessions in /var/run/rpcd. From 24.10 on a file in /var/run/uci takes the place of the one on
flash: a trial that a reboot undoes.
"""

from __future__ import annotations

import os
from contextlib import suppress

from algwatch.act import copies
from algwatch.act.router import Failed, Router
from algwatch.advise.platforms.plan import ADD_LIST, DEL_LIST, DELETE, Edit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

CONFIG = "etc/config/firewall"
OVERRIDE = "var/run/uci/firewall"
_RPCD = "var/run/rpcd"
_PACKAGE = "firewall"


def pending(router: Router) -> list[str]:
    """Who has changes of the firewall that are not committed: "uci", "LuCI". Failed."""
    found = ["uci"] if router.run("uci", "changes", _PACKAGE).strip() else []
    with suppress(OSError):
        for name in sorted(os.listdir(router.path(_RPCD))):
            path = router.path(os.path.join(_RPCD, name, _PACKAGE))
            if name.startswith("uci-") and os.path.exists(path) and os.path.getsize(path):
                found.append("LuCI")
                break
    return found


def knows_override(router: Router) -> bool:
    """uci names the folder in its usage, which it prints without a command. Failed."""
    _, out, err = router.attempt("uci")
    return "override" in out + err


def shown(router: Router) -> str:
    """All options with the changes that wait, in a form that does not depend on comments and
    quoting. Failed: uci cannot read the file."""
    return copies.digest(router.run("uci", "show", _PACKAGE).encode("utf-8", "surrogateescape"))


def edit(router: Router, edits: Iterable[Edit]) -> None:
    """Uncommitted. Failed."""
    for one in edits:
        where = f"{_PACKAGE}.{one.section}.{one.option}"
        router.run("uci", one.verb, where if one.verb == DELETE else f"{where}={one.value}")


def prior(router: Router, edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """The options that the edits change, as they are: facts for the journal. values: None where
    the option is not set. name: of the section, by which it is known again."""
    facts: dict[tuple[str, str], dict[str, Any]] = {}
    for one in edits:
        key = one.section, one.option
        if key in facts:
            facts[key]["list"] |= one.verb in (ADD_LIST, DEL_LIST)
            continue
        facts[key] = {"section": one.section, "option": one.option, "name": _name(router, one),
                      "values": _get(router, one.section, one.option),
                      "list": one.verb in (ADD_LIST, DEL_LIST)}  # fmt: skip
    return list(facts.values())


def reverse(router: Router, facts: Iterable[dict[str, Any]]) -> None:
    """Only these options as they were, uncommitted. Failed: a section is not where it was."""
    for fact in facts:
        section, option = fact["section"], fact["option"]
        if _get(router, section, "name") != fact["name"]:
            raise Failed(f"the section {_PACKAGE}.{section} is not the one that was changed")
        where = f"{_PACKAGE}.{section}.{option}"
        router.attempt("uci", "-q", "delete", where)  # not there: nothing to take back
        values = fact["values"]
        if values is None:
            continue
        if fact["list"]:
            for word in values.split():
                router.run("uci", "add_list", f"{where}={word}")
        else:
            router.run("uci", "set", f"{where}={values}")


def commit(router: Router) -> None:
    router.run("uci", "commit", _PACKAGE)


def revert(router: Router) -> None:
    """Every change of the firewall that waits is forgotten."""
    router.run("uci", "revert", _PACKAGE)


def _name(router: Router, one: Edit) -> str | None:
    return _get(router, one.section, "name")


def _get(router: Router, section: str, option: str) -> str | None:
    status, out, _ = router.attempt("uci", "-q", "get", f"{_PACKAGE}.{section}.{option}")
    return None if status else out.rstrip("\n")
