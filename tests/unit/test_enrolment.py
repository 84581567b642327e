# SPDX-License-Identifier: Apache-2.0
"""An invitation, its code, and what becomes of it on the router."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest
from algwatch.__main__ import main
from algwatch.capture.board import serial_number
from algwatch.config import Config, from_file
from algwatch.control.enrolled import CannotEnroll, Place, checked
from algwatch.control.invitation import (
    INVITE,
    RECEIPT,
    Unreadable,
    new_code,
    place,
    seal,
    secret,
    unseal,
)
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = {"mqtt": "mqtts://broker.example.net", "mqtt_user": "cpe7", "mqtt_password": "pass word"}
FILES = {"mqtt_ca": b"-----BEGIN", "commands": bytes(32), "mqtt_key": b"key"}
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_code_is_read_as_people_write_it() -> None:
    code = new_code()
    assert len(code) == 23 and len({new_code() for _ in range(100)}) == 100
    wanted = secret(code)
    for written in (code.lower(), code.replace("-", " "), f" {code}\n", code.replace("0", "o"),
                    code.replace("1", "l")):  # fmt: skip
        assert secret(written) == wanted
    assert place(wanted) != place(secret(new_code()))
    assert code.replace("-", "") not in place(wanted)
    for wrong in ("", "12345", code + "1", code[:-1] + "U"):
        with pytest.raises(Unreadable, match="20 letters and digits"):
            secret(wrong)


def test_an_invitation_opens_with_its_code_alone() -> None:
    code = secret(new_code())
    sealed = seal(code, INVITE, {"settings": SETTINGS})
    assert unseal(code, INVITE, sealed) == {"settings": SETTINGS}
    assert b"broker" not in sealed and seal(code, INVITE, {"settings": SETTINGS}) != sealed
    with pytest.raises(Unreadable, match="code does not fit"):
        unseal(secret(new_code()), INVITE, sealed)
    with pytest.raises(Unreadable, match="code does not fit"):
        unseal(code, RECEIPT, sealed)  # nobody can play it back as the router's word
    outer = msgpack.unpackb(sealed)
    for name in ("nonce", "sealed", "mac"):
        bad = outer | {name: outer[name][:-1] + bytes([outer[name][-1] ^ 1])}
        with pytest.raises(Unreadable, match="code does not fit"):
            unseal(code, INVITE, msgpack.packb(bad))


@given(st.binary(max_size=300))
def test_no_bytes_make_it_stumble(data: bytes) -> None:
    with pytest.raises(Unreadable):
        unseal(b"x" * 20, INVITE, data)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "no settings"),
        ({"settings": {"user": "root"}, "files": {}}, "'user', which is not known"),
        ({"settings": {"mqtt_ca": "/etc/shadow"}, "files": {}}, "'mqtt_ca', which is not known"),
        ({"settings": SETTINGS, "files": {"../x": b"y"}}, "'../x', which is not known"),
        ({"settings": {**SETTINGS, "cpe": "a/b"}, "files": {}}, "an id has letters"),
        ({"settings": {**SETTINGS, "mqtt_user": 'a"\nuser = "root'}, "files": {}}, "one line"),
        ({"settings": {"cpe": "a"}, "files": {}}, "names no broker"),
        ({"settings": SETTINGS, "files": {"mqtt_ca": b""}}, "an empty file"),
        ({"settings": SETTINGS, "files": {"mqtt_ca": b"x" * 9000}}, "more than 8192"),
    ],
)
def test_an_invitation_sets_nothing_but_what_it_may(content: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotEnroll, match=why):
        checked(content, [])


def enrolled(tmp_path: Path, **more: str) -> Place:
    made = Place(str(tmp_path / "conf"), str(tmp_path / "keys"))
    settings, files = checked({"settings": {**SETTINGS, "cpe": "cpe7", **more},
                               "files": dict(FILES)}, ["region=north"])  # fmt: skip
    made.enroll(settings, files)
    return made


def test_the_configuration_is_the_daemons_and_the_keys_are_for_who_needs_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf").write_text("# by hand\nlan = br-lan\nmqtt = mqtt://old\nwan = wan\n")
    (tmp_path / "conf").chmod(0o640)
    enrolled(tmp_path)
    config = Config()
    from_file(config, str(tmp_path / "conf"))
    config.check()
    assert (config.mqtt, config.mqtt_password) == (SETTINGS["mqtt"], "pass word")
    assert (config.lan, config.wan, config.tags) == (["br-lan"], ["wan"], [("region", "north")])
    assert (tmp_path / "conf").read_text().startswith("# by hand\nlan = br-lan\nwan = wan\n")
    assert (tmp_path / "conf").stat().st_mode & 0o777 == 0o600
    modes = {name: os.stat(getattr(config, name)).st_mode & 0o777 for name in FILES}
    assert modes == {"mqtt_ca": 0o644, "commands": 0o600, "mqtt_key": 0o600}
    assert Path(config.commands).read_bytes() == FILES["commands"]


def test_a_second_enrolment_takes_the_place_of_the_first_and_leaves_no_key(tmp_path: Path) -> None:
    enrolled(tmp_path)
    before = set((tmp_path / "keys").iterdir())
    enrolled(tmp_path, mqtt_user="other")
    after = set((tmp_path / "keys").iterdir())
    assert len(after) == 1 and not after & before
    assert (tmp_path / "conf").read_text().count("mqtt_user") == 1


def test_what_fails_half_way_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(tmp_path)
    before = (tmp_path / "conf").read_bytes(), set((tmp_path / "keys").iterdir())

    def full(self: Place, settings: dict[str, str]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Place, "_write", full)
    with pytest.raises(CannotEnroll, match="nothing was changed"):
        enrolled(tmp_path)
    assert ((tmp_path / "conf").read_bytes(), set((tmp_path / "keys").iterdir())) == before


STAND_IN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from openwrt import uci, uci_command; "
    "sys.exit(uci_command.run(sys.argv[3:], uci.Uci(sys.argv[2])))"
)


def test_on_openwrt_the_settings_are_ucis_and_a_refusal_leaves_them_as_they_were(
    tmp_path: Path,
) -> None:
    """The stand-in of tests/openwrt, which keeps to the words of the real uci."""
    for folder in ("etc/config", "tmp/.uci"):
        (tmp_path / folder).mkdir(parents=True)
    config = tmp_path / "etc/config/algwatch"
    config.write_text("config algwatch 'main'\n\toption enabled '1'\n\toption mqtt_user 'old'\n"
                      "\tlist tags 'region=south'\n")  # fmt: skip
    tests = str(Path(__file__).parents[1])
    uci = (sys.executable, "-c", STAND_IN, tests, str(tmp_path))
    made = Place("", str(tmp_path / "keys"), uci=uci)
    assert made.current() == {"mqtt_user": "old", "tags": "region=south"}
    made.enroll({"mqtt": "mqtts://b", "tags": "region=north plan=x", "privacy": "off"},
                {"commands": bytes(32)})  # fmt: skip
    path = next((tmp_path / "keys").iterdir()) / "commands"
    assert made.current() == {"mqtt": "mqtts://b", "tags": "region=north plan=x", "privacy": "0",
                              "commands": str(path)}  # fmt: skip
    assert "option enabled '1'" in config.read_text()
    before = config.read_bytes()
    refuses = (*uci[:2], STAND_IN.replace("sys.exit(", "sys.exit(sys.argv[3] == 'commit' or "),
               *uci[3:])  # fmt: skip
    with pytest.raises(CannotEnroll, match="uci commit algwatch"):
        Place("", str(tmp_path / "keys"), uci=refuses).enroll({"mqtt": "mqtt://c"}, {})
    assert config.read_bytes() == before and not made._uci("changes", "algwatch")[1]
    assert path.exists()
    subprocess.run([*uci, "set", "algwatch.main.enabled=0"], check=True)
    with pytest.raises(CannotEnroll, match="somebody's changes"):
        made.enroll({"mqtt": "mqtt://c"}, {})


@ROOT
def test_a_router_joins_with_a_file_and_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings").write_text("mqtt = mqtts://broker.example.net\ntags = plan=basic\n")
    out, conf = tmp_path / "invitation", tmp_path / "conf"
    invite = ["invite", str(tmp_path / "settings"), "--new-key", str(tmp_path / "op.key")]
    assert main([*invite, "--output", str(out)]) == 0
    code = capsys.readouterr().out.strip()
    assert main([*invite, "--output", str(out)]) == 2, "two routers never share a key"
    enroll = ["enroll", "--file", str(out), "--config", str(conf), "--keys", str(tmp_path / "keys"),
              "--cpe", "cpe9", "--tag", "region=north"]  # fmt: skip
    assert main([*enroll, new_code()]) == 2 and not conf.exists()
    assert main([*enroll, code]) == 0
    config = Config()
    from_file(config, str(conf))
    assert (config.cpe, config.tags) == ("cpe9", [("plan", "basic"), ("region", "north")])
    assert Path(config.commands).read_bytes() == (tmp_path / "op.key").read_bytes()
    capsys.readouterr()
    assert main([*enroll, code]) == 2 and "--again" in capsys.readouterr().err
    assert main([*enroll, code, "--again"]) == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(b"SN12345\0", "SN12345"), (b" AB 12/34 ", "AB-12-34"), (b"None", ""), (b"0000000", ""),
     (b"To Be Filled By O.E.M.", ""), (b"123", ""), (b"System Serial Number", "")],
)  # fmt: skip
def test_a_serial_number_that_is_none_is_not_taken_for_one(
    tmp_path: Path, text: bytes, wanted: str
) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/serial-number").write_bytes(text)
    assert serial_number(str(tmp_path)) == wanted
