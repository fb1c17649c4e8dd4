"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from venuewise.errors import ConfigError


def write_whole(contents: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write files under temporary names beside their places, and rename them once all of them are written.

    Raises
    ------
    ConfigError
        If a directory cannot be made or written; then none of the files is there.
    """
    temporary: dict[Path, Path] = {}
    at = Path()
    try:
        for at, content in contents.items():
            if at.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            at.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{at.name}.", dir=at.parent)
            temporary[at] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            temporary[at].chmod(0o666 & ~umask)
        for at, part in temporary.items():
            part.replace(at)
    except OSError as error:
        raise ConfigError(f"{at}: cannot be written: {error.strerror or error}") from None
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return tuple(contents)
