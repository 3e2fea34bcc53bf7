"""OSM files (.osm.pbf, .osm, .osm.gz, .osm.bz2) → `OsmExtract`, in one pass over the file."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.network.tags import NODE_KEYS, NODE_TRIGGERS, ROUTABLE_WITHOUT_HIGHWAY, WAY_KEYS
from engine.osm_extract import ExtractInfo, OsmExtract
from pipelines.errors import SourceError
from pipelines.sources.osm_end import data_box, road_ends
from pipelines.sources.osm_features import read_features
from pipelines.sources.osm_lines import Lines, area_rings, way_lines
from pipelines.sources.osm_pbf import UnknownCompressionError, read_pbf
from pipelines.sources.osm_raw import NODE, UNIT, WAY, Entries, RawOsm, tag_columns

Bounds = tuple[float, float, float, float]
Keep = Mapping[str, Collection[str] | None]

RESTRICTION_COLUMNS = ("relation_id", "restriction", "from_way", "via_node", "via_ways", "to_way", "except")


def read_osm(path: str | Path, *, keep: Keep | None = None, bounds: Bounds | None = None) -> OsmExtract:
    """
    Read the routable ways and the wanted features of an OSM file.

    The file is read once. Relations come last in it and need ways and nodes that came before, so all node
    positions and way references are held as flat integer arrays until the end; nothing is read twice, and no
    Python object is kept for a node.

    Parameters
    ----------
    path
        ``.osm.pbf``, ``.osm``, ``.osm.gz`` or ``.osm.bz2``; the content decides, not the name.
    keep
        Tag key → accepted values (None: any) of the objects that become ``features``: points, lines, and
        polygons, multipolygon relations included. None or empty: no features.
    bounds
        [deg] West, south, east, north. Ways and features that touch the box are kept whole.

    Raises
    ------
    SourceError
        The file is absent, empty, truncated, damaged, or not an OSM file.

    Notes
    -----
    O(objects) time and memory: about 16 bytes a node of the file, 8 bytes a reference of a way.
    """
    path = Path(path)
    raw = read_raw(path)
    if not (len(raw.node_id) or len(raw.way_id) or len(raw.relation_id)):
        msg = f"{path}: holds no node, way or relation; expected an extract of OpenStreetMap: check the area it is of"
        raise SourceError(msg)
    return assemble(raw, source=str(path), keep=keep, bounds=bounds)


def read_raw(path: Path) -> RawOsm:
    """
    Read every object of a file.

    PBF is decoded directly. Everything else is parsed by libosmium (through pyosmium), which writes it as a plain
    PBF into a temporary folder: one decoder, one set of rules for all formats.

    Raises
    ------
    SourceError
        As for `read_osm`.
    """
    if detect_format(path) == "pbf":
        try:
            return read_pbf(path)
        except UnknownCompressionError:
            pass
    with _rewritten(path) as plain:
        return read_pbf(plain, name=path)


@contextmanager
def plain_pbf(path: Path) -> Iterator[Path]:
    """
    Give the file itself where it is a PBF, else a plain PBF of it that is gone afterwards.

    Raises
    ------
    SourceError
        As for `read_osm`.
    """
    if detect_format(path) == "pbf":
        yield path
        return
    with _rewritten(path) as plain:
        yield plain


@contextmanager
def _rewritten(path: Path) -> Iterator[Path]:
    """Have libosmium write a file of any format as a plain PBF, into a temporary folder."""
    file_format = detect_format(path)
    if file_format != "pbf":
        _refuse_deleted_objects(path, file_format)
    import osmium  # PBF is read without it

    with TemporaryDirectory(prefix="proche-") as folder:
        plain = Path(folder) / "plain.osm.pbf"
        try:
            with osmium.io.Reader(osmium.io.File(str(path), file_format)) as reader:
                file = osmium.io.File(str(plain), "pbf,pbf_compression=none,add_metadata=timestamp")
                with osmium.SimpleWriter(file, header=reader.header()) as writer:
                    osmium.apply(reader, writer)
        except (RuntimeError, ValueError, osmium.InvalidLocationError) as error:
            msg = (
                f"{path}: is damaged or cut short ({error}); expected a complete OSM file: "
                "fetch it again and compare its size or checksum with the source's"
            )
            raise SourceError(msg) from error
        yield plain


_DELETED = re.compile(rb"""\s(visible=["']false["']|action=["']delete["'])""")
_CHUNK, _OVERLAP = 1 << 20, 32


def _refuse_deleted_objects(path: Path, file_format: str) -> None:
    """Objects that are no more stand in histories and in unsaved edits: read as they are, they would come to life."""
    found = _first_deletion(path, file_format)
    if found:
        msg = (
            f"{path}: holds deleted objects ({found}); expected the state of one day: run `osmium time-filter` on a "
            "history, upload or undo the deletions of an editor's file"
        )
        raise SourceError(msg)


def _first_deletion(path: Path, file_format: str) -> str:
    """The attribute that marks the first deleted object of an XML file; nothing where there is none."""
    unpack: Any = {"osm": open, "osm.gz": gzip.open, "osm.bz2": bz2.open}[file_format]
    tail = b""
    try:
        with unpack(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                found = _DELETED.search(tail + chunk)
                if found:
                    return found[1].decode()
                tail = chunk[-_OVERLAP:]
    except (EOFError, OSError, zlib.error):
        return ""  # damaged: libosmium says where
    return ""


def detect_format(path: Path) -> str:
    """
    Format of an OSM file by its first bytes.

    Raises
    ------
    SourceError
        The file is absent, empty, a folder, or begins like none of the accepted formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        msg = f"{path}: cannot be opened ({error.strerror}); expected .osm.pbf, .osm, .osm.gz or .osm.bz2"
        raise SourceError(msg) from error
    if not head:
        msg = f"{path}: is empty; expected an OSM file: fetch it again"
        raise SourceError(msg)
    if b"OSMHeader" in head[:64]:
        return "pbf"
    if head[:2] == b"\x1f\x8b":
        return "osm.gz"
    if head[:3] == b"BZh":
        return "osm.bz2"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"<osmchange" in text.lower():
        msg = (
            f"{path}: is a change file; expected a whole extract: apply it with `osmium apply-changes` first"
        )
        raise SourceError(msg)
    if text.startswith((b"<?xml", b"<osm", b"<!--")) and b"<html" not in text.lower():
        return "osm"
    shown = head[:16].decode("ascii", "replace")
    msg = (
        f"{path}: begins with {shown!r}, which is no OSM file; expected .osm.pbf, .osm, .osm.gz or .osm.bz2 "
        "(an error page saved under that name is a common cause): fetch it again"
    )
    raise SourceError(msg)


def assemble(
    raw: RawOsm, *, source: str, keep: Keep | None = None, bounds: Bounds | None = None
) -> OsmExtract:
    """
    Make an extract of what a reader found.

    Parameters
    ----------
    raw
        All objects of the file.
    source
        Name recorded in the extract's info.
    keep, bounds
        As for `read_osm`.
    """
    repairs = dict(raw.repairs)
    rows = raw.way_tags.matching({"highway": None, **ROUTABLE_WITHOUT_HIGHWAY})
    lines = way_lines(raw, rows, repairs)
    ends = road_ends(raw, lines, bounds)
    rings = area_rings(raw, repairs)
    lines = lines.append(rings.lines)
    good = np.diff(lines.offsets) >= 2
    if bounds is not None:
        good &= _touching(raw, lines, bounds)
    lines = lines.take(good)
    area_of = np.concatenate([np.zeros(len(good) - len(rings.relation), np.int64), rings.relation])[good]
    marked = np.zeros(len(raw.node_id), dtype=bool)
    marked[lines.places] = True
    used = np.flatnonzero(marked)
    refs = (np.cumsum(marked) - 1)[lines.places]
    ways = _way_table(raw, lines.row, area_of)
    features = read_features(raw, keep or {}, bounds=bounds, repairs=repairs)
    return OsmExtract(
        node_id=raw.node_id[used],
        lon=raw.node_x[used] / UNIT,
        lat=raw.node_y[used] / UNIT,
        node_tags=_node_tags(raw, used),
        ways=ways,
        way_offsets=lines.offsets,
        way_refs=refs.astype(np.int64),
        restrictions=_restrictions(raw),
        info=_info(raw, source, len(np.unique(lines.row)), len(features.id), repairs, ends),
        feature_columns=features,
        memberships=_memberships(raw, ways),
    )


def _way_table(raw: RawOsm, rows: npt.NDArray[np.int64], area_of: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Ways with their tags; rings of area relations take the relation's tags, and ``area=yes``."""
    plain = np.flatnonzero(area_of == 0)
    ways, back = np.unique(rows[plain], return_inverse=True)
    relations, ring = np.unique(np.searchsorted(raw.relation_id, area_of[len(plain) :]), return_inverse=True)
    texts = list(raw.texts)
    codes = []
    for text in ("area", "yes"):
        codes.append(raw.way_tags.code(text) if raw.way_tags.code(text) >= 0 else len(texts))
        texts += [text] if codes[-1] == len(texts) else []
    area, yes = codes
    own, lent = raw.way_tags.of(ways), raw.relation_tags.of(relations)
    other = lent.key != area
    n = len(ways) + len(relations)
    areas = np.arange(len(ways), n, dtype=np.int32)
    entries = Entries(
        np.concatenate([own.place, lent.place[other] + np.int32(len(ways)), areas]),
        np.concatenate([own.key, lent.key[other], np.full(len(areas), area, dtype=np.int32)]),
        np.concatenate([own.value, lent.value[other], np.full(len(areas), yes, dtype=np.int32)]),
    )
    table = tag_columns(entries, n, WAY_KEYS, texts)
    take = np.concatenate([back, ring + len(ways)])
    if not np.array_equal(take, np.arange(n)):
        table = table.take(take).reset_index(drop=True)
    table.insert(0, "way_id", raw.way_id[rows])
    table.insert(1, "area_of", area_of)
    return table


def _memberships(raw: RawOsm, ways: pd.DataFrame) -> pd.DataFrame:
    """Which routable ways belong to which relations."""
    member = np.flatnonzero((raw.member_kind == WAY) & np.isin(raw.member_ref, ways["way_id"].to_numpy()))
    relation = np.searchsorted(raw.member_offsets, member, side="right") - 1
    return pd.DataFrame({"relation_id": raw.relation_id[relation], "way_id": raw.member_ref[member]})


def _touching(raw: RawOsm, lines: Lines, bounds: Bounds) -> npt.NDArray[np.bool_]:
    """Lines whose own box meets the bounds."""
    touching = np.zeros(len(lines.row), dtype=bool)
    some = np.flatnonzero(np.diff(lines.offsets) > 0)
    if not len(some):
        return touching
    x, y = raw.node_x[lines.places] / UNIT, raw.node_y[lines.places] / UNIT
    cut = lines.offsets[some]
    west, south, east, north = bounds
    touching[some] = (
        (np.minimum.reduceat(x, cut) <= east)
        & (np.maximum.reduceat(x, cut) >= west)
        & (np.minimum.reduceat(y, cut) <= north)
        & (np.maximum.reduceat(y, cut) >= south)
    )
    return touching


def _node_tags(raw: RawOsm, used: npt.NDArray[np.int64]) -> pd.DataFrame:
    tagged = raw.node_tags.matching(dict.fromkeys(NODE_TRIGGERS))
    rows = np.intersect1d(tagged, used, assume_unique=True)
    table = tag_columns(raw.node_tags.of(rows), len(rows), NODE_KEYS, raw.texts)
    return table.set_index(pd.Index(raw.node_id[rows], name="node_id"))


def _restrictions(raw: RawOsm) -> pd.DataFrame:
    """One row a combination of from and to; ``via_node`` is 0 where the relation goes via ways."""
    rows = raw.relation_tags.matching({"type": ("restriction",)})
    text = raw.texts
    table: dict[str, list[object]] = {name: [] for name in RESTRICTION_COLUMNS}
    for row, tags in zip(rows, raw.relation_tags.dicts(rows), strict=True):
        members: dict[str, list[tuple[int, int]]] = {"from": [], "via": [], "to": []}
        for i in range(raw.member_offsets[row], raw.member_offsets[row + 1]):
            members.setdefault(text[raw.member_role[i]], []).append(
                (int(raw.member_kind[i]), int(raw.member_ref[i]))
            )
        name = tags.get("restriction") or tags.get("restriction:motorcar") or ""
        nodes, ways = (tuple(ref for kind, ref in members["via"] if kind == wanted) for wanted in (NODE, WAY))
        for from_kind, from_way in members["from"]:
            for to_kind, to_way in members["to"]:
                if from_kind == to_kind == WAY:
                    table["relation_id"].append(int(raw.relation_id[row]))
                    table["restriction"].append(name or tags.get("restriction:conditional", ""))
                    table["from_way"].append(from_way)
                    table["via_node"].append(nodes[0] if len(nodes) == 1 and not ways else 0)
                    table["via_ways"].append(ways)
                    table["to_way"].append(to_way)
                    table["except"].append(tags.get("except", ""))
    numbers = dict.fromkeys(("relation_id", "from_way", "via_node", "to_way"), "int64")
    return pd.DataFrame(table).astype(
        {**numbers, "via_ways": "object", "restriction": "str", "except": "str"}
    )


def _info(
    raw: RawOsm,
    source: str,
    highway_ways: int,
    features: int,
    repairs: dict[str, int],
    ends: npt.NDArray[np.float64],
) -> ExtractInfo:
    west, south, east, north = data_box(raw) or (0.0, 0.0, 0.0, 0.0)
    return ExtractInfo(
        source=source,
        timestamp=raw.timestamp,
        bbox=(float(west), float(south), float(east), float(north)),
        counts={
            "nodes": len(raw.node_id),
            "ways": len(raw.way_id),
            "relations": len(raw.relation_id),
            "highway_ways": highway_ways,
            "features": features,
        },
        repairs=repairs,
        road_ends=[(float(lon), float(lat)) for lon, lat in ends],
    )
