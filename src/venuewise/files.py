"""Files: read with one clear line for what is wrong with them, written whole or not at all.

What is written stands under a temporary name beside its place until it is whole, then takes the place in one
step. Whatever ends the writing early (an error, Ctrl-C, SIGTERM where the command line turns it into an exit)
removes the temporary file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

from venuewise.errors import ConfigError, DataError

_WRITABLE: Final = "a file that can be written"


@contextmanager
def opened(path: Path, expected: str) -> Iterator[BufferedReader]:
    """Open a file for reading.

    Parameters
    ----------
    path : Path
        The file.
    expected : str
        What it should be, for the message: "a market data file".

    Raises
    ------
    DataError
        If there is no such file, or it is a directory, or it cannot be opened or read.
    """
    name = shown(path)
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(name, "no such file", expected) from None
    except IsADirectoryError:
        raise DataError(name, "a directory", expected) from None
    except OSError as error:
        raise DataError(name, f"a file that cannot be read ({error.strerror or error})", expected) from None
    except ValueError as error:
        if not _is_no_name(path):
            raise
        raise DataError(name, f"a name that no file can have ({error})", expected) from None


def read_bytes(path: Path, expected: str) -> bytes:
    """Return the content of a file; `expected` and errors are those of `opened`."""
    with opened(path, expected) as file:
        return file.read()


def read_text_file(path: Path, expected: str) -> str:
    """Return the content of a file of UTF-8 text; `expected` and errors are those of `opened`.

    Raises
    ------
    DataError
        Also if the bytes are not UTF-8.
    """
    try:
        return read_bytes(path, expected).decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x}, which is not UTF-8 text"
        raise DataError(shown(path), found, expected) from None


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file under a temporary name beside its place; rename it if all goes well, remove it if not.

    Missing folders are made. A symbolic link stays one: the file it points to is replaced.

    Raises
    ------
    ConfigError
        If it or its folder cannot be written, or something that is not a file stands in its place.
    """
    name = shown(path)
    if _is_no_name(path):
        raise ConfigError(f"{name}: found a name that no file can have; expected {_WRITABLE}")
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".venuewise-{secrets.token_hex(8)}.tmp"
    try:
        if target.is_dir():
            raise ConfigError(f"{name}: found a directory; expected {_WRITABLE}")
        if target.exists() and not target.is_file():
            raise ConfigError(f"{name}: found a device or pipe; expected {_WRITABLE}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
        temporary.replace(target)
    except BrokenPipeError:  # not of this file: what the block prints meanwhile is no longer read
        raise
    except OSError as error:
        raise ConfigError(f"{name}: found {error.strerror or error}; expected {_WRITABLE}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_whole(contents: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write files; they take their places once all of them are written, or none does.

    Raises
    ------
    ConfigError
        If one of them cannot be written.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(whole_file(path))
            file.write(content)
            file.flush()
    return tuple(contents)


def real_path(path: Path) -> str:
    """Return where a file really is, links followed; its name itself if no file can have it."""
    return os.fspath(path) if _is_no_name(path) else os.path.realpath(path)


def shown(path: Path) -> str:
    """Return a file's name as text that can be printed: it may hold bytes that are none."""
    name = os.fspath(path).replace("\0", "\\0")
    try:
        return os.fsencode(name).decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return name.encode(errors="backslashreplace").decode()


def _is_no_name(path: Path) -> bool:
    """Whether no file can have this name: it holds a null byte, or a character the system cannot write."""
    try:
        return b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        return True
