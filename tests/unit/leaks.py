# SPDX-License-Identifier: Apache-2.0
"""Messages with a secret in one place each: every field and every position of its grammar, in the
spellings that hide it from a search for known names. Seeded, so a failure comes again."""

from __future__ import annotations

import random
from collections.abc import Iterator

SEED = 9
WINDOW = 5  # characters in a row that already give a secret away

# One token {} each. The lines stand in an INVITE that is otherwise complete.
USERS = (
    "From: <sip:{}@example.com>;tag=1",
    "From: sip:{}@example.com;tag=1",
    "f: <sip:{}@example.com>;tag=1",
    "FROM\t : <SIP:{}@example.com>;tag=1",
    "To: <sips:{}:{}@example.com>",
    "To: <sip:bob:{}@example.com>",
    "To: <sip:{};phone-context=example.com@example.com>",
    "To: <sip:bob;phone-context={}@example.com>",
    "To: <sip:bob@x@{}>",
    "To: <sip:{}@x@example.com>",
    "To: <sip:%41{}@example.com>",
    "To: <sip:{}>",
    "To: <{}>",
    "To: {}",
    "To: {}@example.com",
    "To: <tel:{};phone-context=example.com>",
    "To: <tel:+1;phone-context={}>",
    "To: tel:{}",
    "To: <TEL:{}>;tag=2",
    "To: <sip:bob@{}>",
    "To: <sip:bob@[{}]>",
    "To: <sip:bob@[::1]{}>",
    "To: <sip:bob@{}.dyndns.org>",
    "To: <sip:bob@example.com:{}>",
    "To: <sip:bob@example.com;{}>",
    "To: <sip:bob@example.com;{}=1>",
    "To: <sip:bob@example.com;x={}>",
    "To: <sip:bob@example.com;transport={}>",
    "To: <sip:bob@example.com;maddr={}>",
    "To: <sip:bob@example.com;ttl={}>",
    "To: <sip:bob@example.com;method={}>",
    "To: <sip:bob@example.com;user={}>",
    "To: <sip:bob@example.com?Replaces={}>",
    "To: <sip:bob@example.com?Subject=a&{}=b>",
    "To: <sip:bob@example.com?Replaces=a%40{}@b>",
    "To: <sip:bob?Replaces={}@example.com>",
    "To: <mailto:{}@example.com>",
    "To: <urn:uuid:{}>",
    "To: <https://example.com/{}>",
    "To: <sip:{}@example.com",
    "To: <sip:bob@example.com>{}",
    "To: <sip:bob@example.com> {} ;tag=1",
)
DISPLAY = (
    'To: "{}" <sip:bob@example.com>',
    'To: "{}"<sip:bob@example.com>',
    'To: "Smith, {}" <sip:bob@example.com>',
    'To: "\\"{}\\"" <sip:bob@example.com>',
    'To: "a\\" <sip:{}@b>\\"" <sip:bob@example.com>',
    'To: "a\\\\" {} <sip:bob@example.com>',
    'To: "{}',
    'To: "{}\\',
    'To: "a" {} <sip:bob@example.com>',
    "To: {} <sip:bob@example.com>",
    "To: Smith, {} <sip:bob@example.com>",
    "To: Müller {}, Zoë <sip:bob@example.com>",
    "To: {} ünd <sip:bob@example.com>",
    "To: 'x {}' <sip:bob@example.com>",
    "To: a:b {} <sip:bob@example.com>",
    "To: {};tag=1",
    "To:\r\n {}\r\n <sip:bob@example.com>",
    'To: "a\r\n {}\r\n b" <sip:bob@example.com>',
    'Contact: "x" <sip:a@192.168.1.10>, "{}" <sip:b@192.168.1.10>',
    "Contact: x <sip:a@192.168.1.10>, {} <sip:b@192.168.1.10>",
    'm: <sip:a@192.168.1.10>,\r\n\t"Jon {}" <sip:b@192.168.1.10>',
    "Contact: " + "<sip:a@192.168.1.10>, " * 49 + "{} <sip:b@192.168.1.10>",
    "Contact: <sip:a@192.168.1.10>\r\nContact: {} <sip:b@192.168.1.10>",
    'Contact: "' + "long " * 30 + '{}" <sip:b@192.168.1.10>',
    'Contact: "' + "long " * 900 + '{}" <sip:b@192.168.1.10>',
    "Contact: {}" + "x" * 90 + " <sip:b@192.168.1.10>",
    "X-Pad: " + "x" * 4096 + '\r\nContact: "{}" <sip:b@192.168.1.10>',
    "X-Pad: " + "x" * 8100 + '\r\nContact: "{} {}" <sip:{}@192.168.1.10>',
    "X-Pad: " + "x" * 9000 + '\r\nContact: "{}" <sip:b@192.168.1.10>',
)
PARAMS = (
    "To: <sip:bob@example.com>;tag={}",
    "To: <sip:bob@example.com>;{}",
    "To: <sip:bob@example.com>;{}=1",
    'To: <sip:bob@example.com>;x="{}"',
    'To: <sip:bob@example.com>;x="a;tag={}"',
    'Contact: <sip:b@192.168.1.10>;+sip.instance="<urn:uuid:{}>"',
    "Contact: <sip:b@192.168.1.10>;expires={}",
    "Contact: <sip:b@192.168.1.10>;q={}",
    "Contact: <sip:b@192.168.1.10>;reg-id={}",
    'Contact: <sip:b@192.168.1.10>;methods="{}"',
    'Contact: <sip:b@192.168.1.10>;pub-gruu="sip:{}@x"',
    "Record-Route: <sip:192.0.2.1;lr;ftag={}>",
    "Record-Route: <sip:{}@192.0.2.1;lr>",
    "Route: <sip:192.0.2.1;lr={}>, <sip:{}@h;lr>",
    "Path: <sip:192.0.2.1;lr;received=sip:{}@1.2.3.4>",
    "Refer-To: <sip:{}@example.com?Replaces={}>",
    "r: {}",
    "Via: SIP/2.0/UDP 192.168.1.10;branch=z9hG4bK{}",
    "Via: SIP/2.0/UDP 192.168.1.10;branch={}",
    "Via: SIP/2.0/UDP {};branch=z9hG4bKa",
    "Via: SIP/2.0/UDP {}:5060;branch=z9hG4bKa",
    "Via: SIP/2.0/{} 192.168.1.10;branch=z9hG4bKa",
    "Via: {} 192.168.1.10",
    "Via: SIP/2.0/UDP 192.168.1.10;received={}",
    "Via: SIP/2.0/UDP 192.168.1.10;rport={}",
    "Via: SIP/2.0/UDP 192.168.1.10;x-{}=1;rport",
    "Via: SIP/2.0/UDP 192.168.1.10 ({});rport",
    "v: {}",
)
FIELDS = (
    "Call-ID: {}@192.168.1.10", "Call-ID: a@{}", "Call-ID: a@b@{}", "Call-ID: {}", "i: a@{}.local",
    "i: x {}@y", "Call-ID: a@{}.example.com", "CSeq: {} INVITE", "CSeq: 1 {}", "CSeq: 1 INVITE {}",
    "Max-Forwards: {}", "Expires: {}", "Min-Expires: {}", "Session-Expires: {}",
    "Session-Expires: 90;refresher={}", "x: 90;{}", "Content-Length: {}", "l: {}",
    "Content-Type: {}", "Content-Type: application/{}",
    'Content-Type: multipart/mixed;boundary="{}"',
    "c: text/plain;charset={}", "Server: {}", "Server: {}/1.0", "User-Agent: {}",
    "User-Agent: Yealink {} 66.84.0.10", "User-Agent: Linphone/4.1 ({}'s phone)",
    "User-Agent: snom/{}", "User-Agent: Asterisk-{}", "User-Agent: {}/Asterisk 1.0",
    "Subject: {}", "s: {}", "Organization: {}", "Reason: SIP;cause=200;text=\"{}\"",
    'Warning: 399 {} "{}"', "Alert-Info: <http://example.com/{}>", "Call-Info: <http://{}/>",
    "P-Asserted-Identity: \"{}\" <sip:{}@example.com>", "P-Preferred-Identity: <tel:{}>",
    "Remote-Party-ID: \"{}\" <sip:{}@example.com>;party=calling", "Privacy: {}",
    "Geolocation: <cid:{}@example.com>", "Diversion: <sip:{}@example.com>;reason=no-answer",
    "History-Info: <sip:{}@example.com>;index=1", "Replaces: {};to-tag=1;from-tag=2",
    "Referred-By: <sip:{}@example.com>", "In-Reply-To: {}@x", "Identity: {}", "Timestamp: {}",
    "P-Charging-Vector: icid-value={}", "P-Access-Network-Info: 3GPP;utran-cell-id-3gpp={}",
    "X-Mine: {}", "{}: x", "{}", "no colon {}",
    'Authorization: Digest username="{}", realm="{}", nonce="{}", uri="sip:{}", response="{}"',
    'Authorization: Digest cnonce="{}", opaque="{}", nc={}, qop={}',
    "Proxy-Authorization: Basic {}", 'WWW-Authenticate: Digest realm="{}", nonce="{}"',
    'Proxy-Authenticate: Digest realm="{}"', 'Authentication-Info: nextnonce="{}"',
    "AUTHORIZATION :\r\n Digest {}", "Authorization: Digest x\rTo: {} <sip:{}@example.com>",
    "Authorization: Digest x\r m={}", "Authorization: Digest x\rUser-Agent: {}",
    "Authorization: Digest x\nContact: {} <sip:{}@192.168.1.10>", "Contact: <sip:a@b>\r{}",
    "Contact: <sip:a@b>\0{}", "To: \0{} <sip:b@c>", "Via: SIP/2.0/UDP 192.168.1.10\r{}",
    "Call-ID: a@192.168.1.10\r{}", "Expires: 60\r{}", "Max-Forwards: 70 {}",
)  # fmt: skip
START = (
    "INVITE sip:{}@example.com SIP/2.0", "INVITE sip:{}:{}@example.com;user=phone SIP/2.0",
    "INVITE tel:{} SIP/2.0", "INVITE sip:{} SIP/2.0", "INVITE {} SIP/2.0", "{} sip:a@b SIP/2.0",
    "INVITE sip:a@b {}", "INVITE sip:a@b SIP/2.0 {}", "INVITE sip:a {}@b SIP/2.0",
    "INVITE sip:bob@example.com;x={} SIP/2.0", "INVITE sip:bob@example.com?Subject={} SIP/2.0",
    "SIP/2.0 404 {} is not here", "SIP/2.0 {} OK", "SIP/{} 200 OK", "SIP/2.0 200\r{}",
)  # fmt: skip
SDP_LINES = (
    "v={}", "o={} 1 1 IN IP4 192.168.1.10", "o=- {} 1 IN IP4 192.168.1.10",
    "o=- 1 {} IN IP4 192.168.1.10", "o=- 1 1 IN IP4 {}", "o=- 1 1 {} IP4 192.168.1.10",
    "o={}", "s={}", "i={}", "u=http://{}/", "e={}@example.com", "p={}", "b=AS:{}", "z={}",
    "k=clear:{}",
    "c=IN IP4 {}", "c=IN IP4 192.168.1.10/{}", "c={}", "t={} 0", "t=0 {}", "m={} 4000 RTP/AVP 0",
    "m=audio {} RTP/AVP 0", "m=audio 4000/{} RTP/AVP 0", "m=audio 4000 {} 0",
    "m=audio 4000 RTP/AVP {}",
    "m=audio 4000 RTP/AVP 0 {}", "m={}", "a=rtcp:{}", "a=rtcp:4001 IN IP4 {}", "a=rtcp:4001 {}",
    "a=crypto:1 AES_CM_128 inline:{}", "a=ice-pwd:{}", "a=ice-ufrag:{}", "a=fingerprint:sha-256 {}",
    "a=candidate:{} 1 UDP 1 192.168.1.10 4000 typ host", "a=rtpmap:0 {}/8000", "a=fmtp:101 {}",
    "a=label:{}", "a=cname:{}", "a=ssrc:1 cname:{}", "a=tool:{}", "a=sendrecv {}", "a=sendrecv\r{}",
    "c=IN IP4 192.168.1.10\r{}", " {}", "x{}",
)  # fmt: skip
BODIES = (
    ("MESSAGE", "text/plain", "c= {}\r\nm={} see you\r\no={} at IN IP4\r\nv={}\r\na=rtcp:{}"),
    ("MESSAGE", "text/plain;charset=application/sdp", "m={} 1 RTP/AVP 0"),
    ("MESSAGE", "text/plain\r\nContent-Type: application/sdp", "o={} 1 1 IN IP4 {}"),
    ("MESSAGE", "application/sdp\r\nc: text/plain", "s={}\r\no={} 1 1 IN IP4 {}"),
    ("INFO", "application/dtmf-relay", "Signal={}\r\nDuration=160\r\nm={}"),
    ("NOTIFY", "application/pidf+xml", "<note>{}</note>\r\nm={}"),
    ("NOTIFY", "message/sipfrag", "SIP/2.0 200 {}\r\nContact: <sip:{}@x>\r\nc={}"),
    ("INVITE", 'multipart/mixed;boundary="b"', "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
     "o={} 1 1 IN IP4 {}\r\nm=audio {}\r\n--b\r\nContent-Type: text/plain\r\n\r\nm={}\r\n--b--"),
    ("INVITE", "", "c={}\r\nm={}"),
    ("MESSAGE", "application/SDP ", "To: {}\r\n\r\n{}"),
)  # fmt: skip


def tokens(random: random.Random) -> list[str]:
    """A word, a word in UTF-8 that is no ASCII, a telephone number, a word with a digit."""
    word = "".join(random.choices("bcdfghjklmnpqrstvwxz", k=9))
    return [
        word.capitalize(),
        "Jürg" + word + "ß",
        "".join(random.choices("3456789", k=11)),
        "+" + "".join(random.choices("3456789", k=12)),
        f"{word}{random.randint(10000, 99999)}",
        f"{word[:4]}.{word[4:]}",
    ]


def _message(start: str, fields: list[str], kind: str, body: str) -> bytes:
    """The line of a field takes the place of the usual one."""
    short = {
        "f": "from",
        "t": "to",
        "i": "call-id",
        "m": "contact",
        "v": "via",
        "c": "content-type",
    }
    given = {line.partition(":")[0].strip().lower() for line in fields}
    given |= {short.get(name, name) for name in given}
    usual = [
        "Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKk1;rport",
        "From: <sip:alice@example.com>;tag=1", "To: <sip:bob@example.com>",
        "Call-ID: c1@192.168.1.10", "CSeq: 1 INVITE", "Contact: <sip:alice@192.168.1.10:5060>",
    ]  # fmt: skip
    if kind:
        usual.append(f"Content-Type: {kind}")
    lines = [start, *(u for u in usual if u.partition(":")[0].lower() not in given), *fields]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + body.encode()
    return raw.replace("ß".encode(), b"\xdf")  # invalid UTF-8, too


def attempts(seed: int = SEED) -> Iterator[tuple[str, bytes, str]]:
    """The name of each attempt, its message, and the secret in it."""
    source = random.Random(seed)
    start = "INVITE sip:bob@example.com SIP/2.0"
    for line in USERS + DISPLAY + PARAMS + FIELDS:
        for token in tokens(source):
            yield line[:60], _message(start, [line.replace("{}", token)], "", ""), token
    for line in START:
        for token in tokens(source):
            yield line, _message(line.replace("{}", token), [], "", ""), token
    for line in SDP_LINES:
        for token in tokens(source):
            body = f"v=0\r\n{line.replace('{}', token)}\r\nc=IN IP4 192.168.1.10\r\n"
            yield line, _message(start, [], "application/sdp", body), token
    for method, kind, body in BODIES:
        for token in tokens(source):
            first = f"{method} sip:bob@example.com SIP/2.0"
            text = body.replace("{}", token)
            yield f"{method} {kind}", _message(first, [], kind, text), token


def leaked(secret: str, shown: bytes) -> str:
    """The part of a secret that is in what is shown, "" of none: so many characters in a row,
    of numbers without the sign, of dotted words either word."""
    low = shown.lower()
    for word in secret.lower().lstrip("+").split("."):
        size = min(WINDOW, len(word))
        for i in range(len(word) - size + 1):
            part = word[i : i + size]
            if part.encode() in low or part.encode("latin-1", "replace") in low:
                return part
    return ""
