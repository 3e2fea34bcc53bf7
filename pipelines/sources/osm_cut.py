"""Cutting the objects of an OSM file to a box: one reading serves many areas, and each gets what it would have read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.sources.osm_end import data_box
from pipelines.sources.osm_raw import UNIT, WAY, RawOsm, TagTable

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Bounds = tuple[float, float, float, float]
Keep = Mapping[str, Collection[str] | None]

CUT_FILE = "cut.npz"
_FORMAT = 2
_WALKED = {"highway": None, "railway": ("platform",), "public_transport": ("platform",)}
_TAGGED = ("node", "way", "relation")
_ARRAYS = ("node_id", "node_x", "node_y", "way_id", "way_offsets", "way_refs", "relation_id", "member_offsets",
           "member_kind", "member_ref", "member_role")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cutter:
    """
    A file whose objects know where they lie.

    Attributes
    ----------
    raw
        All objects of the file.
    way_box, relation_box
        West, south, east, north of each way and of the ways of each relation, in 1e-7 degree, shape (objects, 4);
        west > east where nothing of it is in the file.
    """

    raw: RawOsm
    way_box: IntArray
    relation_box: IntArray

    @classmethod
    def of(cls, raw: RawOsm) -> Cutter:
        """Find the boxes; O(references · log nodes), once for any number of cuts."""
        place = raw.locate(raw.way_refs)
        here = place >= 0
        owner = np.repeat(np.arange(len(raw.way_id)), np.diff(raw.way_offsets))[here]
        x, y = (c[place[here]].astype(np.int64) for c in (raw.node_x, raw.node_y))
        way_box = _boxes(owner, np.column_stack([x, y, x, y]), len(raw.way_id))
        member = np.flatnonzero(raw.member_kind == WAY)
        row = np.searchsorted(raw.way_id, raw.member_ref[member])
        row[row == len(raw.way_id)] = 0
        known = (
            raw.way_id[row] == raw.member_ref[member]
            if len(raw.way_id)
            else np.zeros(len(member), dtype=bool)
        )
        relation = np.searchsorted(raw.member_offsets, member[known], side="right") - 1
        return cls(raw, way_box, _boxes(relation, way_box[row[known]], len(raw.relation_id)))

    def cut(self, bounds: Bounds, *, keep: Keep) -> RawOsm:
        """
        What an area needs of the file.

        `osm_file.assemble` makes the same streets and features of the cut as of the whole file, with the same bounds
        and `keep`; only its counts of repairs tell of the cut alone.

        Parameters
        ----------
        bounds
            [deg] West, south, east, north.
        keep
            Tags of the features that will be wanted.
        """
        raw = self.raw
        areas = raw.relation_tags.matching({"type": ("multipolygon", "boundary")})
        wanted = np.union1d(raw.relation_tags.matching(keep), raw.relation_tags.matching(_WALKED))
        is_area = np.zeros(len(raw.relation_id), dtype=bool)
        is_area[np.intersect1d(areas, wanted)] = True
        whole = is_area & _touching(self.relation_box, bounds)
        ways = _touching(self.way_box, bounds)
        ways[self._member_ways(whole)] = True
        relation, member = self._relations(whole, is_area, ways)
        nodes = self._nodes(ways, bounds)
        return _taken(raw, nodes, ways, relation, member)

    def _member_ways(self, relations: BoolArray) -> IntArray:
        """Rows of the ways that belong to some relations."""
        raw = self.raw
        mine = np.repeat(relations, np.diff(raw.member_offsets)) & (raw.member_kind == WAY)
        return np.flatnonzero(np.isin(raw.way_id, raw.member_ref[mine]))

    def _relations(
        self, whole: BoolArray, is_area: BoolArray, ways: BoolArray
    ) -> tuple[BoolArray, BoolArray]:
        """Relations to keep, and which of all members: areas and restrictions with all, others with the kept ways."""
        raw = self.raw
        owner = np.repeat(np.arange(len(raw.relation_id)), np.diff(raw.member_offsets))
        kept_way = (raw.member_kind == WAY) & np.isin(raw.member_ref, raw.way_id[ways])
        turning = np.zeros(len(raw.relation_id), dtype=bool)
        turning[raw.relation_tags.matching({"type": ("restriction",)})] = True
        touched = np.bincount(owner[kept_way], minlength=len(raw.relation_id)) > 0
        complete = whole | (turning & touched)
        relation = complete | (touched & ~is_area)
        return relation, complete[owner] | (relation[owner] & kept_way)

    def _nodes(self, ways: BoolArray, bounds: Bounds) -> BoolArray:
        """Nodes of the kept ways, and tagged nodes in the box."""
        raw = self.raw
        nodes = np.zeros(len(raw.node_id), dtype=bool)
        place = raw.locate(raw.way_refs[np.repeat(ways, np.diff(raw.way_offsets))])
        nodes[place[place >= 0]] = True
        tagged = np.zeros(len(raw.node_id), dtype=bool)
        tagged[raw.node_tags.row] = True
        x, y = raw.node_x.astype(np.int64), raw.node_y.astype(np.int64)
        return nodes | (tagged & _touching(np.column_stack([x, y, x, y]), bounds))


def _boxes(owner: IntArray, boxes: IntArray, n: int) -> IntArray:
    """Box around all boxes of each owner; owners ascend."""
    far = np.iinfo(np.int64).max
    out = np.tile(np.array([far, far, -far, -far], dtype=np.int64), (n, 1))
    if len(owner):
        first = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
        some = owner[first]
        out[some, :2] = np.minimum.reduceat(boxes[:, :2], first)
        out[some, 2:] = np.maximum.reduceat(boxes[:, 2:], first)
    return out


def _touching(boxes: IntArray, bounds: Bounds) -> BoolArray:
    """Boxes that meet the bounds, or miss them by less than the unit of coordinates."""
    west, south, east, north = (side * UNIT for side in bounds)
    return np.asarray(
        (boxes[:, 0] <= east + 1)
        & (boxes[:, 2] >= west - 1)
        & (boxes[:, 1] <= north + 1)
        & (boxes[:, 3] >= south - 1)
    )


def _taken(
    raw: RawOsm, nodes: BoolArray, ways: BoolArray, relations: BoolArray, members: BoolArray
) -> RawOsm:
    """Some objects of a file, and the texts that they use."""
    owner = np.repeat(np.arange(len(raw.relation_id)), np.diff(raw.member_offsets))
    counts = np.bincount(owner[members], minlength=len(raw.relation_id))[relations]
    size = np.diff(raw.way_offsets)
    tables = {
        kind: _tags(getattr(raw, f"{kind}_tags"), chosen)
        for kind, chosen in zip(_TAGGED, (nodes, ways, relations), strict=True)
    }
    role = raw.member_role[members]
    used = np.unique(
        np.concatenate([role, *(t.key for t in tables.values()), *(t.value for t in tables.values())])
    )
    texts, codes = [raw.texts[i] for i in used], dict[str, int]()

    def named(codes_: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        return np.searchsorted(used, codes_).astype(np.int32)

    renamed = {
        kind: TagTable(table.row, named(table.key), named(table.value), texts, codes, table.day)
        for kind, table in tables.items()
    }
    return replace(
        raw,
        node_id=raw.node_id[nodes],
        node_x=raw.node_x[nodes],
        node_y=raw.node_y[nodes],
        way_id=raw.way_id[ways],
        way_offsets=np.concatenate([[0], np.cumsum(size[ways])]).astype(np.int64),
        way_refs=raw.way_refs[np.repeat(ways, size)],
        relation_id=raw.relation_id[relations],
        member_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        member_kind=raw.member_kind[members],
        member_ref=raw.member_ref[members],
        member_role=named(role),
        node_tags=renamed["node"],
        way_tags=renamed["way"],
        relation_tags=renamed["relation"],
        texts=texts,
        bbox=data_box(raw),
    )


def _tags(table: TagTable, objects: BoolArray) -> TagTable:
    """Tags of some objects, numbered anew."""
    mine = objects[table.row]
    number = np.cumsum(objects, dtype=np.int32) - np.int32(1)
    row, key, value = number[table.row[mine]], table.key[mine], table.value[mine]
    return TagTable(row, key, value, table.texts, table.codes, table.day[mine])


def write_cut(raw: RawOsm, path: Path) -> None:
    """Write a cut as plain arrays."""
    arrays: dict[str, npt.NDArray[Any]] = {name: getattr(raw, name) for name in _ARRAYS}
    for kind in _TAGGED:
        table: TagTable = getattr(raw, f"{kind}_tags")
        arrays |= {f"{kind}_tag_{part}": getattr(table, part) for part in ("row", "key", "value", "day")}
    header = {
        "format": _FORMAT,
        "timestamp": raw.timestamp,
        "bbox": raw.bbox,
        "repairs": raw.repairs,
        "texts": raw.texts,
    }
    text = json.dumps(header, ensure_ascii=False, default=float).encode()
    arrays["header"] = np.frombuffer(text, dtype=np.uint8)
    np.savez(path, allow_pickle=False, **arrays)


def read_cut(path: Path) -> RawOsm:
    """Read what `write_cut` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes())
    texts: list[str] = header["texts"]
    codes: dict[str, int] = {}
    tags: dict[str, Any] = {
        f"{kind}_tags": TagTable(
            row=arrays[f"{kind}_tag_row"],
            key=arrays[f"{kind}_tag_key"],
            value=arrays[f"{kind}_tag_value"],
            texts=texts,
            codes=codes,
            day=arrays[f"{kind}_tag_day"],
        )
        for kind in _TAGGED
    }
    columns: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
    bbox = header["bbox"]
    return RawOsm(
        **columns,
        **tags,
        texts=texts,
        timestamp=header["timestamp"],
        bbox=None if bbox is None else (bbox[0], bbox[1], bbox[2], bbox[3]),
        repairs=header["repairs"],
    )
