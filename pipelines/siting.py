"""Sites of a run for any number of new ones, as GeoJSON with the proof of how good they are together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd

from pipelines.compute import cache_folder, compute_results
from pipelines.config import load_config
from pipelines.errors import ConfigError
from pipelines.progress import Progress
from pipelines.rundir import MANIFEST, RunDirectory
from pipelines.steps.context import Context
from pipelines.steps.sites import KINDS

MEMBERS = ("objective", "baseline", "bound", "gap", "method", "unit")


def sites_geojson(
    run: RunDirectory, *, kind: str, count: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """
    Sites of one kind.

    Parameters
    ----------
    run
        A finished run.
    kind
        ``chargers``, ``sorting`` or ``trees``.
    count
        New sites at most; None for the number of the run. Another number is solved anew from the run's own
        inputs; every other step comes from the cache.

    Returns
    -------
    dict
        GeoJSON FeatureCollection, existing sites first (``locked``), then new ones by ``rank``; ``objective``,
        ``baseline``, ``bound``, ``gap``, ``method`` and ``unit`` are top-level members.

    Raises
    ------
    ConfigError
        The kind is unknown, the run has none of it, or the count is negative.
    """
    if kind not in KINDS:
        msg = f"unknown kind {kind!r}; known are {', '.join(KINDS)}"
        raise ConfigError(msg)
    asked = run.manifest["config_resolved"]["sites"][kind]["count"]
    if count is None or count == asked:
        if not run.has(f"sites_{kind}.parquet"):
            msg = f"{run.path} looked for no {kind}; set sites.{kind}.enabled = true and run it again"
            raise ConfigError(msg)
        folder = run.path
    else:
        folder = _solved(run, kind, count, progress or Progress())
    sites = gpd.read_parquet(folder / f"sites_{kind}.parquet")
    facts = json.loads((folder / f"sites_{kind}.json").read_text("utf-8"))
    collection: dict[str, Any] = json.loads(sites.to_json(drop_id=True, to_wgs84=True))
    collection.pop("crs", None)
    proof = {name: facts[name] for name in MEMBERS}
    return {**collection, **proof, "kind": kind, "attribution": run.manifest["attribution"]}


def _solved(run: RunDirectory, kind: str, count: int, progress: Progress) -> Path:
    overrides = [f"sites.{kind}.count={count}", f"sites.{kind}.enabled=true"]
    ctx = Context(
        config=load_config(run.path / MANIFEST, overrides=overrides),
        base=Path(run.manifest["base"]),
        cache=cache_folder(),
        progress=progress,
    )
    return compute_results(ctx).sites[kind].path
