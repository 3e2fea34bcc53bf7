"""
Many cities and settings at once: on this machine or on a cluster, resumed after any crash, always the same bytes.

``run_batch`` computes a file of areas::

    from pipelines.batch import run_batch

    run_batch(["cities.toml"]).catalogue
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.batch.batch import BatchDirectory as BatchDirectory
    from pipelines.batch.batch import run_batch as run_batch

__all__ = ["BatchDirectory", "run_batch"]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for, so that ``proche --help`` is quick."""
    if name in __all__:
        from pipelines.batch import batch

        return getattr(batch, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
