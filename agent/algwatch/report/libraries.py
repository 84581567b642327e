# SPDX-License-Identifier: Apache-2.0
"""The libraries of reports, loaded without what they bring along and reports never use. Import it
before our own modules, which then take the place of what is let go of here.

msgpack asks for Python's `datetime`: up to 3.11 this runs 2,600 lines of Python, 0.3 MB, only to
replace them by `_datetime` in C.
"""

from __future__ import annotations

import sys

from algwatch.base import leftovers
from algwatch.quiet import suppress
from algwatch.report import paho

if "datetime" not in sys.modules:
    with suppress(ImportError):  # a Python without the C module
        import _datetime

        sys.modules["datetime"] = _datetime
    try:
        import msgpack  # noqa: F401
    finally:
        sys.modules.pop("datetime", None)  # a later import gets the real one
paho.load()
leftovers.drop_texts()
