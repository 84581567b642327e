# SPDX-License-Identifier: Apache-2.0
"""What a daemon lets go of after its imports: nothing that it uses, and a later import works."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch.quiet import suppress

AGENT = Path(__file__).resolve().parents[2] / "agent"
START = """
import sys
sys.path.insert(0, sys.argv[1])
import algwatch.report.libraries
import algwatch.start, algwatch.cli.run, algwatch.control.ear, algwatch.report.broker
import algwatch.report.encode, algwatch.report.outbox, algwatch.report.publisher
import algwatch.report.tally, algwatch.report.spool, algwatch.report.flash
import algwatch.report.keeper, algwatch.report.status, algwatch.report.render.json
import algwatch.report.outlets.hep, algwatch.report.outlets.opened, algwatch.handover
import algwatch.capture.nflog, algwatch.kernel.nflog
print(*(name for name in sys.modules if name.startswith("algwatch")))
from algwatch.base import leftovers
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + code, AGENT], text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_module_of_the_daemon_compiles_a_regular_expression_after_the_start() -> None:
    modules = run("").split()
    assert "algwatch.report.render.lately" in modules and len(modules) > 280
    late = []
    for name in modules:
        path = AGENT / f"{name.replace('.', '/')}.py"
        if not path.exists():  # a package, or the extension
            continue
        for inside in ast.walk(ast.parse(path.read_text())):
            if isinstance(inside, ast.FunctionDef | ast.Lambda):
                body = inside.body if isinstance(inside.body, list) else [inside.body]
                late += [f"{name}:{one.lineno}" for part in body for one in ast.walk(part)
                         if isinstance(one, ast.Name) and one.id == "re"]  # fmt: skip
    assert not late


def test_texts_go_and_what_they_describe_still_works() -> None:
    run("""
import heapq, re, ssl, threading
leftovers.drop_texts()
assert heapq.__doc__ is threading.Thread.__doc__ is threading.Thread.join.__doc__ is None
assert not any(text and "\\n" in text for text in threading.Thread.join.__code__.co_consts
               if isinstance(text, str))
thread = threading.Thread(target=print)
thread.start(); thread.join(5)
assert not thread.is_alive() and heapq.nlargest(1, [1, 2]) == [2]
try:
    ssl.create_default_context(cadata="nothing")
except ssl.SSLError as problem:
    assert "no start line" in str(problem), problem
else:
    raise AssertionError
""")


def test_after_the_imports_patterns_still_match_and_a_later_import_finds_its_module() -> None:
    run("""
from algwatch.report import providers, broker
from algwatch.capture import conntrack
leftovers.drop_texts()
leftovers.drop_imports()
assert "re" not in sys.modules and not sys.path_importer_cache
assert conntrack._PORT.findall(b"sport=5060 dport=80 ") == [b"5060", b"80"]
assert broker.Broker("mqtt://a%20b:c@h").user == "a b"
assert providers.re.compile("a+").match("aa")  # who kept the old one has the new one
import textwrap, re, traceback, algwatch.sip, algwatch.cli.explain, algwatch.capture.pcap
assert re.sub(r"(b)", r"<\\1>", "abc") == "a<b>c" and textwrap.fill("a b", 1) == "a\\nb"
leftovers.drop_texts()
""")


def test_only_the_named_errors_are_passed_over() -> None:
    with suppress(OSError, KeyError):
        raise FileNotFoundError
    with suppress():
        pass
    with pytest.raises(ValueError, match="no"), suppress(OSError):
        raise ValueError("no")
