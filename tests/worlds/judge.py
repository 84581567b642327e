# SPDX-License-Identifier: Apache-2.0
"""What is said of a world against how its calls ended with the ALG, and without it.

`make worlds` plays many (SEEDS=FIRST-LAST) and prints what is false, and how often an ALG that does
harm is named. WIDE=NAME plays the worlds of one dimension instead (wide.py), wide draws one.
"""

from __future__ import annotations

import json
import random
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

from worlds.dress import over_six, over_tcp  # noqa: E402
from worlds.world import Ended, World  # noqa: E402

DISABLE, KEEP = "disable-sip-alg", "keep-sip-alg"
HURTS = ("observed", "certain")
PHONE = ("phone", "unknown")  # and no word about its software
Files = tuple[list[Packet], list[Packet]]


class Played:
    """One seed: both worlds, what is said of each, and the advice with the ALG."""

    def __init__(self, seed: int, folder: Path, wide: str = "") -> None:
        self.folder, self.rng = folder, random.Random(f"{seed} files")
        self.alg, self.plain = World(seed, True, wide=wide), World(seed, False, wide=wide)
        self.calm = World(seed, False, calm=True, wide=wide)
        self.said, self.said_plain = (self._said(whole(one)) for one in (self.alg, self.plain))
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
        if self.advice.get(KEEP) == "recommended" and self.hurt_by_alg:
            wrong.append("keep is recommended, and calls die by the ALG alone")
        wrong += self._innocent(self.said_plain)
        if self.alg.wide:
            wrong += self._unnamed() + self._without_harm()
        for world, said in ((self.alg, self.said), (self.plain, self.said_plain)):
            state = said["verdict"]["state"]
            if state == "fine" and not world.fine:
                wrong.append("all-clear beside a call or registration that died")
            if state == "hurts" and world.fine and world.all_shown and not world.loses:
                wrong.append("harm where nothing died")
            wrong += _lived(world, said) + _died(world, said) + self._ends(said)
        return wrong

    def _unnamed(self) -> list[str]:
        """Calls that died by the ALG alone, and neither router nor ALG is named beside them."""
        alg = self.alg
        if alg.expires or alg.loses or self.said["verdict"]["state"] == "cannot-tell":
            return []
        plain = self.plain.calls
        blamed = [found for found in self.said["findings"] if found["harm"] != "none"
                  and (found["where"] in ("router", "unknown")
                       or found["cause"] == "alg")]  # fmt: skip
        told = {found["call_id"][:4] for found in blamed}
        return [f"the ALG is not named for call {name}: {ended.faults}"
                for name, ended in alg.calls.items()
                if ended.died and name in plain and plain[name].lived
                and not (told & {name[:4], ""})]  # fmt: skip

    def _without_harm(self) -> list[str]:
        if self.alg.fine and self.alg.all_shown and DISABLE in self.advice:
            return [f"disable is {self.advice[DISABLE]} where nothing died"]
        return []

    def _as_bad_without(self) -> bool:
        """Nothing that died with the ALG ends otherwise without it."""
        if self.plain.fine or self.alg.registered != self.plain.registered:
            return False
        if not self.alg.all_shown:
            return False  # what the taps show of another call may speak for it
        without = self.plain.calls
        return all(
            name in without and ended.faults == without[name].faults
            for name, ended in self.alg.calls.items() if not ended.lived
        )  # fmt: skip

    def _innocent(self, said: Any) -> list[str]:
        """What is said of a router that does no more than its NAT has to."""
        wrong = []
        if any(a["action"] == DISABLE for a in said["advice"]):
            wrong.append("disable is advised where no ALG is")
        for found in said["findings"]:
            if found["cause"] == "alg":
                wrong.append(f"an ALG is blamed where none is: {found['rule']}")
            excused = self.plain.expires or self.plain.leaks
            if found["where"] == "router" and not excused and found["harm"] in HURTS:
                wrong.append(f"the router is blamed that does nothing: {found['rule']}")
        return wrong

    def _ends(self, said: Any, part: bool = False) -> list[str]:
        """What is said of the phone or the provider where the call lives without ALG, loss and a
        mapping that expires: both ends do all that it takes. part: the capture may lack the calls
        that show how the provider finds phones, so a private Contact looks like the reason."""
        lost = self.alg.loses
        lived = {name[:4] for name, ended in self.calm.calls.items() if ended.lived}
        return [f"the {found['where']} is blamed for call {found['call_id']}: {found['rule']}"
                for found in said["findings"] if found["where"] in ("phone", "provider")
                and found["harm"] in HURTS and found["call_id"][:4] in lived
                and not (found["cause"] == "no-rport" and self.alg.router.moves)
                and not (part and lost and found["cause"] == "nat-unhandled")
                # Behind the LAN tap, the phone and the cable to it are one place.
                and not (self.alg.deaf and (found["where"], found["cause"]) == PHONE)]  # fmt: skip

    @property
    def false_in_part(self) -> list[str]:
        """As false, of captures that do not hold all: one side, some of the packets, some time."""
        wrong = []
        for world, name in ((self.alg, "alg"), (self.plain, "plain")):
            every = parts(world, self.rng)
            if world.wide:
                every |= cuts(world, self.rng)
            for part, files in every.items():
                said = self._said(files)
                told = _lived(world, said) + self._ends(said, True)
                if world is self.plain:
                    told += self._innocent(said)
                if part in ("lan", "wan"):
                    told += _one_side(world, said, part)
                wrong += [f"{name}, {part}: {what}" for what in told]
        return wrong

    @property
    def hurt_by_alg(self) -> bool:
        return not self.alg.fine and self.plain.fine and self.plain.all_shown

    def _said(self, files: Files) -> Any:
        """The verdict of captures; an empty one is left out."""
        asked: list[str] = []
        for side, packets in zip(("lan", "wan"), files, strict=True):
            if packets:
                path = self.folder / f"{side}.pcap"
                path.write_bytes(pcap(sorted(packets, key=_at)))
                asked += [f"--{side}", str(path)]
        _, text, errors = analyze(*asked)
        assert errors == ""
        return json.loads(text)


def whole(world: World) -> Files:
    lan, wan = world.router.lan, world.router.wan
    if world.six:
        return over_six(lan), over_six(wan)
    if world.tcp:
        rng = random.Random("segments")
        return over_tcp(lan, rng, True), over_tcp(wan, rng, False)
    return lan, wan


def parts(world: World, rng: random.Random) -> dict[str, Files]:
    """Captures that hold a part of what was."""
    lan, wan = (sorted(packets, key=_at) for packets in whole(world))
    share = rng.choice([0.01, 0.05, 0.2])
    first, last = lan[0][0], lan[-1][0]
    begin, end = sorted(first + (last - first) * rng.random() for _ in range(2))

    def some(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if rng.random() >= share]

    def during(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if begin <= packet[0] <= end]

    return {
        "lan": (lan, []), "wan": ([], wan), "packets lost in both": (some(lan), some(wan)),
        "packets lost in lan": (some(lan), wan), "packets lost in wan": (lan, some(wan)),
        "a time": (during(lan) or lan, during(wan) or wan),
    }  # fmt: skip


def cuts(world: World, rng: random.Random) -> dict[str, Files]:
    """Captures with one side, or both, begun late, ended early, or without some seconds."""
    lan, wan = (sorted(packets, key=_at) for packets in whole(world))
    first, length = lan[0][0], lan[-1][0] - lan[0][0]
    at = first + length * rng.random()
    gap = at + rng.choice([0.05, 2, 40]) * 1e9

    def late(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if packet[0] >= at] or packets

    def early(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if packet[0] <= at] or packets

    def torn(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if not at <= packet[0] <= gap] or packets

    return {
        "lan late": (late(lan), wan), "wan late": (lan, late(wan)), "late": (late(lan), late(wan)),
        "lan ended": (early(lan), wan), "wan ended": (lan, early(wan)),
        "ended": (early(lan), early(wan)), "lan torn": (torn(lan), wan),
        "wan torn": (lan, torn(wan)), "torn": (torn(lan), torn(wan)),
    }  # fmt: skip


def _lived(world: World, said: Any) -> list[str]:
    """Harm told of calls that lived."""
    lived = {name[:4] for name, ended in world.calls.items() if ended.lived}
    return [f"harm told of call {found['call_id']} that lived: {found['rule']}"
            for found in said["findings"]
            if found["harm"] in HURTS and found["call_id"][:4] in lived]  # fmt: skip


def _died(world: World, said: Any) -> list[str]:
    """Calls that died, and nothing is said of them."""
    told = {found["call_id"][:4] for found in said["findings"] if found["harm"] != "none"}
    if said["verdict"]["state"] == "cannot-tell":
        return []
    if said["verdict"]["state"] == "hurts":
        told |= {call["call_id"][:4] for call in said["calls"]
                 if call["outcome"] in ("unanswered", "rejected")}  # fmt: skip
    return [f"nothing told of call {name} that died: {ended.faults}"
            for name, ended in world.calls.items()
            if ended.died and name[:4] not in told]  # fmt: skip


def _one_side(world: World, said: Any, side: str) -> list[str]:
    wrong = []
    if any(a["action"] == DISABLE for a in said["advice"]):
        wrong.append("disable is advised from one side")
    sees = 0 if side == "lan" else 1
    died = [name for name, ended in world.calls.items() if _shown(ended, sees)]
    if said["verdict"]["state"] == "fine" and died:
        wrong.append(f"all-clear beside {died[0]}, {world.calls[died[0]].faults}")
    return wrong


def _shown(ended: Ended, sees: int) -> bool:
    """This end itself knew that something went wrong."""
    return ended.faults[sees] not in ("", "nothing came")


def _at(packet: Packet) -> int:
    return packet[0]


def main(show: Callable[[str], None] = print) -> int:
    first, _, last = (sys.argv[1] if len(sys.argv) > 1 else "0-500").partition("-")
    wide = sys.argv[2] if len(sys.argv) > 2 else ""
    count: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        for seed in range(int(first), int(last)):
            played = Played(seed, Path(folder), wide)
            count["worlds"] += 1
            if played.hurt_by_alg:
                count["hurt by the ALG"] += 1
                count[f"of these, disable is {played.advice.get(DISABLE, 'not advised')}"] += 1
            for wrong in played.false + played.false_in_part:
                count["false"] += 1
                world = played.alg
                drawn = f"{', '.join(world.algs)}; {world.provider.handles}"
                show(f"{seed}: {wrong} ({drawn}; {world.turn or world.wide}; {world.kind})")
    for what, number in sorted(count.items()):
        show(f"{number:6} {what}")
    return 1 if count["false"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
