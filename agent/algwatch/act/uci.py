# SPDX-License-Identifier: Apache-2.0
"""/etc/config/firewall of OpenWrt through uci: pending changes of others, edits and their reverse.

Before `uci commit`, edits wait in /tmp/.uci and belong to the next commit of anybody. LuCI keeps
those of its sessions in /var/run/rpcd. From 24.10 on a file in /var/run/uci replaces the one on
flash: a trial undone by a reboot.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from algwatch.act import copies
from algwatch.act.router import Failed, Router
from algwatch.advise.platforms.plan import ADD_LIST, DEL_LIST, DELETE, Edit
from algwatch.advise.platforms.uci import Section, Unreadable, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

CONFIG = "etc/config/firewall"
OVERRIDE = "var/run/uci/firewall"
_RPCD = "var/run/rpcd"
_WAITING, _ASIDE = "tmp/.uci/firewall", "tmp/.uci-algwatch"
_PACKAGE = "firewall"


def pending(router: Router) -> list[str]:
    """Owners of uncommitted changes of the firewall: "uci", "LuCI". Failed."""
    found = ["uci"] if router.run("uci", "changes", _PACKAGE).strip() else []
    with suppress(OSError):
        for name in sorted(os.listdir(router.path(_RPCD))):
            path = router.path(os.path.join(_RPCD, name, _PACKAGE))
            if name.startswith("uci-") and os.path.exists(path) and os.path.getsize(path):
                found.append("LuCI")
                break
    return found


def knows_override(router: Router) -> bool:
    """uci names the folder in its usage, printed without a command. Failed."""
    _, out, err = router.attempt("uci")
    return "override" in out + err


def shown(router: Router) -> str:
    """All options with pending changes, in a form independent of comments and quoting. Failed: uci
    cannot read the file."""
    return copies.digest(router.run("uci", "show", _PACKAGE).encode("utf-8", "surrogateescape"))


def edit(router: Router, edits: Iterable[Edit]) -> None:
    """Uncommitted. Failed."""
    for one in edits:
        where = f"{_PACKAGE}.{one.section}.{one.option}"
        router.run("uci", one.verb, where if one.verb == DELETE else f"{where}={one.value}")


def prior(router: Router, edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """The present values of the options in edits: facts for the journal. values: None for an unset
    option. type, rest: of the section, and its other options: they identify the section after
    others have put sections before it."""
    edits = list(edits)
    sections = {one.ref: one for one in _sections(router)}
    touched: dict[str, set[str]] = {}
    for one in edits:
        touched.setdefault(one.section, set()).add(one.option)
    facts: dict[tuple[str, str], dict[str, Any]] = {}
    for one in edits:
        key = one.section, one.option
        if key in facts:
            facts[key]["list"] |= one.verb in (ADD_LIST, DEL_LIST)
            continue
        where = sections.get(one.section)
        if where is None:
            raise Failed(f"the section {_PACKAGE}.{one.section} is not there any more")
        facts[key] = {"section": one.section, "option": one.option, "type": where.type,
                      "rest": _rest(where, touched[one.section]),
                      "values": _get(router, one.section, one.option),
                      "list": one.verb in (ADD_LIST, DEL_LIST)}  # fmt: skip
    return list(facts.values())


def reverse(router: Router, facts: Iterable[dict[str, Any]]) -> None:
    """Restore only these options, uncommitted. Failed: a section cannot be identified any more, and
    nothing was changed."""
    facts = list(facts)
    touched: dict[str, set[str]] = {}
    for fact in facts:
        touched.setdefault(fact["section"], set()).add(fact["option"])
    sections = _sections(router)
    now = {old: _found(sections, next(f for f in facts if f["section"] == old), options)
           for old, options in touched.items()}  # fmt: skip
    for fact in facts:
        section, option = now[fact["section"]], fact["option"]
        where = f"{_PACKAGE}.{section}.{option}"
        router.attempt("uci", "-q", "delete", where)  # not there: nothing to delete
        values = fact["values"]
        if values is None:
            continue
        if fact["list"]:
            for word in values.split():
                router.run("uci", "add_list", f"{where}={word}")
        else:
            router.run("uci", "set", f"{where}={values}")


@contextmanager
def alone(router: Router) -> Iterator[None]:
    """Set pending edits of others aside, so they are neither committed nor loaded with ours, and
    restore them afterwards. OSError."""
    waiting, aside = router.path(_WAITING), router.path(_ASIDE)
    if os.path.exists(aside):  # of a killed undoing
        _bring_back(waiting, aside)
    if os.path.exists(waiting) and os.path.getsize(waiting):
        os.rename(waiting, aside)
    try:
        yield
    finally:
        if os.path.exists(aside):
            _bring_back(waiting, aside)


def _bring_back(waiting: str, aside: str) -> None:
    """The file is a log: later edits go behind earlier ones."""
    with suppress(FileNotFoundError), open(waiting, "rb") as later, open(aside, "ab") as file:
        file.write(later.read())
    os.rename(aside, waiting)


def commit(router: Router) -> None:
    router.run("uci", "commit", _PACKAGE)


def revert(router: Router) -> None:
    """Drop every pending change of the firewall."""
    router.run("uci", "revert", _PACKAGE)


def _sections(router: Router) -> list[Section]:
    """Failed."""
    try:
        return read(router.run("uci", "show", _PACKAGE))
    except Unreadable as why:
        raise Failed(f"uci show {_PACKAGE}: {why}") from None


def _rest(section: Section, without: set[str]) -> dict[str, list[str]]:
    """Every option but these; a list of one item and a string are shown alike."""
    return {name: section.words(name) if isinstance(value, list) else [value]
            for name, value in section.options.items() if name not in without}  # fmt: skip


def _found(sections: list[Section], fact: dict[str, Any], touched: set[str]) -> str:
    """The present name in uci of the section of a fact of prior(). Unnamed sections are counted:
    the same number may be another rule, and must not be switched on. Failed."""
    old, rest = str(fact["section"]), fact.get("rest")
    there = [one for one in sections if one.type == fact.get("type", one.type)]
    if rest is None:  # of a journal written by an earlier version
        name = fact.get("name")
        same = [one.ref for one in there if one.ref == old and one.options.get("name") == name]
    else:
        same = [one.ref for one in there if _rest(one, touched) == rest]
    if old in same:
        return old
    if len(same) == 1:
        return same[0]
    if not old.startswith("@"):  # others have changed it, and no other section has its name
        same = [one.ref for one in there if one.ref == old]
    elif rest and "name" in rest:
        same = [one.ref for one in there if _rest(one, set()).get("name") == rest["name"]]
    if len(same) == 1:
        return same[0]
    raise Failed(f"the section {_PACKAGE}.{old} is not the one that was changed, and no other one "
                 "is like it")  # fmt: skip


def _get(router: Router, section: str, option: str) -> str | None:
    status, out, _ = router.attempt("uci", "-q", "get", f"{_PACKAGE}.{section}.{option}")
    return None if status else out.rstrip("\n")
