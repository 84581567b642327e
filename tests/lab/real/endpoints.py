# SPDX-License-Identifier: Apache-2.0
"""Kamailio, SippCaller, SippCallee, Baresip: started in the lab's namespaces, told what to do, and
ended with the run. Watch: what arrives at and leaves the provider, which is all that they tell.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from lab.loop import Loop
from lab.namespace import Namespace
from lab.network import Network
from lab.sip import Message
from lab.wire import Packet

HERE = Path(__file__).resolve().parent
PROGRAMS = {"kamailio": "kamailio", "sipp": "sip-tester", "baresip": "baresip-core"}
HANG_UP = """<pause/>
  <send retrans="500"><![CDATA[

BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
Max-Forwards: 70
From: <sip:@peer@@[remote_ip]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
  <recv response="200" timeout="5000"/>"""
WAIT = """<recv request="BYE" timeout="45000"/>
  <send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>"""


def need() -> None:
    """Raises RuntimeError when a program is missing: the other scenarios do without."""
    missing = [p for name, p in PROGRAMS.items() if not shutil.which(name)]
    if missing:
        raise RuntimeError(f"real endpoints need: apt-get install {' '.join(missing)}")


class Real:
    """All processes of one run; `with` ends them. messages: the SIP that the provider's network
    card carried, with the packets; filled by the loop.
    """

    def __init__(self, loop: Loop, net: Network) -> None:
        need()
        self.loop = loop
        self.net = net
        self.draw = net.draw
        self.log: list[str] = []  # what the programs print
        self.packets: list[Packet] = []
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)
        self._children: list[subprocess.Popen[str]] = []
        self.inside: list[Packet] = []  # the SIP of br-lan, where tap() was asked for it
        self.tap(net.provider, "eth0", self.packets)

    def tap(self, where: Namespace, device: str, into: list[Packet]) -> None:
        def see(data: bytes, source: object) -> None:
            if data[:1] == b"\x45":
                packet = Packet(time.time(), data)
                if packet.sip:
                    into.append(packet)

        with where:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        tap.bind((device, 3))
        tap.setblocking(False)
        self.loop.listen(tap, see)

    def __enter__(self) -> Real:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for child in reversed(self._children):
            child.terminate()
        for child in reversed(self._children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(2)
            if child.poll() is None:
                child.kill()
                child.wait()
        self._folder.cleanup()

    def start(self, where: Namespace, *argv: str) -> subprocess.Popen[str]:
        child = where.start(argv, {"HOME": str(self.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self._children.append(child)
        threading.Thread(target=self._drain, args=(child,), daemon=True).start()
        return child

    def _drain(self, child: subprocess.Popen[str]) -> None:
        """A full pipe must not stop them."""
        assert child.stdout is not None
        for line in child.stdout:
            self.log.append(line.rstrip())

    def _bound(self, where: Namespace, host: str, port: int) -> None:
        """Until a program that was started has its socket there; a busy machine takes long."""
        there = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
        end = time.monotonic() + 15
        while True:
            with where:
                bound = there in Path("/proc/thread-self/net/udp").read_text()
            if bound:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"nothing listens at {host}:{port}")
            self.loop.sleep(0.05)

    # What the wire tells ---------------------------------------------------------------

    def saw(self, method: str, status: int = 0, call_id: str = "") -> list[Message]:
        return [
            p.sip for p in self.packets
            if p.sip and p.sip.method == method and p.sip.status == status
            and (not call_id or p.sip.get("Call-ID") == call_id)
        ]  # fmt: skip

    def until(self, method: str, status: int = 0, wait: float = 10, call_id: str = "") -> Message:
        what = f"{method} {status or ''} on the provider's side"
        self.loop.until(lambda: bool(self.saw(method, status, call_id)), wait, what)
        return self.saw(method, status, call_id)[0]

    def call_ids(self, method: str) -> list[str]:
        return list(dict.fromkeys(m.get("Call-ID") for m in self.saw(method)))

    # Programs --------------------------------------------------------------------------

    def kamailio(
        self,
        fix: str = "endpoints",
        record: bool = True,
        ping: int = 0,
        host: str = "",
        to: str = "",
        callee: int = 5062,
    ) -> None:
        """fix: whose Contact it fixes in replies: endpoints, every or nobody. record: it stays in
        the path. ping: seconds between two OPTIONS to each phone. host: its address. to: where
        calls for others than the phone go, "host:port".
        """
        host = host or self.draw.provider_ip
        to = to or f"{self.draw.caller_ip}:{callee}"
        route = (
            f'if ($rU == "{self.draw.user}") {{ if (!lookup("location")) {{ '
            f'sl_send_reply("404", "Not here"); exit; }} }} else {{ $du = "sip:{to}"; }}'
        )
        # Only what comes from the customers' side of the network is an endpoint.
        fixes = {
            "endpoints": f'if ($si == "{self.draw.wan_ip}" && nat_uac_test("1")) '
            "fix_nated_contact();",
            "every": "fix_nated_contact();",
            "nobody": "exit;",
        }
        words = {
            "provider": self.draw.provider_ip, "listen": f"{host}:5060", "own": host,
            "own_port": "5060", "ping": str(ping), "record": "record_route();" if record else "",
            "route": route, "fix": fixes[fix],
        }  # fmt: skip
        text = (HERE / "kamailio.cfg").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        path = self.path / f"kamailio-{host}.cfg"
        path.write_text(text)
        run = self.path / f"run-{host}"
        run.mkdir()
        self.start(
            self.net.provider, "kamailio", "-f", str(path), "-DD", "-m", "16", "-M", "4",
            "-Y", str(run), "-P", str(run / "pid"),
        )  # fmt: skip
        self._bound(self.net.provider, host, 5060)

    def _sipp(self, name: str, end: str, port: int, *more: str) -> None:
        text = (HERE / f"{name}.xml").read_text().replace("@end@", end)
        path = self.path / f"{name}.xml"
        path.write_text(text.replace("@peer@@", f"{self.draw.peer}@").replace("@peer@", ""))
        draw = self.draw
        self.start(
            self.net.provider, "sipp", "-sf", str(path), "-i", draw.caller_ip, "-p", str(port),
            "-rtp_echo", "-mi", draw.media_ip, "-mp", str(draw.media_port), "-m", "1", "-nostdin",
            "-max_invite_retrans", "11", "-max_non_invite_retrans", "11", *more,
        )  # fmt: skip

    def caller(self, hangs_up: bool = True) -> None:
        """Calls the phone, once."""
        self._sipp(
            "caller", HANG_UP if hangs_up else WAIT, self.draw.caller_port,
            "-s", self.draw.user, "-d", str(int(1000 * self.draw.talk)),
            f"{self.draw.provider_ip}:5060",
        )  # fmt: skip

    def callee(self, port: int = 5062) -> None:
        """Answers one call."""
        self._sipp("callee", "", port)
        self._bound(self.net.provider, self.draw.caller_ip, port)

    def baresip(self, calls: bool = False, pbx: bool = False) -> None:
        """The phone: registers, and answers every call at once. calls: the caller instead, in the
        Internet, with kamailio as its outbound proxy. pbx: it calls through the one on the router
        and registers nowhere.
        """
        draw = self.draw
        where, host, port, user, regint, control, more = (
            (self.net.provider, draw.caller_ip, draw.caller_port, draw.peer, 0, 4445,
             f';outbound="sip:{draw.provider_ip}:5060"')
            if calls else
            (self.net.phone, draw.phone_ip, draw.phone_port, draw.user, 0, 4444,
             f';outbound="sip:{draw.wan_ip}:5060"')
            if pbx else
            (self.net.phone, draw.phone_ip, draw.phone_port, draw.user, draw.expires, 4444, "")
        )  # fmt: skip
        self._configured(
            where, host, port, control, "",
            f"<sip:{user}@{draw.provider_ip}>;auth_pass=none;regint={regint};answermode=auto{more}\n",
        )  # fmt: skip
        if not calls:
            self.phone = self._children[-1]

    def pbx(self) -> None:
        """A B2BUA on the router (baresip's module of that name). It is registered at kamailio from
        the WAN address, and answers each call by a call of its own to whom it was for."""
        draw = self.draw
        tail = f"auth_pass=none;regint={draw.expires};b2bua=outbound\n"
        self._configured(
            self.net.router, draw.wan_ip, 5060, 4446, "module_app b2bua.so\n",
            f"<sip:pbx@{draw.wan_ip}>;auth_pass=none;regint=0;b2bua=inbound\n"
            f"<sip:{draw.other_user}@{draw.provider_ip}>;{tail}",
        )  # fmt: skip

    def _configured(
        self, where: Namespace, host: str, port: int, control: int, modules: str, accounts: str
    ) -> None:
        """baresip with a folder of its own, once it has its port."""
        draw = self.draw
        folder = self.path / f"baresip-{host}"
        folder.mkdir()
        (folder / "config").write_text(
            f"poll_method epoll\nsip_listen {host}:{port}\n"
            "call_local_timeout 120\naudio_source aubridge,none\naudio_player aubridge,none\n"
            "audio_alert aubridge,none\n"
            f"rtp_ports {draw.rtp_port}-{draw.rtp_port + 20}\n"
            "module_path /usr/lib/baresip/modules\nmodule g711.so\n"
            "module aubridge.so\nmodule_tmp uuid.so\nmodule_tmp account.so\n"
            f"module_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n"
            + modules
        )
        (folder / "accounts").write_text(accounts)
        (folder / "contacts").write_text("")
        self.start(where, "baresip", "-f", str(folder))
        self._bound(where, host, port)

    def tell(self, command: str, text: str = "", caller: bool = False) -> None:
        """A command of baresip's menu."""
        body = json.dumps({"command": command, "params": text, "token": "lab"})
        where, port = (self.net.provider, 4445) if caller else (self.net.phone, 4444)
        with where, socket.create_connection(("127.0.0.1", port), 3) as sock:
            sock.sendall(f"{len(body)}:{body},".encode())
            time.sleep(0.1)
