"""What the reach of a mode is measured on, and the contract's columns, for a whole area or a tile of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.cells import StreetPieces, street_pieces
from engine.network.street_network import StreetNetwork
from engine.reach.cell_counts import cell_counts
from engine.reach.cell_times import cell_times
from engine.reach.destinations import Destinations
from engine.reach.nearest import NearestField, nearest
from pipelines.config import Mode
from pipelines.errors import PipelineError
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.opportunities import OpportunityTables, destinations_for
from pipelines.steps.streets import load_network
from pipelines.store import Artifact

COUNT_CUTOFFS_MIN = (5, 10, 15)
"""[min] Cutoffs of the contract's columns `n5`, `n10`, `n15`."""

DECIMALS = 6
"""Measures are published to a millionth (of a minute, of a place): far below what a millisecond means."""


@dataclass(frozen=True, eq=False)
class ModeReach:
    """What the reach step computes on, made again where a later step needs it."""

    network: StreetNetwork
    pieces: StreetPieces
    destinations: Destinations


def mode_reach(
    ctx: Context, mode: Mode, network: Artifact, places: OpportunityTables, area: StudyArea
) -> ModeReach:
    """Network, street pieces and destinations of a mode."""
    loaded = load_network(network, mode)
    pieces = street_pieces(loaded, area.cells, max_snap_m=ctx.config.scoring.max_origin_snap_m)
    return ModeReach(loaded, pieces, destinations_for(places, mode))


def checked_nearest(
    network: StreetNetwork, destinations: Destinations, *, k: int, limit_ms: int
) -> NearestField:
    """
    Nearest times of every vertex, by igraph and by the compiled kernel, which must agree to the millisecond.

    Raises
    ------
    PipelineError
        They do not: a fault of the product that must not reach a reader.
    """
    by_igraph = nearest(network, destinations, k=1, limit_ms=limit_ms, engine="igraph")
    field = nearest(network, destinations, k=k, limit_ms=limit_ms)
    if not np.array_equal(by_igraph.label[:, :, 0], field.label[:, :, 0]):
        msg = f"igraph and the compiled kernel disagree on the {network.mode} network: report it with its inputs"
        raise PipelineError(msg)
    return field


def measure(reach: ModeReach, field: NearestField, mode: str, categories: Sequence[str]) -> pd.DataFrame:
    """The contract's columns of one mode, one row a cell in the order of the cells."""
    times = cell_times(reach.network, reach.pieces, field, reach.destinations)
    cutoffs_ms = [c * 60_000 for c in COUNT_CUTOFFS_MIN]
    counts = cell_counts(reach.network, reach.pieces, reach.destinations, cutoffs_ms)
    columns: dict[str, npt.NDArray[Any]] = {
        "street_length_m": reach.pieces.street_length_m,
        "no_network": reach.pieces.no_network,
    }
    for c, category in enumerate(categories):
        columns[f"{mode}_{category}_minutes"] = times.mean_ms[:, c, 0] / 60_000
        columns[f"{mode}_{category}_p90_minutes"] = times.p90_ms[:, c, 0] / 60_000
        columns[f"{mode}_{category}_second_minutes"] = times.mean_ms[:, c, 1] / 60_000
        for j, cutoff in enumerate(COUNT_CUTOFFS_MIN):
            columns[f"{mode}_{category}_n{cutoff}"] = counts[:, c, j]
    return pd.DataFrame(columns).round(DECIMALS)
