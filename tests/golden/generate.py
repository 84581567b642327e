# SPDX-License-Identifier: Apache-2.0
"""Writes the captures and READMEs of tests/golden: python tests/golden/generate.py

The same bytes on every run; tests/golden/test_golden.py holds the committed files to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parents[1] / "agent")]

from cases import CASES, Case  # noqa: E402
from craft import pcap  # noqa: E402


def captures(case: Case) -> dict[str, bytes]:
    return {name: pcap(packets) for name, packets in case.files().items()}


def readme(case: Case) -> str:
    must = [f"- {rule}, where: {where}, harm: {harm}" for rule, where, harm in case.must]
    silent = ", ".join(case.must_not) or "none in particular"
    advice = [f"- {action}: {state}" for action, state in case.advice.items()]
    return "\n".join([
        f"# {case.name}", "", case.purpose, "", "Findings that must be there:", "",
        *(must or ["- none"]), "", f"Rules that must be silent: {silent}.", "",
        "Advice, and no other:", "", *(advice or ["- none"]), "",
        f"Calls, by Call-ID: {', '.join(case.outcomes)}.", "",
        f"State of the whole capture: {case.state}.", "",
        "Origin: made packet by packet by the function of this name in `../cases/`; "
        "`../generate.py` writes the captures, `make golden-update` records `expected.json`.", "",
    ])  # fmt: skip


def main() -> None:
    for case in CASES.values():
        folder = HERE / case.name
        folder.mkdir(exist_ok=True)
        for name, data in captures(case).items():
            (folder / name).write_bytes(data)
        (folder / "README.md").write_text(readme(case))
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    main()
