"""Kernels on disk: what makes them stale, what is compiled once, and what happens where nothing can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from venuewise import _jit
from venuewise._jit import kernel

ROOT = Path(_jit.__file__).parent
CALLEE = "from venuewise._jit import kernel\n\nSCALE = 2\n\n@kernel\ndef scaled(x):\n    return x * SCALE\n"
CALLER = (
    "from venuewise._jit import kernel\nfrom venuewise.callee import scaled\n\n"
    "@kernel\ndef called(x):\n    return scaled(x) + 1\n"
)
RUN = "from venuewise.caller import called; print(called(10), sum(called.stats.cache_misses.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with one kernel that calls another one, of another file."""
    package = tmp_path / "venuewise"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(ROOT / "_jit.py", package)
    (package / "callee.py").write_text(CALLEE)
    (package / "caller.py").write_text(CALLER)
    return package


def run(package: Path, **environment: str) -> str:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    surroundings |= {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(package: Path) -> None:
    assert run(package) == "21 1"
    assert run(package) == "21 0"
    (package / "callee.py").write_text(CALLEE.replace("SCALE = 2", "SCALE = 3"))
    assert run(package) == "31 1"


def test_kernels_work_where_nothing_can_be_written(package: Path) -> None:
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "IPythonCacheLocator"}  # of files, it finds no directory
    assert run(package, **nowhere) == "21 1"
    assert not list(package.rglob("*.nbi"))


def test_kernels_are_plain_python_where_compiling_is_switched_off() -> None:
    script = (
        "import types, venuewise as vw; from venuewise.allocation.entry import allocate_book\n"
        "book = dict(fee=0.003, rebate=0.002, lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=99.995)\n"
        "prices = [100.01, 100.00, 100.02]\n"
        "for size in ([400, 300, 800], [[400], [300], [800]]):\n"
        "    ask = prices if size[0] == 400 else [[price] for price in prices]\n"
        "    print(vw.allocate(1000, ask=ask, ask_size=size, **book).shares.tolist())\n"
        "print(isinstance(allocate_book, types.FunctionType))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[400, 300, 300]\n[400, 300, 300]\nTrue\n", done.stderr


@kernel
def _shifted(x: int, by: int) -> int:
    return x + by


@kernel
def _shifted_by_constants(x: int) -> int:
    return _shifted(x, 1) + _shifted(x, 2) + _shifted(x, by=3)


def test_a_kernel_is_compiled_once_for_all_constants_in_calls() -> None:
    _shifted_by_constants.recompile()  # type: ignore[attr-defined]  # not from the disk of an earlier run
    assert _shifted_by_constants(10) == 36
    _shifted_by_constants.recompile()  # type: ignore[attr-defined]  # it may have come from the disk
    assert len(_shifted.signatures) == 1  # type: ignore[attr-defined]
