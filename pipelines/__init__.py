"""
Everything that touches disk, network or clock: configuration, sources, steps, runs, the command.

``run`` computes a configuration and gives its run directory::

    from pipelines import run

    run("configs/demo.toml").cells
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.compute import run as run
    from pipelines.rundir import RunDirectory as RunDirectory

__all__ = ["RunDirectory", "run"]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for, so that ``proche --help`` is quick."""
    if name == "run":
        from pipelines.compute import run

        return run
    if name == "RunDirectory":
        from pipelines.rundir import RunDirectory

        return RunDirectory
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
