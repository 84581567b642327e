# SPDX-License-Identifier: Apache-2.0
"""How the lab may be run here: as it is, or inside an unprivileged user namespace."""

from __future__ import annotations

import os
import shutil
import subprocess

from .namespace import Namespace, NoLab

UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--"]


def lab_prefix() -> list[str]:
    """The words before a command with which it may make namespaces. Raises NoLab."""
    try:
        Namespace("probe").close()
        return []
    except NoLab as error:
        reason = str(error)
    if shutil.which("unshare") and os.environ.get("ALGWATCH_LAB_INSIDE") != "1":
        if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0:
            return [*UNSHARE, "env", "ALGWATCH_LAB_INSIDE=1"]
        reason += ", and user namespaces are not allowed"
    raise NoLab(reason)
