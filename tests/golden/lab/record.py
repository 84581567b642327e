# SPDX-License-Identifier: Apache-2.0
"""Records the captures of this directory in the lab: python tests/golden/lab/record.py [NUMBER...]

Each scenario leaves <number>/lan.pcap, wan.pcap and facts.json (what the endpoints themselves
know). The draws are fixed, the timing is that of the run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from lab.namespace import NoLab  # noqa: E402
from lab.play import directory_of, play_all  # noqa: E402
from lab.scenarios import SCENARIOS  # noqa: E402

SEED = 20260000


def main() -> int:
    numbers = sys.argv[1:] or list(SCENARIOS)
    everything = list(SCENARIOS)
    # 6b and 6c are the same phone and provider with the helper on and off, as in the demo.
    same = {"6b-off": "6b-on", "6c-off": "6c-on"}
    seeds = {n: SEED + everything.index(same.get(n, n)) for n in numbers}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        try:
            faults = play_all(list(seeds.items()), out, with_agent=False)
        except NoLab as error:
            print(error, file=sys.stderr)
            return 1
        for number, seed in seeds.items():
            source, target = directory_of(out, number, seed), HERE / number
            target.mkdir(exist_ok=True)
            for side in ("lan.pcap", "wan.pcap"):
                shutil.copyfile(source / side, target / side)
            facts = json.loads((source / "result.json").read_text())["facts"]
            (target / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
