"""The town of the warm-up: sixteen crossings made of tables, run in a folder that is thrown away."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.compute import run
from pipelines.warm import marker

_SIDE = 4
_STEP_DEG = 0.001
_PLACES = ("shops", "schools", "green", "sorting")


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
    with tempfile.TemporaryDirectory(prefix="proche-warm-") as name:
        folder = Path(name)
        run(town_tables(folder), cache=folder / "cache", out=folder / "out")
    with suppress(OSError):  # a place that cannot be written: the next first run warms up again
        marker().parent.mkdir(parents=True, exist_ok=True)
        marker().touch()


if __name__ == "__main__":
    main()
