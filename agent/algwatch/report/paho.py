# SPDX-License-Identifier: Apache-2.0
"""Loading paho, with stand-ins for imports it does not need or this Python may lack; and a client
that reads only what report/incoming.py lets through."""

from __future__ import annotations

import sys
from types import ModuleType

from algwatch.report.incoming import READ, Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _NoSsl:
    """paho evaluates `except ssl.SSLWantReadError` whenever a socket would block. In a Python
    without ssl its network code dies there; these names keep it alive."""

    class SSLWantReadError(Exception):
        pass

    class SSLWantWriteError(Exception):
        pass

    class SSLSocket:
        pass


def _stand_ins() -> dict[str, ModuleType]:
    """Modules imported by paho, socket and ssl for 4 MB, with no names of use or a few: proxies of
    the environment (for PySocks), web sockets, a log, random client ids, the name of the system,
    certificates as text, sockets that send files."""
    made = {}
    for name, names in (
        ("urllib.request", {"proxy_bypass": lambda host: True, "getproxies": dict}),
        ("urllib.parse", {}),
        ("logging", {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}),
        ("platform", {"system": lambda: sys.platform}),
        ("string", {"digits": "", "ascii_letters": ""}),
        ("hashlib", {}),
        ("uuid", {}),
        ("base64", {}),
        ("selectors", {}),
    ):
        made[name] = ModuleType(name)
        vars(made[name]).update(names)
    return made


def load() -> tuple[Any, Any, Any]:
    """(paho.mqtt.client, Properties, PacketTypes); untyped, as 1.6 and 2.x differ."""
    absent = {}
    if "paho.mqtt.client" not in sys.modules:
        import urllib

        absent = {name: one for name, one in _stand_ins().items() if name not in sys.modules}
    sys.modules.update(absent)
    # `from urllib import request` looks at the package before sys.modules.
    in_package = [(name.partition(".")[2], one) for name, one in absent.items() if "." in name]
    for name, one in in_package:
        setattr(urllib, name, one)
    try:
        from paho.mqtt import client, packettypes, properties
    finally:
        for name in absent:
            del sys.modules[name]  # a later import gets the real one
        for name, _ in in_package:
            delattr(urllib, name)
    module: Any = client
    if getattr(module, "ssl", None) is None:
        module.ssl = _NoSsl
    return module, properties.Properties, packettypes.PacketTypes


def guarded(module: Any) -> Any:
    """A subclass of paho's client; set its `incoming` before it connects.

    paho gathers a packet of any length before it checks it (256 MB). `_sock_recv` is the read of
    1.6 and 2.x, above TLS. If another version reads elsewhere, `incoming.code` stays None.
    """

    class Client(module.Client):  # type: ignore[misc]
        incoming: Incoming

        def _sock_recv(self, bufsize: int) -> bytes:
            incoming = self.incoming
            while not incoming.ready:
                data: bytes = super()._sock_recv(READ)
                if not data:
                    return data
                incoming.feed(data)
            return incoming.take(bufsize)

        def obey_keepalive(self, seconds: int) -> None:
            """The broker's value counts (MQTT 5, 3.2.2.3.14); paho 1.6 ignores it."""
            self._keepalive = seconds

    return Client
