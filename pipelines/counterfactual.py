"""Counterfactuals ready to run: what if the city were at 30 km/h, a bridge closed, a railway opened, tracks built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from engine.errors import InputError
from engine.proposals.edit import Edit
from engine.proposals.geojson import parse_proposal
from engine.proposals.marginal import Worth, lazy_greedy, worth_of
from engine.proposals.resolve import CALM, CALM_LTS, resolve
from engine.scoring import weight_of
from pipelines.comparison import check_bench, criteria_of
from pipelines.errors import ConfigError
from pipelines.progress import Progress
from pipelines.proposals import Base, Workbench
from pipelines.railways import disused_railways

KINDS = ("speed30", "bridge", "railway", "bike_links", "parks_closed")
MOST_CANDIDATES = 4_000
_LEAST_BRIDGE_M = 20.0
_LEAST_RAILWAY_M = 200.0
_SHARED = ("mixed traffic", "pushed")
"""Rules of `engine.network.stress` by which nothing on a street is for cycling."""
_Feature = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """
    What is asked.

    Attributes
    ----------
    kind
        One of `KINDS`.
    speed_kmh
        [km/h] Limit of ``speed30``.
    km
        [km] Budget of ``bike_links``; None: as much as there is today (the network doubled).
    name
        Only bridges or railways whose name holds this.
    top
        How many entries the ranking has at most.
    """

    kind: str
    speed_kmh: float = 30.0
    km: float | None = None
    name: str | None = None
    top: int = 50


def needs_calm(kind: str) -> bool:
    """Whether low-stress cycling must be measured for this."""
    return kind in ("speed30", "bike_links")


def counterfactual(base: Base, asked: Asked, *, progress: Progress | None = None) -> dict[str, Any]:
    """
    Make a proposal of a standing question, with a ranking where there is a choice.

    Parameters
    ----------
    base
        The run, by `pipelines.proposals.open_base` (with ``calm`` where `needs_calm` says so).
    asked
        The question.
    progress
        Where progress is said.

    Returns
    -------
    dict
        A proposal file for `proche compare`. Further members: ``ranking`` (best or worst first, with ``gain``,
        ``newly_within``, ``no_longer_within`` and ``person_minutes``), ``method`` in a sentence.

    Raises
    ------
    ConfigError
        The run lacks what the question is about; the message says what.
    """
    made = _MAKERS[asked.kind](base, asked, (progress or Progress()).say)
    parse_proposal(made, name=str(made["name"]))
    return made


class _Trial:
    """Edits tried on a workbench and taken back."""

    def __init__(self, base: Base) -> None:
        self.bench = Workbench(base)
        check_bench(self.bench)
        self.criteria, self.weight = criteria_of(base), weight_of(base.cells)[0]
        self.standing = base.standing

    def worth(self, feature: _Feature, *, keep: bool = False) -> Worth:
        """What one edit is worth on top of those that were kept."""
        (edit,) = edits_of([feature])
        resolved = resolve(self.standing, [edit])
        total = np.zeros(4)
        for step in resolved.steps:
            self.bench.live.do(step.operations, counts=False)
            total += worth_of(self.bench.live.latest(), self.weight, self.criteria)
        if keep:
            self.standing = resolved.standing
        else:
            for _ in resolved.steps:
                self.bench.live.undo()
        return Worth(*total.tolist())


def edits_of(features: Sequence[_Feature]) -> tuple[Edit, ...]:
    """Features as edits, checked as a file would be."""
    return parse_proposal({"type": "FeatureCollection", "features": list(features)}).edits


def _feature(geometry: Any, **properties: Any) -> _Feature:
    shape = None if geometry is None else shapely.geometry.mapping(shapely.set_precision(geometry, 1e-7))
    return {"type": "Feature", "properties": properties, "geometry": shape}


def _collection(
    name: str, method: str, features: Sequence[_Feature], ranking: Sequence[Any] = ()
) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "name": name,
        "author": "proche counterfactual",
        "description": method,
        "method": method,
        "ranking": list(ranking),
        "features": list(features),
    }


def _entry(rank: int, name: str, worth: Worth, **more: Any) -> dict[str, Any]:
    return {"rank": rank, "name": name, **more, **{k: round(v, 6) + 0.0 for k, v in worth._asdict().items()}}


def _speed(base: Base, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    west, south, east, north = (float(v) for v in base.cells.total_bounds)
    area = shapely.box(west - 0.05, south - 0.05, east + 0.05, north + 0.05)
    limit = f"{asked.speed_kmh:g} km/h"
    method = (
        f"Nobody drives faster than {limit} but on the run's major roads; cycling there becomes as calm as Furth's "
        "criteria say. Free-flow times: observed traffic is slower with and without it."
    )
    edit = _feature(
        area, edit="speed_area", max_speed_kmh=asked.speed_kmh, name=f"{limit} but on major roads"
    )
    return _collection(f"{base.run.name} at {limit}", method, [edit])


def _bridges(base: Base, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    groups = _grouped(
        base, lambda m, t: np.asarray(t.get("bridge", np.zeros(len(t), bool)), bool), asked.name
    )
    groups = {k: g for k, g in groups.items() if g.length_m >= _LEAST_BRIDGE_M or asked.name}
    if not groups:
        named = f" whose name holds {asked.name!r}" if asked.name else ""
        msg = f"{base.run.path} has no bridges{named} of {_LEAST_BRIDGE_M:g} m or more; draw a 'remove_street' edit"
        raise ConfigError(msg)
    trial = _Trial(base)
    tried = []
    for g in groups.values():
        feature = _feature(None, edit="remove_street", osm_way=sorted(g.ways), name=f"{g.name} closed")
        tried.append((trial.worth(feature), g, feature))
    tried.sort(key=lambda t: (t[0].gain, -t[0].no_longer_within, t[1].name))
    say(f"  {len(tried)} bridges closed, one at a time")
    ranking = [
        _entry(r, g.name, w, osm_way=sorted(g.ways), length_m=round(g.length_m, 1))
        for r, (w, g, _) in enumerate(tried[: asked.top], start=1)
    ]
    method = (
        "Each bridge is closed in every mode that it has; they are ranked by what residents lose. The edit closes the "
        "first: the one that the city can do without least."
    )
    return _collection(f"{tried[0][1].name} closed", method, [tried[0][2]], ranking)


@dataclass
class _Group:
    """Streets that are one thing for people: a bridge, a street by its name."""

    name: str
    ways: set[int]
    length_m: float = 0.0


def _grouped(
    base: Base, wanted: Callable[[str, Any], npt.NDArray[np.bool_]], name: str | None
) -> dict[str, _Group]:
    """Wanted streets of all modes, by their name, else by their way; lengths are those of the longest mode."""
    groups: dict[str, _Group] = {}
    for mode, tables in base.tables.items():
        if mode == CALM:
            continue
        streets = tables.network.streets
        rows = np.flatnonzero(wanted(mode, streets))
        lengths: dict[str, float] = {}
        names = streets["name"].to_numpy(object) if "name" in streets.columns else np.full(len(streets), None)
        for row in rows:
            label, way = names[row], int(streets["osm_way"].iloc[row])
            key = label if isinstance(label, str) and label else f"way/{way}"
            if name and name.casefold() not in key.casefold():
                continue
            groups.setdefault(key, _Group(key, set())).ways.add(way)
            lengths[key] = lengths.get(key, 0.0) + float(tables.network.length_m[row])
        for key, length in lengths.items():
            groups[key].length_m = max(groups[key].length_m, length)
    return groups


def _railway(base: Base, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    lines = disused_railways(base, name=asked.name, least_m=_LEAST_RAILWAY_M)
    trial = _Trial(base)
    tried, skipped = [], 0
    for label, line, length in lines:
        feature = _feature(line, edit="add_street", modes=["walk", "bike"], connect="all", lts=1, name=label)
        try:
            tried.append((trial.worth(feature), label, length, feature))
        except InputError:
            skipped += 1
    if not tried:
        msg = f"none of the {len(lines)} disused railways in the data of {base.run.path} meets two streets"
        raise ConfigError(msg)
    tried.sort(key=lambda t: (-t[0].gain, t[1]))
    say(f"  {len(tried)} disused lines opened, one at a time; {skipped} meet no two streets")
    ranking = [
        _entry(r, label, w, km=round(length / 1000, 3), gain_per_km=round(w.gain / length * 1000, 6))
        for r, (w, label, length, _) in enumerate(tried[: asked.top], start=1)
    ]
    method = (
        "Disused and abandoned railways become ways for walking and cycling, with a way in wherever they cross a "
        "street (bridges and tunnels of streets excepted). The ranking is of each line alone; the edits are all."
    )
    what = asked.name or "Disused railways"
    return _collection(f"{what} opened", method, [t[3] for t in tried], ranking)


def _bike_links(base: Base, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    if CALM not in base.tables:
        msg = (
            f"{base.run.path} knows no traffic stress of cycling: that takes the mode bike and OpenStreetMap"
        )
        raise ConfigError(msg)
    network = base.tables["bike"].network
    today = _calm_km(network)
    budget = today if asked.km is None else asked.km
    groups = _grouped(base, _stressful, asked.name)
    some = sorted(groups.values(), key=lambda g: (-g.length_m, g.name))[:MOST_CANDIDATES]
    if not some or budget <= 0:
        msg = f"{base.run.path} has {len(some)} stressful streets and {today:.1f} km of calm ways; give --km"
        raise ConfigError(msg)
    trial = _Trial(base)
    features = [
        _feature(None, edit="change_street", osm_way=sorted(g.ways), cycleway="track", name=g.name)
        for g in some
    ]
    km = [max(g.length_m / 1000, 0.01) for g in some]
    alone = [trial.worth(f).gain for f in features]
    say(f"  {len(some)} stressful streets given a protected track, one at a time")
    taken: list[Worth] = []
    picks = lazy_greedy(
        alone,
        lambda i: trial.worth(features[i]).gain,
        lambda i: taken.append(trial.worth(features[i], keep=True)),
        cost=km,
        budget=budget,
    )
    built = np.cumsum([km[p.item] for p in picks]).tolist()
    ranking = [
        _entry(r, some[p.item].name, w, km=round(km[p.item], 3), km_so_far=round(total, 3),
               gain_per_km=round(w.gain / km[p.item], 6))
        for r, (p, w, total) in enumerate(zip(picks, taken, built, strict=True), start=1)
    ]  # fmt: skip
    method = (
        f"Streets where cycling is stressful (level 3 and 4) get a protected track, one after the other, always the "
        f"one that adds most reach by calm cycling per kilometre, until {budget:.1f} km are built "
        f"(the city has {today:.1f} km of ways for cycling today)."
    )
    name = f"{built[-1] if built else 0:.1f} km of cycle tracks"
    return _collection(name, method, [features[p.item] for p in picks], ranking)


def _stressful(mode: str, streets: Any) -> npt.NDArray[np.bool_]:
    if mode != "bike":
        return np.zeros(len(streets), dtype=bool)
    return np.asarray(streets["lts"].to_numpy(np.int8) > CALM_LTS)


def _calm_km(network: Any) -> float:
    """[km] Ways and lanes that are there for cycling."""
    streets = network.streets
    own = streets["highway"].astype(str).eq("cycleway").to_numpy()
    if "lts_rule" in streets.columns:
        own = own | ~streets["lts_rule"].astype(str).str.startswith(_SHARED).to_numpy()
    return float(network.length_m[own].sum() / 1000)


def _parks(base: Base, asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    places = base.standing.places
    if "green" not in base.categories:
        msg = f"{base.run.path} has no category 'green'; it has {', '.join(base.categories)}"
        raise ConfigError(msg)
    rows = np.flatnonzero(places.category == base.categories.index("green"))
    features, inside = [], 0
    for row in rows:
        shape, name = places.geometry[row], places.name[row] or places.place_id[row]
        features.append(
            _feature(None, edit="remove_amenity", id=places.place_id[row], category="green", name=name)
        )
        if shape.geom_type.endswith("Polygon"):
            way = _feature(shape, edit="remove_street", modes=_modes(base), name=f"Ways through {name}")
            try:
                resolve(base.standing, edits_of([way]))
            except InputError:
                continue
            features.append(way)
            inside += 1
    say(f"  {len(rows)} green places closed, {inside} of them with ways through them")
    method = "Every green place is closed, and nobody walks or cycles through those that are known by their outline."
    return _collection("Parks closed at night", method, features)


def _modes(base: Base) -> list[str]:
    return [m for m in ("walk", "bike") if m in base.tables]


_MAKERS: Mapping[str, Callable[[Base, Asked, Callable[[str], None]], dict[str, Any]]] = {
    "speed30": _speed,
    "bridge": _bridges,
    "railway": _railway,
    "bike_links": _bike_links,
    "parks_closed": _parks,
}
