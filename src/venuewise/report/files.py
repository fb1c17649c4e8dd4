"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from venuewise.errors import ConfigError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file under a temporary name beside its place; rename it if all goes well, remove it if not.

    Raises
    ------
    ConfigError
        If it or its directory cannot be written.
    """
    temporary: Path | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_whole(contents: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write files; they take their places once all of them are written, or none does.

    Raises
    ------
    ConfigError
        If one of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(whole_file(path))
            file.write(content)
            file.flush()
    return tuple(contents)
