"""Rivals on equal terms: several proposals on one run, measured, ranked, and how sure the ranking is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from engine.cells import cell_centres
from engine.errors import InputError
from engine.proposals.edit import ChangeStreet, Proposal, SpeedArea
from engine.proposals.effect import (
    Criteria,
    by_group,
    decay_gains,
    dominated,
    effect,
    sectors,
)
from engine.proposals.resolve import Resolved
from engine.proposals.uncertainty import Times, Uncertainty, simulate, weight_sensitivity
from engine.scoring import minutes_of, weight_of
from pipelines.errors import ArtifactError, ConfigError
from pipelines.progress import Progress
from pipelines.proposals import Base, Workbench, live_measures

_Floats = npt.NDArray[np.float64]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MILLION = 1_000_000.0
FIGURES = {
    "gain": 1,
    "newly_within": 1,
    "losers": -1,
    "person_minutes": 1,
    "worst_decile_gain": 1,
    "gini_change": -1,
    "gain_per_million": 1,
    "newly_within_per_million": 1,
}
"""What proposals are ranked by, each on its own: 1 where more is better, -1 where less is."""
_JUDGED = ("gain", "newly_within", "losers", "worst_decile_gain", "gini_change")
"""Figures in which one proposal may dominate another, with its cost."""
_DECIMALS = 9
"""Decimals beyond which two figures are the same figure."""


@dataclass(frozen=True, eq=False)
class Measured:
    """
    One proposal, measured.

    Attributes
    ----------
    letter
        What tables and maps call it.
    proposal, resolved
        What was asked for, and what it does street by street.
    cells
        Every cell under it.
    times
        Times of its cells, for the draws.
    figures
        Its part of ``comparison.json``.
    """

    letter: str
    proposal: Proposal
    resolved: Resolved
    cells: gpd.GeoDataFrame
    times: Times
    figures: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Comparison:
    """
    Proposals side by side.

    Attributes
    ----------
    base
        The run that they are measured against.
    criteria, uncertainty
        How they are judged, and what is declared as not known.
    measured
        One entry a proposal, in the order given.
    result
        What ``comparison.json`` holds.
    """

    base: Base
    criteria: Criteria
    uncertainty: Uncertainty
    measured: tuple[Measured, ...]
    result: dict[str, Any] = field(default_factory=dict)


def needs_calm(proposals: Sequence[Proposal]) -> bool:
    """Whether an edit changes how stressful cycling is: then low-stress cycling counts as a mode of its own."""
    return any(
        (isinstance(e, ChangeStreet) and (e.lts is not None or e.cycleway is not None))
        or (isinstance(e, SpeedArea) and e.calms)
        for p in proposals
        for e in p.edits
    )


def compare(
    base: Base,
    proposals: Sequence[Proposal],
    *,
    uncertainty: Uncertainty | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """
    Measure several proposals on the same run, and say how they rank and how sure that is.

    Parameters
    ----------
    base
        The run, by `pipelines.proposals.open_base`.
    proposals
        1 to 26 proposals.
    uncertainty
        What is declared as not known; the same draws serve every proposal.
    progress
        Where each step is said: one a mode, the city as it is, one a proposal, and each tenth of the draws. What it
        raises ends the work there.

    Returns
    -------
    Comparison
        The same inputs give the same figures, bit for bit.

    Raises
    ------
    ConfigError
        No proposal, or more than 26.
    InputError
        An edit names what the run does not have; the message names the proposal and the feature.
    ArtifactError
        The run does not recompute to itself: it was made by another version.

    Notes
    -----
    The run's reach is computed once; each proposal then costs what its edits touch.
    """
    if not 1 <= len(proposals) <= len(LETTERS):
        msg = f"found {len(proposals)} proposals; compare takes 1 to {len(LETTERS)}: for more, see `proche rank`"
        raise ConfigError(msg)
    say = (progress or Progress()).say
    unknown = uncertainty or Uncertainty()
    bench = Workbench(base, progress=progress)
    check_bench(bench)
    criteria = criteria_of(base)
    today = times_of(bench)
    say("  the city as it is: every cell measured")
    measured = []
    for letter, proposal in zip(LETTERS, proposals, strict=False):
        measured.append(_measured(bench, letter, proposal, criteria))
        edits = "1 edit" if len(proposal.edits) == 1 else f"{len(proposal.edits)} edits"
        say(f"  {letter}  {proposal.name}: {edits}, every cell re-scored")
    draws = simulate(
        today,
        [m.times for m in measured],
        weight=weight_of(base.cells)[0],
        xy_m=_cell_places(base),
        places_m=_mapped_places(base),
        category_of=base.standing.places.category,
        speed_m_min=[t.speed_kmh * 1000 / 60 / t.factor for t in base.standing.travel.values()],
        criteria=criteria,
        uncertainty=unknown,
        drawn=_tenths(unknown.draws, say),
    )
    say(f"  {unknown.draws} draws of what is not known")
    comparison = Comparison(base, criteria, unknown, tuple(measured))
    return replace(comparison, result=_result(comparison, draws))


def _tenths(draws: int, say: Callable[[str], None]) -> Callable[[int], None]:
    """What says each tenth of the draws but the last, which is said when all are done."""
    marks = {draws * tenth // 10 for tenth in range(1, 10)} - {0}

    def drawn(done: int) -> None:
        if done in marks:
            say(f"  {done} of {draws} draws of what is not known")

    return drawn


def check_bench(bench: Workbench) -> None:
    """
    Make sure that the unedited city is the one that the run published.

    Raises
    ------
    ArtifactError
        Its figures differ: the run was made by another version.
    """
    cells = bench.base.cells
    for mode, live in bench.live.modes.items():
        table = live_measures(live, bench.base.categories)
        for column in table.columns.intersection(cells.columns).difference(["street_length_m", "no_network"]):
            found, published = (t[column].to_numpy(np.float64) for t in (table, cells))
            if not np.array_equal(found, published, equal_nan=True):
                msg = (
                    f"{bench.base.run.path} does not recompute to itself ({column} of {mode} differs): it was made "
                    "by another version; run its configuration again"
                )
                raise ArtifactError(msg)


def criteria_of(base: Base) -> Criteria:
    """How the run's own settings judge a proposal: every mode counts the same."""
    s = base.settings
    return Criteria(
        base.modes, base.categories, s.weights, s.decay, s.cutoff_min, limit_min=s.limit_ms / 60_000
    )


def times_of(bench: Workbench) -> Times:
    """Times and places of every cell as the city stands."""
    modes = list(bench.live.modes.values())
    return Times(
        nearest=np.stack([m.times[:, :, 0] for m in modes]),
        second=np.stack([m.times[:, :, 2] for m in modes]),
        place=np.stack([m.nearest[:, :, 0] for m in modes]),
        runner_up=np.stack([m.nearest[:, :, 1] for m in modes]),
    )


def _cell_places(base: Base) -> _Floats:
    """[m] Where the cells lie."""
    numbers = np.array([int(c, 16) for c in base.cells["h3_cell"]], dtype=np.uint64)
    plane = next(iter(base.standing.streets.values())).index.plane
    return np.asarray(plane.project(cell_centres(numbers)))


def _mapped_places(base: Base) -> _Floats:
    """[m] Where the mapped places are: the first way in of each."""
    places = base.standing.places
    plane = next(iter(base.standing.streets.values())).index.plane
    first = np.array([a[0] if len(a) else (np.nan, np.nan) for a in places.access]).reshape(-1, 2)
    inside = shapely.get_coordinates(shapely.point_on_surface(places.geometry)).reshape(-1, 2)
    return np.asarray(plane.project(np.where(np.isnan(first), inside, first)))


def _measured(bench: Workbench, letter: str, proposal: Proposal, criteria: Criteria) -> Measured:
    base = bench.base
    phases = sorted({e.phase for e in proposal.edits})
    steps = _by_phase(bench, proposal, phases, criteria) if len(phases) > 1 else []
    resolved = _do(bench, proposal)
    cells, times = bench.cells(), times_of(bench)
    bench.undo()
    figures = effect(base.cells, cells, criteria)
    groups, grouped_by = neighbourhoods(base)
    table = by_group(base.cells, cells, groups, criteria)
    cost = proposal.cost_eur if proposal.cost_complete else None
    does: dict[int, list[str]] = {}
    for step in resolved.steps:
        does.setdefault(step.edit, []).append(step.says)
    return Measured(
        letter,
        proposal,
        resolved,
        cells,
        times,
        {
            "letter": letter,
            "name": proposal.name,
            "author": proposal.author,
            "description": proposal.description,
            "sha256": proposal.digest,
            "cost_eur": proposal.cost_eur,
            "cost_complete": proposal.cost_complete,
            "edits": [
                {
                    "kind": type(e).__name__,
                    "name": e.name,
                    "note": e.note,
                    "cost_eur": e.cost_eur,
                    "phase": e.phase,
                    "does": does.get(i, []),
                }
                for i, e in enumerate(proposal.edits)
            ],
            "notes": list(resolved.notes),
            "ignored": list(proposal.ignored),
            **figures,
            "gain_per_million": _per_million(figures["gain"], cost),
            "newly_within_per_million": _per_million(figures["newly_within"], cost),
            "cost_per_newly_within": cost / figures["newly_within"]
            if cost and figures["newly_within"]
            else None,
            "person_minutes_per_euro": None if not cost else figures["person_minutes"] / cost,
            "phases": steps,
            "grouped_by": grouped_by,
            "neighbourhoods": table.to_dict(orient="records"),
        },
    )


def _do(bench: Workbench, proposal: Proposal, edits: Sequence[Any] | None = None) -> Resolved:
    try:
        return bench.do(proposal.edits if edits is None else edits)
    except InputError as error:
        msg = f"{proposal.name}: {error}"
        raise InputError(msg) from None


def _by_phase(
    bench: Workbench, proposal: Proposal, phases: Sequence[int], criteria: Criteria
) -> list[dict[str, Any]]:
    """What stands once each phase is built."""
    steps = []
    for phase in phases[:-1]:
        some = [e for e in proposal.edits if e.phase <= phase]
        _do(bench, proposal, some)
        after = effect(bench.base.cells, bench.cells(), criteria)
        bench.undo()
        costs = [e.cost_eur for e in some if e.cost_eur is not None]
        named = proposal.phases[phase - 1] if phase <= len(proposal.phases) else ""
        steps.append(
            {
                "phase": phase,
                "name": named,
                "edits": len(some),
                "cost_eur": sum(costs) if costs else None,
                **{k: after[k] for k in ("gain", "newly_within", "winners", "losers")},
            }
        )
    return steps


def _per_million(value: float, cost: float | None) -> float | None:
    return None if not cost else value / cost * MILLION


def neighbourhoods(base: Base) -> tuple[list[str | None], str]:
    """The neighbourhood of each cell; where the run knows none, the sector of the city that it lies in."""
    if "neighbourhood" in base.cells.columns and base.cells["neighbourhood"].notna().any():
        names = base.cells["neighbourhood"]
        return [None if v is None or v != v else str(v) for v in names], "neighbourhood"  # noqa: PLR0124 - NaN
    return sectors(_cell_places(base)), "sector"


def _result(comparison: Comparison, draws: Any) -> dict[str, Any]:
    base, criteria, measured = comparison.base, comparison.criteria, comparison.measured
    costs = [m.proposal.cost_eur if m.proposal.cost_complete else None for m in measured]
    intervals = {name: draws.interval(name) for name in ("gain", "newly_within")}
    by_gain = draws.rank_probability()
    by_euro = draws.rank_probability(costs) if all(c for c in costs) else None
    gains = np.stack([decay_gains(base.cells, m.cells, criteria) for m in measured])
    sensitivity = weight_sensitivity(
        gains[:, :, _counted(criteria)],
        draws=2 * comparison.uncertainty.draws,
        seed=comparison.uncertainty.seed,
    )
    judged = [
        {k: FIGURES[k] * round(m.figures[k], _DECIMALS) for k in _JUDGED}
        | {"thrift": None if cost is None else -cost}
        for m, cost in zip(measured, costs, strict=True)
    ]
    rivals = [
        m.figures
        | {
            "intervals": {k: list(v[i]) for k, v in intervals.items()},
            "rank_probability": by_gain[i].tolist(),
            "rank_probability_per_euro": None if by_euro is None else by_euro[i].tolist(),
            "first_in_weightings": sensitivity["first"][i],
            "mean_rank_in_weightings": sensitivity["rank"][i],
            "dominated_by": [measured[j].letter for j in beaten],
        }
        for i, (m, beaten) in enumerate(zip(measured, dominated(judged), strict=True))
    ]
    weight, by = weight_of(base.cells)
    counted = [c for c in criteria.categories if criteria.weights.get(c, 0) > 0]
    return {
        "format": 1,
        "city": base.run.name,
        "weighted_by": by,
        "weight": float(weight.sum()),
        "cells": len(base.cells),
        "criteria": {
            "modes": list(criteria.modes),
            "categories": list(criteria.categories),
            "weights": dict(criteria.weights),
            "decay": asdict(criteria.decay),
            "threshold_min": criteria.threshold_min,
            "limit_min": criteria.limit_min,
        },
        "uncertainty": asdict(comparison.uncertainty),
        "proposals": rivals,
        "ranking": {name: _order(rivals, name, sign) for name, sign in FIGURES.items()},
        "sensitivity": {
            "weightings": 2 * comparison.uncertainty.draws,
            "first_if_only_mode": _named(criteria.modes, sensitivity["alone_mode"], measured),
            "first_if_only_category": _named(counted, sensitivity["alone_category"], measured),
        },
        "run": {
            "manifest_config_digest": base.run.manifest["config_digest"],
            "cells_sha256": base.run.manifest["outputs"]["cells.parquet"]["sha256"],
            "osm": base.run.manifest.get("osm", {}),
            "inputs": base.run.manifest["inputs"],
            "attribution": base.run.manifest.get("attribution", []),
        },
    }


def _counted(criteria: Criteria) -> list[int]:
    return [i for i, c in enumerate(criteria.categories) if criteria.weights.get(c, 0) > 0]


def _named(names: Sequence[str], best: Sequence[int], measured: Sequence[Measured]) -> dict[str, str | None]:
    return {n: measured[i].letter if i >= 0 else None for n, i in zip(names, best, strict=True)}


def _order(rivals: Sequence[Mapping[str, Any]], name: str, sign: int) -> list[str]:
    """Letters from the best to the worst; who has no such figure comes last; ties keep the order given."""
    unknown = [r[name] is None for r in rivals]
    value = [0.0 if r[name] is None else -sign * round(r[name], _DECIMALS) for r in rivals]
    order = sorted(range(len(rivals)), key=lambda i: (unknown[i], value[i]))
    return [str(rivals[i]["letter"]) for i in order]


def changed_most(comparison: Comparison, one: Measured) -> tuple[str, str]:
    """Mode and category in which a proposal moves most person-minutes, for its maps."""
    modes = one.figures["modes"]
    pairs = [(m, c) for m in modes for c in modes[m]["categories"]]
    moved = [_moved(comparison, one, m, c) for m, c in pairs]
    return pairs[int(np.argmax(moved))]


def _moved(comparison: Comparison, one: Measured, mode: str, category: str) -> float:
    """Person-minutes that change in a mode and category, gains and losses alike."""
    limit = comparison.criteria.limit_min
    weight, _ = weight_of(comparison.base.cells)
    old, new = (
        np.nan_to_num(minutes_of(t, mode=mode, categories=[category])[:, 0], nan=limit)
        for t in (comparison.base.cells, one.cells)
    )
    return float((weight * np.abs(np.minimum(old, limit) - np.minimum(new, limit))).sum())
