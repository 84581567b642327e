# SPDX-License-Identifier: Apache-2.0
"""Names of `typing` for modules of the daemon: loading it takes 0.6 MB, and only type checkers
want it. paho-mqtt 1.6 does without; 2.x loads it all the same."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Generic as Generic
    from typing import Protocol as Protocol
    from typing import TypeVar as TypeVar
else:
    Any = object

    class Generic:
        __slots__ = ()

        def __class_getitem__(cls, names):
            return cls

    class Protocol(Generic):
        __slots__ = ()

    def TypeVar(name, **more):
        return name
