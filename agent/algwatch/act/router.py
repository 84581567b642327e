# SPDX-License-Identifier: Apache-2.0
"""Router: the programs and files of the changed machine."""

from __future__ import annotations

import os
import subprocess

from algwatch import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 60.0  # for a program: a reload on a slow router takes ten
MOST = 4 << 20  # bytes of a configuration
LINE = 4096  # bytes of a file of the kernel: it refuses to fill a large buffer (ENOMEM)
_BOOT = "proc/sys/kernel/random/boot_id"


class Failed(Exception):
    """A program failed; the text is one line with its words."""


class Router:
    """root: of its files (tests). env: of the programs (tests); None: that of this process."""

    def __init__(self, root: str = "/", env: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._env = dict(os.environ if env is None else env, LC_ALL="C")
        # The caller (rpcd, cron) may have a short one.
        self._env["PATH"] = f"{self._env.get('PATH', '')}:{PROGRAMS}".lstrip(":")

    def path(self, name: str) -> str:
        """name: without the first slash."""
        return os.path.join(self.root, name)

    @property
    def boot(self) -> str:
        """Another text after each boot; "" if not known."""
        return self.setting(_BOOT)

    def setting(self, name: str) -> str:
        """A file of one line in /proc or /sys; "" if unreadable."""
        try:
            text = files.read(self.path(name), LINE) or b""
        except files.FileError:
            return ""
        return text.decode("ascii", "replace").strip()

    def read(self, name: str) -> bytes | None:
        """A file; None if there is none. Failed."""
        try:
            return files.read(self.path(name), MOST)
        except files.FileError as problem:
            raise Failed(str(problem)) from None

    def has(self, program: str) -> bool:
        folders = self._env["PATH"].split(os.pathsep)
        return any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders)

    def run(self, *argv: str, text: str = "") -> str:
        """The standard output of a program. Failed: it is missing, takes too long or its status is
        not 0."""
        status, out, err = self.attempt(*argv, text=text)
        if status:
            said = (err or out).strip().splitlines()
            raise Failed(f"{' '.join(argv)}: {said[0] if said else f'status {status}'}")
        return out

    def attempt(self, *argv: str, text: str = "") -> tuple[int, str, str]:
        """status, standard output, standard error. Failed: it is missing or takes too long."""
        try:
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False,
                                  errors="surrogateescape", timeout=SECONDS, env=self._env,
                                  start_new_session=True)  # fmt: skip
        except OSError as problem:
            raise Failed(f"{argv[0]}: {problem.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(argv)}: no answer for {SECONDS:.0f} s") from None
        return done.returncode, done.stdout, done.stderr
