"""
Warm-up: the first run on a machine has its searches and solvers compiled on a second core while it reads.

Compiled code is kept on disk (see `engine.reach.compiled`), so this happens once for each version of the code. The
warm-up is a run like any other, of a town of sixteen crossings made of tables, in a folder that is thrown away: what it
compiles is what every run calls, with the very same types.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import engine
from pipelines.steps.context import code_digest

_SIDE = 4
_STEP_DEG = 0.001
_PLACES = ("shops", "schools", "green", "sorting")


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
    command = [sys.executable, "-m", "pipelines.warm"]
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


def town_tables(folder: Path) -> dict[str, Any]:
    """Write a town of streets at right angles and a place of every category; give its configuration."""
    nodes, edges = ["node_id,lon,lat"], ["from,to,name,highway"]
    for row in range(_SIDE):
        for column in range(_SIDE):
            number = row * _SIDE + column
            nodes.append(f"{number},{2.35 + column * _STEP_DEG},{48.85 + row * _STEP_DEG}")
            if column + 1 < _SIDE:
                edges.append(f"{number},{number + 1},Row {row},residential")
            if row + 1 < _SIDE:
                edges.append(f"{number},{number + _SIDE},Column {column},residential")
    (folder / "nodes.csv").write_text("\n".join(nodes), "utf-8")
    (folder / "edges.csv").write_text("\n".join(edges), "utf-8")
    opportunities: dict[str, Any] = {}
    for i, name in enumerate(_PLACES):
        places = [f"{name} {k},{2.3503 + (i + k) * 0.0007},{48.8501 + k * _STEP_DEG}" for k in range(3)]
        (folder / f"{name}.csv").write_text("\n".join(["name,lon,lat", *places]), "utf-8")
        file = str(folder / f"{name}.csv")
        opportunities[name] = {"osm": {}, "file": file, "geometry": "point", "min_area_ha": 0.0}
    return {
        "area": {"name": "Warm-up", "bbox": (2.3495, 48.8495, 2.3535, 48.8535)},
        "source": {"osm": "tables", "nodes": str(folder / "nodes.csv"), "edges": str(folder / "edges.csv")},
        "opportunities": opportunities,
        "sites": {"trees": {"count": 3}, "chargers": {"count": 2}, "sorting": {"count": 2}},
    }


def main() -> None:
    """Run the town, then leave the marker."""
    from pipelines.compute import run

    with tempfile.TemporaryDirectory(prefix="proche-warm-") as name:
        folder = Path(name)
        run(town_tables(folder), cache=folder / "cache", out=folder / "out")
    with suppress(OSError):  # a place that cannot be written: the next first run warms up again
        marker().parent.mkdir(parents=True, exist_ok=True)
        marker().touch()


if __name__ == "__main__":
    main()
