# SPDX-License-Identifier: Apache-2.0
"""msgpack without Python's `datetime`, which it asks for, and which reports never use: up to 3.11
this runs 2,600 lines of Python, 0.3 MB, only to replace them by `_datetime` in C.

Import it before msgpack.
"""

from __future__ import annotations

import sys
from contextlib import suppress

if "datetime" not in sys.modules:
    with suppress(ImportError):  # a Python without the C module
        import _datetime

        sys.modules["datetime"] = _datetime
    try:
        import msgpack  # noqa: F401
    finally:
        sys.modules.pop("datetime", None)  # a later import gets the real one
