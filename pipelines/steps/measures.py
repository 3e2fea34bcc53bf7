"""Further measures of every cell: mean of the k nearest, gravity, supply per head (METHOD §5)."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log, sqrt
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.cells import street_pieces
from engine.network.street_network import StreetNetwork
from engine.reach.cell_times import cell_times
from engine.reach.coverage import two_step_fca
from engine.reach.decay import Decay
from engine.reach.destinations import Destinations
from engine.reach.nearest import NearestField, nearest
from engine.reach.places_to_cells import cell_units
from pipelines.config import DecayName, Mode
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.measuring import DECIMALS, ModeReach
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.part import Halo, around, places_in
from pipelines.steps.streets import load_network
from pipelines.steps.tiles import tiles_of
from pipelines.store import Artifact
from pipelines.tables_out import write_parquet

PER_RESIDENTS = 1000
"""Supply is published for so many residents."""
KNOWN_SHARE = 0.5
"""Of a category's places, at least this share must have a known capacity for its supply to be measured."""
_MS = 60_000.0
_SOFTNESS = 4.0
"""A logistic decay falls from 0.88 to 0.12 between half and one and a half times its midpoint."""


def measures_artifact(
    ctx: Context,
    mode: Mode,
    network: Artifact,
    opportunities: Artifact,
    population: Artifact | None,
    area: StudyArea,
) -> Artifact:
    """``measures_{mode}.parquet``: one row a cell, the columns that `measure_further` names."""
    scoring = ctx.config.scoring
    needs = {
        "network": network.key,
        "opportunities": opportunities.key,
        "cells": [str(c) for c in area.cells],
        "max_origin_snap_m": scoring.max_origin_snap_m,
        "limit_min": scoring.search_limit_min,
        "nearest_mean_of": scoring.nearest_mean_of,
        "gravity": [list(scoring.gravity), scoring.gravity_half_min, scoring.gravity_limit_min],
        "catchment": [scoring.catchment_min, scoring.catchment_decay],
        "population": population.key if population and scoring.catchment_min else None,
    }

    def build(folder: Path) -> dict[str, Any]:
        tables = OpportunityTables.load(opportunities)
        whole, places = load_network(network, mode), destinations_for(tables, mode)
        people = None
        if population is not None:
            table = pd.read_parquet(population.file("population.parquet"))
            people = table["population"].to_numpy(np.float64)
        k, limit_ms = scoring.nearest_mean_of, round(scoring.search_limit_min * _MS)
        field = nearest(whole, places, k=k, limit_ms=limit_ms) if k else None
        halo = Halo.of(whole)
        frames = []
        for cells in tiles_of(area.cells, ctx.cells_at_once(len(area.cells)) or max(1, len(area.cells))):
            pieces = street_pieces(whole, cells, max_snap_m=scoring.max_origin_snap_m)
            box = around(
                cells, halo.distance_m(round(scoring.gravity_limit_min * _MS)) + scoring.max_origin_snap_m
            )
            columns = _nearest_means(mode, ModeReach(whole, pieces, places), field, tables.categories)
            near = places if len(cells) == len(area.cells) else places_in(places, whole, box)
            columns |= _gravity(ctx, mode, ModeReach(whole, pieces, near), tables.categories)
            frames.append(pd.DataFrame(columns, index=range(len(cells))))
        supply, known = _supply(ctx, mode, whole, places, tables, people, area)
        frame = pd.concat(frames, ignore_index=True).assign(**supply)
        write_parquet(frame.round(DECIMALS), folder / f"measures_{mode}.parquet")
        return {"capacity_known": known}

    return ctx.artifact(f"measures_{mode}", needs, build)


def decay_of(kind: DecayName, *, half_min: float, limit_min: float) -> Decay:
    """
    A decay of travel times by its name.

    Parameters
    ----------
    kind
        ``step`` and ``linear`` end at the limit; the others are worth ½ at `half_min`: ``logistic`` around its
        midpoint, ``exponential``, ``gaussian``, and ``power`` with exponent 2 (in full up to half_min / √2).
    half_min, limit_min
        [min] Where a place counts half; beyond the limit it counts nothing.

    Examples
    --------
    >>> decay_of("exponential", half_min=5, limit_min=15).weight([0, 300_000, 600_000, 900_001]).round(6).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """
    half, limit = half_min * _MS, round(limit_min * _MS)
    made: dict[str, Decay] = {
        "step": Decay.step(limit),
        "linear": Decay.linear(limit),
        "logistic": Decay.logistic(round(half), half / _SOFTNESS, limit_ms=limit),
        "exponential": Decay.exponential(half / log(2), limit_ms=limit),
        "gaussian": Decay.gaussian(half / sqrt(2 * log(2)), limit_ms=limit),
        "power": Decay.power(2.0, limit_ms=limit, full_ms=half / sqrt(2)),
    }
    return made[kind]


def further_columns(cells: pd.DataFrame, modes: tuple[str, ...]) -> list[str]:
    """Columns of a table of cells that this step made for some modes."""
    kinds = "|".join(get_args(DecayName))
    made = re.compile(
        rf"({'|'.join(modes)})_.+_(mean\d+_minutes|gravity_({kinds})|supply_per_{PER_RESIDENTS})"
    )
    return [c for c in cells.columns if modes and made.fullmatch(c)]


_Columns = dict[str, npt.NDArray[np.float64]]


def _nearest_means(
    mode: str, reach: ModeReach, field: NearestField | None, categories: list[str]
) -> _Columns:
    """``M_C_mean<k>_minutes``: mean time to the k nearest places; null where fewer are reached."""
    if field is None:
        return {}
    times = cell_times(reach.network, reach.pieces, field, reach.destinations)
    mean = times.mean_ms.mean(axis=2) / _MS
    return {f"{mode}_{name}_mean{field.k}_minutes": mean[:, c] for c, name in enumerate(categories)}


def _gravity(ctx: Context, mode: str, reach: ModeReach, categories: list[str]) -> _Columns:
    """``M_C_gravity_<decay>``: sum of the decay over all places, mean over the cell's streets."""
    scoring = ctx.config.scoring
    kinds = list(dict.fromkeys(scoring.gravity))
    if not kinds:
        return {}
    decays = [
        decay_of(k, half_min=scoring.gravity_half_min, limit_min=scoring.gravity_limit_min) for k in kinds
    ]
    found = cell_units(reach.network, reach.pieces, reach.destinations, decays).mean()
    return {
        f"{mode}_{name}_gravity_{kind}": found[:, c, d]
        for c, name in enumerate(categories)
        for d, kind in enumerate(kinds)
    }


def _supply(
    ctx: Context,
    mode: str,
    network: StreetNetwork,
    destinations: Destinations,
    tables: OpportunityTables,
    people: npt.NDArray[np.float64] | None,
    area: StudyArea,
) -> tuple[_Columns, dict[str, list[int]]]:
    """``M_C_supply_per_1000``: two-step floating catchment where capacities are known, and how many are."""
    scoring = ctx.config.scoring
    capacity = tables.places["capacity"].to_numpy(np.float64)
    of = destinations.category
    known = {
        name: [int(np.isfinite(capacity[of == c]).sum()), int((of == c).sum())]
        for c, name in enumerate(tables.categories)
    }
    enough = [c for c, (have, n) in enumerate(known.values()) if have and have >= KNOWN_SHARE * n]
    if people is None or not scoring.catchment_min or not enough:
        return {}, known
    filled = capacity.copy()
    for c in enough:
        mine = of == c
        filled[mine & ~np.isfinite(filled)] = np.median(filled[mine & np.isfinite(filled)])
    decay = decay_of(
        scoring.catchment_decay, half_min=scoring.catchment_min / 2, limit_min=scoring.catchment_min
    )
    places = _of_categories(destinations, enough, np.nan_to_num(filled, nan=0.0))
    pieces = street_pieces(network, area.cells, max_snap_m=scoring.max_origin_snap_m)
    ratio = two_step_fca(network, pieces, places, people, decay) * PER_RESIDENTS
    return {f"{mode}_{tables.categories[c]}_supply_per_{PER_RESIDENTS}": ratio[:, c] for c in enough}, known


def _of_categories(
    destinations: Destinations, categories: list[int], capacity: npt.NDArray[np.float64]
) -> Destinations:
    """The destinations of some categories: the access points of all others are rejected."""
    snaps = destinations.snaps
    mine = np.isin(destinations.category[destinations.place], categories)
    street = np.where(mine, snaps.street, -1).astype(np.int32)
    return replace(destinations, snaps=replace(snaps, street=street), capacity=capacity)
