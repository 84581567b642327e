# SPDX-License-Identifier: Apache-2.0
"""`algwatch watch`: calls of a router on which nothing is installed but tcpdump, over ssh."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from algwatch.base.packet import LAN, WAN
from algwatch.capture.interfaces import sides_of
from algwatch.cli import Usage, complain
from algwatch.cli.live import Feed, watched
from algwatch.cli.reading import PORTS, ports_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

LOOK = "cat /proc/net/route; echo; cat /proc/net/dev; echo; command -v tcpdump || echo none"
_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,15}")  # of an interface; the router tells it
DEFAULT = "00000000"  # destination of the default route in /proc/net/route
PATIENCE = 30  # s for the first answer


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="watch the calls of a router over ssh",
        description="Runs tcpdump on both sides of a router over ssh, and tells each call as it "
        "ends; the report comes on Ctrl-C. Nothing is installed on the router but tcpdump, and "
        "nothing is written there.",
        epilog="Exit status as of analyze. An example: algwatch watch root@192.168.1.1",
    )
    parser.add_argument("router", metavar="[USER@]HOST", help="as ssh takes it")
    for side in "lan", "wan":
        parser.add_argument(
            f"--{side}-if", metavar="NAME",
            help=f"its {side.upper()} interface, where its name does not tell",
        )  # fmt: skip
    parser.add_argument(
        "--ports", default=",".join(map(str, PORTS)), metavar="N,N",
        help="ports of SIP, default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--ssh", default="ssh", metavar="COMMAND",
        help="with its options, such as 'ssh -p 2222 -i key'; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--ndjson", action="store_true", help="print JSON objects, one a line")


def main(args: argparse.Namespace) -> int:
    if args.router.startswith("-"):
        raise Usage(f"{args.router}: not the name of a router")
    with tempfile.TemporaryDirectory(prefix="algwatch-") as folder:
        ssh = _Ssh(args.ssh, args.router, Path(folder) / "ssh")
        try:
            sides = _interfaces(ssh.said(LOOK), args.lan_if, args.wan_if)
            complain(f"LAN {sides[LAN]}, WAN {sides[WAN]} of {args.router}; Ctrl-C ends it")
            ports = ports_of(args.ports)
            feeds = [
                Feed(f"{args.router}:{name}", ssh.command(tcpdump(name, ports)), side)
                for side, name in sides.items()
            ]
            return watched(feeds, args)
        finally:
            ssh.close()


class _Ssh:
    """One connection that all commands share, so that a password is asked for once."""

    def __init__(self, command: str, router: str, socket: Path) -> None:
        self._words = shlex.split(command)
        if not self._words:
            raise Usage("--ssh: no command")
        self._router = router
        self._shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={socket}",
                        "-o", "ControlPersist=60"]  # fmt: skip

    def command(self, remote: str) -> list[str]:
        return [*self._words, *self._shared, "--", self._router, remote]

    def said(self, remote: str) -> str:
        try:
            done = subprocess.run(self.command(remote), stdout=subprocess.PIPE, check=False,
                                  timeout=PATIENCE, stdin=None)  # fmt: skip
        except OSError as error:
            raise Usage(f"{self._words[0]}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Usage(f"{self._router} did not answer within {PATIENCE} s") from None
        if done.returncode:
            raise Usage(f"{self._router}: ssh ended with status {done.returncode}")
        return done.stdout.decode("utf-8", "replace")

    def close(self) -> None:
        words = [*self._words, *self._shared, "-O", "exit", "--", self._router]
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(words, check=False, capture_output=True, timeout=5)


def _interfaces(said: str, lan: str | None, wan: str | None) -> dict[int, str]:
    """The interfaces of both sides, by what the router says: its routes, the names of its
    interfaces, and where tcpdump is. Usage."""
    routes, names, tcpdump_at = [*said.split("\n\n", 2), "", ""][:3]
    if tcpdump_at.strip() in ("", "none"):
        raise Usage(
            "the router has no tcpdump: on OpenWrt type opkg update; opkg install tcpdump-mini "
            "(or apk add tcpdump-mini), and take it off afterwards"
        )
    listed = [line.rpartition(":")[0].strip() for line in names.splitlines() if ":" in line]
    there = [name for name in listed if _NAME.fullmatch(name) and name != "lo"]
    ways = [line.split() for line in routes.splitlines()[1:]]
    out = [way[0] for way in ways if len(way) > 7 and way[1] == way[7] == DEFAULT]
    inside = [way[0] for way in ways if len(way) > 7 and way[1] != DEFAULT and way[0] not in out]
    by_name = sides_of(there) or {}
    named = {side: [one for one in there if by_name.get(one) == side] for side in (LAN, WAN)}
    # A bridge is what phones are behind; its ports would show every packet once more.
    bridges = [one for one in named[LAN] if one.startswith("br")]
    near = [one for one in inside if one in bridges] + bridges + named[LAN] + inside
    found = {LAN: lan or next(iter(near), ""), WAN: wan or next(iter(out + named[WAN]), "")}
    for side, word in ((LAN, "lan"), (WAN, "wan")):
        if not _NAME.fullmatch(found[side]) or found[side] not in there:
            shown = ", ".join(there[:20])
            raise Usage(
                f"which is its {word.upper()} interface? --{word}-if NAME; there are: {shown}"
            )
    if found[LAN] == found[WAN]:
        raise Usage(f"{found[LAN]} cannot be both sides; --lan-if and --wan-if name them")
    return found


def tcpdump(interface: str, ports: list[int]) -> str:
    """The command line on the router; later fragments have no ports (RFC 791 section 3.2)."""
    some = " or ".join(f"port {port}" for port in ports)
    wanted = f"{some} or ip[6:2] & 0x1fff != 0 or ip6 proto 44"
    run = f"tcpdump -i {shlex.quote(interface)} -U -n -s 0 -w - {shlex.quote(wanted)}"
    # It ends with its standard input, because it would not learn otherwise that nobody listens:
    # it writes only when a packet comes.
    return (
        f"exec 3<&0; {run} 3<&- & p=$!; "
        "{ cat <&3; kill $p; } >/dev/null 2>&1 & exec 3<&-; wait $p"
    )
