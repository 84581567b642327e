"""`make run`: watch the kernel's SIP ALG kill a call, and the agent find it out.

6b with the helper on (the call dies), 6b with the helper off (the same call lives) and 2 (the
helper is on and harmless), each in a router of its own with the agent and a broker inside.
Exit status 0 when every verdict names the truth and what was drawn, else 1.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
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
from .sidebyside import SideBySide  # noqa: E402
from .truth import HURTS, Score, judge  # noqa: E402

RECORDED = ROOT / "tests" / "golden" / "lab"
ORDER = ("6b-on", "6b-off", "2")
LABEL = {"6b-on": "ALG on", "6b-off": "ALG off", "2": "ALG on, other provider"}
STARTED = time.monotonic()
_printing = threading.Lock()


def say(text: str, label: str = "") -> None:
    with _printing:
        mark = f"[{label}] " if label else ""
        print(f"{time.monotonic() - STARTED:6.1f} s  {mark}{text}", flush=True)


class Show:
    """One run, told as it happens."""

    def __init__(self, number: str, seed: int, out: Path) -> None:
        self.number = number
        self.run = Run(number, seed, out / number)
        self.label = LABEL[number]
        self.result: dict[str, Any] = {}
        self.error = ""
        self.waiting = threading.Event()
        phone = (self.run.draw.phone_ip, self.run.draw.phone_port)
        self.run.on_frame = SideBySide(self.say, phone).frame
        self.run.on_report = self._report
        self.run.on_line = self._line
        self._last: set[str] = set()

    def say(self, text: str) -> None:
        say(text, self.label)
        if "waits for the ACK" in text:
            self.waiting.set()

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
            self.waiting.set()

    def _report(self, kind: str, payload: Any) -> None:
        lines = []
        if kind == "finding":
            said = payload["finding"]
            lines = [
                f"MQTT finding {said['rule']} {said['slug']}, {said['where']}, "
                f"harm {said['harm']}: {said['summary']}"
            ]
        elif kind == "advice":
            lines = [
                f"MQTT advice {a['action']}: {a['state']}, confidence {a['confidence']:.2f}"
                for a in payload["advice"]
            ]
        elif kind == "state":
            online = "online" if payload["online"] else f"offline ({payload.get('reason', '')})"
            lines = [f"MQTT state: {payload['cpe']} is {online}"]
        for line in lines:
            if line not in self._last:
                self._last.add(line)
                self.say(line)


def sentence(verdict: dict[str, Any]) -> str:
    """The verdict of one run, in words made of what the agent said."""
    findings = verdict["findings"]
    hurts = [f for f in findings if f["harm"] in HURTS]
    benign = [f for f in findings if f["rule"] == "ALG014"]
    advice = [f"{a['action']} ({a['state']})" for a in verdict["advice"] if a["state"] != "none"]
    if hurts:
        said = " ".join(f"{f['rule']}, {f['where']}: {f['summary']}" for f in hurts)
    else:
        said = " ".join(["Nothing hurts.", *(f"{f['rule']}: {f['summary']}" for f in benign)])
    return f"{said} Advice: {', '.join(advice) or 'none, leave everything as it is'}."


def conclude(rows: list[tuple[str, dict[str, Any], dict[str, dict[str, Any]]]]) -> int:
    """Prints the verdicts and holds them to the truth. rows: number, facts, verdict by origin."""
    score = Score()
    print("\nThe verdicts")
    for number, facts, verdicts in rows:
        title = SCENARIOS[number].title
        calls = ", ".join(f"{c['call_id']} {c['outcome']}" for c in facts["calls"])
        print(f"\n  {title}. What happened: {calls}.")
        for origin, verdict in verdicts.items():
            print(f"    {origin}: {sentence(verdict)}")
            mine = judge(SCENARIOS[number].truth, facts, verdict)
            for fault in mine.faults:
                print(f"    UNTRUE ({origin}): {fault}")
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
            f"phone {draw.phone_ip} - router {draw.router_ip} | {draw.wan_ip} - "
            f"provider {draw.provider_ip}; seed {seed}\n"
            "Each router runs `algwatch run --lan br-lan --wan wan --mqtt ...` and a broker.\n"
        )
        first = threading.Thread(target=dying.play, daemon=True)
        first.start()
        dying.waiting.wait()
        if not dying.error:
            # The answer of the first call is repeated for 32 s: time for the other two.
            say("meanwhile: the same phone and provider, in a router without the ALG")
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
    finally:
        sys.stdout.flush()
        os._exit(code)  # ends the threads, and with them all that they started
