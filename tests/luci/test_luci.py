# SPDX-License-Identifier: Apache-2.0
"""The pages of luci-app-algwatch in a real browser, looked at and clicked."""

from __future__ import annotations

import functools
import json
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.cli.source import Source
from algwatch.report.privacy import Privacy
from algwatch.report.status import Status

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "unit"))

from browser import launched  # noqa: E402
from reports import call, finding, registration  # noqa: E402
from rpcd import ACL, APP, OBJECT, READER, SCRIPT, WRITER, Methods, Rpcd, program  # noqa: E402
from server import MENU, Server  # noqa: E402

RUN = ROOT / "tests" / "golden" / "lab" / "6b-on"
SCRIPTS = [*APP.rglob("*.js")]
PAGES = ("status", "calls", "findings", "advice", "settings")
EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=2</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as made:
        yield made


def tell(folder: Path, reports: list[Report], counts: Any = None, privacy: bool = True) -> None:
    """Write the status file of a daemon that has told these reports."""
    status = Status(str(folder / "status.json"), Privacy(b"k" * 32, privacy), print)
    for report in reports:
        status.report(report)
    taps = {"br-lan": {"side": "lan", "away": False, "reopened": 0, "drops": 0},
            "wan": {"side": "wan", "away": True, "reopened": 2, "drops": 7}}  # fmt: skip
    none = {"capture": {"sip_messages": 4, "lan": 2, "wan": 2},
            "crossings": {"paired": 2, "rewritten": 0}}  # fmt: skip
    status.write({"taps": taps}, counts or none)


class Router:
    """A router whose daemon has seen `reports`; open() shows a page of it."""

    def __init__(self, folder: Path, browser: Any) -> None:
        self.folder = folder
        self.rpcd = Rpcd(Methods(folder))
        self.server = Server(self.rpcd)
        self.browser = browser
        self.complaints: list[str] = []
        self.page: Any = None
        program(folder, 'echo \'{"verdict":"no ALG"}\'\n')

    def tell(self, reports: list[Report], privacy: bool = True) -> None:
        tell(self.folder, reports, privacy=privacy)

    def open(self, name: str, width: int = 1000, reader: bool = False) -> Any:
        page = self.page
        if page is None:
            self.page = page = self.browser.new_page()
            page.set_default_timeout(20000)
            page.on("pageerror", lambda problem: self.complaints.append(str(problem)))
            page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{self.server.url}{name}{'?reader' if reader else ''}")
        page.wait_for_selector("#view h2")
        return page

    @property
    def typed(self) -> list[str]:
        """The verbs of algwatch that were run, with their options."""
        path = self.folder / "typed"
        return path.read_text().splitlines() if path.exists() else []

    def call(self, session: str, method: str, **given: Any) -> Any:
        return self.post(frame(session, OBJECT, method, given))

    def post(self, body: Any) -> Any:
        url = self.server.url.partition("admin/")[0] + "admin/ubus"
        request = urllib.request.Request(url, json.dumps(body).encode())
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)


def frame(session: str, name: str, method: str, given: dict[str, Any], n: int = 1) -> Any:
    return {"jsonrpc": "2.0", "id": n, "method": "call", "params": [session, name, method, given]}


@pytest.fixture
def router(browser: Any, tmp_path: Path) -> Iterator[Router]:
    made = Router(tmp_path, browser)
    yield made
    if made.page is not None:
        made.page.close()
    made.server.shutdown()
    made.server.server_close()
    assert made.complaints == []


@functools.cache
def recorded() -> str:
    """The status file of a recording of the lab: a call that died of the kernel's ALG, and one
    that did not."""
    source = Source([], [str(RUN / "lan.pcap")], [str(RUN / "wan.pcap")], [5060, 5080])
    source.check()
    with tempfile.TemporaryDirectory() as folder:
        tell(Path(folder), list(source.reports()), source.counts())
        return Path(folder, "status.json").read_text()


def played(router: Router) -> None:
    (router.folder / "status.json").write_text(recorded())


# The pages


def test_the_status_tells_the_verdict_the_interfaces_and_the_phones(router: Router) -> None:
    played(router)
    text = router.open("status").inner_text("#view")
    for part in ("Something hurts", "The ACK from 192.0.2.149 arrived", "Turn the router's SIP ALG",
                 "br-lan", "waiting for it", "7 packets", "192.168.181.4 and 192.0.2.149",
                 "accepted", "shown as pseudonyms"):  # fmt: skip
        assert part in text, text


def test_a_call_shows_both_copies_with_the_changed_bytes_marked(router: Router) -> None:
    played(router)
    page = router.open("calls")
    item = page.locator("#view details").filter(has_text="dropped").first
    item.locator("summary").first.click()
    copies = item.locator(".algwatch-copies").first
    assert copies.locator(".algwatch-side").all_inner_texts() == [
        "WAN side: as it came", "LAN side: as it went on"]  # fmt: skip
    assert copies.locator("mark").all_inner_texts() == ["203.0.113.222:22312",
                                                        "192.168.181.4:31589"]  # fmt: skip
    assert copies.locator(".algwatch-changed").count() == 2
    completed = page.locator("#view details").filter(has_text="completed").last
    completed.locator("summary").first.click()
    assert "Nothing was found in this call." in completed.inner_text()


def test_what_is_open_stays_open_when_there_is_news(router: Router) -> None:
    router.tell([call("dropped", call_id="first@phone")])
    page = router.open("calls")
    page.locator("#view details summary").first.click()
    router.tell([call("dropped", call_id="first@phone"), call("dropped", call_id="second@phone")])
    page.wait_for_function("document.querySelectorAll('#view details[data-key]').length == 2")
    assert page.locator("#view details[open]").count() == 1
    assert page.locator("#view details").last.get_attribute("open") is not None


def test_a_finding_is_explained_on_demand(router: Router) -> None:
    router.tell([finding(rule="ALG011")])
    page = router.open("findings")
    page.locator("#view details summary").first.click()
    page.get_by_role("button", name="Explain").click()
    page.wait_for_selector("pre:visible")
    assert "Why it breaks calls" in page.inner_text("pre:visible")
    router.tell([finding(rule="ALG011"), finding(rule="ALG012")])
    page.wait_for_selector("text=ALG012 has happened")
    assert "Why it breaks calls" in page.inner_text("pre:visible")


def test_text_of_strangers_is_never_html(router: Router) -> None:
    one = finding(call_id=EVIL, summary=EVIL, next_step=EVIL)
    one.line = one.evidence[0].observed = EVIL
    one.evidence[0].payload = f"INVITE sip:{EVIL} SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n".encode()
    made = call("dropped", call_id=EVIL, to=EVIL)
    made.from_ = made.line = EVIL
    advice = Advice("disable-sip-alg", "recommended", 0.9, [EVIL], [EVIL], [EVIL], EVIL, EVIL)
    router.tell([one, made, registration("refused", 403, EVIL), advice], privacy=False)
    program(router.folder, f"echo '{json.dumps({EVIL: [EVIL]})}'; echo '{EVIL}' >&2; exit 1\n")
    for name in PAGES[:4]:
        page = router.open(name)
        if name == "advice":
            page.get_by_role("button", name="Probe").click()
            page.wait_for_selector("text=All that it said")
        assert "<img src=x onerror=" in page.locator("#view").evaluate("node => node.textContent")
        assert page.locator("#maincontent img, #view script").count() == 0
        assert page.evaluate("window.evil") is None


def test_without_a_daemon_and_with_an_old_file_the_pages_say_so(router: Router) -> None:
    page = router.open("status")
    assert "algwatch does not run" in page.inner_text("#view")
    router.tell([call()])
    path = router.folder / "status.json"
    state = json.loads(path.read_text())
    state["clock"] -= 1000
    path.write_text(json.dumps(state))
    page.wait_for_selector("text=algwatch was stopped or is stuck")
    for text in ("{", '{"schema": 1, "running": true}'):
        path.write_text(text)
        page.wait_for_selector("text=algwatch does not run")


def test_every_page_fits_a_phone(router: Router) -> None:
    played(router)
    for name in PAGES:
        page = router.open(name, width=390)
        page.locator("#view details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 392, name


# Buttons


def test_a_probe_runs_in_the_background_and_its_result_is_shown(router: Router) -> None:
    played(router)
    field = {"name": "Contact", "verdict": "mapping", "lan": "10.0.0.7:5060", "wan": "192.0.2.9:1"}
    sent = {"message": "OPTIONS", "fields": [field, {**field, "name": "To", "verdict": "same"}]}
    told = {"conclusion": "The router rewrites SIP.", "messages": [sent]}
    over = router.folder / "over"
    waits = f"while [ ! -e {over} ]; do sleep 0.1; done"
    program(router.folder, f"{waits}; echo '{json.dumps(told)}'; exit 1\n")
    page = router.open("advice")
    page.get_by_role("button", name="Probe").click()
    page.wait_for_selector("text=runs since")
    assert page.get_by_role("button", name="Roll back").is_disabled()
    assert router.call(WRITER, "rollback")["result"][1]["error"] == "busy"
    over.touch()
    page.wait_for_selector("text=The last job: Probe of the router")
    text = page.inner_text("#view")
    assert "SIP is rewritten" in text and "The router rewrites SIP." in text, text
    assert page.locator("#view table tr").last.inner_text().split() == [
        "OPTIONS", "Contact", "10.0.0.7:5060", "192.0.2.9:1"]  # fmt: skip
    assert page.get_by_role("button", name="Roll back").is_enabled()
    assert router.typed == ["probe --json"]


def test_nothing_is_changed_before_somebody_says_yes(router: Router) -> None:
    played(router)
    page = router.open("advice")
    for button, told, word, job in (
        ("Try on this phone", "All other phones stay as they are", "Try it", "SIP ALG off, "),
        ("Turn off for all phones", "refuses if a phone would stop ringing", "Turn it off",
         "SIP ALG off "),
        ("Roll back", "takes its latest change", "Put back", "Put everything back "),
    ):  # fmt: skip
        page.get_by_role("button", name=button).click()
        assert told in page.inner_text(".modal")
        page.get_by_role("button", name="Cancel").click()
        before = len(router.typed)
        page.get_by_role("button", name=button).click()
        page.get_by_role("button", name=word).click()
        page.locator("h3", has_text=re.compile(f"The last job: {job}")).wait_for()
        page.wait_for_function(
            "n => document.querySelectorAll('.algwatch-buttons button:disabled').length == 0", arg=0
        )
        page.wait_for_selector(".modal", state="hidden")
        assert len(router.typed) == before + 1
    assert router.typed == [
        "apply --only 192.168.181.4 --lan br-lan --wan wan --json",
        "apply --lan br-lan --wan wan --json",
        "rollback --json",
    ]


def test_a_refusal_is_shown_and_overridden_only_after_asking_again(router: Router) -> None:
    played(router)
    why = "10.0.0.7 sends no keep-alive. (--force does it all the same)"
    program(router.folder, f'case $* in *--force*) ;; *) echo "{why}" >&2; exit 2;; esac\n')
    page = router.open("advice")
    page.get_by_role("button", name="Try on this phone").click()
    page.get_by_role("button", name="Try it").click()
    page.wait_for_selector("text=nothing was changed")
    page.get_by_role("button", name="Turn off all the same…").click()
    assert "sends no keep-alive" in page.inner_text(".modal")
    page.get_by_role("button", name="Turn it off all the same").click()
    page.wait_for_selector("text=in force")
    assert router.typed[1:] == ["apply --only 192.168.181.4 --force --lan br-lan --wan wan --json"]


def test_a_job_that_watches_can_be_stopped(router: Router) -> None:
    played(router)
    program(router.folder, "trap 'exit 1' TERM; : >\"$0.up\"; sleep 20 >/dev/null 2>&1 & wait\n")
    page = router.open("advice")
    page.get_by_role("button", name="Turn off for all phones").click()
    page.get_by_role("button", name="Turn it off").click()
    stop = page.get_by_role("button", name="Stop and put back")
    stop.wait_for()
    end = time.monotonic() + 8
    while not (router.folder / "algwatch.up").exists() and time.monotonic() < end:
        time.sleep(0.02)
    stop.click()
    page.wait_for_selector("text=it failed, and everything is as before")


def test_turning_it_off_for_all_warns_where_a_phone_needs_it(router: Router) -> None:
    keep = Advice(
        "keep-sip-alg", "recommended", 0.9, ["It helps."], [], [], "10.0.0.7 and 192.0.2.1"
    )
    router.tell([keep])
    page = router.open("advice")
    page.get_by_role("button", name="Turn off for all phones").click()
    text = page.inner_text(".modal")
    assert "10.0.0.7 and 192.0.2.1. They would stop working." in text
    assert "Nothing that was seen here proves" in text


def test_who_may_only_read_can_change_nothing(router: Router) -> None:
    played(router)
    page = router.open("advice", reader=True)
    assert "may look and not change" in page.inner_text("#view")
    buttons = page.locator(".algwatch-buttons button")
    assert buttons.count() == 5 and all(one.is_disabled() for one in buttons.all())
    for method in ("probe", "apply", "verify", "rollback", "stop"):
        assert router.call(READER, method)["error"]["code"] == -32002
    assert router.typed == []


def test_who_may_only_read_sees_no_setting_and_so_no_password(router: Router) -> None:
    router.rpcd.uci["main"]["mqtt_password"] = "secret"
    page = router.open("status", reader=True)
    menu = page.evaluate("fetch('/cgi-bin/luci/admin/menu').then(reply => reply.json())")
    there = menu["children"]["admin"]["children"]["services"]["children"]["algwatch"]["children"]
    assert [name for name, node in there.items() if not node["satisfied"]] == ["settings"]
    assert page.goto(f"{router.server.url}settings?reader").status == 403
    for method in ("get", "changes", "set"):
        given = {"config": "algwatch", "section": "main", "values": {"enabled": "0"}}
        assert router.post(frame(READER, "uci", method, given))["error"]["code"] == -32002
    asked = router.post(frame(WRITER, "uci", "get", {"config": "algwatch"}))
    assert asked["result"][1]["values"]["main"]["mqtt_password"] == "secret"
    assert router.rpcd.uci["main"]["enabled"] == "1"


def test_no_right_to_read_reaches_the_configuration() -> None:
    assert [name for name, group in ACL.items() if "uci" in group.get("read", {})] == []
    assert [name for name, group in ACL.items() if "file" in str(group)] == []


# Calls to the router


def test_an_address_is_one_and_a_lost_one_does_not_mean_all_phones(router: Router) -> None:
    for given in ({}, {"only": ""}, {"only": "--force"}, {"only": "1.2.3.4; reboot"},
                  {"only": "$(reboot)"}, {"only": "1.2.3"}, {"only": "phone"}, {"whole": False},
                  {"only": "10.0.0.7", "whole": True}, {"only": "10.0.0.7\n"}):  # fmt: skip
        assert router.call(WRITER, "apply", **given)["result"] == [0, {"error": "no-address"}], (
            given
        )
    for rule in ("../x", "ALG999", "ALG001;id", "-h", ""):
        assert router.call(WRITER, "explain", rule=rule)["result"] == [0, {"error": "no-such-rule"}]
    assert [line for line in router.typed if not line.startswith("explain ALG999")] == []


def test_rpcd_answers_as_the_real_one(router: Router) -> None:
    assert router.call(WRITER, "apply", only=7)["result"] == [2]
    assert router.call("0" * 32, "status")["error"]["code"] == -32002
    assert router.call(WRITER, "reboot")["error"]["code"] == -32002
    answers = router.post(
        [frame(WRITER, OBJECT, "job", {}, 1), frame(WRITER, "nothing", "x", {}, 2)]
    )
    assert answers[0]["result"] == [0, {"job": {"state": "none"}}]
    assert answers[1]["error"]["code"] == -32000


def test_methods_rights_and_calls_of_the_pages_agree() -> None:
    text = SCRIPT.read_text()
    there = set(re.findall(r"^\t(\w+): \{$", text[text.index("const methods") :], re.M))
    acl = ACL["luci-app-algwatch"]
    read, write = (set(acl[part]["ubus"][OBJECT]) for part in ("read", "write"))
    assert there == read | write and not read & write
    asked = {name for path in SCRIPTS for name in re.findall(r"declare\('(\w+)'", path.read_text())}
    assert asked <= there
    assert write == {"probe", "apply", "verify", "rollback", "stop"} and write <= asked
    views = {entry["action"]["path"] for entry in MENU.values() if "path" in entry["action"]}
    folder = APP / "htdocs/luci-static/resources/view"
    assert views == {str(p.relative_to(folder))[:-3] for p in folder.rglob("*.js")}


def test_no_text_becomes_a_command_or_html() -> None:
    text = SCRIPT.read_text()
    assert re.findall(r"\bsystem\((.)", text) == ["[", "[", "["]
    assert "popen" not in text and "require(" not in text
    shells = text[text.index("const RUN") : text.index("function read")]
    assert "${" not in shells
    for path in SCRIPTS:
        source = path.read_text()
        assert "innerHTML" not in source and "%h" not in source
        # E() is called in one place, which hands over an array.
        calls = re.findall(r"\bE\(.*", source.replace(" E() ", ""))
        assert calls == (["E(tag, attributes, children.flat(Infinity));"]
                         if path.name == "common.js" else []), path  # fmt: skip
