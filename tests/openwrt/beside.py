# SPDX-License-Identifier: Apache-2.0
"""The stand-in for uci beside the real one, by hand: `python tests/openwrt/beside.py UCI [ROUNDS]`.

UCI: a uci program built from its source. Random configurations and random commands; exit status,
standard output and every file must be the same.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from openwrt.router import Router

VALUES = ("1", "0", "sip", "ftp", "it's", "a b", "a  b", "", "#x", 'say "x"', "x;y", "-1")
OPTIONS = ("name", "helper", "auto_helper", "masq")
SECTIONS = ("@zone[0]", "@zone[1]", "@zone[-1]", "@rule[0]", "@[2]", "home", "cfg02dc81",
            "@zone[9]", "nosuch", "@zone", "a-b", "")  # fmt: skip


def config(rng: random.Random) -> str:
    text = ""
    for _ in range(rng.randrange(6)):
        name = rng.choice(["", "", " home", " 'office'", ' "x_1"'])
        text += f"config {rng.choice(['zone', 'rule', chr(39) + 'zone' + chr(39)])}{name}\n"
        for _ in range(rng.randrange(5)):
            value = rng.choice(VALUES).replace("'", "'\\''")
            word = rng.choice(["option", "list", "o", "l", " \toption"])
            text += f"\t{word} {rng.choice(OPTIONS)} '{value}'{rng.choice(['', ' # note'])}\n"
        text += rng.choice(["", "# a comment\n", "\n"])
    wrong = ["nonsense\n", "option 'x\n", "config\n", "option a b c\n"]
    return text + rng.choice([""] * 30 + wrong)


def command(rng: random.Random) -> list[str]:
    where = f"firewall.{rng.choice(SECTIONS)}"
    option = f"{where}.{rng.choice([*OPTIONS, 'nosuch'])}"
    value = rng.choice(VALUES)
    return rng.choice([
        ["set", f"{option}={value}"], ["add_list", f"{option}={value}"],
        ["del_list", f"{option}={value}"], ["delete", option], ["delete", where], ["get", option],
        ["get", where], ["show", where], ["show", option], ["show", "firewall"],
        ["-X", "show", "firewall"], ["export", "firewall"], ["changes", "firewall"],
        ["changes"], ["commit", "firewall"], ["commit"], ["revert", option], ["revert", "firewall"],
        ["set", f"firewall.{rng.choice(['fresh', 'home'])}=rule"], ["bogus"], [],
        ["-q", "get", option], ["set", option], ["revert", where],
    ])  # fmt: skip


def main() -> int:
    real, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for seed in range(rounds):
        rng = random.Random(seed)
        with tempfile.TemporaryDirectory() as place:
            ours, theirs = Path(place) / "ours", Path(place) / "theirs"
            router = Router(ours)
            text = config(rng)
            router.config.write_text(text)
            for where in ("etc/config", "tmp", "var/run/uci"):
                (theirs / where).mkdir(parents=True)
            (theirs / "etc/config/firewall").write_text(text)
            if rng.random() < 0.3:
                router.trial.parent.mkdir()
                other = config(rng)
                for root in (ours, theirs):
                    (root / "var/run/uci/firewall").write_text(other)
            said = [text]
            for _ in range(12):
                words = command(rng)
                got = subprocess.run(
                    [str(ours / "bin/uci"), *words], env=router.environment, text=True,
                    capture_output=True, check=False,
                )  # fmt: skip
                wanted = subprocess.run(
                    [real, "-c", f"{theirs}/etc/config", "-t", f"{theirs}/tmp/.uci", "-C",
                     f"{theirs}/var/run/uci", *words],
                    text=True, capture_output=True, check=False,
                )  # fmt: skip
                said.append(f"uci {words}")
                if got.returncode == 99:
                    print(f"seed {seed}: {said[-1]}: {got.stderr}", end="")
                    break
                first = wanted.stderr.replace(real, "uci").split("\n")[0]
                if (got.returncode, got.stdout) != (wanted.returncode, wanted.stdout) or (
                    not first.startswith(("Usage", "uci: Parse error"))
                    and got.stderr.strip() != first.strip()
                ):
                    print("\n".join(said), got, wanted, sep="\n")
                    return 1
                for name in ("etc/config/firewall", "tmp/.uci/firewall", "var/run/uci/firewall"):
                    files = [one / name for one in (ours, theirs)]
                    a, b = (one.read_text() if one.exists() else "" for one in files)
                    if a != b:
                        print("\n".join(said), f"{name}:", a, "real:", b, sep="\n")
                        return 1
    print(f"{rounds} configurations, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
