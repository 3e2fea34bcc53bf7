"""What a batch leaves: one row a unit in the status table, one row a finished unit in the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import geopandas as gpd
import pandas as pd
import shapely

from pipelines.batch.unit import DONE, Outcome
from pipelines.rundir import RunDirectory
from pipelines.store import sync_file
from pipelines.tables_out import write_parquet

CATALOGUE, STATUS = "catalogue.parquet", "status.parquet"
WAITING = "waiting"
"""State of a unit that has not been begun."""

_FIGURES = (
    "share",
    "share_5",
    "share_10",
    "mean_minutes",
    "median_minutes",
    "p90_minutes",
    "share_unreachable",
)
_MODE_FIGURES = ("score_mean", "within_15_mean", "all_share")


def status_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """
    How every unit went.

    Returns
    -------
    pandas.DataFrame
        ``unit``, ``city``, ``setting``, ``status`` (``done``, ``failed``, ``waiting``), ``computed`` (number of steps
        that were not known), ``seconds``, ``peak_mb``, ``worker``, ``finished``, ``exit_code``, ``reason``;
        in the order given.
    """
    rows = [
        {
            "unit": o.id,
            "city": o.city,
            "setting": o.label,
            "status": o.status,
            "computed": len(o.built),
            "seconds": o.seconds,
            "peak_mb": o.peak_mb,
            "worker": o.worker,
            "finished": o.finished,
            "exit_code": o.exit_code,
            "reason": o.reason,
        }
        for o in outcomes
    ]
    kinds = {"computed": "int64", "seconds": "float64", "peak_mb": "float64", "exit_code": "int64"}
    columns = [
        "unit",
        "city",
        "setting",
        "status",
        "computed",
        "seconds",
        "peak_mb",
        "worker",
        "finished",
        "exit_code",
        "reason",
    ]
    texts = {c: "str" for c in columns if c not in kinds}
    return pd.DataFrame(rows, columns=columns).astype(texts | kinds)


def shown(status: pd.DataFrame, *, most: int = 40) -> pd.DataFrame:
    """The table as a terminal shows it: what failed and what waits, and the rest as far as there is room."""
    order = status["status"].map({"failed": 0, "waiting": 1}).fillna(2)
    rows = status.loc[order.sort_values(kind="stable").index[:most]].sort_index()
    columns = ["city", "setting", "status", "computed", "seconds", "peak_mb", "reason"]
    if (rows["setting"] == "").all():
        columns.remove("setting")
    table = rows[columns].assign(reason=rows["reason"].str.slice(0, 160))
    return table.reset_index(drop=True)


def catalogue(out: Path, outcomes: Sequence[Outcome], *, keys: Sequence[str] = ()) -> gpd.GeoDataFrame:
    """
    City summaries, one row a finished unit.

    The same units give the same rows, whatever was computed when and where.

    Parameters
    ----------
    out
        Folder of the batch.
    outcomes
        How the units went.
    keys
        Configuration keys that the settings vary: a column each.

    Returns
    -------
    geopandas.GeoDataFrame
        ``unit``, ``city``, ``setting``, the keys, ``cells``, ``population``, ``weighted_by``, for each mode M and
        category C ``M_C_share`` and the like, ``M_score_mean``, ``M_all_share``; ``run`` (folder, relative to `out`),
        ``config_digest``, ``cells_sha256``, and the box of the area, EPSG:4326. Sorted by unit.
    """
    rows = [_row(out, o, keys) for o in sorted(outcomes, key=lambda o: o.id) if o.status == DONE]
    if not rows:
        empty: dict[str, list[str]] = {"unit": [], "city": [], "setting": []}
        return gpd.GeoDataFrame(empty, geometry=[], crs="EPSG:4326").astype(dict.fromkeys(empty, "str"))
    table = pd.DataFrame(rows)
    for key in keys:
        if key in table.columns and table[key].dtype == object:
            table[key] = [
                None if v is None else json.dumps(v) if not isinstance(v, str) else v for v in table[key]
            ]
    columns = [c for c in table.columns if c != "geometry"]
    return gpd.GeoDataFrame(table[[*columns, "geometry"]], geometry="geometry", crs="EPSG:4326")


def _row(out: Path, outcome: Outcome, keys: Sequence[str]) -> dict[str, Any]:
    run = RunDirectory.open(out / "runs" / outcome.id)
    summary, manifest = run.summary, run.manifest
    row: dict[str, Any] = {"unit": outcome.id, "city": outcome.city, "setting": outcome.label}
    row |= {key: outcome.setting.get(key) for key in keys}
    names = ("cells", "cells_no_network", "cells_edge_affected", "population", "weighted_by", "threshold_min")
    row |= {name: summary[name] for name in names}
    row["population"] = float("nan") if row["population"] is None else float(row["population"])
    for mode, figures in summary["modes"].items():
        row |= {f"{mode}_{name}": _number(figures.get(name)) for name in _MODE_FIGURES}
        for category, values in figures["categories"].items():
            row |= {f"{mode}_{category}_{name}": _number(values.get(name)) for name in _FIGURES}
    row["osm_timestamp"] = str(manifest["osm"].get("timestamp") or "")
    row["run"] = f"runs/{outcome.id}"
    row["config_digest"] = str(manifest["config_digest"])
    row["cells_sha256"] = str(manifest["outputs"]["cells.parquet"]["sha256"])
    row["geometry"] = shapely.box(*manifest["area"]["bbox"])
    return row


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def write_tables(out: Path, outcomes: Sequence[Outcome], *, keys: Sequence[str]) -> Mapping[str, Path]:
    """Write both tables, each put in place whole."""
    tables = {CATALOGUE: catalogue(out, outcomes, keys=keys), STATUS: status_table(outcomes)}
    for name, table in tables.items():
        part = out / f".{name}.{uuid4().hex}"
        try:
            write_parquet(table, part)
            sync_file(part)
            part.replace(out / name)
        finally:
            part.unlink(missing_ok=True)
    return {name: out / name for name in tables}
