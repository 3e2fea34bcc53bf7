"""Kernels of this room: compiled once, kept on disk, compiled anew when their source or the reach core's changes."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

_HERE = Path(__file__).parent
_SOURCES = sha256(
    b"".join(
        p.read_bytes() for folder in (_HERE, _HERE.parent / "reach") for p in sorted(folder.glob("*.py"))
    )
).hexdigest()


_LEAN = {"nogil": True, "error_model": "numpy", "_nrt": False}
"""For functions that allocate nothing: their arrays need no counting."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls; it releases the interpreter."""
    return _kept(function, {"nogil": True})


def lean_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls and that allocates nothing."""
    return _kept(function, _LEAN)


def lean(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call and that allocates nothing."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_LEAN)(function)


def _kept(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in: compiled anew in each process
        return numba.njit(**options)(function)
    kept = getattr(compiled._cache, "_cache_file", None)
    if kept is not None and hasattr(kept, "_source_stamp"):
        kept._source_stamp = _SOURCES
    return compiled


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call."""
    return numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
