"""The one way in which kernels are compiled.

Kernels are cached on disk (the first run compiles, the next ones load), release the GIL (threads
run them side by side), follow IEEE division (no Python exceptions inside) and never use fast-math: the
same input gives the same bits everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba.core import types

Kernel = TypeVar("Kernel", bound=Callable[..., object])

COMPILED: Final = not cast(Any, numba.config).DISABLE_JIT
"""Whether kernels are compiled; NUMBA_DISABLE_JIT=1 leaves them plain Python."""
PACKAGE = Path(__file__).parent
_IMPORT = re.compile(rb"^(?:from|import) venuewise\.([\w.]+)", re.MULTILINE)


def kernel(function: Kernel) -> Kernel:
    """Compile a function of arrays and scalars with numba; callers see its plain Python signature.

    It differs from `numba.njit` in three ways. Where nothing can be written, kernels are compiled in each process
    and no error is raised. What was compiled is stale when a module that the kernel's own imports has
    changed, not only when its own has: numba compiles what a kernel calls into it. And a constant in a call is
    an argument like any other: numba would compile the callee once more for each value.

    With NUMBA_DISABLE_JIT=1 in the environment a kernel stays the plain Python function, for debuggers and coverage.
    """
    if not COMPILED:
        return function
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba has found no directory to write to
        dispatcher = numba.njit(**options)(function)
    else:
        dispatcher._cache._cache_file._source_stamp = source_stamp(Path(function.__code__.co_filename))
    template_of = dispatcher.get_call_template

    def call_template(arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        plain: Any = types.unliteral
        return template_of(
            tuple(plain(argument) for argument in arguments),
            {name: plain(argument) for name, argument in named.items()},
        )

    dispatcher.get_call_template = call_template
    return cast(Kernel, dispatcher)


@cache
def source_stamp(file: Path) -> str:
    """Return a hash of a module's source and of all modules of this package that it rests on."""
    found, open_ends = {file}, [file]
    while open_ends:
        new = _imports(open_ends.pop()) - found
        found |= new
        open_ends += new
    return hashlib.sha256(b"".join(_source(part) for part in sorted(found))).hexdigest()


@cache
def _imports(file: Path) -> frozenset[Path]:
    """Return the files of this package that a file imports when it is imported itself."""
    modules = (PACKAGE.joinpath(*name.decode().split(".")) for name in _IMPORT.findall(_source(file)))
    files = (file for module in modules for file in (module.with_suffix(".py"), module / "__init__.py"))
    return frozenset(file for file in files if file.is_file())


@cache
def _source(file: Path) -> bytes:
    return file.read_bytes()
