# SPDX-License-Identifier: Apache-2.0
"""A text log of one side beside a capture of the other: a log has no TTL, so none may tell which
copy of a message entered the router."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import pytest
from algwatch.__main__ import main
from craft import NS, Packet, never_acknowledged, pcap

PORT = 5060


def log(packets: list[Packet]) -> bytes:
    """The packets as ngrep writes them."""
    out = []
    for at, data in packets:
        src, dst = (".".join(map(str, data[i : i + 4])) for i in (26, 30))
        time = datetime.fromtimestamp(at / NS, UTC).strftime("%Y/%m/%d %H:%M:%S.%f")
        head = f"U {time} {src}:{PORT} -> {dst}:{PORT}\n"
        out.append(head.encode() + data[42:] + b"\n")
    return b"\n".join(out)


@pytest.mark.parametrize("texts", [("lan",), ("wan",), ("lan", "wan")], ids="+".join)
def test_an_ack_that_never_came_is_not_blamed_on_the_phone(
    tmp_path: Path, texts: tuple[str, ...]
) -> None:
    arguments = []
    for side, packets in zip(("lan", "wan"), never_acknowledged().sorted(), strict=True):
        file = tmp_path / side
        file.write_bytes(log(packets) if side in texts else pcap(packets))
        arguments += [f"--{side}", str(file)]
    out = io.StringIO()
    with redirect_stdout(out):
        main(["analyze", "--json", *arguments])
    found = {one["rule"]: one["where"] for one in json.loads(out.getvalue())["findings"]}
    assert found["DLG001"] == "network"
    assert "ALG009" not in found
