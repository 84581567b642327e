# SPDX-License-Identifier: Apache-2.0
"""How text that others wrote stands in text of ours."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from algwatch.base import address, quote

LOOK_ALIKES = ("\u201d", "\u201e", "\u00ab", "\u2033", "\uff02", "\u301e")
AGENT = Path(__file__).parents[2] / "agent"


def test_no_character_controls_a_terminal_or_hides_itself() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    for character in every:
        shown = quote.visible(character)
        if shown == character:
            assert unicodedata.category(character)[0] not in "C", hex(ord(character))
            assert unicodedata.category(character) not in ("Zl", "Zp"), hex(ord(character))
            assert character == " " or unicodedata.category(character) != "Zs"
        else:
            assert shown.isascii() and shown.isprintable() and shown[0] == "\\"
    for code in (0x85, 0x9B, 0xAD, 0x200B, 0x200E, 0x202E, 0x2028, 0x2029, 0x2066, 0x3164, 0xFEFF,
                 0xFE0F, 0xE0041, 0xE0100, 0xD800, 0x034F, 0x2800):  # fmt: skip
        assert quote.visible(chr(code)) != chr(code), hex(code)


@pytest.mark.parametrize("text", ['a". b', 'a\\" b', *LOOK_ALIKES])
def test_quotes_cannot_be_ended(text: str) -> None:
    shown = quote.quoted(text)
    assert shown[0] == shown[-1] == '"'
    assert not set(shown[1:-1]) & {'"', *LOOK_ALIKES}


def test_a_long_text_is_cut_and_keeps_its_host() -> None:
    assert len(quote.quoted("a" * 70_000)) == quote.NAME + 2
    shown = quote.quoted("sip:" + "a" * 5000 + "@sip.example.net")
    assert shown.endswith('...@sip.example.net"') and len(shown) == quote.NAME + 2
    shown = quote.quoted("a" * 5000 + "@" + "b" * 5000)
    assert "@b" in shown and len(shown) <= quote.NAME + 2


@pytest.mark.parametrize("text", [
    "fd00::1", "::", "::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "1::", "1:2:3:4:5:6:192.0.2.1",
])  # fmt: skip
def test_an_ipv6_literal_is_one(text: str) -> None:
    assert address.is_ipv6(text) and quote.is_host(text) and quote.is_host(f"[{text}]")


def test_a_zone_is_a_name_so_an_address_with_one_stands_in_quotes() -> None:
    assert address.is_ipv6("fe80::1%anna.smith")
    for text in ("fe80::1%anna.smith", "[fe80::1%anna]", "[fe80::1%anna]:5060"):
        assert quote.host(text) == quote.value(text) == f'"{text}"'


@pytest.mark.parametrize("text", [
    "fd::. To do so: sh", "fd:", ":", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::",
    "::g", "fd00::1 ", "fe80::1%", "fe80::1%a b", "fe80::1%\u0661", "::1.2.3", ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8::", "1:2:3:4:5:6:7::8", "fd00::" + "0" * 80, "", "abcd",
])  # fmt: skip
def test_what_only_looks_like_an_ipv6_literal_is_none(text: str) -> None:
    assert not address.is_ipv6(text)
    assert not address.is_unroutable(text)


@pytest.mark.parametrize(("text", "shown"), [
    ("192.0.2.1:5060", "192.0.2.1:5060"), ("[fd00::1]:5060", "[fd00::1]:5060"),
    ("fd00::1", "fd00::1"), ("sip.example.net", "sip.example.net"), ("5060", "5060"),
    ("a b", '"a b"'), ("x:y", '"x:y"'), ("192.0.2.1:", '"192.0.2.1:"'), ("", '""'),
    ("-rf", '"-rf"'), ("x:123456", '"x:123456"'), ("a" * 65, f'"{"a" * 65}"'),
])  # fmt: skip
def test_only_endpoints_and_numbers_stand_without_quotes(text: str, shown: str) -> None:
    assert quote.value(text) == shown


def test_only_known_words_stand_without_quotes() -> None:
    assert (quote.method("BYE"), quote.method("RUN-THIS")) == ("BYE", '"RUN-THIS"')
    assert (quote.header("Via"), quote.header("X-Run")) == ("Via", '"X-Run"')
    assert quote.somebody("") == "somebody"


EVIL = "evil\x1b[2J\n\u2028\u202e\u009balgwatch: all is well"


@pytest.mark.parametrize("words", [
    ("analyze", EVIL), ("analyze", "--lan", EVIL, "--wan", EVIL), ("analyze", "--ports", EVIL, "x"),
    ("analyze", "--color", EVIL), ("analyze", "--" + EVIL), ("explain", EVIL), ("decode", EVIL),
    ("run", EVIL), ("run", "--" + EVIL), ("run", "--lan", EVIL, "--wan", "x"), (EVIL,),
    ("run", "--config", EVIL), ("run", "--lan", "a", "--wan", "b", "--mqtt", "mqtt://" + EVIL),
    ("run", "--lan", "\x1b[2Ja", "--wan", "\u202eb"), ("run", "--lan", "a", "--wan", "\u202eb"),
    ("run", "--lan", "lo", "--wan", "b", "--privacy-key", EVIL), ("run", "--cpe", EVIL),
])  # fmt: skip
def test_what_was_typed_cannot_write_a_line_of_its_own(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", *words], capture_output=True, check=False,
        env={"PYTHONPATH": str(AGENT), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 2
    lines = done.stderr.decode().split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line == quote.visible(line)
        assert not line.startswith("algwatch: all is well")


def test_the_names_of_a_configuration_file_and_its_values_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb"
    for text in ("lan = \x1b[2Jx/y\n", f"{EVIL.splitlines()[0]} = 1\n", "ports = \u202e5060\n",
                 "cpe = \u202ea\n", "mqtt = \u202ehttp://x\n"):  # fmt: skip
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "algwatch", "run", "--config", str(path)], check=False,
            capture_output=True, env={"PYTHONPATH": str(AGENT), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 2
        (line, end) = done.stderr.decode().split("\n")
        assert not end and line == quote.visible(line)
