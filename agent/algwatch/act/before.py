# SPDX-License-Identifier: Apache-2.0
"""Before the change: what would break, in plain words."""

from __future__ import annotations

from sys import byteorder

from algwatch.act import live
from algwatch.act.daemons import Evidence
from algwatch.act.router import Failed, Router
from algwatch.kernel.flows import Flow, Flows


def objections(said: Evidence, entries: list[Flow], timeouts: live.Timeouts,
               only: str) -> list[str]:  # fmt: skip
    """Why this change may break a phone, in sentences; none speaks against it if there is none.
    only: address of a phone for a trial, which may be made without evidence: it is what finds
    out."""
    found = [f"A line here needs the SIP ALG: {why}" for why in said.needed]
    for phone, idle in sorted(live.silent(entries, timeouts).items()):
        if only in ("", phone):
            found.append(
                f"{phone} was silent for {idle} s. With the helper its NAT mapping lives "
                f"{timeouts.helped} s, without it {timeouts.stream} s: the phone would not ring "
                "any more. Turn on a keep-alive of less than that on the phone first."
            )
    if not only and said.advised == "none" and not said.needed:
        found.append(
            "The running algwatch does not advise to turn the SIP ALG off: on many lines it is "
            "what makes the phone work."
            if said.known
            else "No running algwatch says that the SIP ALG does harm: on many lines it is what "
            "makes the phone work. Run `algwatch run` first, or try one phone with --only."
        )
    return found


def refusals(router: Router) -> list[str]:
    """Why this router cannot be changed at all."""
    found = []
    if not router.has("nft") and not router.has("iptables"):
        found.append("neither nft nor iptables is here")
    try:
        with Flows() as flows:
            flows.helped()
    except OSError as problem:
        found.append(f"connection tracking cannot be read by netlink ({problem.strerror}): on "
                     "OpenWrt install kmod-nf-conntrack-netlink")  # fmt: skip
    return found


def interfaces(router: Router, phones: list[str]) -> tuple[list[str], list[str]]:
    """(LAN, WAN): the devices of the routes to these phones and of the default routes, IPv4
    (/proc/net/route)."""
    try:
        rows = [line.split() for line in (router.read("proc/net/route") or b"").splitlines()[1:]]
    except Failed:
        return [], []
    wan: list[str] = []
    best: dict[str, tuple[int, str]] = {}
    for row in rows:
        if len(row) < 8 or int(row[3], 16) & 1 == 0:
            continue
        name, target, mask = row[0].decode(), _number(row[1]), _number(row[7])
        if mask == 0 and name not in wan:
            wan.append(name)
        for phone in phones:
            parts = phone.split(".")
            if len(parts) == 4 and mask:
                value = int.from_bytes(bytes(map(int, parts)), "big")
                if value & mask == target and mask > best.get(phone, (0, ""))[0]:
                    best[phone] = mask, name
    return sorted({name for _, name in best.values()} - set(wan)), wan


def _number(text: bytes) -> int:
    """An address as the kernel prints it: hexadecimal, in the byte order of this machine."""
    return int.from_bytes(int(text, 16).to_bytes(4, byteorder), "big")
