"""Lines and rings of an OSM file as runs of node positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.sources.osm_raw import WAY, RawOsm

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lines:
    """
    Runs of node positions.

    Attributes
    ----------
    row
        Way of each line (position in ``RawOsm.way_id``); a way cut at missing nodes has several lines.
    offsets, places
        Nodes of line ``i`` are ``places[offsets[i]:offsets[i + 1]]``, positions in ``RawOsm.node_id``.
    """

    row: IntArray
    offsets: IntArray
    places: IntArray

    def take(self, good: npt.NDArray[np.bool_]) -> Lines:
        """The lines that a mask chooses."""
        size = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(size[good])]).astype(np.int64)
        return Lines(self.row[good], offsets, self.places[np.repeat(good, size)])

    def append(self, more: Lines) -> Lines:
        """These lines followed by others."""
        return Lines(
            np.concatenate([self.row, more.row]),
            np.concatenate([self.offsets, more.offsets[1:] + self.offsets[-1]]),
            np.concatenate([self.places, more.places]),
        )


def way_lines(raw: RawOsm, rows: IntArray, repairs: dict[str, int]) -> Lines:
    """
    Lines of some ways.

    A way is cut where the file lacks a node: the gap is never bridged by a straight line. A node that repeats
    at once is taken once. Both are counted.

    Parameters
    ----------
    raw
        All objects of the file.
    rows
        The ways.
    repairs
        Counts by reason are added here.
    """
    size = np.diff(raw.way_offsets)[rows]
    start = np.concatenate([[0], np.cumsum(size)])
    take = np.repeat(raw.way_offsets[rows] - start[:-1], size) + np.arange(start[-1])
    way = np.repeat(np.arange(len(rows)), size)
    place = raw.locate(raw.way_refs[take])
    missing = place < 0
    same = np.zeros(len(place), dtype=bool)
    same[1:] = (place[1:] == place[:-1]) & (way[1:] == way[:-1]) & ~missing[1:]
    _count(repairs, "missing_nodes", int(missing.sum()))
    _count(repairs, "duplicate_refs", int(same.sum()))
    good = ~(missing | same)
    new = np.ones(len(place), dtype=bool)
    new[1:] = (way[1:] != way[:-1]) | missing[:-1]
    line = np.cumsum(new & ~missing) - 1
    way, line, place = way[good], line[good], place[good]
    used, line = np.unique(line, return_inverse=True)
    kept = np.bincount(line, minlength=len(used))
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    first = way[offsets[:-1]]
    _count(repairs, "ways_cut_at_missing_nodes", len(first) - len(np.unique(first)))
    return Lines(np.asarray(rows)[first], offsets, place)


def _count(repairs: dict[str, int], reason: str, number: int) -> None:
    if number:
        repairs[reason] = repairs.get(reason, 0) + number


@dataclass(frozen=True, eq=False)
class Rings:
    """Rings of area relations: their lines and the id of the relation of each."""

    lines: Lines
    relation: IntArray


def area_rings(raw: RawOsm, repairs: dict[str, int]) -> Rings:
    """
    Closed rings of the multipolygon relations that people walk on: with ``highway``, or platforms.

    Parameters
    ----------
    raw
        All objects of the file.
    repairs
        Counts by reason are added here.
    """
    areas = raw.relation_tags.matching({"type": ("multipolygon",)})
    walked = raw.relation_tags.matching(
        {"highway": None, "railway": ("platform",), "public_transport": ("platform",)}
    )
    rows: list[int] = []
    places: list[IntArray] = []
    relation: list[int] = []
    for area in np.intersect1d(areas, walked, assume_unique=True):
        for ring, way in closed_rings(raw, member_ways(raw, int(area), repairs), repairs):
            rows.append(way)
            places.append(ring)
            relation.append(int(raw.relation_id[area]))
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in places])]).astype(np.int64)
    flat = np.concatenate(places) if places else np.empty(0, np.int64)
    return Rings(Lines(np.array(rows, np.int64), offsets, flat), np.array(relation, np.int64))


def member_ways(raw: RawOsm, relation: int, repairs: dict[str, int], *, role: str | None = None) -> list[int]:
    """Rows of the ways that belong to a relation, in its order; with a role, those of the role only."""
    found = []
    for i in range(raw.member_offsets[relation], raw.member_offsets[relation + 1]):
        if raw.member_kind[i] != WAY:
            continue
        if role is not None and (raw.texts[raw.member_role[i]] == "inner") != (role == "inner"):
            continue
        row = raw.way_row(int(raw.member_ref[i]))
        if row < 0:
            _count(repairs, "missing_member_ways", 1)
        else:
            found.append(row)
    return found


def closed_rings(raw: RawOsm, ways: list[int], repairs: dict[str, int]) -> list[tuple[IntArray, int]]:
    """
    Join ways end to end into closed rings.

    Parameters
    ----------
    raw
        All objects of the file.
    ways
        Rows of the ways.
    repairs
        Rings that stay open (clipped at the edge of the file) or lack nodes are left out and counted here.

    Returns
    -------
    list
        Node positions of each ring, first and last the same, and the row of the way that begins it.
    """
    rings: list[tuple[IntArray, int]] = []
    lines = [raw.way_refs[raw.way_offsets[row] : raw.way_offsets[row + 1]].tolist() for row in ways]
    at: dict[int, list[int]] = {}
    for i, line in enumerate(lines):
        for end in {line[0], line[-1]} if len(line) >= 2 else ():
            at.setdefault(end, []).append(i)
    left = dict.fromkeys(i for i, line in enumerate(lines) if len(line) >= 2)
    while left:
        first = next(iter(left))
        del left[first]
        ring = list(lines[first])
        while ring[0] != ring[-1]:
            following = next((i for i in at[ring[-1]] if i in left), None)
            if following is None:
                break
            del left[following]
            line = lines[following]
            ring += line[1:] if line[0] == ring[-1] else line[-2::-1]
        places = raw.locate(np.array(ring, np.int64))
        if ring[0] != ring[-1] or len(ring) < 4 or (places < 0).any():
            _count(repairs, "open_rings", 1)
        else:
            rings.append((places, ways[first]))
    return rings
