# SPDX-License-Identifier: Apache-2.0
"""Lines of two copies of a message, paired for people."""

from __future__ import annotations

from algwatch.report.render.differ import SHOWN, differing_lines


def pairs(before: str, after: str) -> list[tuple[str, str]]:
    entered, left = ("\r\n".join(text.split()).encode() for text in (before, after))
    return list(differing_lines(entered, left))


def test_lines_of_as_many_are_paired_by_position() -> None:
    assert pairs("a b c", "a x c") == [("b", "x")]


def test_a_line_that_is_gone_or_new_stands_alone() -> None:
    assert pairs("a b c d", "a c d") == [("b", "")]
    assert pairs("a c d", "a b c d") == [("", "b")]


def test_a_changed_line_beside_a_new_one_is_paired() -> None:
    assert pairs("a b c d", "a b2 new c d") == [("b", "b2"), ("", "new")]


def test_a_line_that_occurs_twice_is_no_difference_beside_one_that_is_gone() -> None:
    assert pairs("m1 a=x gone m2 a=x end", "m1 a=x m2 a=x end") == [("gone", "")]
    assert pairs("h6 a=x a=y a=x end", "a=x new a=y a=x more end") == [
        ("h6", ""),
        ("", "new"),
        ("", "more"),
    ]


def test_lines_in_another_order_are_paired_around_those_that_stayed() -> None:
    assert pairs("a b c d e", "a c d b e new") == [("b", ""), ("", "b"), ("", "new")]


def test_no_more_pairs_are_kept_than_are_shown() -> None:
    before = " ".join(f"a{i}" for i in range(1000))
    after = " ".join(f"b{i}" for i in range(1001))
    assert pairs(before, after) == [(f"a{i}", f"b{i}") for i in range(SHOWN)]


def test_a_difference_behind_many_equal_lines_is_found() -> None:
    lines = [f"h{i}" for i in range(1000)]
    assert pairs(" ".join([*lines, "b", "c"]), " ".join([*lines, "c"])) == [("b", "")]
