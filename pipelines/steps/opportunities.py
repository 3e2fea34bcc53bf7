"""Opportunities: places of every category, their doors and gates, and where each attaches to each network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.errors import InputError
from engine.network.street_network import StreetNetwork
from engine.places.category import Category, parse_taxonomy
from engine.places.entrance import park_entrances, streets_inside
from engine.places.extract import find_places
from engine.reach.destinations import Destinations
from engine.snapping import Snaps, on_copies, snap
from pipelines.config import FileSource, Mode
from pipelines.errors import ConfigError
from pipelines.resources import configs_folder
from pipelines.sources.opendata import PlaceOptions, read_places
from pipelines.steps.context import Context, plain
from pipelines.steps.inputs import resolve
from pipelines.steps.parks import entered_by, parks_table, rules_used
from pipelines.steps.streets import features_of, load_network
from pipelines.store import Artifact
from pipelines.tables_out import export_table, write_parquet

_SURVEYS = ("check_date", "survey:date")
_DATE = re.compile(r"(19|20)\d\d-[01]\d-[0-3]\d")
INSIDE_STEP_M = 10.0
"""[m] Whoever walks inside a park is in it: points along its paths stand this far apart at most."""


def read_categories(ctx: Context) -> dict[str, Category]:
    """
    The taxonomy of the run, with the configuration's changes and additions.

    Raises
    ------
    ConfigError
        The taxonomy does not exist, or a category has a wrong key or value.
    """
    name = ctx.config.scoring.taxonomy
    shipped = configs_folder() / "categories" / f"{name}.toml"
    path = (
        shipped
        if re.fullmatch(r"[a-z0-9_]+", name) and shipped.is_file()
        else resolve(ctx, "scoring.taxonomy", name).path
    )
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
        tables.setdefault("categories", {})
        for key, change in ctx.config.opportunities.items():
            table = tables["categories"].setdefault(key, {})
            table.update(change.category_table())
        categories = parse_taxonomy(tables)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InputError) as error:
        msg = f"the taxonomy {path} with the configuration's [opportunities]: {error}"
        raise ConfigError(msg) from None
    for key, weight in ctx.config.scoring.weights.items():
        if key not in categories:
            msg = f"scoring.weights names {key!r}; the categories of the run are {', '.join(categories)}"
            raise ConfigError(msg)
        categories[key] = _weighted(categories[key], weight)
    return categories


def _weighted(category: Category, weight: float) -> Category:

    return replace(category, weight=weight)


def read_file_places(
    ctx: Context, role: str, source: FileSource, *, bounds: tuple[float, float, float, float]
) -> gpd.GeoDataFrame | None:
    """Places of a file or an address, None where the configuration names none."""
    if source.address is None:
        return None
    found = resolve(ctx, role, source.address, sha256=source.sha256, licence=source.licence)
    read = read_places(found.path, options=PlaceOptions.from_mapping(source.options), bounds=bounds)
    ctx.reports[role] = dict(read.report)
    return read.places


@dataclass(frozen=True, eq=False)
class OpportunityTables:
    """
    Places and their access points.

    Attributes
    ----------
    categories
        Names, in the order of the taxonomy.
    places
        ``opportunities.parquet``.
    access
        ``access_points.parquet``: ``place`` (row of `places`), ``kind`` and, for each mode,
        ``{mode}_street``, ``{mode}_fraction``, ``{mode}_access_m``, ``{mode}_access_ms``. Rows of the kind `COPY`
        repeat a point of the place for the copies of its street in one mode.
    """

    categories: list[str]
    places: gpd.GeoDataFrame
    access: gpd.GeoDataFrame

    @classmethod
    def load(cls, artifact: Artifact) -> OpportunityTables:
        """Read the tables that the step published."""
        return cls(
            list(artifact.info["categories"]),
            gpd.read_parquet(artifact.file("opportunities.parquet")),
            gpd.read_parquet(artifact.file("access_points.parquet")),
        )


COPY = "copy"
"""Kind of the rows that repeat an access point for the copies of its street."""


def destinations_for(tables: OpportunityTables, mode: str) -> Destinations:
    """The places as one mode reaches them."""
    access, places = tables.access, tables.places
    snaps = Snaps(
        street=access[f"{mode}_street"].to_numpy(np.int32),
        fraction=access[f"{mode}_fraction"].to_numpy(np.float64),
        access_m=access[f"{mode}_access_m"].to_numpy(np.float64),
        access_ms=access[f"{mode}_access_ms"].to_numpy(np.int64),
        reason=np.full(len(access), "", dtype=object),
    )
    number = {name: i for i, name in enumerate(tables.categories)}
    return Destinations(
        snaps=snaps,
        place=access["place"].to_numpy(np.int32),
        category=places["category"].map(number).to_numpy(np.int32),
        capacity=places["capacity"].fillna(1.0).to_numpy(np.float64),
        n_categories=len(tables.categories),
    )


def opportunities_artifact(
    ctx: Context,
    extract: Artifact,
    networks: Mapping[Mode, Artifact],
    categories: Mapping[str, Category],
    *,
    bounds: tuple[float, float, float, float],
) -> Artifact:
    """``opportunities.parquet``, ``access_points.parquet`` and, where there are parks, ``parks.csv``."""
    files = {
        name: source
        for name, source in ctx.config.opportunities.items()
        if source.address is not None and name in categories
    }
    for name, source in files.items():
        resolve(
            ctx, f"opportunities.{name}", str(source.address), sha256=source.sha256, licence=source.licence
        )
    needs = {
        "extract": extract.key,
        "networks": {m: a.key for m, a in networks.items()},
        "categories": {n: plain(_without_weight(c)) for n, c in categories.items()},
        "files": {n: [ctx.inputs[f"opportunities.{n}"].sha256, s.options] for n, s in files.items()},
        "max_snap_m": ctx.config.scoring.max_snap_m,
        "bounds": list(bounds),
    }

    def build(folder: Path) -> dict[str, Any]:
        features = features_of(extract)
        extra = {n: read_file_places(ctx, f"opportunities.{n}", s, bounds=bounds) for n, s in files.items()}
        found = find_places(features, categories, extra={n: t for n, t in extra.items() if t is not None})
        loaded = {mode: load_network(artifact, mode) for mode, artifact in networks.items()}
        main = loaded.get("walk") or next(iter(loaded.values()))
        ways_in = access_points(found.table, main, features)
        places, access = attach(found.table, ways_in, loaded, max_snap_m=ctx.config.scoring.max_snap_m)
        places["seen"] = last_seen(places["sources"], features)
        write_parquet(places, folder / "opportunities.parquet")
        write_parquet(access, folder / "access_points.parquet")
        parks = parks_table(places, access[access["kind"] != COPY])
        if len(parks):
            export_table(parks, folder / "parks.csv", form="csv", layer="parks")
        return {
            "categories": list(categories),
            "places": {c: int((places["category"] == c).sum()) for c in categories},
            "dropped": found.dropped_counts(),
            "rejected": {m: int((~places[f"snapped_{m}"]).sum()) for m in loaded},
            "park_entrances": rules_used(parks),
            "parks_without_entrance": sorted(places.loc[places["no_entrance"], "id"]),
        }

    return ctx.artifact("opportunities", needs, build)


def _without_weight(category: Category) -> Category:
    """A category as far as its places depend on it: the weight only matters to the score."""
    return _weighted(category, 1.0)


def last_seen(sources: pd.Series, features: gpd.GeoDataFrame) -> pd.Series:
    """
    When each place was last edited or surveyed by somebody: the latest over its sources.

    Parameters
    ----------
    sources
        ``node/1;way/2`` of each place.
    features
        ``id``, ``tags`` (``check_date``, ``survey:date``), and ``edited`` where the extract has it.

    Returns
    -------
    pandas.Series
        ISO dates; None where the data do not say (files, extracts without metadata).
    """
    edited = (
        features["edited"].to_numpy(np.int64) if "edited" in features else np.zeros(len(features), np.int64)
    )
    known = {
        i: max(
            date,
            *(str(tags.get(key, ""))[:10] for key in _SURVEYS if _DATE.match(str(tags.get(key, "")))),
            "",
        )
        for i, tags, date in zip(features["id"], features["tags"], _iso(edited), strict=True)
    }
    latest = [max((known.get(i, "") for i in text.split(";")), default="") for text in sources]
    return pd.Series([date or None for date in latest], index=sources.index, dtype=object)


def _iso(days: npt.NDArray[np.int64]) -> list[str]:
    """Days since 1970-01-01 as ISO dates; empty for 0, and for the first days, which stand for no date at all."""
    dates = np.datetime_as_string(days.astype("datetime64[D]"))
    return [str(d) if n > 1 else "" for d, n in zip(dates, days, strict=True)]


class WaysIn(NamedTuple):
    """Where places are entered, and why parks are not."""

    table: gpd.GeoDataFrame
    """``place`` (row of the places), ``kind`` (``door``, ``gate``, ``crossing``, ``open boundary``, ``inside``),
    point."""
    flagged: Mapping[int, str]
    """Reason of each park without a way in, by its row."""


def access_points(places: gpd.GeoDataFrame, network: StreetNetwork, features: gpd.GeoDataFrame) -> WaysIn:
    """Where places are entered: points at their door, parks by the four rules, and along the paths inside them."""
    polygon = shapely.get_dimensions(places.geometry.to_numpy()) == 2
    doors = np.flatnonzero(~polygon)
    parks = np.flatnonzero(polygon)
    outlines = places.iloc[parks].reset_index(drop=True)
    gates = park_entrances(outlines, network, features)
    inside = _inside_points(streets_inside(outlines, network, entrances=gates), network)
    closed = gates[gates["kind"] == "flagged"]
    gates = gates[gates["kind"] != "flagged"]
    rows = [
        pd.DataFrame({"place": doors, "kind": "door", "geometry": places.geometry.to_numpy()[doors]}),
        pd.DataFrame(
            {
                "place": parks[gates["park"].to_numpy(int)],
                "kind": gates["kind"].to_numpy(object),
                "geometry": shapely.points(gates["lon"].to_numpy(float), gates["lat"].to_numpy(float)),
            }
        ),
        pd.DataFrame(
            {
                "place": parks[inside["park"].to_numpy(int)],
                "kind": "inside",
                "geometry": inside["point"].to_numpy(),
            }
        ),
    ]
    table = pd.concat([r for r in rows if len(r)] or rows[:1], ignore_index=True)
    table = table.assign(place=table["place"].astype(np.int32), kind=table["kind"].astype(str))
    frame = gpd.GeoDataFrame(table, geometry="geometry", crs="EPSG:4326")
    flagged = {int(parks[k]): str(why) for k, why in zip(closed["park"], closed["reason"], strict=True)}
    return WaysIn(frame.sort_values("place", kind="stable", ignore_index=True), flagged)


def _inside_points(spans: pd.DataFrame, network: StreetNetwork) -> pd.DataFrame:
    """Points along the paths inside parks, from end to end, at most `INSIDE_STEP_M` apart."""
    parks: list[int] = []
    points: list[Any] = []
    for span in spans.itertuples(index=False):
        length = float(network.length_m[span.street]) * (span.stop - span.start)
        steps = max(1, int(np.ceil(length / INSIDE_STEP_M)))
        fractions = span.start + (span.stop - span.start) * np.arange(steps + 1) / steps
        line = network.geometry[span.street]
        points.extend(shapely.line_interpolate_point(line, fractions, normalized=True))
        parks.extend([int(span.park)] * (steps + 1))
    return pd.DataFrame({"park": np.array(parks, dtype=int), "point": np.array(points, dtype=object)})


def attach(
    places: gpd.GeoDataFrame,
    ways_in: WaysIn,
    networks: Mapping[Mode, StreetNetwork],
    *,
    max_snap_m: float,
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """
    Snap every access point to every network; a place is snapped where one of its access points is.

    A point on a street that a network holds more than once (behind a restricted turn, or open to its own traffic only)
    has a further row for each copy, of the kind `COPY`.
    """
    places, access = places.copy(), ways_in.table.copy()
    lon_lat = shapely.get_coordinates(access.geometry.to_numpy()).reshape(-1, 2)
    places["no_entrance"] = ~np.isin(np.arange(len(places)), access["place"].to_numpy())
    places["entrance"] = entered_by(len(places), access)
    reasons: list[list[str]] = [
        [f"no entrance: {ways_in.flagged[row]}"] if row in ways_in.flagged else []
        for row in range(len(places))
    ]
    copied: list[pd.DataFrame] = []
    for mode, network in networks.items():
        snaps = snap(network, lon_lat, max_snap_m=max_snap_m)
        access = access.assign(**_columns(mode, snaps))
        point, more = on_copies(network, snaps)
        copied.append(ways_in.table.iloc[point].assign(kind=COPY, **_columns(mode, more)))
        ok = np.zeros(len(places), dtype=bool)
        ok[access["place"].to_numpy()[snaps.accepted]] = True
        places[f"snapped_{mode}"] = ok
        for row, why in _first_reasons(access["place"].to_numpy(), snaps, ok).items():
            reasons[row].append(f"{mode}: {why}")
    places["reason"] = ["; ".join(r) for r in reasons]
    return places, _with_rows(access, [rows for rows in copied if len(rows)], list(networks))


def _columns(mode: str, snaps: Snaps) -> dict[str, npt.NDArray[Any]]:
    """What the table of access points says of one mode."""
    return {
        f"{mode}_street": snaps.street,
        f"{mode}_fraction": snaps.fraction,
        f"{mode}_access_m": snaps.access_m,
        f"{mode}_access_ms": snaps.access_ms,
    }


def _with_rows(access: gpd.GeoDataFrame, more: list[pd.DataFrame], modes: list[Mode]) -> gpd.GeoDataFrame:
    """Access points with further rows of single modes: they attach to no street of the others."""
    if not more:
        return access
    table = pd.concat([access, *more], ignore_index=True)
    for mode in modes:
        table[f"{mode}_street"] = table[f"{mode}_street"].fillna(-1).astype(np.int32)
        table[f"{mode}_fraction"] = table[f"{mode}_fraction"].fillna(0.0)
        table[f"{mode}_access_ms"] = table[f"{mode}_access_ms"].fillna(0).astype(np.int64)
    return gpd.GeoDataFrame(table, crs=access.crs).sort_values("place", kind="stable", ignore_index=True)


def _first_reasons(place: npt.NDArray[np.int32], snaps: Snaps, ok: npt.NDArray[np.bool_]) -> dict[int, str]:
    """Why each place that no access point attaches was rejected: the reason of its first one."""
    why: dict[int, str] = {}
    for k in np.flatnonzero(~snaps.accepted):
        row = int(place[k])
        if not ok[row]:
            why.setdefault(row, str(snaps.reason[k]))
    return why
