"""
Decoding of one block of an OSM PBF file into flat arrays, compiled.

The format is described on the OSM wiki (PBF Format): a block holds a table of texts and groups of nodes (usually
dense), ways and relations as Protocol Buffer messages. Every read is checked against the end of its message, so
that damaged or hostile bytes raise ValueError and never touch foreign memory.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
SmallArray = npt.NDArray[np.int32]

INVALID = 2_147_483_647
"""Coordinate of a node outside the world: dropped later, and counted."""

_RAN_OVER = "a message runs past the end of its block"
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


# positions in the survey of a block
_TEXTS, _NODES, _NODE_TAGS, _WAYS, _REFS, _WAY_TAGS, _RELATIONS, _MEMBERS, _RELATION_TAGS = range(9)
_GRANULARITY, _LAT_OFFSET, _LON_OFFSET, _DATE_UNIT = 9, 10, 11, 12
_DAY_MS = 86_400_000
_LAST_DAY = 47_481
"""The last day of 2099. Later days are not believed: a time before 1970 that a program wrote unsigned lies in 2105."""

_compiled = numba.njit(cache=True, nogil=True)


@_compiled  # type: ignore[untyped-decorator]
def _varint(buf: Bytes, pos: int, end: int) -> tuple[Any, Any]:
    value = np.uint64(0)
    shift = 0
    while True:
        if pos >= end or shift > 63:
            raise ValueError(_RAN_OVER)
        byte = buf[pos]
        pos += 1
        value |= np.uint64(byte & 127) << np.uint64(shift)
        if byte < 128:
            return np.int64(value), pos
        shift += 7


@_compiled  # type: ignore[untyped-decorator]
def _signed(buf: Bytes, pos: int, end: int) -> tuple[Any, Any]:
    raw, pos = _varint(buf, pos, end)
    value = np.uint64(raw)
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), pos


@_compiled  # type: ignore[untyped-decorator]
def _length(buf: Bytes, pos: int, end: int) -> tuple[int, int]:
    """End and begin of a message of stated length."""
    size, pos = _varint(buf, pos, end)
    if size < 0 or size > end - pos:
        raise ValueError(_RAN_OVER)
    return pos + size, pos


@_compiled  # type: ignore[untyped-decorator]
def _skip(buf: Bytes, pos: int, end: int, wire: int) -> int:
    if wire == 0:
        _, pos = _varint(buf, pos, end)
    elif wire == 1:
        pos += 8
    elif wire == 2:
        pos, _ = _length(buf, pos, end)
    elif wire == 5:
        pos += 4
    else:
        raise ValueError("a field has no known type")
    if pos > end:
        raise ValueError(_RAN_OVER)
    return pos


@_compiled  # type: ignore[untyped-decorator]
def _numbers(buf: Bytes, pos: int, end: int) -> int:
    """How many numbers a packed list holds."""
    count = 0
    for i in range(pos, end):
        if buf[i] < 128:
            count += 1
    if end > pos and buf[end - 1] >= 128:
        raise ValueError(_RAN_OVER)
    return count


@_compiled  # type: ignore[untyped-decorator]
def _survey_group(buf: Bytes, pos: int, end: int, survey: IntArray) -> None:
    while pos < end:
        key, pos = _varint(buf, pos, end)
        if key & 7 != 2 or not 1 <= key >> 3 <= 4:
            pos = _skip(buf, pos, end, key & 7)
            continue
        kind = key >> 3
        stop, pos = _length(buf, pos, end)
        if kind != 2:
            survey[(0, _NODES, 0, _WAYS, _RELATIONS)[kind]] += 1
        while pos < stop:
            field, pos = _varint(buf, pos, stop)
            if field & 7 != 2:
                pos = _skip(buf, pos, stop, field & 7)
                continue
            last, pos = _length(buf, pos, stop)
            number = field >> 3
            if kind == 2:
                if number == 1:
                    survey[_NODES] += _numbers(buf, pos, last)
                elif number == 10:
                    survey[_NODE_TAGS] += _numbers(buf, pos, last) // 2
            elif number == 2:
                survey[(0, _NODE_TAGS, 0, _WAY_TAGS, _RELATION_TAGS)[kind]] += _numbers(buf, pos, last)
            elif (kind == 3 and number == 8) or (kind == 4 and number == 9):
                survey[_REFS if kind == 3 else _MEMBERS] += _numbers(buf, pos, last)
            pos = last


@_compiled  # type: ignore[untyped-decorator]
def _survey(buf: Bytes) -> IntArray:
    """Count what a block holds, and read its scale."""
    survey = np.zeros(13, np.int64)
    survey[_GRANULARITY] = 100
    survey[_DATE_UNIT] = 1000
    pos, end = 0, len(buf)
    while pos < end:
        key, pos = _varint(buf, pos, end)
        field, wire = key >> 3, key & 7
        if wire == 2 and field == 1:
            stop, pos = _length(buf, pos, end)
            while pos < stop:
                text, pos = _varint(buf, pos, stop)
                survey[_TEXTS] += text == 10
                pos = _skip(buf, pos, stop, text & 7)
        elif wire == 2 and field == 2:
            stop, pos = _length(buf, pos, end)
            _survey_group(buf, pos, stop, survey)
            pos = stop
        elif wire == 0 and 17 <= field <= 20:
            value, pos = _varint(buf, pos, end)
            survey[(_GRANULARITY, _DATE_UNIT, _LAT_OFFSET, _LON_OFFSET)[field - 17]] = value
        else:
            pos = _skip(buf, pos, end, wire)
    return survey


@_compiled  # type: ignore[untyped-decorator]
def _texts(buf: Bytes, start: IntArray, stop: IntArray) -> None:
    pos, end, n = 0, len(buf), 0
    while pos < end:
        key, pos = _varint(buf, pos, end)
        if key != 10:
            pos = _skip(buf, pos, end, key & 7)
            continue
        last, pos = _length(buf, pos, end)
        while pos < last:
            field, pos = _varint(buf, pos, last)
            if field == 10:
                stop[n], start[n] = _length(buf, pos, last)
                pos = stop[n]
                n += 1
            else:
                pos = _skip(buf, pos, last, field & 7)


@_compiled  # type: ignore[untyped-decorator]
def _coordinate(value: int, granularity: int, offset: int, limit: int) -> int:
    """1e-7 degree, rounded towards zero as libosmium does."""
    nano = offset + granularity * value
    whole = nano // 100 if nano >= 0 else -(-nano // 100)
    return whole if -limit <= whole <= limit else INVALID


@_compiled  # type: ignore[untyped-decorator]
def _day(stamp: int, unit: int) -> int:
    """Day of a time that counts units of milliseconds; 0 where it cannot be one."""
    if stamp <= 0 or unit <= 0 or stamp > _LAST_DAY * (_DAY_MS // unit):
        return 0
    return stamp * unit // _DAY_MS


@_compiled  # type: ignore[untyped-decorator]
def _edited(buf: Bytes, pos: int, end: int, unit: int) -> Any:
    """Day of the last edit that the metadata of an object state; 0 where they do not."""
    stamp = np.int64(0)
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field == 16:
            stamp, pos = _varint(buf, pos, end)
        else:
            pos = _skip(buf, pos, end, field & 7)
    return _day(stamp, unit)


@_compiled  # type: ignore[untyped-decorator]
def _stamps(buf: Bytes, pos: int, end: int) -> tuple[int, int]:
    """Where the packed times of dense nodes lie in their metadata."""
    found = (0, 0)
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field == 18:
            stop, pos = _length(buf, pos, end)
            found = (pos, stop)
            pos = stop
        else:
            pos = _skip(buf, pos, end, field & 7)
    return found


@_compiled  # type: ignore[untyped-decorator]
def _dense(buf: Bytes, pos: int, end: int, survey: IntArray, at: IntArray, out: Any) -> None:
    ids = lats = lons = tags = stamps = (0, 0)
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field & 7 != 2:
            pos = _skip(buf, pos, end, field & 7)
            continue
        stop, pos = _length(buf, pos, end)
        number = field >> 3
        if number == 1:
            ids = (pos, stop)
        elif number == 8:
            lats = (pos, stop)
        elif number == 9:
            lons = (pos, stop)
        elif number == 10:
            tags = (pos, stop)
        elif number == 5:
            stamps = _stamps(buf, pos, stop)
        pos = stop
    node = lat = lon = stamp = np.int64(0)
    p, q, r, t, s = ids[0], lats[0], lons[0], tags[0], stamps[0]
    while p < ids[1]:
        step, p = _signed(buf, p, ids[1])
        node += step
        step, q = _signed(buf, q, lats[1])
        lat += step
        step, r = _signed(buf, r, lons[1])
        lon += step
        if s < stamps[1]:
            step, s = _signed(buf, s, stamps[1])
            stamp += step
        row = at[_NODES]
        out.node_id[row] = node
        out.node_x[row] = _coordinate(lon, survey[_GRANULARITY], survey[_LON_OFFSET], 1_800_000_000)
        out.node_y[row] = _coordinate(lat, survey[_GRANULARITY], survey[_LAT_OFFSET], 900_000_000)
        at[_NODES] += 1
        while t < tags[1]:
            key, t = _varint(buf, t, tags[1])
            if key == 0:
                break
            value, t = _varint(buf, t, tags[1])
            if at[_NODE_TAGS] >= len(out.node_tag_row):
                raise ValueError(_CHANGED)
            out.node_tag_row[at[_NODE_TAGS]] = row
            out.node_tag_key[at[_NODE_TAGS]] = key
            out.node_tag_value[at[_NODE_TAGS]] = value
            out.node_tag_day[at[_NODE_TAGS]] = _day(stamp, survey[_DATE_UNIT])
            at[_NODE_TAGS] += 1


@_compiled  # type: ignore[untyped-decorator]
def _tags(
    buf: Bytes,
    keys: tuple[int, int],
    values: tuple[int, int],
    row: int,
    day: int,
    n: int,
    out: tuple[SmallArray, SmallArray, SmallArray, SmallArray],
) -> int:
    p, q = keys[0], values[0]
    while p < keys[1]:
        key, p = _varint(buf, p, keys[1])
        value, q = _varint(buf, q, values[1])
        out[0][n], out[1][n], out[2][n], out[3][n] = row, key, value, day
        n += 1
    return n


@_compiled  # type: ignore[untyped-decorator]
def _node(buf: Bytes, pos: int, end: int, survey: IntArray, at: IntArray, out: Any) -> None:
    keys = values = (0, 0)
    node = lat = lon = np.int64(0)
    day = 0
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field == 8:
            node, pos = _signed(buf, pos, end)
        elif field == 64:
            lat, pos = _signed(buf, pos, end)
        elif field == 72:
            lon, pos = _signed(buf, pos, end)
        elif field in (18, 26, 34):
            stop, pos = _length(buf, pos, end)
            if field == 18:
                keys = (pos, stop)
            elif field == 26:
                values = (pos, stop)
            else:
                day = _edited(buf, pos, stop, survey[_DATE_UNIT])
            pos = stop
        else:
            pos = _skip(buf, pos, end, field & 7)
    row = at[_NODES]
    out.node_id[row] = node
    out.node_x[row] = _coordinate(lon, survey[_GRANULARITY], survey[_LON_OFFSET], 1_800_000_000)
    out.node_y[row] = _coordinate(lat, survey[_GRANULARITY], survey[_LAT_OFFSET], 900_000_000)
    at[_NODES] += 1
    columns = (out.node_tag_row, out.node_tag_key, out.node_tag_value, out.node_tag_day)
    at[_NODE_TAGS] = _tags(buf, keys, values, row, day, at[_NODE_TAGS], columns)


@_compiled  # type: ignore[untyped-decorator]
def _way(buf: Bytes, pos: int, end: int, survey: IntArray, at: IntArray, out: Any) -> None:
    keys = values = (0, 0)
    day = 0
    row = at[_WAYS]
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field == 8:
            out.way_id[row], pos = _varint(buf, pos, end)
        elif field in (18, 26, 34, 66):
            stop, pos = _length(buf, pos, end)
            if field == 18:
                keys = (pos, stop)
            elif field == 26:
                values = (pos, stop)
            elif field == 34:
                day = _edited(buf, pos, stop, survey[_DATE_UNIT])
            else:
                ref = np.int64(0)
                while pos < stop:
                    step, pos = _signed(buf, pos, stop)
                    ref += step
                    out.way_ref[at[_REFS]] = ref
                    at[_REFS] += 1
            pos = stop
        else:
            pos = _skip(buf, pos, end, field & 7)
    out.way_stop[row] = at[_REFS]
    at[_WAYS] += 1
    columns = (out.way_tag_row, out.way_tag_key, out.way_tag_value, out.way_tag_day)
    at[_WAY_TAGS] = _tags(buf, keys, values, row, day, at[_WAY_TAGS], columns)


@_compiled  # type: ignore[untyped-decorator]
def _relation(buf: Bytes, pos: int, end: int, survey: IntArray, at: IntArray, out: Any) -> None:
    keys = values = roles = refs = kinds = (0, 0)
    day = 0
    row = at[_RELATIONS]
    while pos < end:
        field, pos = _varint(buf, pos, end)
        if field == 8:
            out.relation_id[row], pos = _varint(buf, pos, end)
        elif field in (18, 26, 34, 66, 74, 82):
            stop, pos = _length(buf, pos, end)
            if field == 18:
                keys = (pos, stop)
            elif field == 26:
                values = (pos, stop)
            elif field == 34:
                day = _edited(buf, pos, stop, survey[_DATE_UNIT])
            elif field == 66:
                roles = (pos, stop)
            elif field == 74:
                refs = (pos, stop)
            else:
                kinds = (pos, stop)
            pos = stop
        else:
            pos = _skip(buf, pos, end, field & 7)
    p, q, r = refs[0], roles[0], kinds[0]
    ref = np.int64(0)
    while p < refs[1]:
        step, p = _signed(buf, p, refs[1])
        ref += step
        role, q = _varint(buf, q, roles[1])
        kind, r = _varint(buf, r, kinds[1])
        n = at[_MEMBERS]
        out.member_ref[n], out.member_role[n], out.member_kind[n] = ref, role, kind
        at[_MEMBERS] += 1
    out.member_stop[row] = at[_MEMBERS]
    at[_RELATIONS] += 1
    columns = (out.relation_tag_row, out.relation_tag_key, out.relation_tag_value, out.relation_tag_day)
    at[_RELATION_TAGS] = _tags(buf, keys, values, row, day, at[_RELATION_TAGS], columns)


@_compiled  # type: ignore[untyped-decorator]
def _fill(buf: Bytes, survey: IntArray, out: Any) -> IntArray:
    at = np.zeros(9, np.int64)
    pos, end = 0, len(buf)
    while pos < end:
        key, pos = _varint(buf, pos, end)
        if key != 18:
            pos = _skip(buf, pos, end, key & 7)
            continue
        last, pos = _length(buf, pos, end)
        while pos < last:
            field, pos = _varint(buf, pos, last)
            if field & 7 != 2 or not 1 <= field >> 3 <= 4:
                pos = _skip(buf, pos, last, field & 7)
                continue
            stop, pos = _length(buf, pos, last)
            kind = field >> 3
            if kind == 1:
                _node(buf, pos, stop, survey, at, out)
            elif kind == 2:
                _dense(buf, pos, stop, survey, at, out)
            elif kind == 3:
                _way(buf, pos, stop, survey, at, out)
            else:
                _relation(buf, pos, stop, survey, at, out)
            pos = stop
    return at


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
    Two passes: the first counts, so that the second fills arrays of the right size.
    """
    buf = np.frombuffer(data, dtype=np.uint8)
    survey = _survey(buf)
    out = _room(survey)
    _texts(buf, out.text_start, out.text_stop)
    done = _fill(buf, survey, out)
    counted = [_NODES, _WAYS, _REFS, _WAY_TAGS, _RELATIONS, _MEMBERS, _RELATION_TAGS]
    if (done[counted] != survey[counted]).any():
        raise ValueError(_CHANGED)
    tags = {
        name: getattr(out, name)[: done[_NODE_TAGS]] for name in Block._fields if name.startswith("node_tag_")
    }
    return out._replace(**tags)


def holds(data: bytes, kind: Literal["nodes", "ways"]) -> bool:
    """
    Whether an uncompressed data block holds objects of a kind.

    Raises
    ------
    ValueError
        The bytes are no such block.
    """
    survey = _survey(np.frombuffer(data, dtype=np.uint8))
    return bool(survey[_NODES if kind == "nodes" else _WAYS] > 0)


_SIZES = {
    **dict.fromkeys(("node_id", "node_x", "node_y"), _NODES),
    **dict.fromkeys(("node_tag_row", "node_tag_key", "node_tag_value", "node_tag_day"), _NODE_TAGS),
    **dict.fromkeys(("way_id", "way_stop"), _WAYS),
    "way_ref": _REFS,
    **dict.fromkeys(("way_tag_row", "way_tag_key", "way_tag_value", "way_tag_day"), _WAY_TAGS),
    **dict.fromkeys(("relation_id", "member_stop"), _RELATIONS),
    **dict.fromkeys(("member_ref", "member_kind", "member_role"), _MEMBERS),
    **dict.fromkeys(
        ("relation_tag_row", "relation_tag_key", "relation_tag_value", "relation_tag_day"), _RELATION_TAGS
    ),
    **dict.fromkeys(("text_start", "text_stop"), _TEXTS),
}
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


def _room(survey: IntArray) -> Block:
    """Zeroed columns of the counted sizes."""
    return Block(**{name: np.zeros(int(survey[_SIZES[name]]), DTYPES[name]) for name in Block._fields})
