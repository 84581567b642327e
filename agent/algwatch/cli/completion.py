# SPDX-License-Identifier: Apache-2.0
"""`algwatch completion`: what a shell completes, and the manual page. `make docs` writes them."""

from __future__ import annotations

import sys
from pathlib import Path

from algwatch.cli import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

FORMS = {"bash": "algwatch.bash", "zsh": "_algwatch", "fish": "algwatch.fish", "man": "algwatch.1"}
"""Names of the files in this package's folder `shell`, by what they are for."""


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "completion",
        help="print what a shell needs to complete, or the manual page",
        description="Prints what a shell needs to complete verbs and options, or the manual page.",
        epilog="They belong into ~/.local/share/bash-completion/completions/algwatch, into "
        "_algwatch in a folder of zsh's fpath, into ~/.config/fish/completions/algwatch.fish, and "
        "into ~/.local/share/man/man1/algwatch.1.",
    )
    parser.add_argument("form", choices=tuple(FORMS))


def main(args: argparse.Namespace) -> int:
    path = Path(__file__).with_name("shell") / FORMS[args.form]
    try:
        sys.stdout.write(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Usage("this package was made without them (for a router)") from None
    return 0
