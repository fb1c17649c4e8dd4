"""The command line as users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

SOURCE = Path(__file__).resolve().parents[1] / "src"


def call(
    *arguments: str, cwd: Path, stdin: str = "", stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run `venuewise` on the sources of this tree, whatever is installed."""
    return subprocess.run(
        [sys.executable, "-m", "venuewise", *arguments],
        cwd=cwd, input=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
