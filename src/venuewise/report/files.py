"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from venuewise.errors import ConfigError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file under a temporary name beside its place, then rename it.

    Raises
    ------
    ConfigError
        If its directory cannot be made or written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path
