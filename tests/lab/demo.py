# SPDX-License-Identifier: Apache-2.0
"""`make run`: watch the kernel's SIP ALG kill a call, and the agent find it out.

6b with the helper on (the call dies, and another phone shows that the provider handles the NAT by
itself), 6b with the helper off (the same call lives) and 2 (the helper is on and harmless), each
in a router of its own with the agent and a broker inside. Exit status 0 when every verdict names
the truth and what was drawn, else 1.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not __package__:  # started as a file: python tests/lab/demo.py
    sys.path[:0] = [str(HERE.parent), str(ROOT / "agent")]
    __package__ = "lab"
    import_module("lab")

from .agent import verdict_of  # noqa: E402
from .broker import provide_broker  # noqa: E402
from .namespace import NoLab  # noqa: E402
from .privilege import lab_prefix  # noqa: E402
from .run import Run, analyze  # noqa: E402
from .scenarios import SCENARIOS  # noqa: E402
from .scenarios.moves import OTHER_COMPLETED  # noqa: E402
from .sidebyside import SideBySide  # noqa: E402
from .truth import HURTS, Score, judge  # noqa: E402

RECORDED = ROOT / "tests" / "golden" / "lab"
ORDER = ("6b-on", "6b-off", "2")
WIDTH = 100  # columns of the verdicts
LABEL = {"6b-on": "ALG on", "6b-off": "ALG off", "2": "ALG on, other provider"}
CALL = {
    "incoming": "incoming call",
    "outgoing": "outgoing call",
    "other-phone": "call to the other phone",
    "bystander": "call to a third phone",
}
STARTED = time.monotonic()
_printing = threading.Lock()


def say(text: str, label: str = "") -> None:
    with _printing:
        mark = f"[{label}] " if label else ""
        print(f"{time.monotonic() - STARTED:6.1f} s  {mark}{text}", flush=True)


class Show:
    """One run, told as it happens. ready: the other runs may begin, or there is an error."""

    def __init__(self, number: str, seed: int, out: Path) -> None:
        self.number = number
        self.run = Run(number, seed, out / number, wide=False)
        self.label = LABEL[number]
        self.result: dict[str, Any] = {}
        self.error = ""
        self.ready = threading.Event()
        draw = self.run.draw
        draw.other_first = False  # the advice is seen to follow what the other phone shows
        other = draw.other_ip if number == "6b-on" else ""
        self.run.on_frame = SideBySide(self.say, (draw.phone_ip, draw.phone_port), other).frame
        self.run.on_report = self._report
        self.run.on_line = self._line
        self._last: set[tuple[str, ...]] = set()

    def say(self, text: str) -> None:
        say(text, self.label)
        if text == OTHER_COMPLETED:
            self.ready.set()

    def _line(self, line: str) -> None:
        # Its findings and advice are shown as they arrive over MQTT.
        if not line.startswith(("info: ", "warning: ", "error: ", "advice: ")):
            self.say(f"agent: {line}")

    def play(self) -> None:
        try:
            self.result = self.run.play(self.say)
            self.error = self.result["fault"]
        except NoLab as error:
            self.error = f"no lab: {error}"
        except Exception as error:  # the demo ends with a sentence, not with a traceback
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self.ready.set()

    def _report(self, kind: str, payload: Any) -> None:
        blocks: list[tuple[str, ...]] = []
        if kind == "finding":
            said = payload["finding"]
            head = f"MQTT finding {said['rule']} {said['slug']}, {said['where']}, "
            blocks = [(f"{head}harm {said['harm']}: {said['summary']}",)]
        elif kind == "advice":
            blocks = [
                (
                    f"MQTT advice {a['action']}: {a['state']}, confidence {a['confidence']:.2f}",
                    *(f"   {reason}" for reason in reasons(a)),
                )
                for a in payload["advice"]
            ]
        elif kind == "state":
            online = "online" if payload["online"] else f"offline ({payload.get('reason', '')})"
            blocks = [(f"MQTT state: {payload['cpe']} is {online}",)]
        for block in blocks:
            if block not in self._last:
                self._last.add(block)
                for line in block:
                    self.say(line)


def reasons(advice: dict[str, Any]) -> list[str]:
    """Why, and why not. The first reason of the agent is the finding, which is told already."""
    return [
        *(f"for: {r}" for r in advice["for"][1:]),
        *(f"against: {r}" for r in advice["against"]),
    ]


def told(verdict: dict[str, Any]) -> list[str]:
    """The verdict of one run, in lines made of what the agent said."""
    findings = verdict["findings"]
    lines = [
        f"{f['rule']} {f['slug']}, {f['where']}: {f['summary']}"
        for f in findings if f["harm"] in HURTS
    ] or ["Nothing hurts."]  # fmt: skip
    lines += [f"{f['rule']} {f['slug']}: {f['summary']}" for f in findings if f["rule"] == "ALG014"]
    given = [a for a in verdict["advice"] if a["state"] != "none"]
    for a in given:
        lines += [f"Advice: {a['action']} ({a['state']})", *(f"  {r}" for r in reasons(a))]
    return lines if given else [*lines, "Advice: none, leave everything as it is."]


def gist(verdict: dict[str, Any]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """The parts by which two verdicts are the same, whatever their words."""
    return (
        {(f["rule"], f["where"], f["harm"]) for f in verdict["findings"]},
        {(a["action"], a["state"], a["subject"]) for a in verdict["advice"]},
    )


def show(text: str, indent: int) -> None:
    """One paragraph; its own leading space adds to the indent."""
    deep = indent + len(text) - len(text.lstrip())
    lead = " " * deep
    print(textwrap.fill(text.strip(), WIDTH, initial_indent=lead, subsequent_indent=f"{lead}  "))


def conclude(rows: list[tuple[str, dict[str, Any], dict[str, dict[str, Any]]]]) -> int:
    """Prints the verdicts and holds them to the truth. rows: number, facts, verdict by origin."""
    score = Score()
    print("\nThe verdicts")
    for number, facts, verdicts in rows:
        calls = ", ".join(
            f"{CALL.get(c['name'], c['name'])} {c['outcome']}" for c in facts["calls"]
        )
        print(f"\n  {LABEL[number]}: {calls}")
        shown: dict[str, Any] | None = None
        for origin, verdict in verdicts.items():
            if shown is not None and gist(shown) == gist(verdict):
                print(f"    {origin}: the same")
            else:
                print(f"    {origin}:")
                for line in told(verdict):
                    show(line, 6)
            shown = verdict
            mine = judge(SCENARIOS[number].truth, facts, verdict)
            for fault in mine.faults:
                show(f"UNTRUE: {fault}", 6)
            score.add(mine)
    print(f"\n  precision {score.precision:.2f}, recall {score.recall:.2f}")
    if score.faults:
        print(f"  {len(score.faults)} statements are not the truth: the demo fails.")
        return 1
    print("  Every verdict is true, and names what was drawn.")
    return 0


def live(seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="algwatch-demo-") as name:
        out = Path(name)
        dying, living, harmless = (
            Show("6b-on", seed, out), Show("6b-off", seed, out), Show("2", seed + 1, out),
        )  # fmt: skip
        draw = dying.run.draw
        print(
            f"phone {draw.phone_ip}, other phone {draw.other_ip} - "
            f"router {draw.router_ip} | {draw.wan_ip} - provider {draw.provider_ip}; seed {seed}\n"
            f"The router's ALG watches port 5060. The other phone uses the same provider's port "
            f"{draw.unhelped_port}.\n"
            "Each router runs `algwatch run --lan br-lan --wan wan --mqtt ...` and a broker.\n"
        )
        first = threading.Thread(target=dying.play, daemon=True)
        first.start()
        dying.ready.wait()
        if not dying.error:
            # The answer of the first call is repeated for 32 s: time for the other two.
            say("meanwhile: the same phones and provider, in a router without the ALG")
            living.play()
            say("meanwhile: another phone and provider, in a router with the ALG")
            harmless.play()
            say("back to the first call, which still waits for its ACK")
        first.join()
        shows = (dying, living, harmless)
        if dying.error.startswith("no lab: "):
            raise NoLab(dying.error.removeprefix("no lab: "))
        errors = [f"{s.label}: {s.error}" for s in shows if s.error]
        if errors:
            print("\n".join(errors), file=sys.stderr)
            return 1
        rows = [
            (
                s.number,
                s.result["facts"],
                {
                    "agent over MQTT": verdict_of(s.result["mqtt"]),
                    "analyze of the recording": analyze(s.run.lan, s.run.wan),
                },
            )
            for s in shows
        ]
    return conclude(rows)


def replay() -> int:
    """The same runs from the captures that tests/golden/lab/record.py has recorded."""
    rows = []
    for number in ORDER:
        folder = RECORDED / number
        argv = ["analyze", "--lan", str(folder / "lan.pcap"), "--wan", str(folder / "wan.pcap")]
        print(f"\nalgwatch {' '.join(argv)}", flush=True)
        subprocess.run([sys.executable, "-m", "algwatch", *argv], check=False)
        facts = json.loads((folder / "facts.json").read_text())
        verdict = analyze(folder / "lan.pcap", folder / "wan.pcap")
        rows.append((number, facts, {"analyze of the recording": verdict}))
    return conclude(rows)


def main() -> int:
    seed = int(os.environ.get("ALGWATCH_LAB_SEED") or random.randrange(10**6))
    paths = [str(ROOT / "agent"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        prefix = lab_prefix()
        if os.environ.get("ALGWATCH_LAB_INSIDE") != "1":
            say(f"broker: {provide_broker()}")
        if prefix:
            argv = [*prefix, sys.executable, str(HERE / "demo.py")]
            return subprocess.run(argv, check=False).returncode
        return live(seed)
    except NoLab as error:
        print(f"The lab cannot run here ({error}); replaying captures recorded in it.", flush=True)
        return replay()


if __name__ == "__main__":
    code = 130
    try:
        code = main()
    except KeyboardInterrupt:
        print("\nstopped")
    except Exception:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)  # ends the threads, and with them all that they started
