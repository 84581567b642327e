# SPDX-License-Identifier: Apache-2.0
"""The log of what programs on the router itself say, and the hand-over to a daemon that is not
root: the real nfnetlink_log, nftables and sockets of a network namespace."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.native.rows import Counts
from algwatch.base.sighting import BITS, TTL
from algwatch.capture import nflog
from algwatch.capture.batches import loose
from algwatch.capture.nflog import LogTap
from algwatch.handover import receive
from algwatch.kernel.nflog import CannotLog, open_log
from brokers import Mosquitto, until
from forger import ip_summed
from test_daemon import AGENT, Agent, Router, _allowed, broker, listen, router, run

__all__ = ["_allowed", "broker", "router", "run"]  # fixtures

NOBODY = 65534
WAN, FAR = "198.51.100.2", "198.51.100.77"
REGISTER = (
    b"REGISTER sip:sip.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKo%d\r\n"
    b"From: <sip:wanda@sip.example.com>;tag=1\r\nTo: <sip:wanda@sip.example.com>\r\n"
    b"Call-ID: own-%d@198.51.100.2\r\nCSeq: 1 REGISTER\r\n"
    b"Contact: <sip:wanda@198.51.100.2>\r\nContent-Length: 0\r\n\r\n"
)

HELPED = """
table ip t {
  ct helper sip { type "sip" protocol udp; }
  chain c { type filter hook prerouting priority 0; udp dport 5060 ct helper set "sip"; }
}
"""


@pytest.fixture(autouse=True)
def _connected(router: Router) -> None:
    """The wan has an address and a neighbour, as a provider's network."""
    need = shutil.which("nft")
    if need is None:
        assert os.environ.get("CI") != "true", "nft is not installed"
        pytest.skip("needs the program nft: apt-get install nftables")
    with router.inside():
        router.ip("addr", "add", f"{WAN}/24", "dev", "wan")
        router.ip("neigh", "add", FAR, "lladdr", "02:00:00:00:00:77", "dev", "wan")


def tables(router: Router) -> str:
    with router.inside():
        return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True,
                              check=True).stdout  # fmt: skip


def opened(router: Router, *ports: int) -> LogTap:
    with router.inside():
        log = open_log(["wan"], ports or (5060,))
    return LogTap(log.detach(), 2, ports or (5060,), bytes(16), Counts())


def say(router: Router, number: int, port: int = 5060, to: int = 5060) -> None:
    """A program on the router sends."""
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((WAN, port))
        sock.sendto(REGISTER % (number, number), (FAR, to))


def come(router: Router, number: int, ttl: int = 57) -> None:
    """The provider sends to the wan's port 5060."""
    payload = REGISTER % (number, number)
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 7, 0, ttl, 17, 0,
                       socket.inet_aton(FAR), socket.inet_aton(WAN))  # fmt: skip
    ethernet = bytes.fromhex("0211223344660200000000770800")
    with router.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("far-wan", 0))
        sock.send(ethernet + ip_summed(head + udp))


def seen(tap: LogTap, seconds: float = 2.0) -> list[tuple[bool, bool, int, bytes]]:
    """(came to a program, direction is known, TTL, Call-ID) of each message."""
    found: list[tuple[bool, bool, int, bytes]] = []

    def more() -> bool:
        batch = tap.read()
        for row, _, payload in loose(batch) if batch is not None else ():
            call_id = bytes(payload).partition(b"Call-ID: ")[2].partition(b"\r")[0]
            found.append((bool(row[BITS] & ROW_OUTGOING), bool(row[BITS] & ROW_DIRECTED),
                          row[TTL], call_id))  # fmt: skip
        return bool(found)

    until(more, seconds)
    return found


def test_each_message_of_the_router_is_logged_once_and_what_others_say_is_not(
    router: Router,
) -> None:
    tap = opened(router, 5060, 5080)
    say(router, 1)
    assert seen(tap) == [(False, True, 64, b"own-1@198.51.100.2")]
    say(router, 2, port=40000, to=5080)
    assert seen(tap) == [(False, True, 64, b"own-2@198.51.100.2")]
    come(router, 3)
    assert seen(tap) == [(True, True, 57, b"own-3@198.51.100.2")]
    say(router, 4, port=40001, to=40002)  # no port of SIP
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(REGISTER % (5, 5), ("127.0.0.1", 5060))  # not by the wan
    assert seen(tap, 0.3) == []
    tap.close()


def test_what_a_helper_will_still_change_is_not_taken_for_what_the_program_gets(
    router: Router,
) -> None:
    with router.inside():
        done = subprocess.run(["nft", "-f", "-"], text=True, capture_output=True, check=False,
                              input=HELPED)  # fmt: skip
    if done.returncode:
        assert os.environ.get("CI") != "true", done.stderr
        pytest.skip("this kernel has no SIP helper")
    tap = opened(router)
    come(router, 1)
    assert seen(tap, 0.3) == []
    say(router, 2)
    assert [one[3] for one in seen(tap)] == [b"own-2@198.51.100.2"], "before it: always"
    tap.close()


def test_the_table_ends_with_the_descriptor_and_nobody_else_can_take_it(router: Router) -> None:
    tap = opened(router)
    assert "table inet algwatch" in tables(router)
    with router.inside():
        subprocess.run(["nft", "flush", "ruleset"], check=True, capture_output=True)
        with pytest.raises(CannotLog, match="another algwatch is running"):
            open_log(["wan"], [5060])
    assert "hook output" in tables(router), "a firewall that is loaded anew leaves it alone"
    say(router, 1)
    assert seen(tap)
    tap.close()
    tap.close()
    assert until(lambda: "algwatch" not in tables(router))
    assert (tap.fileno(), tap.read()) == (-1, None)


def test_a_flood_is_counted_as_lost_and_the_tap_goes_on(router: Router) -> None:
    tap = opened(router)
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((WAN, 5060))
        for number in range(20000):
            sock.sendto(REGISTER % (number, number), (FAR, 5060))
    taken = 0
    while (batch := tap.read()) is not None:
        taken += batch.count
    assert 100 < taken < 20000
    assert tap.drops >= 1
    say(router, 7)
    assert [one[3] for one in seen(tap)] == [b"own-7@198.51.100.2"]
    tap.close()


def test_what_waited_too_long_has_no_time_and_counts_as_lost(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = opened(router)
    say(router, 1)
    now = time.monotonic_ns
    monkeypatch.setattr(nflog.time, "monotonic_ns", lambda: now() + nflog.LATE + 1)
    assert seen(tap, 0.3) == []
    assert tap.drops == 1
    say(router, 2)
    assert [one[3] for one in seen(tap)] == [b"own-2@198.51.100.2"]
    tap.close()


def test_the_daemon_keeps_no_right_but_the_raw_socket_and_kill_9_leaves_nothing(
    router: Router, run: Callable[..., Agent]
) -> None:
    agent = run("--own-phones", "on", "--user", "nobody", "--json")
    assert until(lambda: any("own-phones (lan)" in line for line in agent.complained))
    assert "table inet algwatch" in tables(router)
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    assert "CapEff:\t0000000000002000" in status
    assert f"Uid:\t{NOBODY}" in status
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((WAN, 5060))
        # Its Contact names another address than the packet has: a rule tells of what was seen.
        bad = (REGISTER % (1, 1)).replace(b"wanda@198.51.100.2>", b"wanda@192.168.1.1>")
        sock.sendto(bad, (FAR, 5060))
        sock.sendto(b"OPTIONS sip:a SIP/2.0\r\nCSeq: x\r\n\r\n", (FAR, 5060))
    assert until(lambda: any('"MSG001"' in line for line in agent.said)), agent.said
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait(10)
    assert until(lambda: "algwatch" not in tables(router))


def test_both_copies_of_what_the_router_says_are_paired_live(
    router: Router, run: Callable[..., Agent], broker: Mosquitto
) -> None:
    heard = listen(router, broker, "cpe1")
    agent = run("--own-phones", "on", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--cpe", "cpe1",
                "--health-interval", "1")  # fmt: skip
    assert agent.heard("connected")
    sent = 0

    def paired() -> int:
        nonlocal sent
        sent += 1
        say(router, sent)
        come(router, 1000 + sent)
        time.sleep(0.3)
        reports = heard.of("health")
        return int(reports[-1]["health"]["crossings"]["paired"]) if reports else 0

    assert until(lambda: paired() >= 4), agent.said
    crossings = heard.of("health")[-1]["health"]["crossings"]
    assert (crossings["lan_only"], crossings["rewritten"]) == (0, 0)
    taps = next(body["taps"] for body in heard.of("state") if body["online"])
    assert taps == {"br-lan": "lan", "wan": "wan", "own-phones": "lan"}
    heard.close()


def test_auto_logs_where_a_program_has_the_port_and_says_who(
    router: Router, run: Callable[..., Agent]
) -> None:
    nobody = run()
    assert nobody.heard("watching br-lan (lan) and wan (wan)"), "without an owner nothing is set up"
    nobody.stop()
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 5060))
        agent = run("--json")
        assert until(lambda: any("own-phones (lan)" in line for line in agent.complained))
        assert until(lambda: any('"NAT006"' in line for line in agent.said)), agent.said


# The hand-over ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = Path("/run") / f"algwatch-test-{os.getpid()}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


def handover(router: Router, folder: Path, *words: str) -> subprocess.Popen[str]:
    with router.inside():
        return subprocess.Popen(
            [sys.executable, "-m", "algwatch", "handover", "--lan", "br-lan", "--wan", "wan",
             "--user", str(NOBODY), "--handover", str(folder / "s"), *words],
            text=True, stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(AGENT)),
        )  # fmt: skip


def as_user(uid: int, number: int) -> list[str]:
    """A command that becomes that user, with the raw socket alone."""
    caps = (f"--{name}=-all,+net_raw" for name in ("inh-caps", "ambient-caps", "bounding-set"))
    return ["setpriv", f"--reuid={uid}", f"--regid={number}", "--clear-groups", *caps]


def test_a_daemon_that_is_not_root_gets_the_log_and_the_table_of_connections(
    router: Router, run: Callable[..., Agent], folder: Path
) -> None:
    with router.inside():
        accounting = Path("/proc/sys/net/netfilter/nf_conntrack_acct")
        accounting.write_text("1")
    helper = handover(router, folder, "--own-phones", "on")
    agent = run("--own-phones", "on", "--json", "--handover", str(folder / "s"),
                "--user", str(NOBODY), within=as_user(NOBODY, NOBODY))  # fmt: skip
    assert until(lambda: any("own-phones (lan)" in line for line in agent.complained)), (
        agent.complained
    )
    assert helper.wait(10) == 0, helper.communicate()
    assert not (folder / "s").exists()
    links = [os.readlink(fd) for fd in Path(f"/proc/{agent.process.pid}/fd").iterdir()]
    assert any(link.endswith("/nf_conntrack") for link in links), links
    assert not any("not counted" in line for line in agent.complained)
    assert "table inet algwatch" in tables(router), "it outlives the helper"
    with router.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((WAN, 5060))
        sock.sendto(b"OPTIONS sip:a SIP/2.0\r\nCSeq: x\r\n\r\n", (FAR, 5060))
    assert until(lambda: any('"MSG001"' in line for line in agent.said)), agent.said
    agent.stop()
    assert until(lambda: "algwatch" not in tables(router))


def taken(path: Path, uid: int) -> str:
    """What a process of that user gets at the socket."""
    ask = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        f"s.connect({str(path)!r}); s.settimeout(5)\n"
        "while (got := socket.recv_fds(s, 512, 4))[0]: print(got[0], len(got[1]))"
    )
    done = subprocess.run([*as_user(uid, uid), sys.executable, "-c", ask], text=True,
                          capture_output=True, check=False)  # fmt: skip
    return done.stdout + done.stderr[-200:]


EVERYTHING = ["b'conntrack", "'", "1", "b'end'", "0"]


def test_another_user_gets_nothing_and_does_not_use_up_the_hand_over(
    router: Router, folder: Path
) -> None:
    helper = handover(router, folder)
    path = folder / "s"
    assert until(path.exists)
    path.chmod(0o666)  # as if the rights of the file were no hindrance
    assert "b'" not in taken(path, 1)
    assert helper.poll() is None
    assert taken(path, NOBODY).split() == EVERYTHING
    assert helper.wait(10) == 0


def test_a_helper_that_was_killed_is_in_nobody_s_way(router: Router, folder: Path) -> None:
    path = folder / "s"
    killed = handover(router, folder)
    assert until(path.exists)
    killed.kill()
    killed.wait()
    old = path.stat().st_mtime_ns
    helper = handover(router, folder)
    assert until(lambda: path.exists() and path.stat().st_mtime_ns != old)
    assert taken(path, NOBODY).split() == EVERYTHING
    assert helper.wait(10) == 0
    assert not path.exists()


@pytest.mark.parametrize(("words", "why"), [
    (("--handover", "/tmp/algwatch-s"), "others than root may write there"),
    (("--handover", "/proc/version"), "is there and is no socket"),
    (("--user", "nobody-here"), "there is no such user"),
    (("--user", "99999999999999999999"), "there is no such user"),
    (("--own-phones", "maybe"), "neither on, off nor auto"),
])  # fmt: skip
def test_what_cannot_be_served_is_said_in_one_line(words: tuple[str, str], why: str) -> None:
    full = dict([("--lan", "br-lan"), ("--wan", "wan"), ("--user", "nobody"),
                 ("--handover", "/run/algwatch-s"), words])  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", "handover", *(w for pair in full.items() for w in pair)],
        text=True, capture_output=True, env=dict(os.environ, PYTHONPATH=str(AGENT)), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_daemon_whom_nobody_hands_anything_watches_all_the_same(
    router: Router, run: Callable[..., Agent], folder: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as false:
        false.bind(str(folder / "s"))
        listens = (
            f"import socket; s = socket.socket(fileno={false.fileno()}); s.listen(); s.accept()"
        )
        child = subprocess.Popen([*as_user(NOBODY, NOBODY), sys.executable, "-c", listens],
                                 pass_fds=[false.fileno()])  # fmt: skip
        agent = run("--own-phones", "on", "--handover", str(folder / "s"))
        assert agent.heard("the program there is not root's"), agent.said
        assert agent.heard("watching br-lan (lan) and wan (wan)")
        assert agent.stop()[0] == 0
        child.kill()
        child.wait()


def test_the_daemon_does_not_wait_for_ever(folder: Path) -> None:
    handed = receive(str(folder / "none"), 0.2)
    assert set(handed.why) == {"own-phones", "conntrack"}
    assert "is algwatch handover running?" in handed.why["conntrack"]
