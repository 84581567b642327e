# SPDX-License-Identifier: Apache-2.0
"""Cipher: a keyed permutation of the words of one form, so two words never become one.

A word keeps its length, and each character its kind: a digit stays a digit, a letter a letter of
the same case. It is a Feistel network over the numbers below n. Walking the cycle brings its
results into the range (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, section
3); BLAKE2b (RFC 7693) is its round function.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

ROUNDS = 6
PIECE = 64  # characters replaced at once
_LETTERS, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"


class Cipher:
    """key: 16 to 64 bytes."""

    def __init__(self, key: bytes) -> None:
        if not 16 <= len(key) <= 64:
            raise ValueError("a key has 16 to 64 bytes")
        self._key = key
        self._short = lru_cache(65536)(self._word)
        self.number = lru_cache(65536)(self._number)

    def word(self, word: str) -> str:
        """Another word of the same form. word: ASCII letters and digits."""
        if len(word) <= PIECE:
            return self._short(word)
        return "".join(self._short(word[i : i + PIECE]) for i in range(0, len(word), PIECE))

    def choice(self, value: int, members: tuple[int, ...], context: bytes) -> int:
        """Another member in place of value, by a permutation of its own for each context; value
        itself if it is no member."""
        if value not in members:
            return value
        return members[self.number(members.index(value), len(members), context)]

    def _number(self, value: int, count: int, context: bytes) -> int:
        """A permutation of the numbers below count."""
        if count < 2:
            return value
        half = ((count - 1).bit_length() + 1) // 2
        mask = (1 << half) - 1
        size = (half + 7) // 8
        while True:
            left, right = value >> half, value & mask
            for turn in range(ROUNDS):
                said = b"%d %x " % (turn, count) + context + b" " + right.to_bytes(size)
                left, right = right, left ^ (_stretched(said, self._key, size) & mask)
            value = left << half | right
            if value < count:
                return value

    def _word(self, word: str) -> str:
        """Upper and lower case get the same word except for the case, as for hosts (RFC 3261
        section 19.1.4)."""
        value, count = 0, 1
        for character in word.lower():
            alphabet = _DIGITS if character in _DIGITS else _LETTERS
            value = value * len(alphabet) + alphabet.index(character)
            count *= len(alphabet)
        form = "".join("d" if c in _DIGITS else "l" for c in word)
        value = self._number(value, count, form.encode())
        made = []
        for character in reversed(word):
            alphabet = _DIGITS if character in _DIGITS else _LETTERS
            value, index = divmod(value, len(alphabet))
            new = alphabet[index]
            made.append(new.upper() if character.isupper() else new)
        return "".join(reversed(made))


def _stretched(text: bytes, key: bytes, size: int) -> int:
    made = b""
    while len(made) < size:
        made += blake2b(made[-64:] + text, key=key).digest()
    return int.from_bytes(made[:size])
