# SPDX-License-Identifier: Apache-2.0
"""Compressed captures, unpacked piece by piece: a small file that unpacks to a huge one takes time
and no memory, because the output is not kept."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import IO, Any, Protocol

MOST = 1 << 18  # bytes unpacked at once
MEMORY = 256 << 20  # bytes for the window of a decoder; xz -9 needs 65 MB
PIECE = 512  # bytes passed to zstd at once
WINDOW = 27  # power of two; zstd's own limit without options (--long=27)

Read = Callable[[int], bytes]


class Unreadable(Exception):
    """The text gives the reason and the remedy."""


class Unpacking(Protocol):
    """read: as of a file. close: free its resources."""

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class _Decoder:
    """A decompressor of the standard library, or one in its form. Consecutive members are one file,
    as for gzip and xz."""

    def __init__(self, kind: str, read: Read) -> None:
        self._kind = kind
        self._read = read
        self._make, self._faults = _MAKERS[kind]()
        self._one: Any = None
        self._rest = b""

    def read(self, size: int) -> bytes:
        try:
            while True:
                if self._one is None:
                    self._rest = self._rest or self._read(MOST)
                    if not self._rest.rstrip(b"\0"):  # padding
                        return b""
                    self._one = self._make()
                data = self._taken(min(size, MOST))
                if data or self._one is None:
                    if data:
                        return data
                    continue
                more = self._read(MOST)
                if not more:
                    raise Unreadable(f"its {self._kind} data ends early")
                self._rest += more
        except self._faults as error:
            raise Unreadable(f"its {self._kind} data is damaged ({error})") from None

    def _taken(self, size: int) -> bytes:
        one = self._one
        if hasattr(one, "unconsumed_tail"):  # zlib
            data: bytes = one.decompress(self._rest, size)
            self._rest = one.unconsumed_tail or one.unused_data
        else:
            fed = b"" if not one.needs_input else self._rest
            data = one.decompress(fed, size)
            self._rest = one.unused_data if one.eof else (b"" if fed else self._rest)
        if one.eof:
            self._one = None
        return data

    def close(self) -> None:
        self._rest = b""


class _Zstd:
    """zstandard in the form of the decompressors of the standard library. The output of a piece of
    input has no bound there, so pieces are small: each of their bytes becomes at most 32 kB."""

    def __init__(self) -> None:
        import zstandard

        unpacker = zstandard.ZstdDecompressor(max_window_size=1 << WINDOW)
        self._one = unpacker.decompressobj()
        self._pending = self.unused_data = b""
        self.needs_input, self.eof = True, False

    def decompress(self, data: bytes, size: int) -> bytes:
        pending, out = self._pending + data, b""
        while pending and not out and not self._one.eof:
            out = self._one.decompress(pending[:PIECE])
            pending = pending[PIECE:]
        if self._one.eof:
            self.eof, self.unused_data, pending = True, self._one.unused_data + pending, b""
        self._pending, self.needs_input = pending, not pending
        return out


Maker = tuple[Callable[[], Any], tuple[type[Exception], ...]]


def _gzip() -> Maker:
    import zlib

    return lambda: zlib.decompressobj(31), (zlib.error,)


def _xz() -> Maker:
    import lzma

    return lambda: lzma.LZMADecompressor(memlimit=MEMORY), (lzma.LZMAError, EOFError)


def _bzip2() -> Maker:
    import bz2

    return bz2.BZ2Decompressor, (OSError, EOFError)


def _zstd() -> Maker:
    import zstandard

    return _Zstd, (zstandard.ZstdError,)


def _lz4() -> Maker:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor, (RuntimeError, EOFError)


EXTRAS = ("zstd", "lz4")  # of pyproject.toml; the others come with most Pythons
_MAKERS = {"gzip": _gzip, "xz": _xz, "bzip2": _bzip2, "zstd": _zstd, "lz4": _lz4}


class _Program:
    """zstd or lz4 by the program of this name; it reads the file itself."""

    def __init__(self, kind: str, program: str, path: str) -> None:
        self._kind = kind
        limit = ["--memory=128MB"] if kind == "zstd" else []
        self._process = subprocess.Popen(
            [program, "-dcq", *limit, "--", path], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None and self._process.stderr is not None
        self._out: IO[bytes] = self._process.stdout
        self._err: IO[bytes] = self._process.stderr

    def read(self, size: int) -> bytes:
        data = self._out.read1(min(size, MOST))  # type: ignore[attr-defined]
        if not data and self._process.wait():
            said = self._err.read(300).decode("utf-8", "replace").strip()
            raise Unreadable(f"its {self._kind} data is damaged ({' '.join(said.split())})")
        assert isinstance(data, bytes)
        return data

    def close(self) -> None:
        self._out.close()
        self._err.close()
        self._process.kill()
        self._process.wait()


def unpacking(kind: str, read: Read, path: str) -> Unpacking:
    """Unpack the bytes of `read`. kind: a word of kinds.PACKED. path: the same bytes from their
    beginning, for a program, "" without such a path. Unreadable."""
    try:
        return _Decoder(kind, read)
    except ImportError:
        program = shutil.which(kind)
        if program and path:
            return _Program(kind, program, path)
    package = f"type pip install 'algwatch[{kind}]', or " if kind in EXTRAS else ""
    raise Unreadable(
        f"compressed with {kind}: {package}install the program {kind}, or unpack it first"
    )
