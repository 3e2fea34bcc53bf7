"""
The streets of an OSM file counted without being built: what an estimate rests on.

A crossing of a mode's network is a node where its ways meet, branch or end; everything between two of them becomes one
street. Counting them takes the references of the ways that a mode may use and nothing else, so a file is gone through
block by block, with little in memory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.network.access import DRIVEABLE, PUSHABLE, RIDEABLE, WALKABLE
from pipelines.sources.osm_file import Bounds, plain_pbf
from pipelines.sources.osm_pbf import blocks_with
from pipelines.sources.osm_pbf_decode import INVALID, Block
from pipelines.sources.osm_raw import UNIT

BITS = {"walk": 1, "bike": 2, "street30": 4}
"""Bit of each mode in `Crossings.modes`."""
_CLASSES = {"walk": WALKABLE, "bike": RIDEABLE | PUSHABLE, "street30": DRIVEABLE}
_ENCODED = {mode: frozenset(name.encode() for name in classes) for mode, classes in _CLASSES.items()}


@dataclass(frozen=True, eq=False)
class Crossings:
    """
    Where the streets of a file meet.

    Attributes
    ----------
    x, y
        [1e-7 deg] Positions.
    modes
        Whose streets meet there: bits as in `BITS`.
    extent
        [deg] West, south, east, north of all nodes of the file; None where it has none.
    """

    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.int32]
    modes: npt.NDArray[np.uint8]
    extent: Bounds | None

    def count(self, modes: Collection[str], bounds: Bounds | None = None) -> int:
        """
        Crossings in the networks of some modes together.

        Parameters
        ----------
        modes
            Names of modes; a crossing of two of them counts twice.
        bounds
            [deg] West, south, east, north; None for the whole file.
        """
        bits = self.modes
        if bounds is not None:
            west, south, east, north = (round(side * UNIT) for side in bounds)
            inside = (self.x >= west) & (self.x <= east) & (self.y >= south) & (self.y <= north)
            bits = bits[inside]
        return sum(int(np.count_nonzero(bits & BITS[mode])) for mode in modes)


def count_crossings(path: Path) -> Crossings:
    """
    Count the crossings of a file, by the class of its ways alone.

    What only a network knows is left out: access by tags, barriers, pieces that hang together with nothing, paths
    across squares. docs/batch.md says how near the counts are.

    Raises
    ------
    SourceError
        The file is absent, damaged or no OSM file.

    Notes
    -----
    The file is unpacked twice: ways come last in it, and only they say which nodes are wanted. 8 bytes of memory for
    each reference of a street.
    """
    with plain_pbf(path) as file:
        ids, modes = _meeting(file, path)
        x = np.zeros(len(ids), dtype=np.int32)
        y = np.zeros(len(ids), dtype=np.int32)
        found = np.zeros(len(ids), dtype=bool)
        low, high = np.full(2, INVALID), np.full(2, -INVALID)
        for _, block in blocks_with(file, "nodes", name=path):
            there = (block.node_x != INVALID) & (block.node_y != INVALID)
            positions = np.column_stack([block.node_x, block.node_y])[there]
            low = np.minimum(low, positions.min(axis=0, initial=INVALID))
            high = np.maximum(high, positions.max(axis=0, initial=-INVALID))
            place = np.searchsorted(ids, block.node_id)
            place[place == len(ids)] = 0
            mine = np.flatnonzero(ids[place] == block.node_id) if len(ids) else place[:0]
            x[place[mine]], y[place[mine]] = block.node_x[mine], block.node_y[mine]
            found[place[mine]] = True
    extent = None if (low > high).any() else (low[0] / UNIT, low[1] / UNIT, high[0] / UNIT, high[1] / UNIT)
    return Crossings(x[found], y[found], modes[found], extent)


def _meeting(file: Path, name: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Ids of the nodes where streets meet or end, ascending, and for which modes they do."""
    refs, bits, links = [np.empty(0, np.int64)], [np.empty(0, np.uint8)], [np.empty(0, np.uint8)]
    for data, block in blocks_with(file, "ways", name=name):
        way_bits = _bits(data, block)
        size = np.diff(block.way_stop, prepend=0)
        link = np.full(len(block.way_ref), 2, dtype=np.uint8)
        some = size > 0
        link[block.way_stop[some] - 1] -= 1
        link[(block.way_stop - size)[some]] -= 1
        own = np.repeat(way_bits, size)
        wanted = own > 0
        refs.append(block.way_ref[wanted])
        bits.append(own[wanted])
        links.append(link[wanted])
    ids, node = np.unique(np.concatenate(refs), return_inverse=True)
    bit, link = np.concatenate(bits), np.concatenate(links)
    modes = np.zeros(len(ids), dtype=np.uint8)
    for one in BITS.values():
        mine = (bit & one) > 0
        met = np.bincount(node[mine], link[mine], minlength=len(ids))
        used = np.bincount(node[mine], minlength=len(ids)) > 0
        modes[used & (met != 2)] |= one
    keep = modes > 0
    return ids[keep], modes[keep]


def _bits(data: bytes, block: Block) -> npt.NDArray[np.uint8]:
    """Modes that may use each way of a block, by its class."""
    bits = np.zeros(len(block.way_id), dtype=np.uint8)
    start, stop = block.text_start, block.text_stop

    def text(number: int) -> bytes:
        return data[start[number] : stop[number]]

    highway = [key for key in np.unique(block.way_tag_key).tolist() if text(key) == b"highway"]
    hit = np.flatnonzero(np.isin(block.way_tag_key, highway))
    values, back = np.unique(block.way_tag_value[hit], return_inverse=True)
    of_value = np.array(
        [sum(BITS[m] for m, classes in _ENCODED.items() if text(v) in classes) for v in values.tolist()],
        dtype=np.uint8,
    )
    bits[block.way_tag_row[hit]] = of_value[back] if len(values) else 0
    return bits
