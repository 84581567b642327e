# SPDX-License-Identifier: Apache-2.0
"""What the agent may take. Where it takes more than it is meant to, the limit is what it takes
today, so that it does not grow; docs/cross.md tells what it is meant to take."""

from __future__ import annotations

# kB of the daemon after 200 messages over TLS, with rings of 256 kB and paho 1.6.1, as routers
# carry it. Meant on 32 bits: 8,500 private.
MEMORY = {
    64: {"rss": 26_000, "private": 13_500},
    32: {"rss": 20_000, "private": 8_600},
}
INSTALLED = 3_150_000  # bytes of the agent's modules on a router, as bytecode
# Instructions a message of the scanner, with its SDP.
SCANNED = {"SSE2": 4000, "portable": 5000}
# Of a crossing on x86-64, from files.
INSTRUCTIONS = {"the same on both sides": 172_000, "rewritten": 216_000}
RATE = 100  # messages a second: a small office at its busiest
SHARE = 5  # percent of one CPU that they are meant to take
CYCLES = 2.0  # an instruction, on a CPU without the cache that Python wants
CLOCKS = (
    ("580 MHz 24Kc (ath79)", "musl-mips", 580e6),
    ("880 MHz 1004Kc (mt7621)", "debian-mipsel", 880e6),
    ("717 MHz Cortex-A7 (ipq40xx)", "debian-armhf", 717e6),
    ("1,300 MHz Cortex-A53 (mt7622)", "debian-arm64", 1300e6),
)
