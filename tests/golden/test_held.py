# SPDX-License-Identifier: Apache-2.0
"""Every message whose bytes a call keeps is weighed by the memory budget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.sighting import Sighting
from algwatch.compare import held
from algwatch.pipeline import Pipeline
from algwatch.sip.transaction import Transaction
from cases import CASES
from craft import Packet, batch
from sample import some

CHOSEN = [name for name, case in CASES.items()
          if name.startswith(("dlg", "txn", "re-invite")) and not case.one_file]  # fmt: skip


def kept(thing: object, seen: set[int]) -> Iterator[Sighting]:
    """The sightings that can be reached from a thing of this package. Transactions have a table,
    and a weight there, of their own."""
    if isinstance(thing, Sighting):
        yield thing
    elif isinstance(thing, tuple | list | dict):
        for one in thing.values() if isinstance(thing, dict) else thing:
            yield from kept(one, seen)
    elif type(thing).__module__.startswith("algwatch.") and not isinstance(thing, Transaction):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        for kind in type(thing).__mro__:
            for name in getattr(kind, "__slots__", ()):
                yield from kept(getattr(thing, name, None), seen)


@pytest.mark.parametrize("part", range(4))
def test_what_a_call_keeps_is_weighed(part: int) -> None:
    for name in some(CHOSEN, 2)[part::4]:
        lan, wan = CASES[name].make().sorted()
        pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
        packets = sorted([(0, one) for one in lan] + [(1, one) for one in wan], key=_at)
        for tap, one in packets:
            pipeline.feed(batch([one], tap))
            for call in pipeline._comparison.calls.all():
                weighed = {id(copy) for copy in held.call(call)}
                missed = [copy for copy in kept(call, set()) if id(copy) not in weighed]
                assert not missed, f"{name}: compare/held.py does not name {missed[0].payload!r}"


def _at(item: tuple[int, Packet]) -> int:
    return item[1][0]
