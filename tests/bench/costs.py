"""
What a run costs: core seconds and memory against streets, cells and categories, measured and fitted.

Run as a script; `docs/batch.md` shows what it prints::

    python tests/bench/costs.py measure ../shared/data costs.jsonl [CASE…]
    python tests/bench/costs.py fit costs.jsonl
    python tests/bench/costs.py errors costs.jsonl ../shared/data

Each case is a process of its own, after a warm-up that compiles and loads everything; a core second is a second of one
processor, however many others were at work meanwhile. A run is measured without sites, then with sites added.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

CATEGORIES = ("shops", "schools", "green", "sorting")
_LON, _LAT = 2.25, 48.80
_LINKS = 60
EXTRACTS = {
    "Paris 11e": ("paris_bss.osm.pbf", None),
    "Paris, Eiffel": ("paris_eiffel_walk_20231004.osm.pbf", None),
    "Monaco": ("monaco_2021.osm.pbf", None),
    "Krems": ("krems_2013.osm.gz", None),
    "Helsinki centre": ("helsinki_centre_2019.osm.pbf", None),
    "Porto centre": ("porto_centre_2020.osm.pbf", None),
    "Paris, parts": ("paris_merged_2023.osm.pbf", None),
    "Porto Alegre": ("porto_alegre_streets_2020.osm.pbf", None),
    "Porto region": ("porto_region_streets.osm.pbf", None),
}
HELD_OUT = {
    "held out: Karhula": ("package:pyrosm/data/test.osm.pbf", (26.935, 60.523, 26.965, 60.537)),
    "held out: Porto Alegre, south": ("porto_alegre_streets_2020.osm.pbf", (-51.24, -30.10, -51.20, -30.07)),
    "held out: Paris, Opéra": ("paris_merged_2023.osm.pbf", (2.325, 48.865, 2.345, 48.878)),
}
"""Areas that no rate was fitted to: `errors` says how far off the estimate of each is, `fit` leaves them out."""
OFF = {"enabled": False}
NO_LIMIT = "1TB"
"""As in a batch, each step gives back what it no longer needs, so that the peaks of steps can be told apart."""
NO_SITES = {"trees": OFF, "chargers": OFF, "sorting": OFF}


def cases(data: Path) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Configuration tables of every case, made when asked for, in a folder for what they need."""
    made: dict[str, Callable[[Path], dict[str, Any]]] = {}
    for name, (file, _) in EXTRACTS.items():
        made[name] = lambda _, f=file, n=name: extract(data / "osm" / f, n)
    for name, (file, box) in HELD_OUT.items():
        source = file if file.startswith("package:") else str(data / "osm" / file)
        made[name] = lambda _, f=source, b=box, n=name: extract(f, n, bbox=b)
    porto = data / "osm" / EXTRACTS["Porto centre"][0]
    for taxonomy in ("moreno", "proximity9"):
        made[f"Porto centre, {taxonomy}"] = lambda _, t=taxonomy: extract(
            porto, "Porto", scoring={"taxonomy": t}
        )
    for resolution in (9, 11):
        made[f"Porto centre, resolution {resolution}"] = lambda _, r=resolution: extract(
            porto, "Porto", resolution=r
        )
    for side in (1, 2, 4):
        made[f"synthetic {side * side}×"] = lambda folder, s=side: synthetic(data, folder, s)
    return made


def extract(
    file: Path | str,
    name: str,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    resolution: int = 10,
    **more: Any,
) -> dict[str, Any]:
    """The tables of an extract, or of a box in it, with all defaults."""
    area: dict[str, Any] = {"name": name, "resolution": resolution}
    return {"area": area if bbox is None else {**area, "bbox": bbox}, "source": {"osm": str(file)}, **more}


def synthetic(data: Path, folder: Path, side: int) -> dict[str, Any]:
    """A square of `side` × `side` copies of the synthetic Paris, sewn together, as tables; on foot and by bicycle."""
    bench = np.load(data / "bench" / "paris_synth.npz")
    xy, u, v, length = bench["xy"], bench["u"], bench["v"], bench["length"]
    width = np.ceil(xy.max(axis=0)) + 30
    n, copies = len(xy), [(i, j) for j in range(side) for i in range(side)]
    points = np.concatenate([xy + width * c for c in copies])
    tails = np.concatenate([u.astype(np.int64) + n * k for k in range(len(copies))])
    heads = np.concatenate([v.astype(np.int64) + n * k for k in range(len(copies))])
    metres = np.tile(length, len(copies))
    seams = [
        (a + n * (i + side * j), b + n * (i + di + side * (j + dj)))
        for i, j in copies
        for axis, (di, dj) in enumerate(((1, 0), (0, 1)))
        if i + di < side and j + dj < side
        for a, b in _seam(xy, axis)
    ]
    sewn = np.array(seams, dtype=np.int64).reshape(-1, 2)
    tails, heads = np.append(tails, sewn[:, 0]), np.append(heads, sewn[:, 1])
    metres = np.append(metres, np.hypot(*(points[sewn[:, 0]] - points[sewn[:, 1]]).T))
    lon = _LON + points[:, 0] / (111_195 * np.cos(np.radians(_LAT)))
    lat = _LAT + points[:, 1] / 111_195
    pd.DataFrame({"node_id": np.arange(len(points)), "lon": lon, "lat": lat}).to_csv(
        folder / "nodes.csv", index=False
    )
    pd.DataFrame({"from": tails, "to": heads, "length_m": metres.round(3), "highway": "residential"}).to_csv(
        folder / "edges.csv", index=False
    )
    opportunities = {}
    for name in CATEGORIES:
        where = np.concatenate([bench[f"opp_{name}"].astype(np.int64) + n * k for k in range(len(copies))])
        table = pd.DataFrame({"name": [f"{name} {k}" for k in range(len(where))]})
        table.assign(lon=lon[where], lat=lat[where]).to_csv(folder / f"{name}.csv", index=False)
        file = str(folder / f"{name}.csv")
        opportunities[name] = {"osm": {}, "file": file, "geometry": "point", "min_area_ha": 0.0}
    return {
        "area": {"name": f"synthetic {side * side}"},
        "source": {
            "osm": "tables",
            "nodes": str(folder / "nodes.csv"),
            "edges": str(folder / "edges.csv"),
        },
        "network": {"street30": OFF},
        "opportunities": opportunities,
    }


def _seam(xy: np.ndarray, axis: int) -> list[tuple[int, int]]:
    """Nodes on the far and on the near border of a copy that are sewn together, band by band."""
    band = np.minimum((xy[:, 1 - axis] / xy[:, 1 - axis].max() * _LINKS).astype(int), _LINKS - 1)
    pairs = []
    for k in range(_LINKS):
        rows = np.flatnonzero(band == k)
        pairs.append((int(rows[xy[rows, axis].argmax()]), int(rows[xy[rows, axis].argmin()])))
    return pairs


def measure_one(name: str, data: Path) -> dict[str, Any]:
    """Measure a case in this process."""
    from pipelines import run
    from pipelines.batch.size import local_file
    from pipelines.memory import peak_mb, start_peak
    from pipelines.pace import pace
    from pipelines.warm_town import town_tables

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        run(town_tables(folder), out=folder / "warm", cache=folder / "cache")
        tables = cases(data)[name](folder)
        source = tables["source"]
        files = (
            [source["nodes"], source["edges"]]
            if source["osm"] == "tables"
            else [local_file(source["osm"], folder)]
        )
        paces = [pace()]
        start_peak()
        before, wall = time.process_time(), time.perf_counter()
        done = run(
            {**tables, "sites": NO_SITES}, out=folder / "run", cache=folder / "cache", memory_limit=NO_LIMIT
        )
        core_s, peak = time.process_time() - before, peak_mb()
        found = {
            "case": name,
            "read_mb": sum(Path(f).stat().st_size for f in files) / 1e6,
            "nodes": sum(pq.read_metadata(f).num_rows for f in done.path.glob("network_*_nodes.parquet")),
            "vertices": {
                f.stem.split("_")[1]: pq.read_metadata(f).num_rows
                for f in done.path.glob("network_*_nodes.parquet")
            },
            "cells": len(done.cells),
            "categories": len(done.categories),
            "modes": len(done.modes),
            "core_s": core_s,
            "wall_s": time.perf_counter() - wall,
            "peak_mb": peak,
            "steps": _step_peaks(done),
            "output_mb": sum(f.stat().st_size for f in done.path.iterdir()) / 1e6,
        }
        if {"walk", "street30"} <= set(done.modes):
            before = time.process_time()
            sited = run(tables, out=folder / "run", cache=folder / "cache", memory_limit=NO_LIMIT)
            found |= {"sites_core_s": time.process_time() - before, "sites_peak_mb": peak_mb()}
            found["steps"] |= _step_peaks(sited)
        paces.append(pace())
        found["pace"] = sum(paces) / 2
    return found


def _step_peaks(done: Any) -> dict[str, int]:
    """[MB] Highest memory of the process during each step that was computed."""
    return {
        name: round(step["peak_memory_mb"] or 0)
        for name, step in done.manifest["steps"].items()
        if not step["cached"]
    }


def fit(measured: pd.DataFrame) -> pd.DataFrame:
    """
    Rates of time and disk for `pipelines.cost`, not negative, by least squares of relative errors.

    The size of tables is left out: only that of an extract says what reading it costs. Rates of memory are read off the
    peaks of the steps by hand: each is the highest for another kind of run.
    """
    tables = measured["case"].str.startswith("synthetic")
    read = measured["read_mb"].where(~tables, 0.0)
    work = measured["cells"] * measured["categories"] * measured["modes"]
    plain = np.column_stack([np.ones(len(measured)), read, measured["nodes"], work])
    own = measured["sites_core_s"].notna()
    sites = measured[own]
    rows = {name: _relative(plain, measured[name].to_numpy()) for name in ("core_s", "output_mb")}
    columns = np.column_stack([np.ones(len(sites)), np.zeros(len(sites)), sites["nodes"], sites["cells"]])
    rows["sites_core_s"] = _relative(columns, sites["sites_core_s"].to_numpy())
    return pd.DataFrame(rows, index=["base", "MB read", "node", "cell × category × mode (sites: cell)"]).T


def errors(measured: pd.DataFrame, data: Path) -> pd.DataFrame:
    """How far `proche batch --estimate` is off for each case: what it says of the configuration, against what was."""
    from pipelines.batch.size import size_of
    from pipelines.cost import cost_of

    rows = []
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        for case in measured.to_dict("records"):
            size = size_of(cases(data)[case["case"]](folder), base=folder, cache=folder)
            cost = cost_of(size)
            sites = case["sites_core_s"] if size.sites else 0.0
            peak = case["sites_peak_mb"] if size.sites else 0.0
            rows.append(
                {
                    "case": case["case"],
                    "nodes": size.nodes / case["nodes"] - 1,
                    "cells": size.cells / case["cells"] - 1,
                    "core_s": cost.core_s * case["pace"] / (case["core_s"] + sites) - 1,
                    "peak_mb": cost.peak_mb / max(case["peak_mb"], peak) - 1,
                    "basis": size.basis,
                }
            )
    return pd.DataFrame(rows)


def _relative(columns: np.ndarray, value: np.ndarray) -> np.ndarray:
    from scipy.optimize import nnls

    return nnls(columns / value[:, None], np.ones(len(value)))[0]


def main(arguments: list[str]) -> None:
    """Measure, one case, or fit."""
    what, *rest = arguments
    if what == "one":
        print(json.dumps(measure_one(rest[0], Path(rest[1]).resolve())))
    elif what == "measure":
        data, target = Path(rest[0]), Path(rest[1])
        for name in rest[2:] or cases(data):
            command = [sys.executable, __file__, "one", name, str(data)]
            text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            with target.open("a", encoding="utf-8") as file:
                file.write(text)
            print(text, end="")
    else:
        measured = pd.DataFrame([json.loads(line) for line in Path(rest[0]).read_text("utf-8").splitlines()])
        measured = measured.drop_duplicates("case", keep="last")
        if what == "errors":
            print(
                errors(measured, Path(rest[1]).resolve()).to_string(
                    index=False, float_format="{:+.0%}".format
                )
            )
            return
        columns = [
            "case",
            "read_mb",
            "nodes",
            "cells",
            "categories",
            "modes",
            "core_s",
            "sites_core_s",
            "peak_mb",
        ]
        columns += ["sites_peak_mb", "output_mb"]
        print(measured[columns].round(1).to_string(index=False))
        print(pd.DataFrame({row["case"]: row["steps"] for row in measured.to_dict("records")}).to_string())
        fitted = measured[~measured["case"].isin(HELD_OUT)]
        print(fit(fitted).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
