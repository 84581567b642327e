"""A name is only given where every byte says so."""

from __future__ import annotations

from algwatch.compare.fingerprint import LINUX, UNKNOWN, fingerprint, not_linux, reason
from algwatch.compare.rewrite import MAPPING, Rewrite


def rewrite(explained: str = MAPPING, linux: bool = True, expected: str = "") -> Rewrite:
    return Rewrite("Contact", "address", 0, "a:1", "b:2", explained, expected, linux)


def test_one_change_that_is_not_linux_makes_all_of_them_not_linux() -> None:
    changes = [rewrite(), rewrite(linux=False), rewrite()]
    assert fingerprint(changes) == UNKNOWN
    assert not_linux(changes) == [changes[1]]
    assert fingerprint([rewrite(), rewrite()]) == LINUX


def test_the_reason_names_what_linux_would_have_written() -> None:
    said = reason([rewrite(), rewrite("", False, "198.51.100.2:5060")])
    assert said == "Contact address became b:2 where nf_nat_sip would write 198.51.100.2:5060"
    assert reason([rewrite("", False)]) == "nf_nat_sip never changes Contact address"
