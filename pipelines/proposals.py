"""
Proposals on a finished run: read, applied, every cell re-scored.

Three calls are all that a program needs: `open_base` loads a run once, `apply` re-scores every cell under a
proposal, and `pipelines.comparison.compare` sets rivals side by side. `Workbench` does the same as `apply` edit by
edit, in milliseconds, and takes edits back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.cells import StreetPieces, cell_centres, street_pieces
from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.proposals.edit import AddAmenity, Edit, Proposal
from engine.proposals.geojson import parse_proposal
from engine.proposals.live import Cutoffs, Live, LiveMode
from engine.proposals.resolve import CALM, Resolved, calm_ms, resolve
from engine.proposals.scenario import ModeTables, with_operations
from engine.proposals.standing import PlaceView, Standing, StreetView, Travel
from engine.reach.nearest import nearest
from engine.scoring import Decay, score_cells
from engine.snapping import local_metres
from pipelines.config import Config, parse_config
from pipelines.errors import ArtifactError, SourceError
from pipelines.progress import Progress
from pipelines.rundir import RunDirectory
from pipelines.steps.context import Context
from pipelines.steps.measures import further_columns
from pipelines.steps.measuring import COUNT_CUTOFFS_MIN, DECIMALS, ModeReach, measure
from pipelines.steps.opportunities import (
    COPY,
    OpportunityTables,
    access_points,
    destinations_for,
    read_categories,
)
from pipelines.steps.streets import profile_of

MAX_FILE_MB = 50
"""[MB] A proposal file larger than this is refused."""
_AROUND_M = 300.0
"""[m] How far around a drawn park its ways in are looked for."""


@dataclass(frozen=True)
class Settings:
    """
    How the run scored its cells.

    Attributes
    ----------
    limit_ms
        [ms] Beyond this a place is not reachable.
    cutoff_min
        [min] Within reach.
    weights
        Weight of each category.
    labels
        Name of each category for people, by language.
    decay
        What a place is worth at a distance.
    """

    limit_ms: int
    cutoff_min: float
    weights: Mapping[str, float]
    labels: Mapping[str, Mapping[str, str]]
    decay: Decay


@dataclass(frozen=True, eq=False)
class Base:
    """
    A run with everything in memory that proposals are measured against; it is never changed.

    Attributes
    ----------
    run
        The run directory.
    cells
        Its cells, as the run published them.
    tables
        Network, street pieces and destinations of each mode.
    standing
        Streets and places, findable.
    settings
        How cells are scored.
    """

    run: RunDirectory
    cells: gpd.GeoDataFrame
    tables: Mapping[str, ModeTables]
    standing: Standing
    settings: Settings

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes of the run."""
        return tuple(self.tables)

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories of the run, in the order of its taxonomy."""
        return self.standing.categories


@dataclass(frozen=True, eq=False)
class Rescored:
    """
    A run under a proposal.

    Attributes
    ----------
    cells
        Every cell with the contract's columns, as ``cells.parquet`` has them.
    proposal
        The proposal.
    resolved
        What it does, street by street and place by place.
    """

    cells: gpd.GeoDataFrame
    proposal: Proposal
    resolved: Resolved

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about how the edits were understood."""
        return self.resolved.notes


def open_base(run: RunDirectory, *, calm: bool = False, progress: Progress | None = None) -> Base:
    """
    Load a run for proposals.

    Parameters
    ----------
    run
        A finished run: ``RunDirectory.open(path)``.
    calm
        Add the mode ``bike_calm`` to a run that has ``bike``: who rides where traffic is calm and pushes the bicycle
        elsewhere. It shows what cycle lanes and speed limits do; its columns come after the contract's.
    progress
        Where each step is said: two a mode. What it raises ends the loading there.

    Returns
    -------
    Base
        Immutable; share it between sessions. Loading takes about as long as reading the run's files.

    Raises
    ------
    ArtifactError
        A file of the run is missing.

    Examples
    --------
    >>> base = open_base(RunDirectory.open(Path("cache/runs/helsinki-centre")))  # doctest: +SKIP
    >>> apply(base, read_proposal(Path("school.geojson"))).cells  # doctest: +SKIP
    """
    say = (progress or Progress()).say
    config = _config(run)
    context = _context(run, config)
    cells = run.cells
    places = OpportunityTables(run.categories, run.opportunities, run.access_points)
    numbers = np.array([int(c, 16) for c in cells["h3_cell"]], dtype=np.uint64)
    tables: dict[str, ModeTables] = {}
    travel: dict[str, Travel] = {}
    for mode in config.modes:
        network = run.network(mode)
        say(f"  {mode}: streets read")
        pieces = street_pieces(network, numbers, max_snap_m=config.scoring.max_origin_snap_m)
        tables[mode] = ModeTables(network, pieces, destinations_for(places, mode))
        profile = profile_of(context, mode)
        travel[mode] = Travel(profile.speed_kmh, profile.congestion_factor)
        say(f"  {mode}: streets laid on the cells")
    if calm and "bike" in tables and "lts" in tables["bike"].network.streets.columns:
        tables[CALM], travel[CALM] = _calm_tables(tables["bike"]), travel["bike"]
    standing = Standing(
        categories=tuple(run.categories),
        travel=travel,
        streets={mode: StreetView.of(t.network) for mode, t in tables.items()},
        places=_place_view(places, next(iter(tables.values())).destinations.category),
        unserved={mode: _unserved(t.pieces) for mode, t in tables.items()},
        max_snap_m=config.scoring.max_snap_m,
        max_origin_snap_m=config.scoring.max_origin_snap_m,
    )
    base = Base(run, cells, tables, standing, _settings(context))
    if CALM not in tables:
        return base
    calm_measures = mode_measures(base, CALM, tables[CALM], progress=progress)
    return replace(base, cells=with_measures(base, {CALM: calm_measures}))


def _calm_tables(bike: ModeTables) -> ModeTables:
    """The cycling network as `bike_calm` travels it."""
    network = bike.network
    lts = network.streets["lts"].to_numpy(np.int8)
    streets = network.streets.copy()
    for column, time in (("forward_ms", network.forward_ms), ("backward_ms", network.backward_ms)):
        streets[column] = calm_ms(time, network.length_m, lts)
    return ModeTables(replace(network, streets=streets), bike.pieces, bike.destinations)


def _config(run: RunDirectory) -> Config:
    return parse_config(run.manifest["config"], origin=str(run.path))


def _context(run: RunDirectory, config: Config) -> Context:
    """Only to look up the taxonomy and the profiles that the run's configuration names."""
    return Context(config, Path(run.manifest["base"]), run.path, Progress(), offline=True)


def _settings(context: Context) -> Settings:
    scoring = context.config.scoring
    categories = read_categories(context)
    return Settings(
        limit_ms=round(scoring.search_limit_min * 60_000),
        cutoff_min=scoring.cutoff_min,
        weights={name: c.weight for name, c in categories.items()},
        labels={name: {"en": c.label_en, "fr": c.label_fr} for name, c in categories.items()},
        decay=Decay(
            scoring.decay,
            full_min=scoring.decay_full_min,
            half_min=scoring.decay_half_min,
            zero_min=scoring.decay_zero_min,
        ),
    )


def _unserved(pieces: StreetPieces) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    rows = np.flatnonzero(pieces.no_network)
    return rows, cell_centres(pieces.cells[rows])


def _place_view(places: OpportunityTables, category: npt.NDArray[np.int32]) -> PlaceView:
    table, access = places.places, places.access[places.access["kind"] != COPY]
    xy = shapely.get_coordinates(access.geometry.to_numpy()).reshape(-1, 2)
    of = access["place"].to_numpy()
    starts = np.searchsorted(of, np.arange(len(table) + 1))
    return PlaceView(
        place_id=tuple(table["id"].astype(str)),
        name=tuple(table["name"].fillna("").astype(str)),
        category=category,
        geometry=table.geometry.to_numpy(),
        access=tuple(xy[a:b] for a, b in pairwise(starts.tolist())),
        capacity=table["capacity"].fillna(1.0).to_numpy(np.float64),
        there=np.ones(len(table), dtype=bool),
    )


def read_proposal(path: Path) -> Proposal:
    """
    Read a proposal file.

    Parameters
    ----------
    path
        A GeoJSON file (see ``docs/proposals.md``).

    Raises
    ------
    SourceError
        The file cannot be read, is larger than 50 MB, or is not JSON.
    InputError
        It is not a proposal; the message names the feature and the property.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_MB * 1_000_000:
            msg = f"{path} holds {size / 1e6:.0f} MB; a proposal has at most {MAX_FILE_MB} MB"
            raise SourceError(msg)
        raw = path.read_bytes()
        value = json.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        msg = f"cannot read the proposal {path}: {error.strerror}; give the path of a GeoJSON file"
        raise SourceError(msg) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        msg = f"{path} is not JSON ({error}); a proposal is a GeoJSON FeatureCollection"
        raise SourceError(msg) from None
    return parse_proposal(value, name=path.stem, digest=sha256(raw).hexdigest())


def resolve_proposal(base: Base, proposal: Proposal) -> Resolved:
    """
    Say what a proposal does to a run, street by street and place by place.

    A park drawn as a polygon without entrances is entered where the method says (METHOD §4).

    Raises
    ------
    InputError
        An edit names what the run does not have; the message names the feature.
    """
    return resolve(base.standing, [with_entrances(base, edit) for edit in proposal.edits])


def with_entrances(base: Base, edit: Edit) -> Edit:
    """An edit whose drawn park has its entrances; every other edit as it is."""
    if not isinstance(edit, AddAmenity) or edit.entrances or edit.shape.geom_type == "Point":
        return edit
    outline = gpd.GeoDataFrame({"id": ["proposal"]}, geometry=[edit.shape], crs="EPSG:4326")
    main = next(iter(base.tables.values())).network
    view = next(iter(base.standing.streets.values()))
    shape = shapely.transform(edit.shape, view.index.plane.project)
    near = view.index.near(shape, _AROUND_M)[0]
    features = _features(base.run, edit.shape)
    points = access_points(outline, some_streets(main, near), features).table
    xy = shapely.get_coordinates(points.geometry.to_numpy()).reshape(-1, 2)
    return replace(edit, entrances=tuple((float(x), float(y)) for x, y in xy))


def some_streets(network: StreetNetwork, streets: npt.NDArray[np.int64]) -> StreetNetwork:
    """A network of some of the streets, measured in the plane of the whole."""
    plane = local_metres(network)
    vertex, ends = np.unique(np.concatenate([network.u[streets], network.v[streets]]), return_inverse=True)
    table = network.streets.iloc[streets].reset_index(drop=True)
    half = len(streets)
    table["u"], table["v"] = ends[:half].astype(np.int32), ends[half:].astype(np.int32)
    o = network.offsets
    parts = [network.coords[o[s] : o[s + 1]] for s in streets]
    counts = np.array([len(p) for p in parts], dtype=np.int64)
    return StreetNetwork(
        mode=network.mode,
        node_id=network.node_id[vertex],
        lon=network.lon[vertex],
        lat=network.lat[vertex],
        streets=table,
        coords=np.concatenate(parts) if parts else np.empty((0, 2)),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        centre=(plane.lon, plane.lat),
    )


def _features(run: RunDirectory, around: Any) -> gpd.GeoDataFrame:
    """Mapped features near a shape: gates and fences."""
    if not run.has("features.parquet"):
        return gpd.GeoDataFrame({"id": [], "tags": []}, geometry=[], crs="EPSG:4326")
    table = gpd.read_parquet(run.path / "features.parquet")
    west, south, east, north = shapely.bounds(around)
    near = table.cx[west - 0.005 : east + 0.005, south - 0.005 : north + 0.005].copy()
    near["tags"] = [json.loads(t) for t in near["tags"]]
    return near.reset_index(drop=True)


def apply(base: Base, proposal: Proposal, *, progress: Progress | None = None) -> Rescored:
    """
    Re-score every cell under a proposal, by the functions of the run.

    Parameters
    ----------
    base
        The run.
    proposal
        What is to be done.
    progress
        Where each step is said: two for every mode that an edit touches. What it raises ends the work there.

    Returns
    -------
    Rescored
        Cells in the contract's columns; without edits they are the run's own, bit for bit.

    Raises
    ------
    InputError
        An edit cannot be resolved; the message names the feature.
    """
    resolved = resolve_proposal(base, proposal)
    return Rescored(recomputed(base, resolved, progress=progress), proposal, resolved)


def recomputed(base: Base, resolved: Resolved, *, progress: Progress | None = None) -> gpd.GeoDataFrame:
    """Cells by full recomputation of every mode that an operation touches."""
    measures: dict[str, pd.DataFrame] = {}
    for mode in base.modes:
        operations = resolved.operations(mode)
        if operations:
            tables = with_operations(base.tables[mode], operations)
            measures[mode] = mode_measures(base, mode, tables, progress=progress)
    return with_measures(base, measures)


def mode_measures(
    base: Base, mode: str, tables: ModeTables, *, progress: Progress | None = None
) -> pd.DataFrame:
    """The contract's columns of one mode, computed anew from its tables; each of the two steps is said."""
    say = (progress or Progress()).say
    field = nearest(tables.network, tables.destinations, k=2, limit_ms=base.settings.limit_ms)
    say(f"  {mode}: nearest places")
    reach = ModeReach(tables.network, tables.pieces, tables.destinations)
    measured = measure(reach, field, mode, base.categories)
    say(f"  {mode}: every cell measured")
    return measured


def with_measures(base: Base, measures: Mapping[str, pd.DataFrame]) -> gpd.GeoDataFrame:
    """
    The run's cells with the measures of some modes in place of their own, and the scores that follow.

    Further measures (`pipelines.steps.measures`) are not measured again: of these modes they are left out, so that
    no figure of before stands beside those of after.
    """
    cells = base.cells.drop(columns=further_columns(base.cells, tuple(measures)))
    first = base.modes[0]
    for mode, table in measures.items():
        for column in table.columns.difference(["street_length_m", "no_network"], sort=False):
            cells[column] = table[column].to_numpy()
        if mode == first:
            cells["no_network"] = table["no_network"].to_numpy()
        scored = score_cells(
            cells.assign(no_network=table["no_network"].to_numpy()),
            weights=base.settings.weights,
            modes=[mode],
            decay=base.settings.decay,
            threshold_min=base.settings.cutoff_min,
        )
        for column in scored.columns:
            cells[column] = scored[column]
    return cells


class Workbench:
    """
    A run under edits, re-scored at once and taken back at will.

    What it shows equals `apply` on the same edits, bit for bit. Making one costs as much as the run's reach; use one
    from one thread.

    Parameters
    ----------
    base
        The run.
    progress
        Where each mode that is ready is said. What it raises ends the work there.

    Examples
    --------
    >>> bench = Workbench(base)  # doctest: +SKIP
    >>> bench.do(proposal.edits)  # doctest: +SKIP
    >>> bench.cells()["walk_score"]  # doctest: +SKIP
    >>> bench.undo()  # doctest: +SKIP
    """

    def __init__(self, base: Base, *, progress: Progress | None = None) -> None:
        self.base = base
        say = (progress or Progress()).say
        cutoffs = Cutoffs(base.settings.limit_ms, tuple(c * 60_000 for c in COUNT_CUTOFFS_MIN), DECIMALS)
        self.live = Live(base.tables, cutoffs, ready=lambda mode: say(f"  {mode}: every cell measured"))
        self._done: list[tuple[Resolved, Standing]] = []
        self._standing = base.standing

    def do(self, edits: Sequence[Edit], *, counts: bool = True) -> Resolved:
        """
        Do some edits on top of what was done.

        Parameters
        ----------
        edits
            For example ``proposal.edits``.
        counts
            Bring the numbers of places in reach up to date as well; False leaves them for later, which is quicker
            (times and scores do not depend on them).

        Raises
        ------
        InputError
            An edit cannot be resolved; nothing is changed then.
        """
        resolved = resolve(self._standing, [with_entrances(self.base, edit) for edit in edits])
        for step in resolved.steps:
            self.live.do(step.operations, counts=False)
        if counts:
            self.live.settle()
        self._done.append((resolved, self._standing))
        self._standing = resolved.standing
        return resolved

    def undo(self) -> None:
        """
        Take back what the latest `do` did.

        Raises
        ------
        InputError
            Nothing was done.
        """
        if not self._done:
            msg = "there is nothing to undo"
            raise InputError(msg)
        resolved, self._standing = self._done.pop()
        for _ in resolved.steps:
            self.live.undo()

    def cells(self) -> gpd.GeoDataFrame:
        """Every cell in the contract's columns; counts as of the latest `do` that brought them up to date."""
        touched = [m for m, live in self.live.modes.items() if live.operations]
        return with_measures(
            self.base, {m: live_measures(self.live.modes[m], self.base.categories) for m in touched}
        )


def live_measures(live: LiveMode, categories: Sequence[str]) -> pd.DataFrame:
    """The contract's columns of a mode, as `pipelines.steps.measuring.measure` gives them."""
    counts = live.counts()
    columns: dict[str, npt.NDArray[Any]] = {
        "street_length_m": live.layout.pieces.street_length_m,
        "no_network": live.layout.pieces.no_network,
    }
    for c, category in enumerate(categories):
        for i, name in enumerate(("minutes", "p90_minutes", "second_minutes")):
            columns[f"{live.mode}_{category}_{name}"] = live.times[:, c, i]
        for j, cutoff in enumerate(COUNT_CUTOFFS_MIN):
            columns[f"{live.mode}_{category}_n{cutoff}"] = counts[:, c, j]
    return pd.DataFrame(columns)


def check_base(base: Base) -> None:
    """
    Recompute the run itself from its files and compare.

    Raises
    ------
    ArtifactError
        The run was made by another version whose figures differ: compute it again before comparing proposals.
    """
    measures = {mode: mode_measures(base, mode, tables) for mode, tables in base.tables.items()}
    again = with_measures(base, measures)
    differing = [c for c in again.columns if not again[c].equals(base.cells[c])]
    if differing:
        msg = (
            f"{base.run.path} does not recompute to itself ({', '.join(map(str, differing[:4]))} differ): "
            "it was made by another version; run its configuration again"
        )
        raise ArtifactError(msg)
