# SPDX-License-Identifier: Apache-2.0
"""`algwatch run` on a whole emulated MIPS router: its kernel, its ring, its limits. Collected by
make cross-test alone (conftest.py)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from foreign import ROOT

sys.path.insert(0, str(ROOT / "tests/e2e"))
import machine
from brokers import Listener, Mosquitto, until
from test_daemon import LAN, WAN, frame, register

BEFORE = "192.168.1.10"
AFTER = "198.51.100.2:1024"


def test_a_mips_router_reports_what_its_alg_did(tmp_path: Path, record_property: Any) -> None:
    broker = Mosquitto(tmp_path)
    listener = Listener(broker.port, "guest")
    lan = frame(register(1, BEFORE, BEFORE), LAN, 64)
    wan = frame(register(1, AFTER, "198.51.100.77:9"), WAN, 63)
    words = ["--lan", "br-lan", "--wan", "wan", "--cpe", "guest",
             "--mqtt", f"mqtt://10.0.2.2:{broker.port}"]  # fmt: skip
    frames = [["far-br-lan", lan.hex()], ["wan", wan.hex()]]
    kernel, ram = machine.initrd(tmp_path, json.dumps([words, frames]).encode())
    lines = machine.boot(kernel, ram, 900)
    told = [json.loads(line[6:]) for line in lines if line.startswith("GUEST ")]
    values = dict(told)
    assert "status" in values, "\n".join(lines[-60:])
    assert values["machine"][0] == "mips" and values["machine"][2:] == ["little", 2**31 - 1]
    assert values["optmem_max"] == 10240  # of a 32-bit kernel: the filter has to fit
    assert values["status"] == 0 and "fault" not in values
    said = [value for name, value in told if name == "said"]
    assert not any("Traceback" in line for line in said), said
    assert until(lambda: listener.of("state") and not listener.of("state")[-1]["online"])
    assert "ALG001" in {body["finding"]["rule"] for body in listener.of("finding")}
    health = listener.of("health")[-1]["health"]
    assert health["crossings"]["rewritten"] == 1 and health["capture"]["sip_messages"] == 2
    figures = f"started in {values['started']} s, idle {values['idle']}, loaded {values['loaded']}"
    record_property("said", f"an emulated 24Kc: {figures} kB")
    listener.close()
    broker.kill()
