# SPDX-License-Identifier: Apache-2.0
"""Box: a router of the lab with files of its own, on which algwatch is typed."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.home import Line
from lab.network import RULES, Network

from act.driver import run

# What the lab loads, as a file: the helper's rule on a line of its own, and comments.
CONFIG = (
    "#!/usr/sbin/nft -f\n# the rules of this router\nflush ruleset\n"
    + RULES.replace("chain helper_lan { }",
                    'chain helper_lan {\n    tcp dport 21 counter comment "other"\n'
                    '    udp dport 5060 counter ct helper set "sip" comment "phones"\n'
                    "    udp dport 69 counter\n  }")
)  # fmt: skip


class Box:
    """A router with plain nftables. net: its network. root: of its files. said: what algwatch
    printed last. environment: of its programs."""

    def __init__(self, net: Network, root: Path) -> None:
        self.net, self.root = net, root
        self.said = ""
        self.pid = 0
        self.out = -1
        self.environment: dict[str, str] = {}
        self._boots = 0
        for name in ("etc", "proc/sys/kernel/random", "var/run"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("proc/net", "proc/sys/net"):
            (root / name).symlink_to("/proc/self/net" if name == "proc/net" else f"/{name}")
        self.make()
        self.boot()

    def make(self) -> None:
        """Its own files."""
        self.config = self.root / "etc/nftables.conf"
        self.config.write_text(CONFIG)

    def load(self) -> None:
        """What the init script of the firewall does at boot."""
        self.net.router.run("nft", "-f", str(self.config))

    def boot(self) -> None:
        """Live ruleset, connections and tmpfs are lost; the configuration is loaded."""
        self._boots += 1
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"boot-{self._boots}\n")
        self.net.router.run("nft", "flush", "ruleset")
        self.net.forget_flows()
        self.load()

    @property
    def changes(self) -> Path:
        return self.root / "etc/algwatch/changes"

    def type(self, *words: str, kill: str = "", guarded: bool = False) -> int:
        """The exit status of algwatch; negative for a signal. A fork, because a new interpreter
        would take longer than all that it does."""
        return self.start(*words, kill=kill, guarded=guarded)()

    def start(self, *words: str, kill: str = "", guarded: bool = False) -> Callable[[], int]:
        """As type(), but returns at once what waits for the exit status. pid: of the process."""
        read, write = os.pipe()
        words = (words[0], "--changes", str(self.changes), *words[1:])
        with self.net.router:
            child = os.fork()
            if not child:  # here, where it is in the router's namespace
                self._be_algwatch(write, list(words), kill, guarded)
        os.close(write)
        self.pid = child

        self.said, self.out = "", read

        def wait() -> int:
            with open(read, errors="replace") as said:
                self.said += said.read()
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        return wait

    def _be_algwatch(self, out: int, words: list[str], kill: str, guarded: bool) -> None:
        status = 99
        try:
            for number in (1, 2):
                os.dup2(out, number)
            os.close(out)
            sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
            os.environ.update(self.environment)
            os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            status = run(str(self.root), words, kill, guarded)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def heard(self, text: str) -> None:
        """Until the process that was started has printed this."""
        while text not in self.said:
            more = os.read(self.out, 4096).decode(errors="replace")
            assert more, self.said
            self.said += more

    def steps(self, number: int = 1) -> list[dict[str, Any]]:
        path = self.changes / f"{number}/journal"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line.split(" ", 2)[2]) for line in text.splitlines()]

    def words(self, number: int = 1) -> list[str]:
        return [step["step"] for step in self.steps(number)]

    def look(self) -> tuple[bytes, str]:
        """(the configuration, the loaded ruleset with its counters)."""
        return self.config.read_bytes(), self.net.router.run("nft", "list", "ruleset")

    def until(self, word: str, seconds: float = 20, number: int = 1) -> None:
        """Until the journal ends with this step."""
        end = time.monotonic() + seconds
        while self.words(number)[-1:] != [word]:
            assert time.monotonic() < end, self.words(number)
            time.sleep(0.05)


def line_of(net: Network) -> Line:
    line = Line(net)
    assert not line.register(), "the helper does not rewrite"
    return line
