"""The extract and the street networks: read once, kept by content."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from engine.network.build import build_network
from engine.network.exchange import from_tables, to_tables
from engine.network.profile import MajorRoads, ModeProfile
from engine.network.quality import quality_report
from engine.network.street_network import StreetNetwork
from engine.osm_extract import OsmExtract
from engine.places.category import Category, features_filter
from pipelines.config import Bike, Mode, Street30, Walk
from pipelines.errors import ConfigError, SourceError
from pipelines.resources import configs_folder
from pipelines.sources.boundary import read_boundary
from pipelines.sources.osm_cut import CUT_FILE, read_cut
from pipelines.sources.osm_file import assemble, read_osm
from pipelines.sources.overpass import overpass_file
from pipelines.sources.raster import elevation_reader
from pipelines.sources.tables import StreetTables, read_street_tables, street_network
from pipelines.sources.transfer import public_url
from pipelines.steps.area import Bounds
from pipelines.steps.context import Context, InputFile, code_digest, plain
from pipelines.steps.inputs import resolve
from pipelines.store import Artifact, digest_of
from pipelines.tables_out import write_json, write_parquet

MODE_SETTINGS: dict[Mode, type[Walk] | type[Bike] | type[Street30]] = {
    "walk": Walk,
    "bike": Bike,
    "street30": Street30,
}
Keep = Mapping[str, frozenset[str] | None]

MAP_FEATURES: Keep = {
    "natural": frozenset({"water", "tree", "tree_row", "coastline"}),
    "waterway": frozenset({"river", "canal", "riverbank"}),
    "railway": frozenset({"rail"}),
    "highway": frozenset({"crossing", "bus_stop"}),
    "amenity": frozenset({"charging_station", "recycling", "school", "parking"}),
    "building": None,
    "landuse": frozenset({"brownfield", "greenfield", "construction"}),
    "place": frozenset({"square", "quarter", "suburb", "neighbourhood"}),
}
"""Features that siting and the map need besides the categories'."""


def keep_filter(categories: Mapping[str, Category]) -> Keep:
    """What the reader keeps: what the categories, the sites and the map need."""
    wanted: dict[str, frozenset[str] | None] = dict(features_filter(categories))
    for key, values in MAP_FEATURES.items():
        held = wanted.get(key, frozenset())
        wanted[key] = None if held is None or values is None else held | values
    return wanted


@dataclass(eq=False)
class OsmSource:
    """
    The OpenStreetMap source of a run: read when a step first needs it, and at most once.

    Attributes
    ----------
    ctx
        The run.
    keep
        Tags of the features that are kept.
    bounds
        [deg] Box that is read; None for everything.
    """

    ctx: Context
    keep: Keep
    bounds: Bounds | None

    @cached_property
    def street_needs(self) -> dict[str, Any]:
        """What identifies the streets that will be read."""
        return {"sha256": self.file.sha256, "bounds": None if self.bounds is None else list(self.bounds)}

    @cached_property
    def needs(self) -> dict[str, Any]:
        """What identifies the streets and features that will be read."""
        return {**self.street_needs, "keep": plain(self.keep), "timestamp": self.ctx.config.source.timestamp}

    @cached_property
    def file(self) -> InputFile:
        """The file, on this disk."""
        source = self.ctx.config.source
        if source.osm == "overpass":
            return self._from_overpass()
        return resolve(
            self.ctx,
            "osm",
            source.osm,
            sha256=source.sha256,
            md5=source.md5,
            checksum_url=source.checksum_url,
            size=source.size,
            licence=source.licence,
        )

    def _from_overpass(self) -> InputFile:
        source = self.ctx.config.source
        if self.bounds is None:
            msg = 'osm = "overpass" needs an area: give area.bbox, area.boundary or area.place'
            raise ConfigError(msg)
        self.ctx.progress.say(f"  ↓ osm: {public_url(source.overpass_url)}")
        fetched = overpass_file(
            self.bounds,
            keep=self.keep,
            url=source.overpass_url,
            cache_dir=self.ctx.cache / "http",
            offline=self.ctx.offline,
            timeout_s=source.overpass_timeout_s,
            progress=self.ctx.progress.say,
        )
        found = InputFile("osm", fetched.url, fetched.path, fetched.sha256, fetched.size, source.licence)
        self.ctx.inputs["osm"] = found
        return found

    @cached_property
    def extract(self) -> OsmExtract:
        """The extract in memory: of the cut that a batch made for this box, else of the whole file."""
        cut = self.ctx.store.find("cut", self.cut_key)
        if cut is None:
            found = read_osm(self.file.path, keep=self.keep, bounds=self.bounds)
            _refuse_another_place(found, self.file.path, self.bounds)
            return found
        raw = read_cut(cut.file(CUT_FILE))
        return assemble(raw, source=str(self.file.path), keep=self.keep, bounds=self.bounds)

    @property
    def size(self) -> int:
        """[bytes] Of what is read: the cut that a batch made for this box, else the whole file."""
        cut = self.ctx.store.find("cut", self.cut_key)
        return self.file.size if cut is None else cut.file(CUT_FILE).stat().st_size

    def forget(self) -> None:
        """Let go of what was read; it is read again where it is needed after all."""
        self.__dict__.pop("extract", None)

    @property
    def cut_key(self) -> str:
        """Key of the cut of the file for this box, where one was made (`pipelines.batch.split`)."""
        return digest_of(["cut", self.street_needs, plain(self.keep), code_digest()])

    @cached_property
    def artifact(self) -> Artifact:
        """Features and facts of the extract."""

        def build(folder: Path) -> dict[str, Any]:
            extract = self.extract
            features = extract.features.copy()
            features["tags"] = [json.dumps(t, sort_keys=True, ensure_ascii=False) for t in features["tags"]]
            write_parquet(features[["id", "tags", "edited", "geometry"]], folder / "features.parquet")
            info = extract.info
            facts = {
                "timestamp": info.timestamp or self.ctx.config.source.timestamp,
                "newest_edit": _newest(features["edited"].to_numpy(np.int64)),
                "bbox": list(info.bbox),
                "counts": dict(info.counts),
                "repairs": dict(info.repairs),
                "road_ends": [list(end) for end in info.road_ends],
            }
            write_json(facts, folder / "extract.json")
            return facts

        return self.ctx.artifact("extract", self.needs, build)


def _newest(days: npt.NDArray[np.int64]) -> str | None:
    """The latest of these days since 1970-01-01 (0 and 1 stand for none), ISO: data are no older than that."""
    newest = int(days.max(initial=0))
    return str(np.datetime64(newest, "D")) if newest > 1 else None


def _refuse_another_place(extract: OsmExtract, path: Path, bounds: Bounds | None) -> None:
    """A file without ways, or of somewhere else, is a mistake, and no city without streets."""
    if not extract.info.counts["ways"]:
        msg = f"{path}: holds no way, so no street; expected an extract of OpenStreetMap with its ways"
        raise SourceError(msg)
    box = extract.info.bbox
    if bounds is None or extract.info.counts["highway_ways"]:
        return
    if box[2] < bounds[0] or bounds[2] < box[0] or box[3] < bounds[1] or bounds[3] < box[1]:
        here, there = (", ".join(f"{side:.4f}" for side in sides) for sides in (box, bounds))
        msg = (
            f"{path}: covers {here} (west, south, east, north); expected the study area and the belt around it, "
            f"{there}: take the extract of this area, or correct area.bbox (longitude comes first)"
        )
        raise SourceError(msg)


@dataclass(eq=False)
class TableSource:
    """Own tables of nodes and edges: streets without features."""

    ctx: Context

    @cached_property
    def needs(self) -> dict[str, Any]:
        """What identifies the content."""
        source = self.ctx.config.source
        return {
            "nodes": self.nodes.sha256,
            "edges": self.edges.sha256,
            "columns": dict(sorted(source.columns.items())),
        }

    @cached_property
    def nodes(self) -> InputFile:
        """The node table on this disk."""
        source = self.ctx.config.source
        return resolve(self.ctx, "source.nodes", str(source.nodes), licence=source.licence)

    @cached_property
    def edges(self) -> InputFile:
        """The edge table on this disk."""
        source = self.ctx.config.source
        return resolve(self.ctx, "source.edges", str(source.edges), licence=source.licence)

    @property
    def size(self) -> int:
        """[bytes] Of both files."""
        return self.nodes.size + self.edges.size

    def forget(self) -> None:
        """Let go of what was read; it is read again where it is needed after all."""
        self.__dict__.pop("tables", None)

    @cached_property
    def tables(self) -> StreetTables:
        """The checked tables."""
        return read_street_tables(self.nodes.path, self.edges.path, columns=self.ctx.config.source.columns)

    @cached_property
    def artifact(self) -> Artifact:
        """Extent and facts of the tables, and no features."""

        def build(folder: Path) -> dict[str, Any]:
            nodes = self.tables.nodes
            bbox = [float(f(nodes[c])) for f, c in ((min, "lon"), (min, "lat"), (max, "lon"), (max, "lat"))]
            empty = gpd.GeoDataFrame({"id": [], "tags": [], "edited": []}, geometry=[], crs="EPSG:4326")
            kinds = {"id": str, "tags": str, "edited": np.int32}
            write_parquet(empty.astype(kinds), folder / "features.parquet")
            facts = {
                "timestamp": self.ctx.config.source.timestamp,
                "bbox": bbox,
                "counts": {"nodes": len(nodes), "edges": len(self.tables.edges)},
                "repairs": dict(self.tables.report),
                "road_ends": [],
            }
            write_json(facts, folder / "extract.json")
            return facts

        return self.ctx.artifact("extract", self.needs, build)


def features_of(artifact: Artifact) -> gpd.GeoDataFrame:
    """Features of an extract, with their tags as dicts."""
    table = gpd.read_parquet(artifact.file("features.parquet"))
    table["tags"] = [json.loads(t) for t in table["tags"]]
    return table


def profile_of(ctx: Context, mode: Mode) -> ModeProfile:
    """
    The profile of a mode: the method's default, changed by a named profile, changed by the configuration.

    Raises
    ------
    ConfigError
        The named profile does not exist, or has a key that the mode does not take.
    """
    settings: Walk | Bike | Street30 = getattr(ctx.config.network, mode)
    changes: dict[str, Any] = {}
    if settings.profile is not None:
        changes |= _named_profile(ctx, mode, settings.profile)
    changes |= settings.changes()
    if isinstance(settings, Street30):
        rules = settings.major
        given: dict[str, Any] = {"names": rules.names, "refs": rules.refs, "relations": rules.relations}
        if rules.classes is not None:
            given["classes"] = rules.classes
        if rules.polygon is not None:
            path = resolve(ctx, "network.street30.major.polygon", rules.polygon).path
            given["polygon"] = read_boundary(boundary=path).geometry
        changes["major"] = MajorRoads(**given)
    return ModeProfile.default(mode, **changes)


def _named_profile(ctx: Context, mode: Mode, name: str) -> dict[str, Any]:
    shipped = configs_folder() / "profiles" / f"{name}.toml"
    path = (
        shipped
        if re.fullmatch(r"[a-z_]+", name) and shipped.is_file()
        else resolve(ctx, f"network.{mode}.profile", name).path
    )
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return MODE_SETTINGS[mode].model_validate(table).changes()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        msg = f"the profile {path} does not fit the mode {mode}: {error}"
        raise ConfigError(msg) from None


def network_artifact(ctx: Context, source: OsmSource | TableSource, mode: Mode) -> Artifact:
    """The street network of a mode: ``network_{mode}_nodes.parquet`` and ``…_edges.parquet``."""
    profile = profile_of(ctx, mode)
    if isinstance(source, TableSource):
        _refuse_rules_of_tags(profile)
    given = ctx.config.elevation
    terrain = (
        resolve(ctx, "elevation", given.raster, sha256=given.sha256, licence=given.licence)
        if given.raster
        else None
    )
    needs = {
        "mode": mode,
        "profile": plain(profile),
        "source": source.street_needs if isinstance(source, OsmSource) else source.needs,
        "elevation": terrain.sha256 if terrain else None,
    }

    def build(folder: Path) -> dict[str, Any]:
        elevation = elevation_reader(terrain.path) if terrain else None
        if isinstance(source, OsmSource):
            network = build_network(source.extract, profile, elevation=elevation)
        else:
            network = street_network(source.tables, profile, elevation=elevation)
        nodes, edges = to_tables(network)
        write_parquet(nodes, folder / f"network_{mode}_nodes.parquet")
        write_parquet(edges, folder / f"network_{mode}_edges.parquet")
        report: dict[str, Any] = {
            "vertices": network.n_vertices,
            "streets": len(network.streets),
            "length_km": round(float(network.length_m.sum()) / 1000, 3),
            "dropped": network.dropped,
        }
        if isinstance(source, OsmSource):
            report["quality"] = quality_report(source.extract, network)
        return report

    return ctx.artifact(f"network_{mode}", needs, build)


_RULES_OF_TAGS = ("wheelchair", "ferries", "signal_delay_s", "max_lts", "limit_30", "urban_kmh", "major")


def _refuse_rules_of_tags(profile: ModeProfile) -> None:
    """A rule that reads OpenStreetMap's tags would do nothing to tables, and must not be thought to."""
    usual = ModeProfile.default(profile.mode)
    for name in _RULES_OF_TAGS:
        if getattr(profile, name) != getattr(usual, name):
            msg = (
                f"network.{profile.mode}.{name} is set, but it reads OpenStreetMap's tags, which tables of streets do "
                "not have: leave it out (`major` and `limit_kmh` are columns of the edges), or take an extract"
            )
            raise ConfigError(msg)


def load_network(artifact: Artifact, mode: Mode) -> StreetNetwork:
    """The network that an artifact holds: what every later step computes on, cached or not."""
    nodes = gpd.read_parquet(artifact.file(f"network_{mode}_nodes.parquet"))
    edges = gpd.read_parquet(artifact.file(f"network_{mode}_edges.parquet"))
    return from_tables(nodes, edges, mode)
