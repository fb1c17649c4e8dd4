"""From a path to plain bytes: what kind of file it is, and decompression that notices a cut-off stream.

The content decides the kind; a suffix that promises another one is an error, since such a file is
usually a failed download or the wrong file.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, Literal

import zstandard

from venuewise.errors import DataError
from venuewise.files import opened, shown

Kind = Literal["csv", "dbn", "parquet"]

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_NAMES: Final = {"csv": "CSV", "dbn": "DBN", "parquet": "Parquet"}


def load(path: Path) -> tuple[bytes | mmap, Kind]:
    """Read a whole file, decompressed, and tell its kind.

    Raises
    ------
    DataError
        If there is no such file, or it is a directory, unreadable, empty, cut off, corrupt, or not of the
        kind that its suffix promises.
    """
    name = shown(path)
    with opened(path, "a market data file") as file:
        head = file.peek(4)[:4]
        # What is parsed in place is mapped into memory: that saves a copy of it.
        packed = head == _ZSTD or head[:2] == _GZIP or head == _PARQUET
        data: bytes | mmap = _mapped(file.fileno()) if head and not packed and path.is_file() else file.read()
    if len(data) == 0:
        raise DataError(name, "an empty file", "market data")

    suffixes = [s.lower() for s in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    if head == _ZSTD:
        data = _unzstd(name, bytes(data))
    elif head[:2] == _GZIP:
        data = _ungzip(name, bytes(data))
    elif last in (".zst", ".gz"):
        raise DataError(name, "bytes that are not compressed so", f"a {last} file, as its name says")
    if len(data) == 0:
        raise DataError(name, "nothing inside the compressed file", "market data")

    kind = _kind(data)
    promised = [s for s in suffixes if s in (".csv", ".dbn", ".parquet")]
    if promised and promised[-1][1:] != kind:
        raise DataError(name, _describe(data, kind), f"{_NAMES[promised[-1][1:]]}, as the name says")
    return data, kind


def _mapped(descriptor: int) -> mmap:
    """Map a file into memory, on Linux with all pages at once, since faults one by one cost more."""
    if sys.platform == "linux":
        from mmap import MAP_POPULATE, MAP_SHARED, PROT_READ  # noqa: PLC0415 (elsewhere they are missing)

        return mmap(descriptor, 0, flags=MAP_SHARED | MAP_POPULATE, prot=PROT_READ)
    return mmap(descriptor, 0, access=ACCESS_READ)


def _kind(data: bytes | mmap) -> Kind:
    head = data[:4]
    if head == _PARQUET:
        return "parquet"
    return "dbn" if head[:3] == b"DBN" and head[3:] < b"\x20" else "csv"


def _describe(data: bytes | mmap, kind: Kind) -> str:
    if kind != "csv":
        return f"a {_NAMES[kind]} file"
    return f"a file that starts with {data[:16]!r}"


def _unzstd(name: str, data: bytes) -> bytes:
    parts = []
    while data:
        stream = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(stream.decompress(data))
        except zstandard.ZstdError as error:
            raise DataError(
                name, f"corrupt zstd data ({str(error).removeprefix('zstd ')})", "a sound .zst file"
            ) from None
        if not stream.eof:
            raise DataError(name, "zstd data that ends too early", "a whole .zst file (copy it again)")
        data = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _ungzip(name: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError:
        raise DataError(name, "gzip data that ends too early", "a whole .gz file (copy it again)") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(name, f"corrupt gzip data ({error})", "a sound .gz file") from None
