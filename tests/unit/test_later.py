# SPDX-License-Identifier: Apache-2.0
"""Modules that are loaded when they are asked for something."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
from algwatch.report.later import later
later("ipaddress")
import urllib.parse
assert "IPv4Address" not in vars(sys.modules["ipaddress"])
assert urllib.parse.urlsplit("mqtt://[::1]:1883").hostname == "::1"
try:
    urllib.parse.urlsplit("mqtt://[::g]")
except ValueError:
    pass
else:
    raise SystemExit("taken")
import ipaddress
assert ipaddress.ip_address("192.0.2.1").is_private is not None
assert isinstance(ipaddress.ip_address("::1"), ipaddress.IPv6Address)
from ipaddress import ip_network
"""


def test_a_stand_in_becomes_the_module_when_it_is_used() -> None:
    subprocess.run([sys.executable, "-c", ASK], check=True)


def test_a_module_that_is_loaded_already_stays_as_it_is() -> None:
    words = "import ipaddress\nfrom algwatch.report.later import later\nlater('ipaddress')\n"
    check = "import sys\nassert sys.modules['ipaddress'] is ipaddress"
    subprocess.run([sys.executable, "-c", words + check], check=True)
