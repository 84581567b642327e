# SPDX-License-Identifier: Apache-2.0
"""What is said of a world against how its calls ended with the ALG, and without it.

`make worlds` plays many (SEEDS=FIRST-LAST) and prints what is false, and how often an ALG that does
harm is named.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "golden")]

from craft import Packet, pcap  # noqa: E402
from test_golden import analyze  # noqa: E402

from worlds.world import World  # noqa: E402

DISABLE = "disable-sip-alg"


class Played:
    """One seed: both worlds, what is said of each, and the advice with the ALG."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.alg, self.plain = World(seed, True), World(seed, False)
        self.said, self.said_plain = (said(one, folder) for one in (self.alg, self.plain))
        self.advice = {a["action"]: a["state"] for a in self.said["advice"]}

    @property
    def false(self) -> list[str]:
        """What is wrong, in words; empty where nothing is."""
        wrong = []
        if self.advice.get(DISABLE) == "recommended" and self._as_bad_without():
            wrong.append("disable is recommended, and all is as bad without the ALG")
        needed = self.alg.fine and self.alg.all_shown and not self.plain.fine
        if DISABLE in self.advice and needed:
            wrong.append("disable is advised, and nothing but the ALG makes it work")
        if any(a["action"] == DISABLE for a in self.said_plain["advice"]):
            wrong.append("disable is advised where no ALG is")
        if any(f["cause"] == "alg" for f in self.said_plain["findings"]):
            wrong.append("an ALG is blamed where none is")
        for world, what in ((self.alg, self.said), (self.plain, self.said_plain)):
            state = what["verdict"]["state"]
            if state == "fine" and not world.fine:
                wrong.append("all-clear beside a call or registration that died")
            if state == "hurts" and world.fine and world.all_shown:
                wrong.append("harm where nothing died")
        return wrong

    def _as_bad_without(self) -> bool:
        """Nothing that died with the ALG ends otherwise without it."""
        if self.plain.fine or self.alg.registered != self.plain.registered:
            return False
        without = self.plain.calls
        return all(
            name in without and ended.faults == without[name].faults
            for name, ended in self.alg.calls.items() if not ended.lived
        )  # fmt: skip

    @property
    def hurt_by_alg(self) -> bool:
        return not self.alg.fine and self.plain.fine and self.plain.all_shown


def said(world: World, folder: Path) -> Any:
    """The verdict of its two captures."""
    paths = [folder / "lan.pcap", folder / "wan.pcap"]
    for path, packets in zip(paths, (world.router.lan, world.router.wan), strict=True):
        path.write_bytes(pcap(sorted(packets, key=_at)))
    _, text, errors = analyze("--lan", str(paths[0]), "--wan", str(paths[1]))
    assert errors == ""
    return json.loads(text)


def _at(packet: Packet) -> int:
    return packet[0]


def main(show: Callable[[str], None] = print) -> int:
    first, _, last = (sys.argv[1] if len(sys.argv) > 1 else "0-500").partition("-")
    count: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        for seed in range(int(first), int(last)):
            played = Played(seed, Path(folder))
            count["worlds"] += 1
            if played.hurt_by_alg:
                count["hurt by the ALG"] += 1
                count[f"of these, disable is {played.advice.get(DISABLE, 'not advised')}"] += 1
            for wrong in played.false:
                count["false"] += 1
                drawn = f"{', '.join(played.alg.algs)}; {played.alg.provider.handles}"
                show(f"{seed}: {wrong} ({drawn})")
    for what, number in sorted(count.items()):
        show(f"{number:6} {what}")
    return 1 if count["false"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
