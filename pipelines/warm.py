"""
Warm-up: the first run on a machine has its searches and solvers compiled on a second core while it reads.

Compiled code is kept on disk (see `engine.reach.compiled`), so this happens once for each version of the code. The
warm-up is a run like any other, of a small town (`pipelines.warm_town`), in a folder that is thrown away: what it
compiles is what every run calls, with the very same types.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import engine
from pipelines.steps.context import code_digest


def marker() -> Path:
    """The file that says that this version's code has been compiled here."""
    folder = os.environ.get("NUMBA_CACHE_DIR") or str(Path(str(engine.__file__)).parent / "__pycache__")
    return Path(folder) / f"proche-warm-{code_digest()[:16]}"


@contextmanager
def warming() -> Iterator[None]:
    """Compile in a second process while the body runs; do nothing where that has been done or cannot be."""
    if marker().exists() or (os.cpu_count() or 1) < 2 or os.environ.get("PROCHE_WARM") == "off":
        yield
        return
    command = [sys.executable, "-m", "pipelines.warm_town"]
    env = {**os.environ, "PROCHE_WARM": "off"}
    void = subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, env=env, stdin=void, stdout=void, stderr=void)  # noqa: S603 - our own module
    except OSError:  # no second process to be had: everything is compiled in this one
        yield
        return
    try:
        yield
    finally:
        process.terminate()
        process.wait()
