# SPDX-License-Identifier: Apache-2.0
"""The stand-ins as functions of a shell, answered by a thread of this process: a program of its own
for each of the forty calls of a script costs a second or two."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from pathlib import Path

from openwrt.programs import Programs
from openwrt.uci import NotKnown

FUNCTIONS = "uci", "fw3", "fw4", "nft", "iptables", "ip6tables", "ip", "conntrack"
_FUNCTION = """\
{name}() {{ printf '%s\\n' {program} "$@" >'{at}/asked'; read status <'{at}/answered'
cat '{at}/out'; cat '{at}/err' >&2; return $status; }}
"""


class Quick:
    """Answers until it is closed. where: a directory for its pipes."""

    def __init__(self, programs: Programs, where: Path) -> None:
        self._programs = programs
        self._at = where
        where.mkdir(exist_ok=True)
        for name in "asked", "answered":
            os.mkfifo(where / name)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def prelude(self) -> str:
        """Definitions of the functions; the init script is init_firewall."""
        names = {name: name for name in FUNCTIONS} | {"init_firewall": "firewall"}
        return "".join(
            _FUNCTION.format(name=name, program=program, at=self._at)
            for name, program in names.items()
        )

    def close(self) -> None:
        with open(self._at / "asked", "w") as pipe:
            pipe.write("close\n")
        self._thread.join()
        for name in "asked", "answered":
            (self._at / name).unlink()

    def _serve(self) -> None:
        while True:
            with open(self._at / "asked") as pipe:
                name, *words = pipe.read().splitlines()
            if name == "close":
                return
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    status = self._programs.run(name, words)
                except NotKnown as what:
                    print(f"stand-in: not known: {what}", file=err)
                    status = 99
            (self._at / "out").write_text(out.getvalue())
            (self._at / "err").write_text(err.getvalue())
            with open(self._at / "answered", "w") as pipe:
                pipe.write(f"{status}\n")
