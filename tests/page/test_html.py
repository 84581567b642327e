# SPDX-License-Identifier: Apache-2.0
"""The page of `analyze --html`: valid, complete in itself, and harmless whatever was captured."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib  # type: ignore[import-untyped]
import pytest
from algwatch.__main__ import main
from algwatch.report.render.html.gathered import CALLS, Gathered
from algwatch.report.render.html.page import page

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "unit"))

from browser import launched  # noqa: E402
from reports import AT, call, finding, registration  # noqa: E402
from sip_capture import Datagram, message, write_capture  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"
SHOWN = ["lab/6b-on", "alg011-ack-to-another-phone", "cap001-one-sided", "cap003-no-sip",
         "cap010-two-routers", "alg013-stream-spoiled"]  # fmt: skip
PHONE, ROUTER, PROVIDER = ("192.168.1.10", 5060), ("203.0.113.2", 5060), ("198.51.100.7", 5060)
EVIL = '"</title></script></style><script>window.evil=1</script><img src=x onerror=alert(1)>&amp;'
COUNTS = {"capture": {"sip_messages": 20, "lan": 10, "wan": 10},
          "crossings": {"paired": 10, "rewritten": 0}}  # fmt: skip


def written(folder: Path, *arguments: str) -> str:
    path = folder / "report.html"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["analyze", *arguments, "--html", str(path)])
    return path.read_text("utf-8")


def of_golden(name: str, folder: Path) -> str:
    lan, wan = (GOLDEN / name / f"{side}.pcap" for side in ("lan", "wan"))
    if lan.exists():
        return written(folder, "--lan", str(lan), "--wan", str(wan))
    return written(folder, str(GOLDEN / name / "capture.pcap"))


def parsed(text: str) -> Any:
    """The page as a tree; the parser refuses every error of HTML 5."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def assert_harmless(text: str) -> None:
    tree = parsed(text)
    names = [one.tag.rpartition("}")[2] for one in tree.iter() if isinstance(one.tag, str)]
    assert names.count("script") == 1 and not {"img", "iframe", "object", "link"} & {*names}
    for one in tree.iter():
        for name, value in one.attrib.items():
            assert not name.startswith("on") and name not in ("style", "src")
            if name.endswith("href"):
                assert value.startswith(("#", "https://www.rfc-editor.org/rfc/rfc"))
    assert "window.evil=1</script>" not in text
    assert all(c.isprintable() or c == "\n" for c in text)


def hostile(tmp_path: Path) -> list[str]:
    """A call with markup, bidi controls, NULs and 64 kB in everything that can be written."""
    evil = f"{EVIL}\u202e\u2066\x00\x1b[2J"
    extra = [f"Contact: {evil}<sip:x@192.168.1.10>", f"Subject: {evil}", f"User-Agent: {evil}",
             f"Authorization: Digest response=\"{'5' * 32}\", nonce=\"n0nce\"",
             f"X-{'z' * 30000}: {'y' * 30000}"]  # fmt: skip
    invite = message(f"INVITE sip:{evil}@example.net SIP/2.0", f"{evil}@phone", "1 INVITE", *extra)
    invite = invite.replace(b"anna", evil.encode()).replace(b"ben@", evil.encode() + b"@")
    left = invite.replace(b"192.168.1.10", b"203.0.113.2")
    at = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    lan: list[Datagram] = [(t, PHONE, PROVIDER, 64, 7, invite) for t in at]
    wan: list[Datagram] = [(t + 0.0001, ROUTER, PROVIDER, 63, 7, left) for t in at]
    return ["--lan", str(write_capture(tmp_path / "<b>lan.pcap", lan)),
            "--wan", str(write_capture(tmp_path / "wan.pcap", wan))]  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_is_valid_html_that_loads_nothing(name: str, tmp_path: Path) -> None:
    assert_harmless(of_golden(name, tmp_path))


def test_the_page_shows_verdict_ladder_both_copies_findings_and_commands(tmp_path: Path) -> None:
    text = of_golden("lab/6b-on", tmp_path)
    tree = parsed(text)
    assert tree.find(".//h1").text == "Something hurts"
    marked = [one.text for one in tree.iter("mark")]
    assert "203.0.113.222:22312" in marked and "192.168.181.4:22312" in marked
    assert "ALG011" in text and "rfc3261#section-" in text
    assert any("algwatch apply" in "".join(pre.itertext()) for pre in tree.iter("pre"))
    crosses = [one for one in tree.iter() if one.get("class") == "cross"]
    assert len(crosses) >= 2  # both ACKs that went astray


def test_nothing_that_was_captured_becomes_markup(tmp_path: Path) -> None:
    text = written(tmp_path, *hostile(tmp_path))
    assert_harmless(text)
    assert "\\u202e" in text and "\\x00" in text
    assert len(text) < 200_000


def test_no_digest_is_on_the_page(tmp_path: Path) -> None:
    text = written(tmp_path, *hostile(tmp_path))
    assert "Authorization: Digest response=" in text
    assert "5" * 32 not in text and "n0nce" not in text


def test_names_in_reports_become_no_markup() -> None:
    gathered = Gathered()
    for report in (call("rejected", 503, to=EVIL, line=f"{EVIL} and h"), registration(aor=EVIL),
                   finding(call_id="x", summary=EVIL, next_step=EVIL)):  # fmt: skip
        gathered.feed(report)
    gathered.settle(COUNTS)
    assert_harmless(page(gathered, [EVIL], b"k"))


def test_a_large_capture_makes_no_large_page(tmp_path: Path) -> None:
    """100 calls without an answer, of 2 kB a message."""
    datagrams: list[Datagram] = []
    for number in range(100):
        invite = message("INVITE sip:ben@example.net SIP/2.0", f"c{number}@phone", "1 INVITE",
                         f"X: {'x' * 2000}", branch=f"z9hG4bK{number}")  # fmt: skip
        datagrams += [(number + t, PHONE, PROVIDER, 64, number, invite)
                      for t in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]  # fmt: skip
    path = write_capture(tmp_path / "lan.pcap", sorted(datagrams))
    text = written(tmp_path, "--lan", str(path))
    assert text.count('class="ladder"') == CALLS
    assert f"{100 - CALLS} more calls" in text
    assert len(text) < 500_000


def test_healthy_calls_are_counted_where_there_are_many() -> None:
    gathered = Gathered()
    for number in range(5000):
        one = call(call_id=f"c{number}@phone")
        one.start, one.end = AT + number, AT + number + 9
        gathered.feed(one)
    gathered.settle(COUNTS)
    text = page(gathered, ["a.pcap"], b"k")
    assert_harmless(text)
    assert len(text) < 100_000 and "5,000" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as made:
        yield made


@pytest.mark.parametrize("width", [1000, 390])
def test_a_browser_shows_it_in_its_width_and_fetches_nothing(
    browser: Any, tmp_path: Path, width: int
) -> None:
    """Every golden kind and the hostile one; nothing on the console, as the policy allows all."""
    view = browser.new_page(viewport={"width": width, "height": 800})
    complaints: list[str] = []
    view.on("console", lambda said: complaints.append(said.text))
    view.on("pageerror", lambda said: complaints.append(str(said)))
    view.on("dialog", lambda said: complaints.append(said.message))
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    for text in (of_golden("lab/6b-on", tmp_path), written(tmp_path, *hostile(tmp_path))):
        (tmp_path / "shown.html").write_text(text)
        view.goto((tmp_path / "shown.html").as_uri())
        wide, there = view.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= there
        assert view.evaluate("window.evil") is None
    assert complaints == [] and {url.partition(":")[0] for url in asked} == {"file"}
    assert len(asked) == 2
    view.close()


def test_a_button_copies_the_commands_and_a_link_opens_its_message(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "shown.html").write_text(of_golden("lab/6b-on", tmp_path))
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    view = context.new_page()
    view.goto((tmp_path / "shown.html").as_uri())
    view.click(".typed button >> nth=0")
    view.wait_for_selector("button:has-text('Copied')")
    assert view.evaluate("navigator.clipboard.readText()") == "algwatch apply\n"
    view.click("svg.ladder a:has(text:text-is('100 Trying')) >> nth=0")
    assert view.evaluate("document.querySelector(location.hash).open")
    context.close()


def test_without_scripts_all_of_it_is_there_and_no_dead_button(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "shown.html").write_text(of_golden("lab/6b-on", tmp_path))
    context = browser.new_context(java_script_enabled=False)
    view = context.new_page()
    view.goto((tmp_path / "shown.html").as_uri())
    assert view.locator("button").count() == 0
    assert view.locator(".typed pre").first.is_visible()
    assert view.locator("mark").first.is_visible()
    context.close()


def test_paper_shows_both_copies_of_what_was_rewritten(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "shown.html").write_text(of_golden("lab/6b-on", tmp_path))
    view = browser.new_page()
    view.goto((tmp_path / "shown.html").as_uri())
    view.emulate_media(media="print")
    closed = view.locator("details.message:not(.plain):not([open]) mark")
    assert closed.count() and closed.first.is_visible()
    assert re.match(rb"%PDF-", view.pdf(format="A4"))
    view.close()
