"""Citizen proposals in bulk: points ranked by what each adds to those above it, neighbours taken as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from engine.errors import InputError
from engine.proposals.edit import AddAmenity
from engine.proposals.marginal import Worth, clusters, lazy_greedy, worth_of
from engine.proposals.resolve import Resolved, resolve
from engine.scoring import weight_of
from pipelines.comparison import check_bench, criteria_of
from pipelines.errors import ConfigError
from pipelines.progress import Progress
from pipelines.proposals import Base, Workbench
from pipelines.sources.opendata import PlaceOptions, columns_of, read_places

MOST_POINTS = 5_000
"""Gathering neighbours compares every pair."""
_COSTS = ("cost_eur", "cost", "budget", "montant", "cout", "coût", "budget_global")
_NAMES = ("name", "nom", "title", "titre", "intitule", "intitulé", "libelle", "libellé", "titre_de_l_idee")
_CATEGORIES = ("category", "categorie", "catégorie")
COLUMNS = (
    "rank", "cluster", "cluster_size", "head", "name", "category", "gain", "gain_alone", "newly_within",
    "person_minutes", "cost_eur", "gain_per_million", "id", "reason", "geometry",
)  # fmt: skip


def read_ideas(path: Path, base: Base, *, category: str | None = None) -> gpd.GeoDataFrame:
    """
    Read a file of ideas: CSV or GeoJSON as a city publishes it, one point an idea.

    Parameters
    ----------
    path
        The file; coordinates, names and costs are found by their usual column names.
    base
        The run that they are for.
    category
        Category of all of them; None: the file has a column ``category``.

    Returns
    -------
    geopandas.GeoDataFrame
        ``id``, ``name``, ``category``, ``cost_eur``, ``geometry`` (points).

    Raises
    ------
    SourceError
        The file cannot be read, or holds no place in the city.
    ConfigError
        No category, one that the run does not have, or too many ideas.
    """
    if category is not None and category not in base.categories:
        msg = f"--category is {category!r}; the run has {', '.join(base.categories)}"
        raise ConfigError(msg)
    columns = {c.casefold(): c for c in columns_of(path)}
    cost = next((columns[c] for c in _COSTS if c in columns), None)
    name = next((columns[c] for c in _NAMES if c in columns), None)
    kind = next((columns[c] for c in _CATEGORIES if c in columns), None)
    if category is None and kind is None:
        msg = f"{path} has no column 'category'; give --category ({', '.join(base.categories)})"
        raise ConfigError(msg)
    keep = tuple(c for c in (cost, kind) if c is not None)
    west, south, east, north = (float(v) for v in base.cells.total_bounds)
    around = (west - 0.02, south - 0.02, east + 0.02, north + 0.02)
    places = read_places(path, options=PlaceOptions(keep=keep, name=name), bounds=around).places
    if len(places) > MOST_POINTS:
        msg = f"{path} holds {len(places)} ideas in the city; at most {MOST_POINTS} are ranked at once: split it"
        raise ConfigError(msg)
    named = places[kind].fillna("").astype(str) if kind is not None and category is None else ""
    ideas = gpd.GeoDataFrame(
        {
            "id": places["id"].astype(str),
            "name": places["name"].fillna("").astype(str),
            "category": named if category is None else category,
            "cost_eur": pd.to_numeric(places[cost], errors="coerce") if cost is not None else np.nan,
        },
        geometry=shapely.point_on_surface(places.geometry.to_numpy()),
        crs="EPSG:4326",
    )
    unknown = sorted(set(ideas["category"]) - set(base.categories))
    if unknown:
        msg = f"{path} names the categories {unknown[:5]}; the run has {', '.join(base.categories)}"
        raise ConfigError(msg)
    return ideas


class _Trial:
    """Ideas tried on a workbench, one at a time, on top of those that were taken."""

    def __init__(self, base: Base, ideas: gpd.GeoDataFrame) -> None:
        self.base, self.ideas = base, ideas
        self.bench = Workbench(base)
        check_bench(self.bench)
        self.criteria, self.weight = criteria_of(base), weight_of(base.cells)[0]
        self.reason = [""] * len(ideas)

    def worth(self, idea: int) -> Worth:
        """What an idea adds; nothing where it cannot be built."""
        try:
            worth = self._done(idea)
        except InputError as error:
            self.reason[idea] = str(error).partition(": ")[2]
            return Worth(0.0, 0.0, 0.0, 0.0)
        self.bench.live.undo()
        return worth

    def take(self, idea: int) -> Worth:
        """Build an idea for good."""
        try:
            return self._done(idea)
        except InputError:
            return Worth(0.0, 0.0, 0.0, 0.0)

    def _done(self, idea: int) -> Worth:
        row = self.ideas.iloc[idea]
        edit = AddAmenity(f"idea {idea + 1}", row.geometry, name=row["name"], category=row["category"])
        resolved: Resolved = resolve(self.base.standing, [edit])
        # places that were taken before have numbers of their own: the next free one is the layout's
        self.bench.live.do(resolved.steps[0].operations, counts=False)
        return worth_of(self.bench.live.latest(), self.weight, self.criteria)


def rank_ideas(
    base: Base,
    ideas: gpd.GeoDataFrame,
    *,
    within_m: float = 150.0,
    count: int | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Rank ideas by what each adds to those above it.

    Parameters
    ----------
    base
        The run.
    ideas
        As `read_ideas` gives them.
    within_m
        [m] Ideas of one category that are no farther apart are taken as one; the best of them leads.
    count
        Ranks to give; the rest keep their gain alone. None: all.
    progress
        Where progress is said.

    Returns
    -------
    geopandas.GeoDataFrame
        One row an idea, best first, neighbours under the one that leads: ``rank``, ``cluster`` (from 1),
        ``cluster_size``, ``head``, ``gain`` [points of mean score] on top of the ranks above (null for neighbours),
        ``gain_alone``, ``newly_within`` and ``person_minutes`` on top as well, ``reason`` where it cannot be built.

    Notes
    -----
    One bounded search a mode for each idea, and for few of them again for each rank (lazy greedy).
    """
    say = (progress or Progress()).say
    trial = _Trial(base, ideas)
    alone = np.array([trial.worth(i).gain for i in range(len(ideas))])
    say(f"  {len(ideas)} ideas tried, every cell re-scored for each")
    plane = next(iter(base.standing.streets.values())).index.plane
    xy = np.asarray(plane.project(shapely.get_coordinates(ideas.geometry.to_numpy())))
    group = clusters(xy, ideas["category"].tolist(), within_m=within_m)
    order = np.lexsort((np.arange(len(ideas)), -alone, np.array(trial.reason) != ""))
    heads = list({int(group[i]): int(i) for i in order[::-1]}.values()) if len(ideas) else []
    heads = sorted(i for i in heads if not trial.reason[i])
    taken: dict[int, Worth] = {}

    def take(k: int) -> None:
        taken[heads[k]] = trial.take(heads[k])

    picks = lazy_greedy([alone[i] for i in heads], lambda k: trial.worth(heads[k]).gain, take, most=count)
    ranks = {int(group[heads[p.item]]): r for r, p in enumerate(picks, start=1)}
    say(f"  {len(set(group.tolist()))} places once neighbours are taken as one, {len(picks)} ranked")
    return _table(trial, alone, group, ranks, taken)


def _table(
    trial: _Trial, alone: Any, group: Any, ranks: dict[int, int], taken: dict[int, Worth]
) -> gpd.GeoDataFrame:
    ideas = trial.ideas
    rows = ideas.copy()
    rows["cluster"] = group + 1
    rows["cluster_size"] = np.bincount(group)[group] if len(group) else group
    rows["head"] = [i in taken for i in range(len(ideas))]
    rows["rank"] = pd.array([ranks.get(int(g)) for g in group], dtype="Int64")
    rows["gain_alone"] = alone
    for name in ("gain", "newly_within", "person_minutes"):
        rows[name] = [getattr(taken[i], name) if i in taken else np.nan for i in range(len(ideas))]
    rows["gain_per_million"] = rows["gain"] / rows["cost_eur"].where(rows["cost_eur"] > 0) * 1e6
    rows["reason"] = trial.reason
    last = rows["rank"].fillna(len(rows) + 1).to_numpy(np.int64)
    order = np.lexsort((np.arange(len(rows)), -alone, ~rows["head"].to_numpy(), last))
    return rows.iloc[order][list(COLUMNS)].reset_index(drop=True)


def best_proposal(table: gpd.GeoDataFrame, *, top: int, name: str) -> dict[str, Any]:
    """The first ranks as a proposal file, ready for `proche compare`."""
    heads = table[table["head"]].sort_values("rank").head(top)
    features = []
    for row in heads.itertuples():
        properties: dict[str, Any] = {
            "edit": "add_amenity",
            "category": row.category,
            "note": f"rank {row.rank}",
        }
        if row.name:
            properties["name"] = row.name
        if row.cost_eur == row.cost_eur:
            properties["cost_eur"] = float(row.cost_eur)
        features.append(
            {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(row.geometry)}
        )
    return {"type": "FeatureCollection", "name": name, "features": features}
