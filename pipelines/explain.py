"""Why a cell of a run has its numbers: places, ways, runners-up, slack, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import shapely

from engine.cells import StreetPieces, street_pieces
from engine.explain import Reached, explain_category
from engine.fix import FixRules, fix_as_proposal
from engine.network.street_network import StreetNetwork
from engine.reach.cell_times import CellTimes, cell_times
from engine.reach.destinations import Destinations
from engine.reach.nearest import NearestField, nearest
from engine.route import nearest_at, route_to_place
from engine.surroundings import Surroundings
from pipelines.config import parse_config
from pipelines.errors import ConfigError
from pipelines.progress import Progress
from pipelines.rundir import RunDirectory
from pipelines.steps.context import Context
from pipelines.steps.measuring import DECIMALS
from pipelines.steps.opportunities import OpportunityTables, destinations_for, read_categories
from pipelines.steps.streets import profile_of

_MS = 60_000.0
_RANKS = 2


@dataclass(frozen=True, eq=False)
class ModeView:
    """
    One mode of a run with what explanations rest on; load it once, explain many cells.

    Attributes
    ----------
    mode
        The mode.
    network, destinations, field
        Its streets, the places on them, and the two nearest places of every vertex.
    labels
        Name of each category for people.
    speed_kmh
        [km/h] Speed on the flat.
    max_snap_m, max_origin_snap_m
        [m] How far a place lay from a street at most, and how far a cell without streets looked for one.
    rules
        Which changes are looked for.
    """

    mode: str
    network: StreetNetwork
    destinations: Destinations
    field: NearestField
    labels: Mapping[str, str]
    speed_kmh: float
    max_snap_m: float
    max_origin_snap_m: float
    rules: FixRules


def load_mode(run: RunDirectory, mode: str, *, network: StreetNetwork | None = None) -> ModeView:
    """
    Load what explanations of one mode rest on.

    Parameters
    ----------
    run
        A finished run.
    mode
        A mode of the run.
    network
        The run's network of this mode, where it is already loaded.

    Raises
    ------
    ConfigError
        The run has no such mode.
    ArtifactError
        The run lacks a file.
    """
    streets = run.network(mode) if network is None else network
    context = _context(run)
    config = context.config
    profile = profile_of(context, next(m for m in config.modes if m == mode))
    destinations = destinations_for(
        OpportunityTables(run.categories, run.opportunities, run.access_points), mode
    )
    limit_ms = round(config.scoring.search_limit_min * _MS)
    on_foot = {"access_speed_kmh": profile.speed_kmh} if mode == "walk" else {}
    return ModeView(
        mode=mode,
        network=streets,
        destinations=destinations,
        field=nearest(streets, destinations, k=_RANKS, limit_ms=limit_ms),
        labels=labels_of(run),
        speed_kmh=profile.speed_kmh,
        max_snap_m=config.scoring.max_snap_m,
        max_origin_snap_m=config.scoring.max_origin_snap_m,
        rules=FixRules(threshold_min=config.scoring.cutoff_min, **on_foot),
    )


def labels_of(run: RunDirectory, *, language: str = "en") -> dict[str, str]:
    """Name of each category of a run for people, in English or French (``fr``)."""
    categories = read_categories(_context(run))
    return {name: getattr(categories[name], f"label_{language}") for name in run.categories}


def _context(run: RunDirectory) -> Context:
    """Only to look up the taxonomy and the profiles that the run's configuration names."""
    config = parse_config(run.manifest["config"], origin=str(run.path))
    return Context(config, Path(run.manifest["base"]), run.path, Progress(), offline=True)


def explain_cell(
    run: RunDirectory, cell: str, *, mode: str = "walk", view: ModeView | None = None
) -> dict[str, Any]:
    """
    Explain the numbers of one cell.

    Parameters
    ----------
    run
        A finished run.
    cell
        H3 index in hexadecimal, as in ``cells.parquet``.
    mode
        A mode of the run.
    view
        What `load_mode` gives for this mode, where it is already loaded.

    Returns
    -------
    dict
        Ready for JSON: ``cell``, ``mode``, ``threshold_min``, the cell's own figures, and for each category
        under ``categories`` what `engine.explain.CategoryExplanation.as_dict` says, with a ``note`` where
        there is no time; each of its ``fixes`` has a ``proposal``, a file for `proche compare`; and how
        far the number can be trusted (``confidence``, ``confidence_because``). Times
        of places and routes start at ``from`` (lon, lat), the point of the cell where the time is its median;
        ``minutes`` is the mean over the cell's streets, the number on the map.

    Raises
    ------
    ConfigError
        The cell is no H3 index, has another resolution, or lies outside the run; or the run has no such mode.
    ArtifactError
        The run lacks a file.

    Examples
    --------
    >>> explain_cell(run, "8a1126d33a57fff")["categories"]["shops"]["nearest"]  # doctest: +SKIP
    """
    row = _row_of(run, cell)
    loaded = load_mode(run, mode) if view is None else view
    own = run.cells.iloc[row]
    number = np.array([int(own["h3_cell"], 16)], dtype=np.uint64)
    pieces = street_pieces(loaded.network, number, max_snap_m=loaded.max_origin_snap_m)
    times = cell_times(loaded.network, pieces, loaded.field, loaded.destinations)
    return {
        "cell": own["h3_cell"],
        "mode": mode,
        "threshold_min": loaded.rules.threshold_min,
        "population": _number(own["population"]),
        "score": _number(own.get(f"{mode}_score")),
        "no_network": bool(pieces.no_network[0]),
        "edge_affected": bool(own.get(f"{mode}_edge_affected", own["edge_affected"])),
        "categories": {
            name: _explained(run, loaded, pieces, times, k) | _trusted(run, row, mode, name)
            for k, name in enumerate(run.categories)
        },
        "attribution": run.manifest["attribution"],
    }


def _row_of(run: RunDirectory, cell: str) -> int:
    """Row of a cell, or a sentence that says why there is none."""
    text = cell.strip().lower()
    names = run.cells["h3_cell"]
    found = np.flatnonzero(names.to_numpy(dtype=object) == text)
    if len(found):
        return int(found[0])
    example = f"a cell of this run is {names.iloc[0]}" if len(names) else "the run has no cells"
    if not h3.is_valid_cell(text):
        msg = f"{cell!r} is no H3 cell; expected its index in hexadecimal: {example}"
        raise ConfigError(msg)
    resolution = run.manifest["config_resolved"]["area"]["resolution"]
    if h3.get_resolution(text) != resolution:
        msg = f"cell {text} has resolution {h3.get_resolution(text)}, the run's cells have {resolution}: {example}"
        raise ConfigError(msg)
    box = ", ".join(f"{x:.4f}" for x in run.manifest["area"]["bbox"])
    msg = f"cell {text} is not in {run.name}, which covers {box} (west, south, east, north); {example}"
    raise ConfigError(msg)


def _explained(
    run: RunDirectory, view: ModeView, pieces: StreetPieces, times: CellTimes, category: int
) -> dict[str, Any]:
    """One category of the cell; without a way to any place, from the middle of its first street."""
    name = run.categories[category]
    street, fraction = int(times.street[0, category, 0]), float(times.fraction[0, category, 0])
    if street < 0 and len(pieces.street):
        street, fraction = int(pieces.street[0]), float((pieces.start[0] + pieces.stop[0]) / 2)
    if street < 0:
        told = explain_category(
            name,
            label=view.labels[name],
            minutes=np.nan,
            nearest=None,
            runner_up=None,
            rules=view.rules,
        )
        return told.as_dict() | {"from": None, "route_m": None, "note": _note(run, view, category, None)}
    leg_ms = int(pieces.access_ms[pieces.street == street][0])
    near = nearest_at(
        view.network, view.destinations, view.field, category=category, street=street, fraction=fraction
    )
    limit = view.field.limit_ms
    near = [(ms + leg_ms, place) for ms, place in near if limit is None or ms <= limit]
    route = (
        route_to_place(view.network, view.destinations, street=street, fraction=fraction, place=near[0][1])
        if near
        else None
    )
    told = explain_category(
        name,
        label=view.labels[name],
        minutes=round(float(times.mean_ms[0, category, 0] / _MS), DECIMALS),
        nearest=_place(run, near, 0),
        runner_up=_place(run, near, 1),
        route=None if route is None else _to_the_door(run, route.line, route.access),
        surroundings=Surroundings(
            network=view.network,
            pieces=pieces,
            destinations=view.destinations,
            category=category,
            street=street,
            fraction=fraction,
            field_ms=view.field.time_ms[category, :, 0],
            limit_ms=view.field.limit_ms,
            max_snap_m=view.max_snap_m,
            parks=_parks(run, name),
        ),
        speed_kmh=view.speed_kmh,
        rules=view.rules,
    )
    here = shapely.line_interpolate_point(view.network.geometry[street], fraction, normalized=True)
    fixes = [
        shown | {"proposal": fix_as_proposal(fix, category=name, mode=view.mode, rules=view.rules)}
        for shown, fix in zip(told.as_dict()["fixes"], told.fixes, strict=True)
    ]
    return told.as_dict() | {
        "cheapest_fix": fixes[0] if fixes else None,
        "fixes": fixes,
        "from": [round(here.x, 7), round(here.y, 7)],
        "route_m": None if route is None else round(route.length_m, 1),
        "note": _note(run, view, category, len(near) if np.isnan(times.mean_ms[0, category, 0]) else -1),
    }


def _trusted(run: RunDirectory, row: int, mode: str, category: str) -> dict[str, Any]:
    """How far the number can be trusted, and which component keeps it from more; see `engine.confidence`."""
    portrait = run.portrait.iloc[row]
    return {
        "confidence": _number(portrait[f"{mode}_{category}_confidence"]),
        "confidence_because": _text(portrait[f"{mode}_{category}_because"]),
    }


def _note(run: RunDirectory, view: ModeView, category: int, reached: int | None) -> str | None:
    """
    Say why there is no time.

    Parameters
    ----------
    reached
        Number of places that the middle of the cell reaches; None without a street near, -1 where there is a time.
    """
    if reached == -1:
        return None
    if reached is None:
        return (
            f"No street of the main {view.mode} network lies within {view.max_origin_snap_m:g} m of the middle of this "
            "cell: a park, water, or streets cut off from the rest."
        )
    own = run.opportunities[run.opportunities["category"] == run.categories[category]]
    snapped = int(own[f"snapped_{view.mode}"].sum())
    if not len(own):
        return "The data hold no place of this category."
    if not snapped:
        return (
            f"No place of this category is near enough to a street ({len(own)} found); opportunities.parquet says how "
            "far each is."
        )
    limit = "" if view.field.limit_ms is None else f" within {view.field.limit_ms / _MS:g} minutes"
    if reached:
        return f"Part of this cell's streets leads to no place of this category{limit}: there is no mean."
    return f"From here none of {snapped} places can be reached{limit}: too far, or only by streets one may not use."


def _place(run: RunDirectory, near: list[tuple[float, int]], rank: int) -> Reached | None:
    """The place of a rank; its kind as people tagged it."""
    if rank >= len(near):
        return None
    ms, row = near[rank]
    table = run.opportunities
    name, kind = table["name"].iloc[row], table["kind"].iloc[row]
    return Reached(str(table["id"].iloc[row]), _text(name), _text(kind), round(ms / _MS, DECIMALS))


def _to_the_door(
    run: RunDirectory, line: shapely.LineString | None, access: int
) -> shapely.LineString | None:
    """The way along streets, and on to the door or gate."""
    if line is None:
        return None
    door = shapely.get_coordinates(run.access_points.geometry.iloc[access])[:1]
    points = shapely.get_coordinates(line)
    apart = bool((np.abs(points[-1] - door[0]) > 1e-7).any())
    return shapely.LineString(np.round(np.concatenate([points, door]) if apart else points, 7))


def _parks(run: RunDirectory, category: str) -> gpd.GeoDataFrame | None:
    """Outlines of the category's places; None where its places are points."""
    table = run.opportunities
    own = table[table["category"] == category]
    outlines = own[shapely.get_dimensions(own.geometry.to_numpy()) == 2]
    return None if outlines.empty else outlines.assign(name=outlines["name"].fillna(""))


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(float(value)) else float(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
