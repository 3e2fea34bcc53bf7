"""
How kernels are compiled: once, then kept on disk beside the code.

Numba keeps a kernel as long as the file of its outermost function is unchanged. Kernels here call each other across
files, so what is kept carries a digest of all of them instead.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

_SOURCES = sha256(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",  # a division by zero gives inf, not an exception to unwind
    "_nrt": False,  # kernels allocate nothing, so arrays need no counting, which two threads would fight over
}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls; it is kept on disk where that can be written."""
    try:
        compiled = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder to keep it in: compiled anew in each process
        return numba.njit(**_OPTIONS)(function)
    kept = getattr(compiled._cache, "_cache_file", None)
    if kept is not None and hasattr(kept, "_source_stamp"):
        kept._source_stamp = _SOURCES
    return compiled


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call."""
    return numba.njit(no_cpython_wrapper=True, **_OPTIONS)(function)
