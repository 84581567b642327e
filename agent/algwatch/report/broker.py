# SPDX-License-Identifier: Apache-2.0
"""The broker, and our credentials for it: a URL and a few settings."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

HANDSHAKE = 20.0  # seconds for a TLS handshake
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,262}", re.A)  # a name or an address, with a port
PORTS = {"mqtt": 1883, "mqtts": 8883}
_PORT = re.compile(r"[0-9]{1,5}", re.A)
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


class BrokerError(ValueError):
    """The settings cannot work; the text is one line and names the remedy."""


class Broker:
    """url: mqtt://[user[:password]@]host[:port] or mqtts://...; a user and a password given
    separately win over the URL. ca, cert, key: paths of PEM files, "" for the system's and none.
    name: the name in the broker's certificate, "" for the host's. A server named by this broker
    needs a certificate for its own name."""

    __slots__ = ("ca", "cert", "host", "key", "name", "password", "port", "tls", "user")

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        ca: str = "",
        cert: str = "",
        key: str = "",
        name: str = "",
    ) -> None:
        scheme, login, self.host, port, rest = _parts(url)
        if port and not (_PORT.fullmatch(port) and int(port) <= 65535):
            # The text may hold a misplaced password.
            raise BrokerError(
                "the port in the broker's URL is not a number from 0 to 65535: it must look like "
                "mqtt://HOST:1883 or mqtt://USER:PASSWORD@HOST:1883"
            )
        if scheme not in PORTS or not self.host:
            raise BrokerError("the broker's URL must look like mqtt://HOST:1883 or mqtts://HOST")
        if rest not in ("", "/"):
            raise BrokerError("the broker's URL ends after the port: topics are not configurable")
        self.port = int(port or 0) or PORTS[scheme]
        self.tls = scheme == "mqtts"
        given, _, word = login.partition(":")
        self.user = user or _unescaped(given)
        self.password = password or _unescaped(word)
        self.ca, self.cert, self.key, self.name = ca, cert, key, name
        if self.password and not self.user:
            raise BrokerError("a password for the broker was given, but no user name")
        if (ca or cert or key) and not self.tls:
            raise BrokerError("certificates were given, but the broker's URL is not mqtts://")
        if name and not self.tls:
            raise BrokerError("mqtt_name was given, but the broker's URL is not mqtts://")
        if key and not cert:
            raise BrokerError("mqtt_key was given without mqtt_cert")

    @property
    def address(self) -> str | bytes:
        """The host for the socket and for TLS: bytes if it is ASCII, which keep Python from loading
        its IDNA codec (0.6 MB)."""
        return self.host.encode() if self.host.isascii() else self.host

    def __str__(self) -> str:
        """The URL without user and password: it is printed and logged."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def elsewhere(self, reference: str) -> Broker:
        """The first server of a Server Reference (MQTT 5 section 4.13), with our credentials; TLS
        if this broker has it. BrokerError."""
        named = (reference.split() or [""])[0]
        # The name is printed, and goes into a URL.
        if not _HOST.fullmatch(named):
            raise BrokerError("no server is named that can be one")
        scheme = "mqtts" if self.tls else "mqtt"
        return Broker(f"{scheme}://{named}", self.user, self.password, self.ca, self.cert, self.key)

    def context(self) -> ssl.SSLContext | None:
        """The TLS settings, None without TLS. BrokerError names the unusable file."""
        if not self.tls:
            return None
        try:
            import ssl
        except ImportError:
            raise BrokerError(
                "this Python has no ssl module, which mqtts:// needs: install python3-openssl"
            ) from None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.ca:
                # Python 3.13 refuses a CA without a key usage, as `openssl req -x509` makes it:
                # with such a one an upgraded router would never report again.
                context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.sslsocket_class = _impatient(ssl.SSLSocket)
            if self.name:
                _pin(context, self.address, self.name)
        except (OSError, ValueError) as problem:
            raise BrokerError(f"mqtt_ca {self.ca}: {_why(problem)}") from None
        if self.cert:
            try:
                context.load_cert_chain(self.cert, self.key or None, password=lambda: b"")
            except (OSError, ValueError) as problem:
                where = f"mqtt_cert {self.cert}" + (f", mqtt_key {self.key}" if self.key else "")
                raise BrokerError(f"{where}: {_why(problem)}") from None
        return context


def _pin(context: ssl.SSLContext, host: str | bytes, name: str) -> None:
    """Connections to `host` ask for the certificate of `name`; those to another server, named by
    the broker, for its own."""
    wrap = context.wrap_socket

    def wrap_socket(sock: Any, *words: Any, **more: Any) -> Any:
        if more.get("server_hostname") == host:
            more["server_hostname"] = name.encode() if name.isascii() else name
        return wrap(sock, *words, **more)

    setattr(context, "wrap_socket", wrap_socket)  # noqa: B010  # as mypy wants it


def _parts(url: str) -> tuple[str, str, str, str, str]:
    """Scheme, login, host, port and what follows (RFC 3986 section 3). Not urllib.parse: it brings
    1 MB of modules along. BrokerError."""
    scheme, _, rest = url.partition("://")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    login, _, place = rest[:end].rpartition("@")
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        if ":" not in host or port[:1] not in ("", ":"):
            raise BrokerError("the broker's URL is wrong: an IPv6 address stands alone in [ ]")
        port = port[1:]
    else:
        host, _, port = place.partition(":")
    return scheme.lower(), login, host.lower(), port, rest[end:]


def _unescaped(text: str) -> str:
    """RFC 3986 section 2.1."""
    raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def _impatient(socket: type[ssl.SSLSocket]) -> type[ssl.SSLSocket]:
    """paho allows a handshake the time of the keep-alive: up to an hour for a mute broker."""

    class Socket(socket):  # type: ignore[valid-type, misc]
        def do_handshake(self, block: bool = False) -> None:
            self.settimeout(HANDSHAKE)  # for all of it; paho sets another timeout afterwards
            super().do_handshake(block)

    return Socket


def _why(problem: Exception) -> str:
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return str(text)
