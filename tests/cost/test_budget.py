# SPDX-License-Identifier: Apache-2.0
"""A crossing and a message take no more work than they may, counted the same on every machine:
bytecodes of Python, instructions of the scanner.

One bytecode is about 70 instructions of x86-64 with all that it calls; `make footprint` counts
those on each CPU, and tests/bench/budgets.py has their limits.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import sys
from pathlib import Path

import pytest
import python_cost

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import make_corpus
import scan_bench
from algwatch.__main__ import main
from budgets import SCANNED
from make_calls import write_pair

FEW, MANY = 200, 700  # crossings
# What it takes among the first calls, when most is news (6,068 and 12,669; 220 of each is the
# survey for packets that one capture lacks, once a file), and 3%.
MOST = {False: 6250, True: 13000}


def first(path: Path, packets: int) -> str:
    data, at = path.read_bytes(), 24
    for _ in range(packets):
        at += 16 + int(struct.unpack_from("<I", data, at + 8)[0])
    cut = path.with_name(f"{packets}-{path.name}")
    cut.write_bytes(data[:at])
    return str(cut)


def analyze(lan: str, wan: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["analyze", "--json", "--lan", lan, "--wan", wan]) in (0, 1, 3)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the limits are bytecodes of 3.11")
@pytest.mark.parametrize("rewriting", [False, True], ids=["the same", "rewritten"])
def test_a_crossing_takes_no_more_bytecodes_than_it_did(rewriting: bool, tmp_path: Path) -> None:
    lan, wan = tmp_path / "lan.pcap", tmp_path / "wan.pcap"
    write_pair(lan, wan, rewriting, calls=MANY // 5, lost=MANY // 50)
    short, long = ([first(lan, n), first(wan, n)] for n in (FEW, MANY))
    analyze(*short)  # what is made once
    few = python_cost.opcodes(lambda: analyze(*short))
    many = python_cost.opcodes(lambda: analyze(*long))
    each = (many - few) / (MANY - FEW)
    assert each <= MOST[rewriting]


@pytest.mark.parametrize("variant", scan_bench.variants())
def test_a_message_takes_the_scanner_no_more_instructions_than_it_may(
    variant: str, tmp_path: Path
) -> None:
    for program in ("cc", "valgrind"):
        if shutil.which(program) is None:
            assert os.environ.get("CI") != "true", f"{program} is not installed"
            pytest.skip(f"{program} is not installed")
    corpus = tmp_path / "corpus"
    count = make_corpus.write(corpus)
    built = scan_bench.build(tmp_path, "cc", variant)
    whole, loading = (
        scan_bench.instructions(tmp_path, built, corpus, what) for what in ("once", "none")
    )
    assert 0 < (whole - loading) / count <= SCANNED[variant]
