# SPDX-License-Identifier: Apache-2.0
# The cffi extension, made by native/build_cffi.py. Only base/native/ imports it, and gives
# its values types again: a cffi object has no static ones.
from typing import Any

ffi: Any
lib: Any
