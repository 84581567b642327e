# SPDX-License-Identifier: Apache-2.0
"""The page of a rule, taken from its docstring."""

from __future__ import annotations

from types import ModuleType

SECTIONS = (
    "What it sees",
    "Why it breaks calls",
    "What else looks the same",
    "Recommendation",
    "References",
)


def parts(rule: ModuleType) -> tuple[str, list[tuple[str, str]]]:
    """Title and sections (heading, text as one paragraph) of a rule's docstring; a router has
    nothing else, as only bytecode is shipped."""
    lines = (rule.__doc__ or "").rstrip().split("\n")
    title = lines[0].partition(": ")[2]
    sections: list[tuple[str, list[str]]] = []
    for line in lines[1:]:
        if line and not line[0].isspace():
            sections.append((line, []))
        elif line and sections:
            sections[-1][1].append(line.strip())
    return title, [(heading, " ".join(text)) for heading, text in sections]
