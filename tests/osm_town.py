"""Small towns drawn in ASCII, written as OSM files and read back as extracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from engine.network.build import build_network
from engine.network.geodesy import EARTH_RADIUS_M
from engine.network.profile import ModeProfile
from engine.network.street_network import StreetNetwork
from engine.osm_extract import ExtractInfo, OsmExtract
from pipelines.sources.osm_file import read_osm

DEGREE_M = np.pi * EARTH_RADIUS_M / 180
"""[m] Length of a degree at the equator, where the towns lie."""

Way = tuple[str, Mapping[str, str]]


def positions(drawing: str, *, cell_m: float = 100.0) -> dict[str, tuple[float, float]]:
    """[m] Where the letters of a drawing stand: a column is `cell_m` wide, a line as high; the last line is y = 0."""
    lines = drawing.strip("\n").split("\n")
    return {
        sign: (x * cell_m, (len(lines) - 1 - y) * cell_m)
        for y, line in enumerate(lines)
        for x, sign in enumerate(line)
        if sign.isalnum()
    }


def osm_xml(
    drawing: str,
    ways: Sequence[Way],
    *,
    nodes: Mapping[str, Mapping[str, str]] | None = None,
    relations: Sequence[tuple[Mapping[str, str], Sequence[tuple[str, int | str, str]]]] = (),
    cell_m: float = 100.0,
) -> str:
    """
    The drawing as an OSM file: node ids are the letters' code points, way ids 1, 2, …, relation ids 101, 102, …
    """
    rows = ['<?xml version="1.0"?>', '<osm version="0.6" generator="town">']
    for sign, (x, y) in sorted(positions(drawing, cell_m=cell_m).items()):
        rows.append(f'<node id="{ord(sign)}" version="1" lon="{x / DEGREE_M:.7f}" lat="{y / DEGREE_M:.7f}">')
        rows += _tags((nodes or {}).get(sign, {}))
        rows.append("</node>")
    for i, (path, tags) in enumerate(ways, start=1):
        rows.append(f'<way id="{i}" version="1">')
        rows += [f'<nd ref="{ord(sign)}"/>' for sign in path]
        rows += [*_tags(tags), "</way>"]
    for i, (tags, members) in enumerate(relations, start=101):
        rows.append(f'<relation id="{i}" version="1">')
        for kind, ref, role in members:
            number = ord(ref) if isinstance(ref, str) else ref
            rows.append(f'<member type="{kind}" ref="{number}" role="{role}"/>')
        rows += [*_tags(tags), "</relation>"]
    return "\n".join([*rows, "</osm>", ""])


def _tags(tags: Mapping[str, str]) -> list[str]:
    return [f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items()]


def extract_of(drawing: str, ways: Sequence[Way], **more: object) -> OsmExtract:
    """Write the town to a file and read it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "town.osm"
        path.write_text(osm_xml(drawing, ways, **more), encoding="utf-8")  # type: ignore[arg-type]
        return read_osm(path, keep={"amenity": None, "leisure": None})


def plain_extract(
    nodes: Mapping[int, tuple[float, float]], ways: Sequence[tuple[Sequence[int], Mapping[str, str]]]
) -> OsmExtract:
    """An extract in memory: nodes [deg] by id, ways 1, 2, … by their nodes."""
    used = sorted({ref for refs, _ in ways for ref in refs})
    place = {node: i for i, node in enumerate(used)}
    table = pd.DataFrame(
        {"way_id": np.arange(1, len(ways) + 1, dtype=np.int64), "area_of": np.zeros(len(ways), np.int64)}
    )
    for key in sorted({key for _, tags in ways for key in tags}):
        table[key] = pd.Categorical(
            [tags.get(key) for _, tags in ways], categories=sorted({t[key] for _, t in ways if key in t})
        )
    columns = ("relation_id", "restriction", "from_way", "via_node", "to_way", "except")
    return OsmExtract(
        node_id=np.array(used, dtype=np.int64),
        lon=np.array([nodes[i][0] for i in used], dtype=np.float64),
        lat=np.array([nodes[i][1] for i in used], dtype=np.float64),
        node_tags=pd.DataFrame(index=pd.Index([], dtype="int64", name="node_id")),
        ways=table,
        way_offsets=np.concatenate([[0], np.cumsum([len(refs) for refs, _ in ways])]).astype(np.int64),
        way_refs=np.array([place[ref] for refs, _ in ways for ref in refs], dtype=np.int64),
        restrictions=pd.DataFrame({name: [] for name in columns}),
        info=ExtractInfo("town", None, (0.0, 0.0, 0.0, 0.0)),
    )


def build(
    mode: str,
    drawing: str,
    ways: Sequence[Way],
    *,
    profile: Mapping[str, object] | None = None,
    **more: object,
) -> StreetNetwork:
    """The network of a mode in a town."""
    return build_network(extract_of(drawing, ways, **more), ModeProfile.default(mode, **(profile or {})))


def seconds(network: StreetNetwork, start: str, stop: str) -> float:
    """[s] Shortest time between two letters, to the tenth; inf where there is no way."""
    return round(milliseconds(network, start, stop) / 1000, 1)


def milliseconds(network: StreetNetwork, start: str, stop: str) -> float:
    """[ms] Shortest time between two letters; inf where there is no way."""
    at = {int(i): k for k, i in enumerate(network.node_id)}
    if ord(start) not in at or ord(stop) not in at:
        return float("inf")
    return float(network.graph.distances(at[ord(start)], at[ord(stop)], weights="travel_time_ms")[0][0])


def streets(network: StreetNetwork) -> set[str]:
    """Streets as pairs of letters, the lower first; copies of nodes are shown as ``*``."""
    names = [chr(i) if i > 0 else "*" for i in network.node_id.tolist()]
    return {"".join(sorted((names[u], names[v]))) for u, v in zip(network.u, network.v, strict=True)}
