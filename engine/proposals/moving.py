"""Places and origins of replaced streets, moved to the parts that take over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine.cells import StreetPieces
from engine.proposals.operation import Build, Segment
from engine.snapping import Snaps

_Int = npt.NDArray[np.int64]


def part_of(segments: tuple[Segment, ...], fraction: float) -> Segment:
    """The part of a replaced street that a point belongs to; at a joint, the earlier one."""
    return next((s for s in segments if fraction <= s.stop), segments[-1])


def on_part(segment: Segment, fraction: float) -> float:
    """Fraction along a part of a point of the replaced street."""
    return min(max((fraction - segment.start) / (segment.stop - segment.start), 0.0), 1.0)


def moved_snaps(snaps: Snaps, build: Build, first: int) -> Snaps:
    """Access points of replaced streets on their parts; `first` is the number of the first new street."""
    hit = np.flatnonzero(np.isin(snaps.street, list(build.replaced)))
    if not len(hit):
        return snaps
    street, fraction = snaps.street.copy(), snaps.fraction.copy()
    for i in hit:
        part = part_of(build.replaced[int(street[i])], float(fraction[i]))
        street[i], fraction[i] = first + part.new, on_part(part, float(fraction[i]))
    return replace(snaps, street=street, fraction=fraction)


def moved_pieces(pieces: StreetPieces, build: Build, first: int) -> tuple[StreetPieces, _Int]:
    """
    Origins of replaced streets on their parts, and those of cells that had no network.

    Parameters
    ----------
    pieces
        Pieces by cell, street and start.
    build
        What is laid out.
    first
        Number of its first new street; greater than that of any street before.

    Returns
    -------
    tuple of StreetPieces and numpy.ndarray
        The pieces, and the cells where any changed.
    """
    hit = np.flatnonzero(np.isin(pieces.street, list(build.replaced)))
    rows: list[tuple[int, int, float, float, float, int]] = []
    for i in hit:
        rows += split_piece(
            int(pieces.cell[i]), float(pieces.start[i]), float(pieces.stop[i]), float(pieces.length_m[i]),
            int(pieces.access_ms[i]), build.replaced[int(pieces.street[i])], first,
        )  # fmt: skip
    rows += [(o.cell, first + o.new, o.fraction, o.fraction, 0.0, o.access_ms) for o in build.origins]
    rows.sort()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    cell = np.array(columns[0], dtype=np.int64)
    kept = np.delete(pieces.cell, hit)
    where = np.searchsorted(kept, cell, side="right")

    def merged(old: npt.NDArray[np.generic], new: object) -> npt.NDArray[np.generic]:
        return np.insert(np.delete(old, hit), where, np.asarray(new, dtype=old.dtype))

    names = ("cell", "street", "start", "stop", "length_m", "access_ms")
    arrays = {name: merged(getattr(pieces, name), c) for name, c in zip(names, columns, strict=True)}
    no_network = pieces.no_network.copy()
    no_network[[o.cell for o in build.origins]] = False
    return StreetPieces(cells=pieces.cells, no_network=no_network, **arrays), np.unique(cell)  # type: ignore[arg-type]


def split_piece(
    cell: int,
    start: float,
    stop: float,
    length_m: float,
    access_ms: int,
    segments: tuple[Segment, ...],
    first: int,
) -> list[tuple[int, int, float, float, float, int]]:
    """Rows (cell, street, start, stop, length, access) that a piece of a replaced street becomes."""
    if stop <= start:
        part = part_of(segments, start)
        at = on_part(part, start)
        return [(cell, first + part.new, at, at, length_m, access_ms)]
    rows = []
    for part in segments:
        low, high = max(start, part.start), min(stop, part.stop)
        if high > low:
            share = length_m * ((high - low) / (stop - start))
            rows.append((cell, first + part.new, on_part(part, low), on_part(part, high), share, access_ms))
    return rows
