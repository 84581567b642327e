# SPDX-License-Identifier: Apache-2.0
"""SIP in TLS, read with a key log: real connections over loopback, noted by a relay in between."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.capture.pcap import write
from algwatch.capture.text.frames import RAW_IP, Frames

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
PHONE, ROUTER, PROVIDER = ("192.168.1.20", 40001), ("203.0.113.7", 31001), ("192.0.2.10", 5061)
Noted = list[tuple[int, bool, bytes]]  # ns, from the phone, bytes

pytestmark = pytest.mark.skipif(
    shutil.which("tshark") is None or shutil.which("openssl") is None,
    reason="tshark or openssl is missing: apt-get install tshark openssl",
)


SDP = "v=0\no=- 7 7 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0\nm=audio 9000 RTP/AVP 8\n"


def message(start: str, cseq: str, tag: str = ";tag=far", body: str = "") -> bytes:
    branch = f"z9hG4bK{cseq.replace(' ', '')}"
    text = (
        f"{start}\nVia: SIP/2.0/TLS {PHONE[0]}:{PHONE[1]};rport;branch={branch}\n"
        f"From: <sip:me@example.net>;tag=near\nTo: <sip:you@example.net>{tag}\n"
        f"Call-ID: secret@phone\nCSeq: {cseq}\nMax-Forwards: 70\n"
        f"Contact: <sip:me@{PHONE[0]}:{PHONE[1]};transport=tls>\n"
        f"Content-Length: {len(body) + body.count(chr(10))}\n\n{body}"
    )
    return text.replace("\n", "\r\n").encode()


OK = message("SIP/2.0 200 OK", "1 INVITE", body=SDP)
ACK = message("ACK sip:you@example.net SIP/2.0", "1 ACK", body=SDP)
BYE = message("BYE sip:you@example.net SIP/2.0", "4 BYE")
# From the phone, and the data of one record each: messages in two records, and two in one.
CALL = [
    (True, message("INVITE sip:you@example.net SIP/2.0", "1 INVITE", "")),
    (False, message("SIP/2.0 180 Ringing", "1 INVITE")),
    (False, OK[:90]),
    (False, OK[90:]),
    (True, ACK + message("INFO sip:you@example.net SIP/2.0", "2 INFO")),
    (False, message("SIP/2.0 200 OK", "2 INFO")),
    (True, message("INFO sip:you@example.net SIP/2.0", "3 INFO") + b"\r\n\r\n" + BYE[:33]),
    (True, BYE[33:]),
    (False, message("SIP/2.0 200 OK", "3 INFO")),
    (False, message("SIP/2.0 200 OK", "4 BYE")),
]  # fmt: skip


def pump(source: socket.socket, target: socket.socket, phone: bool, noted: Noted) -> None:
    while data := source.recv(65536):
        noted.append((time.time_ns(), phone, data))
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def talk(version: ssl.TLSVersion, folder: Path) -> Noted:
    """The call over TLS; the keys go to folder/keys."""
    near, far = (ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER))
    near.check_hostname, near.verify_mode = False, ssl.CERT_NONE
    far.load_cert_chain(folder / "cert", folder / "key")
    near.keylog_filename = str(folder / "keys")
    for context in near, far:
        context.minimum_version = context.maximum_version = version
    noted: Noted = []
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_server(("127.0.0.1", 0)) as relay,
    ):
        plain = socket.create_connection(relay.getsockname(), timeout=10)
        inward, _ = relay.accept()
        outward = socket.create_connection(door.getsockname(), timeout=10)
        beyond, _ = door.accept()
    threads = [
        threading.Thread(target=pump, args=(inward, outward, True, noted)),
        threading.Thread(target=pump, args=(outward, inward, False, noted)),
    ]
    answered: list[ssl.SSLSocket] = []
    threads.append(
        threading.Thread(target=lambda: answered.append(far.wrap_socket(beyond, server_side=True)))
    )
    for thread in threads:
        thread.start()
    phone = near.wrap_socket(plain)
    threads[2].join(10)
    provider = answered[0]
    for from_phone, data in CALL:
        one, other = (phone, provider) if from_phone else (provider, phone)
        one.sendall(data)
        heard = b""
        while len(heard) < len(data):
            heard += other.recv(65536)
    phone.close()
    provider.close()
    for thread in threads[:2]:
        thread.join(10)
    inward.close()
    outward.close()
    return noted


def save(path: Path, noted: Noted, near: tuple[str, int]) -> Path:
    frames = Frames()
    write(str(path), RAW_IP, [
        (at, frames.packet(near if phone else PROVIDER, PROVIDER if phone else near, data, True))
        for at, phone, data in noted
    ])  # fmt: skip
    return path


@pytest.fixture(scope="module", params=VERSIONS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lan.pcap, wan.pcap and keys."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=localhost", "-keyout"]
    command += [str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(command, check=True, capture_output=True)
    noted = talk(VERSIONS[request.param], folder)
    save(folder / "lan.pcap", noted, PHONE)
    save(folder / "wan.pcap", noted, ROUTER)
    return folder


@pytest.fixture
def verdict(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def ask(*words: str | Path) -> dict[str, Any]:
        main(["analyze", "--json", *map(str, words)])
        said = capsys.readouterr()
        return {**json.loads(said.out), "complaints": said.err}

    yield ask


def test_a_call_in_tls_is_read_on_both_sides(told: Path, verdict: Any) -> None:
    sides = ("--lan", told / "lan.pcap", "--wan", told / "wan.pcap")
    blind = verdict(*sides)
    assert not blind["calls"] and blind["verdict"]["state"] == "cannot-tell"
    assert any(one["rule"] == "CAP004" for one in blind["findings"])
    seen = verdict(*sides, "--keylog", told / "keys")
    (call,) = seen["calls"]
    assert call["call_id"] == "secret@phone" and call["outcome"] == "completed"
    assert seen["capture"]["sip_messages"] == 20 and seen["verdict"]["state"] == "fine"
    assert not any(one["rule"] == "CAP004" for one in seen["findings"])
    assert seen["complaints"] == ""


def test_the_messages_have_the_ends_and_the_times_of_their_packets(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", str(told / "lan.pcap"), "--keylog", str(told / "keys"), "--all", "-v"]
    assert main(words) == 0
    out = capsys.readouterr().out
    for text in f"{PHONE[0]}:{PHONE[1]}", f"{PROVIDER[0]}:{PROVIDER[1]}", "INVITE", "180 Ringing":
        assert text in out


def test_a_compressed_capture_and_one_that_was_rotated_inside_a_connection(
    told: Path, tmp_path: Path, verdict: Any
) -> None:
    data = (told / "lan.pcap").read_bytes()
    (tmp_path / "packed.gz").write_bytes(gzip.compress(data))
    at, records = 24, []
    while at < len(data):
        size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        records.append(data[at : at + size])
        at += size
    for number, some in enumerate((records[:7], records[7:])):
        (tmp_path / f"turned{number}.pcap").write_bytes(data[:24] + b"".join(some))
    for files in [tmp_path / "packed.gz"], sorted(tmp_path.glob("turned*")):
        (call,) = verdict(*files, "--keylog", told / "keys")["calls"]
        assert call["outcome"] == "completed", files


def test_another_port_is_named_with_ports(told: Path, tmp_path: Path, verdict: Any) -> None:
    data = (told / "lan.pcap").read_bytes()
    near, far, other = (port.to_bytes(2) for port in (PHONE[1], PROVIDER[1], 7443))
    # Both ports of a header at once: two bytes alone stand in some ciphertext as well.
    data = data.replace(near + far, near + other).replace(far + near, other + near)
    (tmp_path / "moved.pcap").write_bytes(data)
    seen = verdict(tmp_path / "moved.pcap", "--keylog", told / "keys", "--ports", "7443")
    assert [call["outcome"] for call in seen["calls"]] == ["completed"]


def test_what_is_not_in_tls_is_read_once(told: Path, verdict: Any) -> None:
    plain = Path(__file__).parents[1] / "golden/lab/6b-on/wan.pcap"
    before = verdict(plain)
    after = verdict(plain, "--keylog", told / "keys")
    assert "no SIP in TLS could be decrypted" in after.pop("complaints")
    before.pop("complaints")
    assert after == before


def test_keys_of_another_connection_are_told(told: Path, tmp_path: Path, verdict: Any) -> None:
    lines = (told / "keys").read_text().splitlines()
    (tmp_path / "keys").write_text(
        "\n".join(" ".join((w[0], "0" * 64, w[2])) for line in lines if len(w := line.split()) == 3)
    )
    seen = verdict(told / "lan.pcap", "--keylog", tmp_path / "keys")
    assert "the keys must be of these connections" in seen["complaints"]
    assert seen["verdict"]["state"] == "cannot-tell"


@pytest.mark.parametrize(("words", "said"), [
    (("lan.pcap", "--keylog", "cert"), "is no key log"),
    (("lan.pcap", "--keylog", "none"), "No such file"),
    (("-", "--keylog", "keys"), "needs a file, not a pipe"),
    (("none.pcap", "--keylog", "keys"), "No such file"),
])  # fmt: skip
def test_what_it_cannot_use_is_told_in_one_line(
    told: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(told)
    assert main(["analyze", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_without_tshark_it_says_so(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(told))
    assert main(["analyze", str(told / "lan.pcap"), "--keylog", str(told / "keys")]) == 2
    assert "--keylog needs tshark" in capsys.readouterr().err
