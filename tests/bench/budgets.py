# SPDX-License-Identifier: Apache-2.0
"""What the agent may take. Where it takes more than it is meant to, the limit is what it takes
today, so that it does not grow; docs/cross.md tells what it is meant to take."""

from __future__ import annotations

# kB of the daemon, RSS and private, after 200 messages over TLS, with rings of 256 kB and paho
# 1.6.1, as routers carry it: what it is meant to take, and what it may.
MEANT = {64: (26_000, 13_500), 32: (20_000, 8_500)}
MEMORY = {
    64: {"rss": 26_000, "private": 13_500},
    32: {"rss": 20_000, "private": 8_600},
}
INSTALLED = 3_400_000  # bytes of the agent's modules on a router, as bytecode
# Instructions a message of the scanner, with its SDP.
SCANNED = {"SSE2": 4000, "portable": 5000}
# Of a crossing on x86-64, from files.
INSTRUCTIONS = {"the same on both sides": 172_000, "rewritten": 216_000}
# How many times the instructions of x86-64 a CPU takes for the same: what `make footprint` counted
# on each, and it complains of one that is off by more.
FACTORS = {
    "x86_64": 1.0,
    "musl-mips": 1.6,
    "debian-mipsel": 1.34,
    "debian-armhf": 1.17,
    "debian-arm64": 0.98,
}
SPREAD = 0.05
CYCLES = 2.0  # an instruction, on a CPU without the cache that Python wants
# Percent of one CPU that the daemon takes at 100 messages a second, a small office at its busiest.
# Meant: 5.
SHARE = {"small": 18.0, "mid": 10.7, "large": 5.0}
CLOCKS = (
    ("small", "580 MHz 24Kc (ath79)", "musl-mips", 580e6),
    ("small", "880 MHz 1004Kc (mt7621)", "musl-mips", 880e6),
    ("mid", "717 MHz Cortex-A7 (ipq40xx)", "debian-armhf", 717e6),
    ("large", "1,300 MHz Cortex-A53 (mt7622)", "debian-arm64", 1300e6),
)
