# SPDX-License-Identifier: Apache-2.0
"""Broker: mosquitto when it is installed, otherwise amqtt from the registry of Python packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .namespace import NoLab

MISSING = "the lab needs an MQTT broker; type: apt-get install mosquitto"


def find_mosquitto() -> str | None:
    """Debian keeps it in /usr/sbin, which is not in everybody's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def find_amqtt() -> str | None:
    """Beside this interpreter. It speaks MQTT 3.1.1 only, so it also tries the fallback."""
    beside = Path(sys.executable).parent / "amqtt"
    return str(beside) if beside.exists() else shutil.which("amqtt")


def provide_broker() -> str:
    """Name of the broker that will be used; installs amqtt when there is none. Raises NoLab."""
    if find_mosquitto():
        return "mosquitto"
    if not find_amqtt():
        pip = [sys.executable, "-m", "pip", "install", "-q", "amqtt"]
        if subprocess.run(pip, capture_output=True, check=False).returncode or not find_amqtt():
            raise NoLab(MISSING)
    return "amqtt"


class Broker:
    """The command line of a broker on 127.0.0.1, and the configuration that it needs."""

    def __init__(self, port: int) -> None:
        mosquitto, amqtt = find_mosquitto(), find_amqtt()
        if mosquitto:
            # Started as root it would become a user that a user namespace does not have.
            user = "user root\n" if os.geteuid() == 0 else ""
            text = f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n{user}"
        elif amqtt:
            text = (
                f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
                "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n"
                "    allow_anonymous: true\n"
            )
        else:
            raise NoLab(MISSING)
        # A file in memory: nothing is left on disk, however this ends.
        self._config = os.memfd_create("broker.conf")
        os.write(self._config, text.encode())
        self.argv = [mosquitto or amqtt or "", "-c", f"/proc/{os.getpid()}/fd/{self._config}"]

    def close(self) -> None:
        if self._config >= 0:
            os.close(self._config)
            self._config = -1
