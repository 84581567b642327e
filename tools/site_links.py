# SPDX-License-Identifier: Apache-2.0
"""For mkdocs: a link from a page to a file of the repository that is no page becomes its name."""

from __future__ import annotations

import os
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_given: Any) -> str:
    docs = config["docs_dir"]
    folder = os.path.dirname(os.path.join(docs, page.file.src_uri))

    def named(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        path = os.path.normpath(os.path.join(folder, target))
        inside = path.startswith(docs + os.sep) and os.path.isfile(path)
        if "://" in target or target.startswith("mailto:") or inside:
            return match[0]
        return f"{text} (`{os.path.relpath(path, os.path.dirname(docs))}`)"

    return _LINK.sub(named, markdown)
