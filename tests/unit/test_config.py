# SPDX-License-Identifier: Apache-2.0
"""Settings: where they come from, which one wins, and what is said about a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from algwatch.config import KEYS, Config, ConfigError, from_environment, from_file, from_words
from algwatch.report.broker import Broker, BrokerError

ROOT = Path(__file__).parents[2]


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "algwatch.conf"
    path.write_text(text)
    return str(path)


def test_a_file_sets_every_kind_of_value(tmp_path: Path) -> None:
    config = Config()
    from_file(config, file(tmp_path, """
# voice has its own VLAN
lan = br-lan
wan = wan, wan.7
ports=5060 5080
mqtt_password = "a # b"
privacy = off
health_interval = 300
"""))  # fmt: skip
    assert (config.lan, config.wan, config.ports) == (["br-lan"], ["wan", "wan.7"], [5060, 5080])
    assert (config.mqtt_password, config.privacy, config.health_interval) == ("a # b", False, 300)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = Config()
    from_file(config, file(tmp_path, "lan = a\nlan = b\nmqtt_user = file\nmqtt_password = file\n"))
    from_environment(config, {"ALGWATCH_MQTT_USER": "env", "ALGWATCH_MQTT_PASSWORD": "env"})
    from_words(config, ["--lan", "c", "--mqtt-user=words", "--lan=d", "--json"])
    assert config.lan == ["c", "d"]
    assert (config.mqtt_user, config.mqtt_password, config.json) == ("words", "env", True)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lam = br-lan", "line 2: unknown setting 'lam'; did you mean lan?"),
        ("memory-bytes = 1", "unknown setting 'memory-bytes'; did you mean memory_bytes?"),
        ("foo = 1", "unknown setting 'foo'; there are boot_delay, commands, "),
        ("lan", "line 2: 'lan' is not `key = value`"),
        ("lan =", "line 2: lan: needs a value"),
        ("lan = an-interface-with-a-long-name", "cannot be the name of an interface"),
        ("ports = 0", "line 2: ports: '0' is not a number from 1 to 65535"),
        ("ports = sip", "'sip' is not a number"),
        ("ports = ²", "is not a number"),
        ("privacy = maybe", "'maybe' is neither on nor off"),
        ("cpe = a/b", "an id has letters"),
        ("cpe = +", "an id has letters"),
        ("mqtt = http://x", "mqtt://HOST"),
        ("[algwatch]", "is not `key = value`"),
        ("cpe = a\ncpe = b", "line 3: cpe is set twice"),
    ],
)
def test_a_wrong_line_is_named_with_file_and_number(tmp_path: Path, line: str, why: str) -> None:
    path = file(tmp_path, "# settings\n" + line + "\n")
    with pytest.raises(ConfigError) as problem:
        from_file(Config(), path)
    assert str(problem.value).startswith(f"{path}, line ")
    assert why in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        from_file(Config(), str(path))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["br-lan"], "is not an option"),
        (["--lam", "x"], "unknown option --lam"),
        (["--lan"], "--lan needs a value"),
        (["--mqtt-password", "x"], "seen by everybody"),
        (["--ports", "70000"], "--ports: '70000'"),
    ],
)
def test_a_wrong_option_is_named(words: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        from_words(Config(), words)


def test_both_sides_must_differ_and_are_found_where_they_are_not_named() -> None:
    config = Config()
    from_words(config, ["--lan", "a", "--wan", "a"])
    with pytest.raises(ConfigError, match="at once"):
        config.check()
    config = Config()
    from_words(config, ["--lan", "a"])
    config.check()
    assert (config.lan, config.wan) == (["a"], ["auto"])


def test_every_setting_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == set(KEYS)


@pytest.mark.parametrize(
    ("url", "shown", "port"),
    [
        ("mqtt://broker", "mqtt://broker:1883", 1883),
        ("mqtts://u:p%40ss@broker", "mqtts://broker:8883", 8883),
        ("mqtt://[::1]:2000/", "mqtt://[::1]:2000", 2000),
    ],
)
def test_a_broker_is_shown_without_its_user(url: str, shown: str, port: int) -> None:
    broker = Broker(url)
    assert (str(broker), broker.port) == (shown, port)


def test_user_and_password_given_apart_win_over_the_url() -> None:
    broker = Broker("mqtt://u:p%40@h", "user", "")
    assert (broker.user, broker.password) == ("user", "p@")


@pytest.mark.parametrize(
    "url",
    [
        "http://x",
        "mqtt://",
        "mqtt://h:99999",
        "mqtt://h/topic",
        "mqtt://:pw@h",
        "mqtt://user:pw",
        "mqtt://h:99999",
        "broker",
        "mqtt://[1",
    ],
)
def test_a_wrong_url_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(BrokerError) as problem:
        Broker(url)
    assert "pw" not in str(problem.value)


def test_certificates_without_tls_are_refused() -> None:
    with pytest.raises(BrokerError, match="mqtts"):
        Broker("mqtt://h", ca="ca.pem")


def test_a_certificate_file_that_does_not_serve_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(BrokerError, match=f"mqtt_ca {path}: No such file"):
        Broker("mqtts://h", ca=str(path)).context()
    path.write_text("not a certificate")
    with pytest.raises(BrokerError, match=f"mqtt_ca {path}"):
        Broker("mqtts://h", ca=str(path)).context()


@pytest.mark.parametrize("letter", ["x", "\u00e4"])
def test_a_file_that_is_too_large_is_refused_and_not_cut(tmp_path: Path, letter: str) -> None:
    """Whatever its letters take: a setting behind the limit would silently be none."""
    text = "# " + letter * (70_000 // len(letter.encode())) + "\nlan = br-lan\n"
    with pytest.raises(ConfigError, match="larger than 65536 bytes"):
        from_file(Config(), file(tmp_path, text))
