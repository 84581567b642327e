# SPDX-License-Identifier: Apache-2.0
"""A corpus for the scanners: 2,000 SIP messages, no two alike, as phones and proxies write them.

`python tests/bench/make_corpus.py FILE` writes records of u32le length and bytes. Every run
writes the same. In it: requests and responses of eleven methods, 1 to 4 Vias (also in one line),
compact and folded headers, odd blanks, IPv6, quoted display names with escapes, route sets,
credentials, session descriptions of 1 or 2 media.
"""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path

MESSAGES = 2000
METHODS = (("INVITE", 26), ("ACK", 9), ("BYE", 8), ("CANCEL", 3), ("REGISTER", 22), ("OPTIONS", 10),
           ("SUBSCRIBE", 6), ("NOTIFY", 6), ("INFO", 4), ("UPDATE", 3), ("PRACK", 3))  # fmt: skip
STATUS = ("100 Trying", "180 Ringing", "183 Session Progress", "200 OK", "200 OK", "200 OK",
          "401 Unauthorized", "404 Not Found", "407 Proxy Authentication Required",
          "486 Busy Here", "487 Request Terminated", "503 Service Unavailable")  # fmt: skip
DOMAINS = ("sip.example.com", "voip.example.net", "pbx.office.example.org", "tel.example.de",
           "ims.mnc001.mcc262.3gppnetwork.org")  # fmt: skip
NAMES = ("Alice", '"Carol \\"CJ\\" Jones"', '"Müller, Jörg"', '"Reception Desk 1"', "", "", "")
AGENTS = ("Yealink SIP-T46S 66.84.0.15", "Grandstream HT802 1.0.17.5", "snomD785/10.1.54.13",
          "Linphone/5.2.1 (belle-sip/5.3.6)", "Asterisk PBX 18.10.0", "FRITZ!OS",
          "FreeSWITCH-mod_sofia/1.10.9-release~64bit", "baresip v3.6.0 (x86_64/Linux)")  # fmt: skip
ALLOW = ("INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE",
         "INVITE,ACK,OPTIONS,CANCEL,BYE,UPDATE,PRACK,INFO,SUBSCRIBE,NOTIFY,REFER")  # fmt: skip
COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Supported": "k",
           "Content-Length": "l", "Content-Type": "c"}  # fmt: skip
CODECS = ((0, "PCMU/8000"), (8, "PCMA/8000"), (9, "G722/8000"), (18, "G729/8000"),
          (97, "iLBC/8000"), (96, "opus/48000/2"), (3, "GSM/8000"))  # fmt: skip


class Maker:
    """Messages from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def hexes(self, count: int) -> str:
        return f"{self.rng.getrandbits(count * 4):0{count}x}"

    def address(self, private: bool) -> str:
        rng = self.rng
        if rng.random() < 0.06:
            return f"[2001:db8:{rng.randrange(1, 65535):x}::{rng.randrange(1, 65535):x}]"
        if private:
            return f"192.168.{rng.randrange(256)}.{rng.randrange(2, 254)}"
        return f"203.0.113.{rng.randrange(1, 254)}"

    def via(self, first: bool, answered: bool) -> str:
        rng = self.rng
        host = self.address(first) if first or rng.random() < 0.6 else rng.choice(DOMAINS)
        port = f":{rng.choice((5060, 5060, 5061, rng.randrange(1024, 65000)))}"
        text = f"SIP/2.0/{rng.choice(('UDP', 'UDP', 'UDP', 'TCP', 'TLS'))} {host}"
        text += port if rng.random() < 0.8 else ""
        parameters = [f"branch=z9hG4bK{self.hexes(rng.choice((8, 16, 32)))}"]
        if first and rng.random() < 0.8:
            parameters.append(f"rport={rng.randrange(1024, 65000)}" if answered else "rport")
        if answered and rng.random() < 0.6:
            parameters.append(f"received={self.address(False).strip('[]')}")
        rng.shuffle(parameters)
        return text + "".join(";" + one for one in parameters)

    def party(self, tag: bool) -> str:
        rng = self.rng
        name = rng.choice(NAMES)
        uri = f"sip:{self.user()}@{rng.choice(DOMAINS)}"
        text = f"{name} <{uri}>".strip() if name or rng.random() < 0.9 else uri
        return text + (f";tag={self.hexes(rng.choice((8, 10, 32)))}" if tag else "")

    def user(self) -> str:
        rng = self.rng
        return rng.choice((f"+49{rng.randrange(10**9, 10**10)}", f"{rng.randrange(100, 9999)}",
                           f"user{rng.randrange(999)}", "anna.meier"))  # fmt: skip

    def contact(self) -> str:
        rng = self.rng
        uri = f"sip:{self.user()}@{self.address(True)}:{rng.choice((5060, 5062, 30123))}"
        uri += rng.choice(("", "", ";transport=udp", ";ob", f";line={self.hexes(8)}"))
        return f"<{uri}>" + rng.choice(("", "", ";expires=3600", ';q=0.5;+sip.instance="<urn:x>"'))

    def route(self) -> str:
        rng = self.rng
        host = rng.choice((self.address(False), rng.choice(DOMAINS)))
        return f"<sip:{host};lr{rng.choice(('', '=on', ';ftag=' + self.hexes(8)))}>"

    def sdp(self) -> str:
        rng = self.rng
        host = self.address(rng.random() < 0.6).strip("[]")
        family = "IP6" if ":" in host else "IP4"
        lines = ["v=0", f"o=- {rng.getrandbits(30)} {rng.getrandbits(30)} IN {family} {host}",
                 "s=call", f"c=IN {family} {host}", "t=0 0"]  # fmt: skip
        for medium in ("audio", "video")[: 1 + (rng.random() < 0.12)]:
            some = rng.sample(CODECS, rng.randrange(1, 6))
            numbers = " ".join(str(number) for number, _ in some)
            lines.append(f"m={medium} {rng.randrange(10000, 60000, 2)} RTP/AVP {numbers} 101")
            lines += [f"a=rtpmap:{number} {name}" for number, name in some]
            lines += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20"]
            if rng.random() < 0.3:
                lines.append(f"a=rtcp:{rng.randrange(10001, 60000, 2)} IN {family} {host}")
            lines.append(rng.choice(("a=sendrecv", "a=sendrecv", "a=sendonly", "a=inactive")))
        return "\r\n".join(lines) + "\r\n"

    def message(self) -> bytes:
        rng = self.rng
        method = rng.choices([name for name, _ in METHODS], [weight for _, weight in METHODS])[0]
        answer = method != "ACK" and rng.random() < 0.45
        status = rng.choice(STATUS) if answer else ""
        target = f"sip:{self.user()}@{self.address(False)}:5060"
        start = f"SIP/2.0 {status}" if answer else f"{method} {target} SIP/2.0"
        hops = rng.choice((1, 1, 2, 2, 3, 4))
        vias = [self.via(n == hops - 1, answer) for n in range(hops)]
        if hops > 1 and rng.random() < 0.12:
            vias = [", ".join(vias)]
        headers = [("Via", via) for via in vias]
        if rng.random() < 0.4:
            name = "Record-Route" if answer or method == "INVITE" else "Route"
            routes = [self.route() for _ in range(rng.randrange(1, 4))]
            headers += [(name, r) for r in routes] if rng.random() < 0.7 else [
                (name, ",".join(routes))]  # fmt: skip
        in_dialog = method in ("ACK", "BYE", "INFO", "UPDATE", "PRACK", "NOTIFY")
        tagged = in_dialog or (answer and not status.startswith("100"))
        number = rng.choice((1, 2, 102, rng.randrange(1, 10**8)))
        headers += [("From", self.party(True)), ("To", self.party(tagged)),
                    ("Call-ID", f"{self.hexes(24)}@{self.address(True).strip('[]')}"),
                    ("CSeq", f"{number} {method}")]  # fmt: skip
        if not answer:
            headers.append(("Max-Forwards", "70"))
        if method in ("INVITE", "REGISTER", "SUBSCRIBE", "UPDATE"):
            headers += [("Contact", self.contact()) for _ in range(rng.choice((1, 1, 1, 1, 2)))]
        headers.append(("Server" if answer else "User-Agent", rng.choice(AGENTS)))
        if rng.random() < 0.7:
            headers.append(("Allow", rng.choice(ALLOW)))
        if rng.random() < 0.6:
            headers.append(("Supported", "replaces, timer, 100rel, path"))
        if method == "REGISTER" and rng.random() < 0.5:
            digest = f'Digest username="{self.user()}", realm="example.com", uri="{target}", '
            digest += f'nonce="{self.hexes(32)}", response="{self.hexes(32)}"'
            headers.append(("WWW-Authenticate" if answer else "Authorization", digest))
        body = ""
        if method in ("INVITE", "UPDATE") and (not answer or (status[0] in "12" and tagged)):
            body = self.sdp()
            headers.append(("Content-Type", "application/sdp"))
        headers.append(("Content-Length", str(len(body.encode()))))
        return self._written(start, headers, body)

    def _written(self, start: str, headers: list[tuple[str, str]], body: str) -> bytes:
        rng = self.rng
        compact, folded = rng.random() < 0.08, rng.random() < 0.05
        out = [start]
        for name, value in headers:
            name = COMPACT.get(name, name) if compact else name
            if rng.random() < 0.01:
                name = rng.choice((name.lower(), name.upper()))
            at = value.rfind(";")
            if folded and at > 0 and not value.count('"') and value.rfind(">") < at:
                value = value[:at] + "\r\n " + value[at:]
            out.append(name + rng.choices((": ", ":", " : "), (96, 2, 1))[0] + value)
        return ("\r\n".join(out) + "\r\n\r\n" + body).encode()


def write(path: Path) -> int:
    maker = Maker(4475)
    with open(path, "wb") as out:
        for _ in range(MESSAGES):
            message = maker.message()
            out.write(struct.pack("<I", len(message)) + message)
    return MESSAGES


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_corpus.py FILE")
    write(Path(sys.argv[1]))
