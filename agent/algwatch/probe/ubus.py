# SPDX-License-Identifier: Apache-2.0
"""The device of OpenWrt's network `lan`, as netifd tells it over ubus."""

from __future__ import annotations

import json

_SECONDS = 1.0


def device_of(network: str) -> str:
    """Its layer-3 device; "" where there is no ubus, no such network, or no answer."""
    import subprocess  # half a megabyte, and only on OpenWrt

    call = ("ubus", "-t", "1", "call", f"network.interface.{network}", "status")
    try:
        done = subprocess.run(call, capture_output=True, timeout=_SECONDS, check=False)
        told = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError, RecursionError):
        return ""
    device = told.get("l3_device") if isinstance(told, dict) else None
    return device if isinstance(device, str) else ""
