# SPDX-License-Identifier: Apache-2.0
"""A stand-in for uhttpd's JSON-RPC and rpcd behind it, for the pages of luci-app-algwatch.

As in uhttpd (ubus.c) and rpcd (session.c, ucode.c, uci.c): a call answers [0, {...}], [number]
where ubus fails (2 bad arguments, 4 not found), error -32002 where the session has no right to the
method or there is no such session, -32000 for an object that is not there, and a batch is an array
of answers. The rights come from the package's own ACL file: a session that may only read gets
none of "write". What this stand-in does not know fails.

Where ALGWATCH_UCODE names a command, the methods are those of the package, run by it: it takes the
script, the method and the arguments as JSON. Otherwise `Methods` does here the same in Python.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "firmware" / "openwrt" / "luci-app-algwatch"
SCRIPT = APP / "root/usr/share/rpcd/ucode/luci.algwatch"
ACL = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-algwatch.json").read_text())
WRITER, READER = "a" * 32, "b" * 32
OBJECT = "luci.algwatch"

# uhttpd's errors
OBJECT_NOT_FOUND, ACCESS_DENIED = -32000, -32002
# ubus
INVALID_ARGUMENT, NOT_FOUND = 2, 4

ARGUMENTS: dict[str, dict[str, type]] = {
    "explain": {"rule": str},
    "apply": {"only": str, "whole": bool, "force": bool},
}
FIELDS: dict[str, Any] = {
    "clock": int | float, "every": int | float, "started": int | float, "verdict": dict,
    "health": dict, "counts": dict, "registrations": list, "calls": list, "findings": list,
    "advice": list,
}  # fmt: skip


def granted(session: str, scope: str, name: str, function: str) -> bool:
    """As rpc_login_setup_acl_scope() grants it (session.c): a table lists functions, an array of
    objects grants the function named as the permission. The reader has every group to read, the
    writer every group to write, which implies to read."""
    for group in ACL.values():
        for permission in ("read", "write") if session == WRITER else ("read",):
            objects = group.get(permission, {}).get(scope, {})
            functions = objects.get(name, ()) if isinstance(objects, dict) else (permission,)
            if name in objects and function in functions:
                return True
    return False


class Fails(Exception):
    """A ubus status other than 0."""


class Methods:
    """The methods of luci.algwatch. folder: has status.json, and `algwatch`, the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last: dict[str, Any] = {"state": "none"}
        self._lock = threading.Lock()

    def call(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        if command := os.environ.get("ALGWATCH_UCODE"):
            return self._by_ucode(command, method, given)
        with self._lock:
            answer: dict[str, Any] = getattr(self, f"_{method}")(**given)
            return answer

    def _by_ucode(self, command: str, method: str, given: dict[str, Any]) -> dict[str, Any]:
        script = self.folder / "luci.algwatch"
        if not script.exists():
            text = SCRIPT.read_text()
            for before, after in (("/usr/bin/", ""), ("/var/run/algwatch/", ""),
                                  ("/var/run/algwatch-luci", "jobs")):  # fmt: skip
                assert f"'{before}" in text
                text = text.replace(f"'{before}", f"'{self.folder}/{after}")
            script.write_text(text)
        words = [*shlex.split(command), str(script), method, json.dumps(given)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _known(self) -> dict[str, Any] | None:
        try:
            state = json.loads((self.folder / "status.json").read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(state, dict) or state.get("schema") != 1:
            return None
        whole = all(isinstance(state.get(name), kind) for name, kind in FIELDS.items())
        return state if whole else None

    @staticmethod
    def _is_fresh(state: dict[str, Any]) -> bool:
        age = time.monotonic() - state["clock"]
        return bool(state["running"]) and 0 <= age <= 3 * state["every"]

    def _status(self) -> dict[str, Any]:
        state = self._known()
        if state is None:
            return {"there": False, "fresh": False, "job": self._last}
        findings: dict[str, int] = {}
        calls: dict[str, int] = {}
        for one in state.pop("findings"):
            findings[one["harm"]] = findings.get(one["harm"], 0) + 1
        for one in state.pop("calls"):
            calls[one["outcome"]] = calls.get(one["outcome"], 0) + 1
        return {"there": True, "fresh": self._is_fresh(state),
                "age": time.monotonic() - state["clock"], "state": state, "findings": findings,
                "calls": calls, "job": self._last}  # fmt: skip

    def _calls(self) -> dict[str, Any]:
        state = self._known() or {}
        return {"there": bool(state), "fresh": bool(state) and self._is_fresh(state),
                "calls": state.get("calls", []), "findings": state.get("findings", [])}  # fmt: skip

    def _explain(self, rule: str = "") -> dict[str, Any]:
        if not re.fullmatch("[A-Z]{3,4}[0-9]{3}", rule):
            return {"error": "no-such-rule"}
        done = subprocess.run([self.folder / "algwatch", "explain", rule], capture_output=True,
                              text=True)  # fmt: skip
        return {"error": "no-such-rule"} if done.returncode else {"text": done.stdout}

    def _run(self, verb: str, only: str, words: list[str]) -> dict[str, Any]:
        if self._last["state"] == "running":
            return {"error": "busy", "job": self._last}
        self._last = told = {"verb": verb, "only": only, "started": int(time.time()),
                            "state": "running"}  # fmt: skip
        program = [str(self.folder / "algwatch"), verb, *words, "--json"]

        self._process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True)  # fmt: skip

        def run() -> None:
            out, error = self._process.communicate()
            status = self._process.returncode  # negative: ended by a signal
            status = status if status >= 0 else 128 - status
            with self._lock:
                self._last = {**told, "state": "done", "status": status,
                              "result": json.loads(out) if out else None,
                              "error": error[:4000]}  # fmt: skip

        threading.Thread(target=run).start()
        return {"job": told}

    def _job(self) -> dict[str, Any]:
        return {"job": self._last}

    def _probe(self) -> dict[str, Any]:
        return self._run("probe", "", [])

    def _interfaces(self) -> list[str]:
        sides: dict[str, list[str]] = {"lan": [], "wan": []}
        for name, tap in ((self._known() or {}).get("health") or {}).get("taps", {}).items():
            if tap["side"] in sides and re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", name):
                sides[tap["side"]] += [f"--{tap['side']}", name]
        return (sides["lan"] if len(sides["lan"]) == 2 else []) + sides["wan"]

    def _apply(self, only: str = "", whole: bool = False, force: bool = False) -> dict[str, Any]:
        words = ["--force"] if force else []
        if whole and not only:
            return self._run("apply", "", words + self._interfaces())
        try:
            ipaddress.ip_address(only)
        except ValueError:
            return {"error": "no-address"}
        if whole:
            return {"error": "no-address"}
        return self._run("apply", only, ["--only", only, *words, *self._interfaces()])

    def _verify(self) -> dict[str, Any]:
        return self._run("verify", "", self._interfaces())

    def _rollback(self) -> dict[str, Any]:
        return self._run("rollback", "", [])

    def _stop(self) -> dict[str, Any]:
        if self._last["state"] == "running":
            self._process.terminate()
        return {"job": self._last}


class Rpcd:
    """methods: of luci.algwatch. asked: every call that was let through, in order. uci: the
    configuration, by section."""

    def __init__(self, methods: Methods) -> None:
        self.methods = methods
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.uci: dict[str, dict[str, Any]] = {
            "main": {"enabled": "1", "privacy": "1", "media": "1", "jail": "1"}
        }
        self.changes: list[list[Any]] = []

    def answer(self, asked: Any) -> Any:
        if isinstance(asked, list):
            return [self._one(one) for one in asked]
        return self._one(asked)

    def _one(self, asked: dict[str, Any]) -> dict[str, Any]:
        frame = {"jsonrpc": "2.0", "id": asked["id"]}
        if asked["method"] == "list":
            return {**frame, "result": {OBJECT: {}}}
        session, name, method, given = asked["params"]
        if name not in (OBJECT, "uci", "session", "luci", "system"):
            return {**frame, "error": {"code": OBJECT_NOT_FOUND, "message": "Object not found"}}
        if not self._may(session, name, method, given):
            return {**frame, "error": {"code": ACCESS_DENIED, "message": "Access denied"}}
        try:
            answer = self._call(session, name, method, given)
        except Fails as status:
            return {**frame, "result": [status.args[0]]}
        self.asked.append((name, method, given))
        return {**frame, "result": [0] if answer is None else [0, answer]}

    @staticmethod
    def _may(session: str, name: str, method: str, given: dict[str, Any]) -> bool:
        if session not in (WRITER, READER):
            return False
        if name == OBJECT:
            return granted(session, "ubus", OBJECT, method)
        if name == "uci":
            function = "read" if method in ("get", "changes") else "write"
            config = given.get("config")
            if config == "luci":  # by the rights of luci-base
                return method == "get"
            if config is None:
                return function == "read" or session == WRITER
            return granted(session, "uci", config, function)
        return True

    def _call(self, session: str, name: str, method: str, given: dict[str, Any]) -> Any:
        if name == OBJECT:
            takes = ARGUMENTS.get(method, {})
            for word, value in given.items():
                if value is None or word not in takes or type(value) is not takes[word]:
                    raise Fails(INVALID_ARGUMENT)
            return self.methods.call(method, given)
        if name == "uci":
            return self._uci(method, given)
        if (name, method) == ("session", "access"):
            may = given.get("function") == "read" or session == WRITER
            return {"access": may}
        return {}

    def _uci(self, method: str, given: dict[str, Any]) -> Any:
        if method == "get" and given["config"] == "luci":
            return {"values": {}}
        if method == "get":
            sections = {
                name: {
                    ".anonymous": False,
                    ".type": "algwatch",
                    ".name": name,
                    ".index": 0,
                    **values,
                }
                for name, values in self.uci.items()
            }
            return {"values": sections}
        if method == "set":
            section = self.uci.get(given["section"])
            if section is None:
                raise Fails(NOT_FOUND)
            section.update(given["values"])
            self.changes += [["set", given["section"], *one] for one in given["values"].items()]
            return None
        if method == "delete":
            for option in given.get("options") or [given["option"]]:
                self.uci[given["section"]].pop(option, None)
                self.changes.append(["remove", given["section"], option])
            return None
        if method == "changes":
            return {"changes": {"algwatch": self.changes} if self.changes else {}}
        if method in ("apply", "confirm"):
            self.changes = []
            return None
        raise Fails(INVALID_ARGUMENT)


def program(folder: Path, lines: str) -> None:
    """The program `algwatch` of the folder: a shell script for the verbs that need a router, the
    real one for all others."""
    real = f"exec {shlex.quote(sys.executable)} -m algwatch"
    path = folder / "algwatch"
    agent = shlex.quote(str(ROOT / "agent"))
    path.write_text(
        f'#!/bin/sh\nexport PYTHONPATH={agent}\necho "$*" >>"{folder}/typed"\n'
        f'case $1 in explain) {real} "$@";; esac\n{lines}'
    )
    path.chmod(0o755)
