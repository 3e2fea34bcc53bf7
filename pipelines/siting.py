"""Sites of a run for any number of new ones, as GeoJSON with the proof of how good they are together."""

from __future__ import annotations

import json
from collections.abc import Sequence
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

BUDGET = "sites_budget.json"


def sites_geojson(
    run: RunDirectory,
    *,
    kind: str,
    count: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Sites of one kind.

    Parameters
    ----------
    run
        A finished run.
    kind
        ``chargers``, ``sorting``, ``trees`` or ``green``.
    count
        New sites at most; None for the number of the run. Another number is solved anew from the run's own
        inputs; every other step comes from the cache.
    overrides
        ``section.key=value`` as with ``proche run --set``: what is asked differently from the run.

    Returns
    -------
    dict
        GeoJSON FeatureCollection, existing sites first (``locked``), then new ones by ``rank``; the members of
        ``sites_{kind}.json`` (``objective``, ``baseline``, ``bound``, ``gap``, ``method``, ``unit``, ``curve`` …)
        are top-level members, and with a joint budget those of ``sites_budget.json`` under ``budget``.

    Raises
    ------
    ConfigError
        The kind is unknown, the run has none of it and cannot have, or the count is negative.
    """
    if kind not in KINDS:
        msg = f"unknown kind {kind!r}; known are {', '.join(KINDS)}"
        raise ConfigError(msg)
    asked = list(overrides)
    if count is not None:
        if kind == "green":
            msg = "green space is limited in hectares, not in number: set sites.green.budget_ha"
            raise ConfigError(msg)
        if count != run.manifest["config_resolved"]["sites"][kind]["count"]:
            asked.append(f"sites.{kind}.count={count}")
    known = run.has(f"sites_{kind}.parquet")
    folder, budget = (
        (run.path, run.path / BUDGET)
        if known and not asked
        else _solved(run, kind, asked, progress or Progress())
    )
    sites = gpd.read_parquet(folder / f"sites_{kind}.parquet")
    facts = json.loads((folder / f"sites_{kind}.json").read_text("utf-8"))
    collection: dict[str, Any] = json.loads(sites.to_json(drop_id=True, to_wgs84=True))
    collection.pop("crs", None)
    if budget is not None and budget.is_file():
        facts["budget"] = json.loads(budget.read_text("utf-8"))
    return {**collection, **facts, "kind": kind, "attribution": run.manifest["attribution"]}


def _solved(
    run: RunDirectory, kind: str, overrides: list[str], progress: Progress
) -> tuple[Path, Path | None]:
    others = [
        f"sites.{k}.enabled={str(k == kind).lower()}" for k in KINDS if not run.has(f"sites_{k}.parquet")
    ]
    ctx = Context(
        config=load_config(run.path / MANIFEST, overrides=[*others, *overrides]),
        base=Path(run.manifest["base"]),
        cache=cache_folder(),
        progress=progress,
    )
    results = compute_results(ctx)
    found = results.sites
    if kind not in found:
        lacking = [m for m in ("walk", "street30") if m not in ctx.config.modes]
        msg = f"{run.path} has no {kind}: sites.{kind}.enabled is false"
        if lacking:
            msg = (
                f"{run.path} ran without {' and '.join(lacking)}, and sites need walk and street30; "
                f"run it again with network.{lacking[0]}.enabled = true"
            )
        raise ConfigError(msg)
    budget = results.budget
    return found[kind].path, None if budget is None else budget.file(BUDGET)
