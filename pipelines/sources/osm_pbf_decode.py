"""
Decoding of one block of an OSM PBF file into flat arrays.

The format is described on the OSM wiki (PBF Format): a block holds a table of texts and groups of nodes (usually
dense), ways and relations as Protocol Buffer messages. All messages of a group are read in step, so that the work is
done in numpy and no Python object is made for a node, a way or a tag. Every read is checked against the end of its
message: damaged or hostile bytes raise ValueError.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.sources.protobuf import (
    Bytes,
    IntArray,
    Span,
    Spans,
    fields,
    messages,
    numbers,
    ragged_numbers,
    scan,
    signed,
    sums,
)

SmallArray = npt.NDArray[np.int32]

INVALID = 2_147_483_647
"""Coordinate of a node outside the world: dropped later, and counted."""

_DAY_MS = 86_400_000
_LAST_DAY = 47_481
"""The last day of 2099. Later days are not believed: a time before 1970 that a program wrote unsigned lies in 2105."""

_CHANGED = "a list is shorter than its neighbour"


class Block(NamedTuple):
    """
    Objects of one block; tags name texts by their position in the block's table.

    ``…_tag_day`` is the day of the object's last edit, counted from 1970-01-01; 0 where the file does not say.
    """

    node_id: IntArray
    node_x: SmallArray
    node_y: SmallArray
    node_tag_row: SmallArray
    node_tag_key: SmallArray
    node_tag_value: SmallArray
    node_tag_day: SmallArray
    way_id: IntArray
    way_stop: IntArray
    way_ref: IntArray
    way_tag_row: SmallArray
    way_tag_key: SmallArray
    way_tag_value: SmallArray
    way_tag_day: SmallArray
    relation_id: IntArray
    member_stop: IntArray
    member_ref: IntArray
    member_kind: npt.NDArray[np.int8]
    member_role: SmallArray
    relation_tag_row: SmallArray
    relation_tag_key: SmallArray
    relation_tag_value: SmallArray
    relation_tag_day: SmallArray
    text_start: IntArray
    text_stop: IntArray


class _Scale(NamedTuple):
    """Units and offsets of a block: nanodegrees of a coordinate's unit and of its zero, milliseconds of a time's."""

    granularity: int = 100
    date_unit: int = 1000
    lat_offset: int = 0
    lon_offset: int = 0


def decode_block(data: bytes) -> Block:
    """
    Decode one uncompressed data block.

    Parameters
    ----------
    data
        The bytes of a ``PrimitiveBlock``.

    Raises
    ------
    ValueError
        The bytes are no such block.

    Notes
    -----
    O(bytes).
    """
    top = fields(data, Span(0, len(data)))
    texts = [messages(data, found).get(1) for number, found in top if number == 1 and isinstance(found, Span)]
    stated = {number: _wrapped(found) for number, found in top if isinstance(found, int)}
    usual = _Scale()
    scale = _Scale(*(stated.get(number, usual[number - 17]) for number in range(17, 21)))
    parts = _Parts(np.frombuffer(data, dtype=np.uint8), scale)
    for number, group in top:
        if number == 2 and isinstance(group, Span):
            for kind, found in messages(data, group).items():
                reader = {1: parts.nodes, 2: parts.dense_nodes, 3: parts.ways, 4: parts.relations}.get(kind)
                if reader is not None:
                    reader(found)
    known = [spans for spans in texts if spans is not None]
    return parts.block(Spans(*(np.concatenate(part) for part in zip(*known, strict=True))) if known else None)


def holds(data: bytes, kind: Literal["nodes", "ways"]) -> bool:
    """
    Whether an uncompressed data block holds objects of a kind.

    Raises
    ------
    ValueError
        The bytes are no such block.
    """
    wanted = {1, 2} if kind == "nodes" else {3}
    top = fields(data, Span(0, len(data)))
    groups = [found for number, found in top if number == 2 and isinstance(found, Span)]
    return any(wanted & messages(data, group).keys() for group in groups)


def _wrapped(value: int) -> int:
    """A 64-bit number as a signed one."""
    return value - (1 << 64) if value >> 63 else value


class _Parts:
    """Columns of a block in the making."""

    def __init__(self, data: Bytes, scale: _Scale) -> None:
        self.data, self.scale = data, scale
        self.columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in Block._fields}
        self.count = dict.fromkeys(("node", "way", "relation", "ref", "member"), 0)

    def block(self, texts: Spans | None) -> Block:
        """Everything gathered."""
        if texts is not None:
            self._add(text_start=texts.start, text_stop=texts.stop)
        return Block(
            **{
                name: np.concatenate(
                    [np.empty(0, DTYPES[name]), *(part.astype(DTYPES[name]) for part in parts)]
                )
                for name, parts in self.columns.items()
            }
        )

    def dense_nodes(self, found: Spans) -> None:
        """Nodes stored as columns."""
        for start, stop in zip(*found, strict=True):
            one = Spans(np.array([start]), np.array([stop]))
            _, lists = scan(self.data, one, contents=(1, 5, 8, 9, 10))
            packed = {number: self.data[spans.start[0] : spans.stop[0]] for number, spans in lists.items()}
            ids, lats, lons = (np.cumsum(signed(numbers(packed[number]))) for number in (1, 8, 9))
            if not len(ids) == len(lats) == len(lons):
                raise ValueError(_CHANGED)
            row, key, value = _dense_tags(numbers(packed[10]))
            if len(row) and row[-1] >= len(ids):
                raise ValueError(_CHANGED)
            day = np.zeros(len(row), dtype=np.int64)
            if len(row) and len(packed[5]):
                _, times = scan(self.data, lists[5], contents=(2,))
                stamps = np.cumsum(signed(numbers(self.data[times[2].start[0] : times[2].stop[0]])))
                if len(stamps):
                    day = self._days(stamps[np.minimum(row, len(stamps) - 1)])
            self._add_nodes(ids, lons, lats)
            self._add_tags("node", row, key, value, day)
            self.count["node"] += len(ids)

    def nodes(self, found: Spans) -> None:
        """Nodes stored one by one."""
        plain, lists = scan(self.data, found, values=(1, 8, 9), contents=(2, 3, 4))
        self._add_nodes(signed(plain[1]), signed(plain[9]), signed(plain[8]))
        self._add_listed_tags("node", lists)
        self.count["node"] += len(found.start)

    def ways(self, found: Spans) -> None:
        """Ways and their references."""
        plain, lists = scan(self.data, found, values=(1,), contents=(2, 3, 4, 8))
        delta, size = ragged_numbers(self.data, lists[8])
        self._add(
            way_id=plain[1], way_ref=sums(signed(delta), size), way_stop=self.count["ref"] + np.cumsum(size)
        )
        self._add_listed_tags("way", lists)
        self.count["way"] += len(size)
        self.count["ref"] += len(delta)

    def relations(self, found: Spans) -> None:
        """Relations and their members."""
        plain, lists = scan(self.data, found, values=(1,), contents=(2, 3, 4, 8, 9, 10))
        roles, delta, kinds = (ragged_numbers(self.data, lists[number]) for number in (8, 9, 10))
        size = delta[1]
        if not (np.array_equal(roles[1], size) and np.array_equal(kinds[1], size)):
            raise ValueError(_CHANGED)
        self._add(relation_id=plain[1], member_stop=self.count["member"] + np.cumsum(size))
        self._add(member_ref=sums(signed(delta[0]), size), member_role=roles[0], member_kind=kinds[0])
        self._add_listed_tags("relation", lists)
        self.count["relation"] += len(size)
        self.count["member"] += len(delta[0])

    def _add(self, **columns: npt.NDArray[Any]) -> None:
        for name, column in columns.items():
            self.columns[name].append(column)

    def _add_nodes(self, ids: IntArray, lons: IntArray, lats: IntArray) -> None:
        unit = self.scale.granularity
        x = _coordinates(lons, unit, self.scale.lon_offset, 1_800_000_000)
        y = _coordinates(lats, unit, self.scale.lat_offset, 900_000_000)
        self._add(node_id=ids, node_x=x, node_y=y)

    def _add_tags(self, kind: str, row: IntArray, key: IntArray, value: IntArray, day: IntArray) -> None:
        parts = {"row": row + self.count[kind], "key": key, "value": value, "day": day}
        self._add(**{f"{kind}_tag_{part}": column for part, column in parts.items()})

    def _add_listed_tags(self, kind: str, lists: dict[int, Spans]) -> None:
        """Tags whose keys and values are lists of their own."""
        key, size = ragged_numbers(self.data, lists[2])
        value, values = ragged_numbers(self.data, lists[3])
        if not np.array_equal(size, values):
            raise ValueError(_CHANGED)
        edited, _ = scan(self.data, lists[4], values=(2,))
        row = np.repeat(np.arange(len(size)), size)
        self._add_tags(kind, row, key, value, self._days(edited[2])[row])

    def _days(self, stamps: IntArray) -> IntArray:
        """Days of times; 0 where it cannot be one."""
        unit = self.scale.date_unit
        if not 0 < unit <= _LAST_DAY * _DAY_MS:
            return np.zeros(len(stamps), dtype=np.int64)
        known = (stamps > 0) & (stamps <= _LAST_DAY * (_DAY_MS // unit))
        return np.where(known, stamps, 0) * unit // _DAY_MS


def _coordinates(value: IntArray, granularity: int, offset: int, limit: int) -> IntArray:
    """1e-7 degree, rounded towards zero as libosmium does."""
    nano = value * np.int64(granularity) + np.int64(offset)
    whole = nano // 100
    whole += (nano < 0) & (whole * 100 != nano)
    return np.where((whole >= -limit) & (whole <= limit), whole, INVALID)


def _dense_tags(flat: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Row, key and value of the tags of dense nodes, stored as ``key value key value 0`` for each node."""
    zero = flat == 0
    row = np.cumsum(zero) - zero
    size = np.bincount(row[~zero])
    if (size & 1).any():  # a text of number 0 as a value: told from the end of a node only in sequence
        row, zero = _dense_rows(flat)
    row, tags = row[~zero], flat[~zero]
    return row[::2], tags[::2], tags[1::2]


def _dense_rows(flat: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Node of each number, and whether it ends the node's tags, found one by one."""
    row, end = np.zeros(len(flat), dtype=np.int64), np.zeros(len(flat), dtype=bool)
    node = place = 0
    while place < len(flat):
        row[place : place + 2] = node
        if flat[place] == 0:
            end[place] = True
            node += 1
        place += 1 if end[place] else 2
    if place > len(flat):
        raise ValueError(_CHANGED)
    return row, end


_LONG = (
    "node_id",
    "way_id",
    "way_stop",
    "way_ref",
    "relation_id",
    "member_stop",
    "member_ref",
    "text_start",
    "text_stop",
)
DTYPES = {
    name: np.dtype(np.int64 if name in _LONG else np.int8 if name == "member_kind" else np.int32)
    for name in Block._fields
}
"""Type of each column."""
