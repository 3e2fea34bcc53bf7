"""Reading Protocol Buffers messages: one at a time in Python, many at a time in numpy."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""

_MOST_FIELDS = 1000
"""Fields of one message among many; OSM's have about ten."""
_RAN_OVER = "a message runs past its end"
_NO_TYPE = "a field has no known type"
_FIXED = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


class Span(NamedTuple):
    """Begin and end of a message or list, or of many."""

    start: int
    stop: int


class Spans(NamedTuple):
    """Begin and end of many messages or lists, shape (n,) each."""

    start: IntArray
    stop: IntArray


def varint(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """
    Read a number and the position after it.

    Raises
    ------
    ValueError
        The number has no end before `stop`.
    """
    value = shift = 0
    while pos < stop and shift < 64:
        byte = data[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, pos
        shift += 7
    raise ValueError(_RAN_OVER)


def fields(data: bytes, span: Span) -> list[tuple[int, int | Span]]:
    """
    Fields of one message: number, and value (wire type 0) or where the content lies (wire type 2); others are skipped.

    Raises
    ------
    ValueError
        A field runs past the end of the message, or is of no known type.
    """
    pos, stop = span
    found: list[tuple[int, int | Span]] = []
    while pos < stop:
        key = data[pos]
        pos += 1
        if key >= 128:
            key, pos = varint(data, pos - 1, stop)
        wire = key & 7
        if wire in _FIXED:
            pos += _FIXED[wire]
        elif wire in (VARINT, LENGTH):
            value, pos = varint(data, pos, stop)
            if wire == LENGTH:
                found.append((key >> 3, Span(pos, pos + value)))
                pos += value
            else:
                found.append((key >> 3, value))
        else:
            raise ValueError(_NO_TYPE)
    if pos > stop:
        raise ValueError(_RAN_OVER)
    return found


def messages(data: bytes, span: Span) -> dict[int, Spans]:
    """
    Where the messages (and other contents) within a message lie, by field number; other fields are skipped.

    Raises
    ------
    ValueError
        As for `fields`.
    """
    pos, stop = span
    found: dict[int, tuple[list[int], list[int]]] = {}
    while pos < stop:
        key, size = data[pos], 0
        pos += 1
        if key >= 128:
            key, pos = varint(data, pos - 1, stop)
        wire = key & 7
        if wire == LENGTH:
            if pos < stop and data[pos] < 128:
                size = data[pos]
                pos += 1
            else:
                size, pos = varint(data, pos, stop)
            starts, stops = found.setdefault(key >> 3, ([], []))
            starts.append(pos)
            pos += size
            stops.append(pos)
        elif wire == VARINT:
            _, pos = varint(data, pos, stop)
        elif wire in _FIXED:
            pos += _FIXED[wire]
        else:
            raise ValueError(_NO_TYPE)
    if pos > stop:
        raise ValueError(_RAN_OVER)
    return {
        number: Spans(*(np.array(ends, dtype=np.int64) for ends in pair)) for number, pair in found.items()
    }


def signed(value: IntArray) -> IntArray:
    """Signed numbers from their zigzag form."""
    half = (value.view(np.uint64) >> np.uint64(1)).view(np.int64)
    return np.asarray(half ^ -(value & 1))


def numbers(data: Bytes) -> IntArray:
    """
    All numbers of a packed list.

    Raises
    ------
    ValueError
        The last number has no end, or one has more than 64 bits.
    """
    if not len(data):
        return np.empty(0, dtype=np.int64)
    last = np.flatnonzero(data < 128)
    if data[-1] >= 128:
        raise ValueError(_RAN_OVER)
    first = np.empty_like(last)
    first[0] = 0
    first[1:] = last[:-1] + 1
    size = last - first
    value = (data[first] & 127).astype(np.int64)
    for k in range(1, int(size.max()) + 1):
        if k > 9:
            raise ValueError(_RAN_OVER)
        more = np.flatnonzero(size >= k)
        value[more] |= (data[first[more] + k] & 127).astype(np.int64) << (7 * k)
    return value


def ragged_numbers(data: Bytes, lists: Spans) -> tuple[IntArray, IntArray]:
    """
    Numbers of many packed lists, one list after the other, and how many each holds.

    Raises
    ------
    ValueError
        As for `numbers`.
    """
    size = lists.stop - lists.start
    offsets = np.concatenate([[0], np.cumsum(size)])
    taken = data[np.repeat(lists.start - offsets[:-1], size) + np.arange(offsets[-1])]
    ends = taken < 128
    if not ends[offsets[1:][size > 0] - 1].all():
        raise ValueError(_RAN_OVER)
    return numbers(taken), np.diff(np.concatenate([[0], np.cumsum(ends)])[offsets])


def sums(delta: IntArray, count: IntArray) -> IntArray:
    """Numbers of many lists stored as differences; each list begins anew."""
    total = np.concatenate([[0], np.cumsum(delta)])
    before = np.concatenate([[0], np.cumsum(count)])[:-1]
    return np.asarray(total[1:] - np.repeat(total[before], count))


def scan(
    data: Bytes, messages: Spans, *, values: Collection[int] = (), contents: Collection[int] = ()
) -> tuple[dict[int, IntArray], dict[int, Spans]]:
    """
    Read wanted fields of many messages at once, field after field of all of them in step.

    Parameters
    ----------
    data
        The bytes that the messages lie in.
    messages
        Where they begin and end.
    values, contents
        Numbers of the wanted fields of wire type 0 and 2.

    Returns
    -------
    tuple
        By field: values (0 where a message lacks the field; of several the last), and where the contents lie
        (nowhere where it lacks it).

    Raises
    ------
    ValueError
        A field runs past the end of its message, is of no known type, or a content comes in several pieces.

    Notes
    -----
    O(bytes) with as many steps as the longest message has fields.
    """
    n = len(messages.start)
    value_of = {number: np.zeros(n, dtype=np.int64) for number in values}
    content_of = {
        number: Spans(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)) for number in contents
    }
    live = np.flatnonzero(messages.start < messages.stop)
    pos, stop = messages.start[live], messages.stop[live]
    for _ in range(_MOST_FIELDS):
        if not len(live):
            return value_of, content_of
        key, pos = _varints(data, pos, stop)
        wire = key & 7
        value = np.zeros(len(live), dtype=np.int64)
        stated = (wire == VARINT) | (wire == LENGTH)
        if stated.all():
            value, pos = _varints(data, pos, stop)
        else:
            value[stated], pos[stated] = _varints(data, pos[stated], stop[stated])
            pos += np.where(wire == EIGHT_BYTES, 8, np.where(wire == FOUR_BYTES, 4, 0))
            if not (stated | (wire == EIGHT_BYTES) | (wire == FOUR_BYTES)).all():
                raise ValueError(_NO_TYPE)
        size = np.where(wire == LENGTH, value, 0)
        if ((size < 0) | (size > stop - pos)).any():
            raise ValueError(_RAN_OVER)
        for number in values:
            here = np.flatnonzero(key == number << 3 | VARINT)
            value_of[number][live[here]] = value[here]
        for number in contents:
            here = np.flatnonzero(key == number << 3 | LENGTH)
            spans = content_of[number]
            if spans.stop[live[here]].any():
                raise ValueError("a list comes in several pieces")
            spans.start[live[here]], spans.stop[live[here]] = pos[here], pos[here] + size[here]
        pos = pos + size
        rest = np.flatnonzero(pos < stop)
        if len(rest) < len(live):
            live, pos, stop = live[rest], pos[rest], stop[rest]
    raise ValueError(f"a message has more than {_MOST_FIELDS} fields")


def _varints(data: Bytes, pos: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """Read one number at each of many positions; and the positions after them."""
    if (pos >= stop).any():
        raise ValueError(_RAN_OVER)
    byte = data[pos]
    value = (byte & 127).astype(np.int64)
    pos = pos + 1
    more = np.flatnonzero(byte >= 128)
    for k in range(1, 11):
        if not len(more):
            return value, pos
        if k > 9 or (pos[more] >= stop[more]).any():
            break
        byte = data[pos[more]]
        value[more] |= (byte & 127).astype(np.int64) << (7 * k)
        pos[more] += 1
        more = more[byte >= 128]
    raise ValueError(_RAN_OVER)
