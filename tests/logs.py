# SPDX-License-Identifier: Apache-2.0
"""Logs as the programs write them that are named in capture/text/: the same messages in each form.

A message is (ns since 1970, source, destination, payload); ends are (host, port).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from algwatch.base import address
from craft import NS, Packet

Ends = tuple[str, int]
Told = tuple[int, Ends, Ends, bytes]
DASHES = "-" * 72


def messages(packets: Sequence[Packet]) -> list[Told]:
    """Of frames that craft.frame has made (IPv4, UDP)."""
    found = []
    for at, data in packets:
        ports = int.from_bytes(data[34:36]), int.from_bytes(data[36:38])
        hosts = address.text(data[26:30], 4), address.text(data[30:34], 4)
        found.append((at, (hosts[0], ports[0]), (hosts[1], ports[1]), data[42:]))
    return found


def lines_of(payload: bytes) -> str:
    return payload.decode().replace("\r\n", "\n")


def when(at: int, form: str) -> str:
    """form: of strftime; %f are microseconds."""
    return datetime.fromtimestamp(at / NS, UTC).strftime(form)


def pjsip(told: Sequence[Told], own: str) -> str:
    out = "Asterisk 20.5.0 built by nobody @ nowhere\nlab*CLI> pjsip set logger on\n"
    for at, src, dst, payload in told:
        what = "response" if payload.startswith(b"SIP/2.0") else "request"
        stamp = when(at, "[%Y-%m-%d %H:%M:%S.%f] VERBOSE[71] res_pjsip_logger.c: ")
        if src[0] == own:
            out += f"{stamp}<--- Transmitting SIP {what} ({len(payload)} bytes) to UDP:"
            out += f"{dst[0]}:{dst[1]} --->\n"
        else:
            out += f"{stamp}<--- Received SIP {what} ({len(payload)} bytes) from UDP:"
            out += f"{src[0]}:{src[1]} --->\n"
        out += lines_of(payload) + "\n"
        out += when(at, "[%Y-%m-%d %H:%M:%S.%f] DEBUG[71] res_pjsip.c: Nothing to see\n")
    return out


def chan_sip(told: Sequence[Told], own: str) -> str:
    out = ""
    for at, src, dst, payload in told:
        stamp = when(at, "[%b %e %H:%M:%S.%f] VERBOSE[71] chan_sip.c: ")
        if src[0] != own:
            out += f"{stamp}\n<--- SIP read from UDP:{src[0]}:{src[1]} --->\n{lines_of(payload)}"
            out += "<------------->\n--- (11 headers 0 lines) ---\n"
        elif payload.startswith(b"SIP/2.0"):
            out += f"{stamp}\n<--- Reliably Transmitting (NAT) to {dst[0]}:{dst[1]} --->\n"
            out += f"{lines_of(payload)}\n<------------>\n"
        else:
            out += f"{stamp}Transmitting (no NAT) to {dst[0]}:{dst[1]}:\n{lines_of(payload)}\n---\n"
    return out


def freeswitch(told: Sequence[Told], own: str) -> str:
    out = ""
    for at, src, dst, payload in told:
        way, peer = ("send", dst) if src[0] == own else ("recv", src)
        word = "to" if way == "send" else "from"
        out += when(at, "\x1b[m%Y-%m-%d %H:%M:%S.%f [DEBUG] switch_core.c:1 one\x1b[0m\n")
        out += f"{way} {len(payload)} bytes {word} udp/[{peer[0]}]:{peer[1]} at "
        out += f"{when(at, '%H:%M:%S.%f')}:\n   {DASHES}\n"
        out += "".join(f"   {line}\n" for line in lines_of(payload).split("\n"))
        out += f"   {DASHES}\n"
    return out


def sipdump(told: Sequence[Told], own: str) -> str:
    out = ""
    for at, src, dst, payload in told:
        tag = "snd" if src[0] == own else "rcv"
        out += f"{'=' * 20}\ntag: {tag}\npid: 7\nprocess: 1\ntime: {at // NS}."
        out += f"{at % NS // 1000:06}\ndate: {when(at, '%a %b %d %H:%M:%S %Y')}\nproto: udp ipv4\n"
        out += f"srcip: {src[0]}\nsrcport: {src[1]}\ndstip: {dst[0]}\ndstport: {dst[1]}\n"
        out += f"{'~' * 20}\n{lines_of(payload)}{'|' * 20}\n"
    return out


def sngrep(told: Sequence[Told], own: str) -> str:
    """Call by call, not in order of time."""
    ids = {payload: payload.split(b"Call-ID: ")[1].split(b"\r\n")[0] for *_, payload in told}
    out = ""
    for at, src, dst, payload in sorted(told, key=lambda one: ids[one[3]]):
        stamp = when(at, "%Y/%m/%d %H:%M:%S.%f")
        out += f"{stamp} {src[0]}:{src[1]} -> {dst[0]}:{dst[1]}\n{payload.decode()}\n\n"
    return out


def ngrep(told: Sequence[Told], own: str) -> str:
    out = "interface: any\nfilter: ( port 5060 )\n"
    for number, (at, src, dst, payload) in enumerate(told, 1):
        stamp = when(at, "%Y/%m/%d %H:%M:%S.%f")
        out += f"#\nU {stamp} {src[0]}:{src[1]} -> {dst[0]}:{dst[1]} #{number}\n"
        out += lines_of(payload).replace("\n", ".\n") + "\n"
    return out


def syslog(told: Sequence[Told], own: str) -> str:
    """xlog() of kamailio and OpenSIPS through rsyslog, which writes line ends as #015#012."""
    out = ""
    for at, src, dst, payload in told:
        text = payload.decode().replace("\r\n", "#015#012")
        out += when(at, "%Y-%m-%dT%H:%M:%S.%f+00:00 proxy /usr/sbin/opensips[9]: ")
        out += f"UDP {src[0]}:{src[1]} -> {dst[0]}:{dst[1]} {text}\n"
    return out


def wireshark(told: Sequence[Told], own: str) -> str:
    out = ""
    for number, (at, src, dst, payload) in enumerate(told, 1):
        head, _, body = payload.decode().partition("\r\n\r\n")
        start, *headers = head.split("\r\n")
        kind = "Status" if start.startswith("SIP") else "Request"
        out += f"Frame {number}: {len(payload) + 42} bytes on wire\n"
        out += when(at, "    Arrival Time: %b %e, %Y %H:%M:%S.%f000 UTC\n")
        out += f"    Epoch Time: {at // NS}.{at % NS:09} seconds\n"
        out += "Ethernet II, Src: 02:00:00:00:00:0a, Dst: 02:00:00:00:00:02\n"
        out += f"Internet Protocol Version 4, Src: {src[0]}, Dst: {dst[0]}\n    Time to Live: 64\n"
        out += f"User Datagram Protocol, Src Port: {src[1]}, Dst Port: {dst[1]}\n    Length: 1\n"
        out += f"Session Initiation Protocol ({start.split(' ')[0]})\n    {kind}-Line: {start}\n"
        out += "        Method: X\n    Message Header\n"
        for header in headers:
            out += f"        {header}\n            Part: of it\n"
        if body:
            out += "    Message Body\n        Session Description Protocol\n"
            for line in body.split("\r\n")[:-1]:
                out += f"            Some Name ({line[0]}): {line[2:]}\n"
                out += "                Part: of it\n"
        out += "\n"
    return out


def bare(told: Sequence[Told], own: str) -> str:
    """Nothing but times."""
    out = ""
    for at, _, _, payload in told:
        out += when(at, "%Y-%m-%d %H:%M:%S.%f\n") + lines_of(payload) + "\n"
    return out


FORMS: dict[str, Callable[[Sequence[Told], str], str]] = {
    form.__name__: form
    for form in (pjsip, chan_sip, freeswitch, sipdump, sngrep, ngrep, syslog, wireshark, bare)
}
