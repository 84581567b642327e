# SPDX-License-Identifier: Apache-2.0
"""Loading paho: what it imports and does not need here, and what it needs and may not have; and
a client that reads nothing but what report/incoming.py lets through."""

from __future__ import annotations

import sys
from types import ModuleType

from algwatch.report.incoming import READ, Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REQUEST = "urllib.request"


class _NoSsl:
    """paho evaluates `except ssl.SSLWantReadError` whenever a socket would block, and in a Python
    without ssl its network code dies of that. These names keep it alive."""

    class SSLWantReadError(Exception):
        pass

    class SSLWantWriteError(Exception):
        pass

    class SSLSocket:
        pass


class _NoProxies(ModuleType):
    """Stands in for urllib.request while paho is imported. paho asks it for one thing, the proxy
    in the environment (for PySocks), and it brings http and email along: 2.4 MB of memory."""

    @staticmethod
    def proxy_bypass(host: str) -> bool:
        return True

    @staticmethod
    def getproxies() -> dict[str, str]:
        return {}


def load() -> tuple[Any, Any, Any]:
    """(paho.mqtt.client, Properties, PacketTypes); untyped, as 1.6 and 2.x differ."""
    absent = "paho.mqtt.client" not in sys.modules and _REQUEST not in sys.modules
    if absent:
        import urllib

        sys.modules[_REQUEST] = _NoProxies(_REQUEST)
        # `from urllib import request` looks at the package before it looks at sys.modules.
        setattr(urllib, "request", sys.modules[_REQUEST])  # noqa: B010
    try:
        from paho.mqtt import client, packettypes, properties
    finally:
        if absent:
            # A later import gets the real one.
            del sys.modules[_REQUEST]
            delattr(urllib, "request")
    module: Any = client
    if getattr(module, "ssl", None) is None:
        module.ssl = _NoSsl
    return module, properties.Properties, packettypes.PacketTypes


def guarded(module: Any) -> Any:
    """A subclass of paho's client whose `incoming` is to be set before it connects.

    paho gathers a packet of any length before it looks at it (256 MB). `_sock_recv` is where 1.6
    and 2.x read, above TLS; should another version read elsewhere, `incoming.code` stays None.
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
            """The broker's word counts (MQTT 5, 3.2.2.3.14); paho 1.6 does not hear it."""
            self._keepalive = seconds

    return Client
