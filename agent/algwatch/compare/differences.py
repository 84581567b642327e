# SPDX-License-Identifier: Apache-2.0
"""Differences: the two copies of a message compared field by field, each difference typed."""

from __future__ import annotations

import re

from algwatch.base.address import canonical, joined
from algwatch.base.sighting import Ends
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import EXPECTATION, MAPPING, NORMALISED, Rewrite
from algwatch.sip.message import COMPACT, Address, Message, Via, to_text
from algwatch.sip.sdp import Sdp

# Header fields with an identity only: nothing is sent to them.
_IDENTITIES = frozenset(("From", "To"))
_LITERAL = re.compile(r"(?<=\[)[0-9A-Fa-f:.]{2,45}(?=\])")


class Translation:
    """The translation of the packet itself: entered and left Ends, in the order of travel."""

    __slots__ = ("ends",)

    def __init__(self, entered: Ends, left: Ends) -> None:
        self.ends = [
            (entered.src, entered.sport, left.src, left.sport),
            (entered.dst, entered.dport, left.dst, left.dport),
        ]

    def host(self, host: str) -> str:
        """The translated host, "" if it is not an end of the packet."""
        for e_host, _, l_host, _ in self.ends:
            if host == e_host and l_host != e_host:
                return l_host
        return ""

    def whole(self, host: str, port: int) -> str:
        """The translated host:port ("" as above); a missing port counts as 5060."""
        for e_host, e_port, l_host, l_port in self.ends:
            if host == e_host and (port or 5060) == e_port and (l_host, l_port) != (e_host, e_port):
                return joined(l_host, l_port)
        return ""

    @property
    def to(self) -> tuple[str, int]:
        """The packet's destination as it left."""
        return self.ends[1][2:]

    def text(self, before: str) -> str:
        """The same text with translated hosts."""
        for e_host, e_port, l_host, l_port in self.ends:
            if l_host != e_host and e_host in before:
                whole = before.replace(joined(e_host, e_port), joined(l_host, l_port))
                return whole.replace(e_host, l_host)
        return before

    def is_forced(self, before: tuple[str, int], after: tuple[str, int]) -> bool:
        """Only the port of the packet's own destination was changed: map_addr() writes its
        forced_dport there, whatever the packet's destination port is."""
        _, _, host, port = self.ends[1]
        return before[0] == after[0] == host and (before[1] or 5060) == port != after[1] != 0


def rewrites(crossing: Crossing) -> list[Rewrite]:
    """Every difference of a crossing with both copies, typed; empty when they are equal."""
    if crossing.changes is None:
        crossing.changes = _compare(crossing) if crossing.rewritten else []
    return crossing.changes


def _compare(crossing: Crossing) -> list[Rewrite]:
    entered, left = crossing.entered, crossing.left
    a, b = Message(entered.payload), Message(left.payload)
    how = Translation(entered.ends, left.ends)
    found: list[Rewrite] = []
    register = a.method == "REGISTER"
    _request_uri(found, a, b, how)
    a_vias, b_vias = a.vias, b.vias
    _count(found, "Via", len(a_vias), len(b_vias))
    for via, other in zip(a_vias, b_vias, strict=False):
        _via(found, via, other, how)
    for header, ones, twos in (
        ("Contact", a.contacts, b.contacts),
        ("From", [a.from_], [b.from_]),
        ("To", [a.to], [b.to]),
        ("Record-Route", a.record_routes, b.record_routes),
        ("Route", a.routes, b.routes),
        ("Path", a.paths, b.paths),
    ):
        _count(found, header, len(ones), len(twos))
        for one, two in zip(ones, twos, strict=False):
            if one.all != two.all:
                _address(found, header, one, two, how, register and header == "Contact")
    old_id, new_id = to_text(a.call_id), to_text(b.call_id)
    if old_id != new_id:
        found.append(Rewrite("Call-ID", "value", old_id, new_id,
                             MAPPING if how.text(old_id) == new_id else "",
                             linux=False))  # fmt: skip
    for header, before, after in (
        ("CSeq", str(a.cseq), str(b.cseq)),
        ("Expires", a.expires, b.expires),
        ("Content-Type", a.content_type, b.content_type),
    ):
        if before != after:
            found.append(Rewrite(header, "value", before, after, linux=False))
    _body(found, a, b, how)
    _other_lines(found, a, b, how)
    return found


def _count(found: list[Rewrite], header: str, before: int, after: int) -> None:
    if before != after:
        found.append(Rewrite(header, "count", str(before), str(after), linux=False))


def _endpoint(found: list[Rewrite], header: str, before: tuple[str, int],
              after: tuple[str, int], how: Translation, expectation: bool) -> None:  # fmt: skip
    """Host and port of a URI or a sent-by."""
    if before == after:
        return
    expected = how.whole(*before)
    host = how.host(before[0])
    written = joined(*after)
    explained = ""
    if expected and (after[0], after[1] or 5060) == _split(expected):
        explained = MAPPING
    elif expectation and host and after[0] == host:
        explained = EXPECTATION
    elif header == "Request-URI" and host and (after[0], after[1] or 5060) == how.to:
        explained = MAPPING  # the packet's own destination
    elif header in _IDENTITIES and host == after[0] and host and after[1] in (0, before[1]):
        explained = MAPPING  # nothing is sent there
    elif before[0] == after[0] and (before[1] or 5060) == (after[1] or 5060):
        explained = NORMALISED  # :5060 written out or left out
    linux = bool(explained) and after[1] != 0
    if explained == MAPPING and written != expected:
        linux = False  # as an identity only
    if how.is_forced(before, after):
        linux, expected = True, joined(*before)
    expected = expected or (joined(host, before[1]) if host else "")
    field = "address" if before[0] != after[0] else "port"
    found.append(
        Rewrite(
            header,
            field,
            joined(*before),
            written,
            explained,
            expected,
            linux=linux,
        )
    )


def _split(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def _request_uri(found: list[Rewrite], a: Message, b: Message, how: Translation) -> None:
    if a.request_uri == b.request_uri:
        return
    before, after = (a.request_host, a.request_port), (b.request_host, b.request_port)
    _endpoint(found, "Request-URI", before, after, how, expectation=False)
    if a.request_user != b.request_user or before == after:
        found.append(
            Rewrite(
                "Request-URI",
                "user",
                to_text(a.request_uri),
                to_text(b.request_uri),
                linux=False,
            )
        )


def _via(found: list[Rewrite], a: Via, b: Via, how: Translation) -> None:
    if a.all == b.all:
        return
    size = len(found)
    _endpoint(found, "Via", (a.host, a.port), (b.host, b.port), how, expectation=False)
    if a.received != b.received:
        explained = MAPPING if how.host(a.received) == b.received and b.received else ""
        found.append(Rewrite("Via", "received", a.received, b.received, explained,
                             how.host(a.received), bool(explained)))  # fmt: skip
    if a.rport != b.rport:
        before, after = to_text(a.rport or b""), to_text(b.rport or b"")
        ports = {str(e): str(to) for _, e, _, to in how.ends}
        explained = MAPPING if before and ports.get(before) == after else ""
        found.append(Rewrite("Via", "rport", before, after, explained,
                             ports.get(before, ""), bool(explained)))  # fmt: skip
    for field, before, after in (
        ("branch", to_text(a.branch), to_text(b.branch)),
        ("transport", a.transport, b.transport),
    ):
        if before != after:
            found.append(Rewrite("Via", field, before, after, linux=False))
    if a.maddr != b.maddr:
        explained = MAPPING if how.host(a.maddr) == b.maddr and b.maddr else ""
        found.append(Rewrite("Via", "maddr", a.maddr, b.maddr, explained, linux=bool(explained)))
    _rest(found, size, "Via", a.all, b.all)


def _address(found: list[Rewrite], header: str, a: Address, b: Address,
             how: Translation, expectation: bool) -> None:  # fmt: skip
    before, after = (a.host, a.port), (b.host, b.port)
    size = len(found)
    _endpoint(found, header, before, after, how, expectation)
    if a.tag != b.tag:
        found.append(Rewrite(header, "tag", to_text(a.tag), to_text(b.tag), linux=False))
    for field, one, two in (
        ("user", a.user, b.user),
        ("parameters", _parameters(a), _parameters(b)),
        ("display", a.display, b.display),
    ):
        if one != two:
            found.append(Rewrite(header, field, to_text(one), to_text(two), linux=False))
    _rest(found, size, header, a.all, b.all)


def _rest(found: list[Rewrite], size: int, header: str, before: bytes, after: bytes) -> None:
    """Append the rest of one value, unexplained by the differences from `size` on: scheme,
    brackets, white space, other parameters."""
    text, became = _spelled(to_text(before)), _spelled(to_text(after))
    for r in found[size:]:
        name = "" if r.field in ("address", "port") else f"{r.field}="
        if r.before and r.field != "parameters":
            text = text.replace(name + r.before, name + r.after, 1)
        elif f";{r.field}" in text:
            text = text.replace(f";{r.field}", f";{name}{r.after}", 1)
        else:
            return  # added, or of several parts: reported as a whole
    if text != became:
        found.append(Rewrite(header, "form", to_text(before), to_text(after), linux=False))


def _spelled(text: str) -> str:
    """With IPv6 literals as message.py spells hosts."""
    return _LITERAL.sub(lambda found: canonical(found[0]), text) if "[" in text else text


def _parameters(one: Address) -> bytes:
    return one.uri_params + b";" + one.params.replace(b"tag=" + one.tag, b"tag=", 1)


def _body(found: list[Rewrite], a: Message, b: Message, how: Translation) -> None:
    if a.body != b.body:
        size = len(found)
        if a.sdp.present and b.sdp.present:
            _sdp(found, a.sdp, b.sdp, how)
        _body_lines(found, size, a.body, b.body, how)
    if a.content_length != b.content_length:
        written = b.content_length
        helpers = _counted_from_v(b.body)
        right = written.isascii() and written.isdigit() and int(written[:6]) == len(b.body)
        found.append(
            Rewrite(
                "Content-Length",
                "value",
                a.content_length,
                written,
                NORMALISED if right else "",
                helpers or str(len(b.body)),
                written == helpers != "",
            )
        )


def _counted_from_v(body: bytes) -> str:
    """Content-Length as nf_nat_sip writes it: from "v=" to the end of the datagram, equal to the
    body only if it is all SDP (mangle_content_len()); "" without "v="."""
    start = 0 if body.startswith(b"v=") else body.find(b"\nv=") + 1
    return str(len(body) - start) if start or body.startswith(b"v=") else ""


def _body_lines(found: list[Rewrite], size: int, before: bytes, after: bytes,
                how: Translation) -> None:  # fmt: skip
    """Lines unexplained by the differences from `size` on. In a body of several parts only the
    lines of the SDP are compared."""
    ones, twos = before.split(b"\r\n"), after.split(b"\r\n")
    sdp = [r for r in found[size:] if r.header == "SDP"]
    if len(ones) != len(twos):
        found.append(Rewrite("Body", "lines", str(len(ones)), str(len(twos)), linux=False))
        return
    hosts = {line.rpartition(b" ")[2] for line in twos if line.startswith(b"c=")}
    for one, two in zip(ones, twos, strict=True):
        if one == two:
            continue
        text, other = to_text(one), to_text(two)
        kind = one[:2]
        if any(_accounts(r, text, other) for r in sdp):
            continue
        explained, address = "", two.rpartition(b" ")
        if how.text(text) == other:
            explained = MAPPING
        elif kind == b"o=" and address[2] in hosts and address[0] == one.rpartition(b" ")[0]:
            explained = NORMALISED
        found.append(Rewrite("Body", "line", text, other, explained,
                             linux=bool(explained) and kind in (b"c=", b"o=")))  # fmt: skip


def _accounts(r: Rewrite, before: str, after: str) -> bool:
    """True if one difference of the SDP turns the line into the other one."""
    if r.field == "port":
        kind, _, rest = before.partition(" ")
        return rest.startswith(r.before) and f"{kind} {r.after}{rest[len(r.before) :]}" == after
    return bool(r.before) and before.replace(r.before, r.after) == after


def _sdp(found: list[Rewrite], a: Sdp, b: Sdp, how: Translation) -> None:
    """c= and m= by the mapping; o= is overwritten with the last media address by nf_nat_sip."""
    pairs = [(a.address, b.address)]
    pairs += [(m.address, n.address) for m, n in zip(a.media, b.media, strict=False)]
    for before, after in pairs:
        if before != after:
            ok = how.host(before) == after and after != ""
            found.append(
                Rewrite(
                    "SDP", "address", before, after, MAPPING if ok else "", how.host(before), ok
                )
            )
    for m, n in zip(a.media, b.media, strict=False):
        if m.port != n.port:
            ok = any(r.header == "SDP" and r.explained for r in found) and n.port >= 1024
            found.append(
                Rewrite(
                    "SDP",
                    "port",
                    str(m.port),
                    str(n.port),
                    EXPECTATION if ok else "",
                    "",
                    ok,
                )
            )
        if m.rtcp != n.rtcp:
            found.append(Rewrite("SDP", "rtcp", m.rtcp, n.rtcp, linux=False))
    _count(found, "SDP", len(a.media), len(b.media))
    if a.origin_address != b.origin_address:
        ok = b.origin_address in b.connections
        found.append(
            Rewrite(
                "SDP",
                "origin",
                a.origin_address,
                b.origin_address,
                NORMALISED if ok else "",
                how.host(a.origin_address),
                ok,
            )
        )


# Header fields compared field by field above, long and compact form.
_TYPED = frozenset(
    b"via v contact m from f to t record-route route path call-id i cseq expires content-type c "
    b"content-length l".split()
)


def _other_lines(found: list[Rewrite], a: Message, b: Message, how: Translation) -> None:
    """Header fields without a reason for a change, and the order of all of them."""
    ones, twos = _lines(a), _lines(b)
    if [name for name, _, _ in ones] != [name for name, _, _ in twos]:
        before = ", ".join(to_text(name) for name, _, _ in ones)
        after = ", ".join(to_text(name) for name, _, _ in twos)
        if sorted(n for n, _, _ in ones) == sorted(n for n, _, _ in twos):
            found.append(Rewrite("Header", "order", before, after, linux=False))
        else:
            found.append(Rewrite("Header", "names", before, after, linux=False))
        return
    for (name, before_value, one), (_, after_value, two) in zip(ones, twos, strict=True):
        if before_value == after_value and one != two:
            found.append(Rewrite(_full(to_text(name)), "form", to_text(one), to_text(two),
                                 linux=False))  # fmt: skip
        elif before_value != after_value and name.lower() not in _TYPED:
            before, after = to_text(before_value), to_text(after_value)
            explained = MAPPING if how.text(before) == after else ""
            found.append(Rewrite(_full(to_text(name)), "value", before, after, explained,
                                 linux=False))  # fmt: skip


def _full(name: str) -> str:
    return COMPACT.get(name.lower(), name)


def _lines(message: Message) -> list[tuple[bytes, bytes, bytes]]:
    """Name, value and the whole line of each header field."""
    section = message.header_section.replace(b"\r\n ", b"  ").replace(b"\r\n\t", b"  ")
    pairs = []
    for line in section.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            pairs.append((name.strip(), value.strip(), line))
    return pairs
