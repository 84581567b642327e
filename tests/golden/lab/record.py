# SPDX-License-Identifier: Apache-2.0
"""Records the captures of this directory in the lab: python tests/golden/lab/record.py [NUMBER...]

Each scenario leaves <number>/lan.pcap, wan.pcap and facts.json (what the endpoints themselves
know). The draws are fixed, the timing is that of the run; of long media only the beginning is kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from lab.namespace import NoLab  # noqa: E402
from lab.play import directory_of, play_all  # noqa: E402
from lab.scenarios import SCENARIOS  # noqa: E402

SEED = 20260000
MEDIA = 120  # RTP packets of a flow and direction: enough to see that it flows


def thinned(capture: bytes) -> bytes:
    """The capture with the first MEDIA RTP packets of each direction of each flow."""
    kept, counts, offset = [capture[:24]], Counter[bytes](), 24
    while offset < len(capture):
        length = int.from_bytes(capture[offset + 8 : offset + 12], "little")
        record = capture[offset : offset + 16 + length]
        offset += 16 + length
        ip = record[30:]
        if ip[0] == 0x45 and ip[9] == 17 and ip[28] == 0x80:
            counts[ip[12:24]] += 1
            if counts[ip[12:24]] > MEDIA:
                continue
        kept.append(record)
    return b"".join(kept)


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
                (target / side).write_bytes(thinned((source / side).read_bytes()))
            facts = json.loads((source / "result.json").read_text())["facts"]
            (target / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
