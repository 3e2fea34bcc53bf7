"""The objects of an OSM file as flat arrays: what the reader fills and everything else is built from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines.sources.osm_pbf_decode import INVALID

IntArray = npt.NDArray[np.int64]

UNIT = 1e7
"""Coordinates are kept as OSM stores them: integers of 1e-7 degree."""

NODE, WAY, RELATION = 0, 1, 2
"""Kinds of relation members."""


@dataclass(frozen=True, eq=False)
class TagTable:
    """
    Tags of many objects of one kind.

    Attributes
    ----------
    row
        Object of each tag (position in the table of its kind), ascending.
    key, value
        Positions in ``texts``.
    texts
        Distinct texts, shared by the kinds.
    """

    row: npt.NDArray[np.int32]
    key: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    texts: list[str]
    codes: dict[str, int]
    """Positions of the texts, filled when first asked for."""
    day: npt.NDArray[np.int32]
    """Day of the last edit of the object of each tag, counted from 1970-01-01; 0 where the file does not say."""

    def edited(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Days of the last edits of some objects that have tags; 0 where unknown."""
        first = np.searchsorted(self.row, rows, side="left")
        return self.day[first] if len(rows) else np.empty(0, dtype=np.int32)

    def code(self, text: str) -> int:
        """Position of a text in ``texts``, -1 where no object carries it."""
        if not self.codes:
            self.codes.update({text: i for i, text in enumerate(self.texts)})
        return self.codes.get(text, -1)

    def matching(self, keep: Mapping[str, Collection[str] | None]) -> npt.NDArray[np.int64]:
        """
        Objects with a wanted tag, ascending, each once.

        Parameters
        ----------
        keep
            Key → accepted values (None: any). A value holds several when they are separated by semicolons.
        """
        wanted = np.zeros(len(self.row), dtype=bool)
        for key, values in keep.items():
            hit = np.flatnonzero(self.key == self.code(key)) if self.code(key) >= 0 else np.empty(0, np.int64)
            if values is not None and len(hit):
                found, inverse = np.unique(self.value[hit], return_inverse=True)
                accepted = frozenset(values)
                ok = [any(part.strip() in accepted for part in self.texts[i].split(";")) for i in found]
                hit = hit[np.array(ok, dtype=bool)[inverse]]
            wanted[hit] = True
        return np.unique(self.row[wanted]).astype(np.int64)

    def dicts(self, rows: npt.NDArray[np.int64]) -> list[dict[str, str]]:
        """All tags of some objects, one plain dict each."""
        start = np.searchsorted(self.row, rows, side="left")
        stop = np.searchsorted(self.row, rows, side="right")
        text, key, value = self.texts, self.key, self.value
        return [{text[key[i]]: text[value[i]] for i in range(a, b)} for a, b in zip(start, stop, strict=True)]

    def of(self, rows: npt.NDArray[np.int64]) -> Entries:
        """Tags of some objects, ascending and distinct; ``place`` is the position in `rows`."""
        if not len(rows) or not len(self.row):
            nothing = np.empty(0, dtype=np.int32)
            return Entries(nothing, nothing, nothing)
        place = np.full(int(max(rows[-1], self.row[-1])) + 1, -1, dtype=np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        place = place[self.row]
        mine = place >= 0
        return Entries(place[mine], self.key[mine], self.value[mine])


class Entries(NamedTuple):
    """Tags in no particular order: ``place`` of the object, ``key`` and ``value`` as positions in the texts."""

    place: npt.NDArray[np.int32]
    key: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]


def tag_columns(entries: Entries, n: int, keys: Collection[str], texts: Sequence[str]) -> pd.DataFrame:
    """
    Tags as categorical columns.

    Parameters
    ----------
    entries
        The tags.
    n
        Number of objects, the rows of the table.
    keys
        One column each, all missing where no object carries the key.
    texts
        What the positions mean.
    """
    order = np.argsort(entries.key, kind="stable")
    place, key, value = entries.place[order], entries.key[order], entries.value[order]
    codes_of = {text: i for i, text in enumerate(texts)}
    table: dict[str, pd.Categorical] = {}
    nothing = pd.CategoricalDtype(pd.Index([], dtype="str"))
    missing = pd.Categorical.from_codes(np.full(n, -1, dtype=np.int8), dtype=nothing)
    for name in keys:
        code = codes_of.get(name, -1)
        start, stop = (0, 0) if code < 0 else np.searchsorted(key, [code, code + 1])
        if start == stop:
            table[name] = missing
            continue
        found, inverse = np.unique(value[start:stop], return_inverse=True)
        words = [texts[i] for i in found]
        rank = sorted(range(len(words)), key=words.__getitem__)
        position = np.empty(len(rank), dtype=np.int32)
        position[rank] = np.arange(len(rank), dtype=np.int32)
        codes = np.full(n, -1, dtype=np.int32)
        codes[place[start:stop]] = position[inverse]
        categories = pd.CategoricalDtype(pd.Index([words[i] for i in rank], dtype="str"))
        table[name] = pd.Categorical.from_codes(codes, dtype=categories, validate=False)
    return pd.DataFrame(table, index=pd.RangeIndex(n), copy=False)


@dataclass(frozen=True, eq=False)
class RawOsm:
    """
    Every node, way and relation of a file, sorted by id, without a Python object for any of them.

    Attributes
    ----------
    node_id, node_x, node_y
        Nodes sorted by id; coordinates in 1e-7 degree.
    way_id, way_offsets, way_refs
        Node ids of way ``i`` are ``way_refs[way_offsets[i]:way_offsets[i + 1]]``.
    relation_id, member_offsets, member_kind, member_ref, member_role
        Members of relations; roles are positions in ``texts``.
    node_tags, way_tags, relation_tags
        Tags by kind.
    texts
        Distinct keys, values and roles.
    timestamp, bbox
        What the file's header says, None where it says nothing; the box is west, south, east, north [deg].
    repairs
        Objects repaired or left out, by reason.
    """

    node_id: IntArray
    node_x: npt.NDArray[np.int32]
    node_y: npt.NDArray[np.int32]
    way_id: IntArray
    way_offsets: IntArray
    way_refs: IntArray
    relation_id: IntArray
    member_offsets: IntArray
    member_kind: npt.NDArray[np.int8]
    member_ref: IntArray
    member_role: npt.NDArray[np.int32]
    node_tags: TagTable
    way_tags: TagTable
    relation_tags: TagTable
    texts: list[str]
    timestamp: str | None
    bbox: tuple[float, float, float, float] | None
    repairs: dict[str, int]

    def way_row(self, way_id: int) -> int:
        """Position of a way in ``way_id``, -1 where the file lacks it."""
        place = int(np.searchsorted(self.way_id, way_id))
        return place if place < len(self.way_id) and self.way_id[place] == way_id else -1

    def locate(self, ids: IntArray) -> IntArray:
        """Positions of node ids in ``node_id``, -1 for nodes that the file lacks."""
        if not len(self.node_id):
            return np.full(len(ids), -1, dtype=np.int64)
        place = np.searchsorted(self.node_id, ids)
        place[place == len(self.node_id)] = 0
        return np.where(self.node_id[place] == ids, place, -1)


def raw_osm(
    columns: dict[str, npt.NDArray[Any]],
    texts: list[str],
    *,
    timestamp: str | None,
    bbox: tuple[float, float, float, float] | None,
) -> RawOsm:
    """
    Sort what a reader found by id, and leave out what is there twice or nowhere.

    Parameters
    ----------
    columns
        The columns of ``osm_pbf_decode.Block`` for the whole file, in its order.
    texts
        Texts that the tags and roles name.
    timestamp, bbox
        From the file's header.

    Notes
    -----
    Of several objects with one id the last counts: files put newer versions later. O(n) for a sorted file.
    """
    repairs: dict[str, int] = {}
    codes: dict[str, int] = {}
    nowhere = (columns["node_x"] == INVALID) | (columns["node_y"] == INVALID)
    if nowhere.any():
        repairs["nodes_without_position"] = int(nowhere.sum())
    order = {
        kind: _order(columns[f"{kind}_id"], kind, repairs, left_out=nowhere if kind == "node" else None)
        for kind in ("node", "way", "relation")
    }
    tags = {}
    for kind, rows in order.items():
        row, key, value, day = (columns[f"{kind}_tag_{part}"] for part in ("row", "key", "value", "day"))
        if rows is not None:
            row, key, value, day = _follow(rows, len(columns[f"{kind}_id"]), row, key, value, day)
        tags[kind] = TagTable(row, key, value, texts, codes, day)
    node, way, relation = order["node"], order["way"], order["relation"]
    way_offsets, way_refs = _ragged(columns["way_stop"], way, columns["way_ref"])
    member_offsets, *members = _ragged(
        columns["member_stop"], relation, *(columns[f"member_{part}"] for part in ("kind", "ref", "role"))
    )
    kind_, ref, role = members
    return RawOsm(
        node_id=_chosen(columns["node_id"], node),
        node_x=_chosen(columns["node_x"], node),
        node_y=_chosen(columns["node_y"], node),
        way_id=_chosen(columns["way_id"], way),
        way_offsets=way_offsets,
        way_refs=way_refs,
        relation_id=_chosen(columns["relation_id"], relation),
        member_offsets=member_offsets,
        member_kind=kind_,
        member_ref=ref,
        member_role=role,
        node_tags=tags["node"],
        way_tags=tags["way"],
        relation_tags=tags["relation"],
        texts=texts,
        timestamp=timestamp,
        bbox=bbox,
        repairs=repairs,
    )


def _chosen(column: npt.NDArray[Any], rows: IntArray | None) -> npt.NDArray[Any]:
    return column if rows is None else column[rows]


def _order(
    ids: IntArray, kind: str, repairs: dict[str, int], *, left_out: npt.NDArray[np.bool_] | None
) -> IntArray | None:
    """Rows in the order of their ids, the last of each id only; None where that is the order of the file."""
    if (np.diff(ids) > 0).all() and (left_out is None or not left_out.any()):
        return None
    rows = np.arange(len(ids)) if left_out is None else np.flatnonzero(~left_out)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    last = np.append(np.diff(ids[rows]) != 0, True) if len(rows) else np.empty(0, dtype=bool)
    if not last.all():
        repairs[f"duplicate_{kind}s"] = int((~last).sum())
    return np.asarray(rows[last])


def _follow(
    rows: IntArray, n: int, row: npt.NDArray[Any], *columns: npt.NDArray[Any]
) -> list[npt.NDArray[Any]]:
    """Tags of the objects that stay, in their new order."""
    place = np.full(n, -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    new = place[row]
    kept = np.flatnonzero(new >= 0)
    kept = kept[np.argsort(new[kept], kind="stable")]
    return [new[kept], *(column[kept] for column in columns)]


def _ragged(stop: IntArray, rows: IntArray | None, *parts: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Offsets and contents of ragged rows, put in another order."""
    offsets = np.concatenate([[0], stop]).astype(np.int64)
    if rows is None:
        return [offsets, *parts]
    size = np.diff(offsets)[rows]
    new = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    take = np.repeat(offsets[:-1][rows] - new[:-1], size) + np.arange(new[-1])
    return [new, *(part[take] for part in parts)]
