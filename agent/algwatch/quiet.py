# SPDX-License-Identifier: Apache-2.0
"""contextlib.suppress, without the rest of contextlib: 0.1 MB of a daemon that needs nothing else
of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class suppress:
    __slots__ = ("_kinds",)

    def __init__(self, *kinds: type[BaseException]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, one: BaseException | None,
                 trace: TracebackType | None) -> bool:  # fmt: skip
        return kind is not None and issubclass(kind, self._kinds)
