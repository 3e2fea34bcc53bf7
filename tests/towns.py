"""
Hand-solvable towns, drawn in ASCII.

One character is one step: 10 m and 10 s unless told otherwise. Capital letters are nodes, ``-`` and ``|``
streets, ``>`` ``<`` ``^`` ``V`` make the street they stand on one-way, ``+`` is a bridge (two streets cross
without meeting), and a small letter on a street is a place of that category, reached where it is drawn::

    A--s--B
    |     |
    C-->--D

is a town with the shop ``s`` in the middle of AB (30 s from A, 30 s from B) and CD one-way from C to D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from engine.network.street_network import NO_WAY, StreetNetwork
from engine.reach import Destinations
from engine.snapping import Snaps

_METRES_PER_DEGREE = 111_195.0  # a sphere of 6,371 km: towns are small, their lengths are set by the drawing
_NODES = set("ABCDEFGHIJKLMNOPQRSTUWXYZ")  # V is an arrow
_RIGHT, _DOWN = (0, 1), (1, 0)
_STREET = {_RIGHT: "-", _DOWN: "|"}
_ONWARD = {_RIGHT: ">", _DOWN: "V"}
_BACK = {_RIGHT: "<", _DOWN: "^"}


@dataclass(frozen=True, eq=False)
class Town:
    """A drawn network with the names of its nodes and its places."""

    network: StreetNetwork
    vertex: dict[str, int]
    street: dict[str, int]
    """Street numbers by their ends, ``"AB"``; the first drawn where two join the same nodes."""
    marks: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """(street, fraction) of each place, by its letter, in reading order."""

    def destinations(self, *letters: str, merged: str = "", capacity: float = 1.0) -> Destinations:
        """Places of the letters, one category each; those in `merged` are the gates of a single place."""
        rows: list[tuple[int, float, int]] = []
        category: list[int] = []
        for number, letter in enumerate(letters):
            for i, (street, fraction) in enumerate(self.marks[letter]):
                if letter not in merged or i == 0:
                    category.append(number)
                rows.append((street, fraction, len(category) - 1))
        street, fraction, place = (list(c) for c in zip(*rows, strict=True)) if rows else ([], [], [])
        return Destinations(
            snaps=exact_snaps(street, fraction),
            place=np.array(place, dtype=np.int32),
            category=np.array(category, dtype=np.int32),
            capacity=np.full(len(category), capacity),
            n_categories=len(letters),
        )


def exact_snaps(street: list[int], fraction: list[float], access_ms: list[int] | int = 0) -> Snaps:
    """Points exactly on streets, or `access_ms` away from them."""
    n = len(street)
    access = np.broadcast_to(np.asarray(access_ms, dtype=np.int64), n).copy()
    return Snaps(
        street=np.array(street, dtype=np.int32),
        fraction=np.array(fraction, dtype=np.float64),
        access_m=access * 5.0 / 3600.0,
        access_ms=access,
        reason=np.full(n, "", dtype=object),
    )


def town(
    drawing: str,
    *,
    mode: str = "walk",
    origin: tuple[float, float] = (24.94, 60.17),
    step_m: float = 10.0,
    step_ms: int = 10_000,
    times: Mapping[str, tuple[int, int]] | None = None,
) -> Town:
    """
    Build a town from its drawing.

    Parameters
    ----------
    drawing
        The picture; blank lines around it are ignored.
    mode
        Mode of the network.
    origin
        [deg] Longitude and latitude of the upper left corner.
    step_m, step_ms
        [m], [ms] What one character stands for.
    times
        [ms] Forward and backward times of streets in place of the drawn ones: ``{"AB": (60_000, -1)}``.
    """
    rows = drawing.strip("\n").split("\n")
    grid = {(r, c): ch for r, line in enumerate(rows) for c, ch in enumerate(line) if ch != " "}
    nodes = sorted((ch, at) for at, ch in grid.items() if ch in _NODES)
    names = [ch for ch, _ in nodes]
    assert len(set(names)) == len(names), f"a node is drawn twice: {names}"
    vertex = {ch: i for i, ch in enumerate(names)}
    at = np.array([position for _, position in nodes], dtype=float).reshape(-1, 2)
    lon = origin[0] + at[:, 1] * step_m / (_METRES_PER_DEGREE * np.cos(np.radians(origin[1])))
    lat = origin[1] - at[:, 0] * step_m / _METRES_PER_DEGREE

    table: list[dict[str, object]] = []
    street: dict[str, int] = {}
    marks: dict[str, list[tuple[int, float, tuple[int, int]]]] = {}
    for name, position in sorted(nodes, key=lambda node: node[1]):
        for way in (_RIGHT, _DOWN):
            end, found, one_way = _walk(grid, position, way)
            if end is None:
                continue
            steps = sum(abs(a - b) for a, b in zip(grid_position(grid, end), position, strict=True))
            number = len(table)
            street.setdefault(name + end, number)
            for letter, step, where in found:
                marks.setdefault(letter, []).append((number, step / steps, where))
            forward, backward = (steps * step_ms if one_way in ("", d) else NO_WAY for d in "fb")
            forward, backward = (times or {}).get(name + end, (forward, backward))
            table.append(
                {
                    "u": vertex[name],
                    "v": vertex[end],
                    "length_m": steps * step_m,
                    "forward_ms": forward,
                    "backward_ms": backward,
                    "osm_way": number + 1,
                }
            )
    columns = ["u", "v", "length_m", "forward_ms", "backward_ms", "osm_way"]
    streets = pd.DataFrame(table, columns=columns).astype({"u": np.int32, "v": np.int32, "length_m": float})
    ends = streets[["u", "v"]].to_numpy(np.int64).ravel()
    network = StreetNetwork(
        mode=mode,
        node_id=np.arange(1, len(names) + 1, dtype=np.int64),
        lon=lon,
        lat=lat,
        streets=streets.astype({"forward_ms": np.int32, "backward_ms": np.int32, "osm_way": np.int64}),
        coords=np.column_stack([lon[ends], lat[ends]]),
        offsets=np.arange(0, 2 * len(table) + 1, 2, dtype=np.int64),
    )
    in_reading_order = {
        letter: [(s, f) for s, f, _ in sorted(found, key=lambda mark: mark[2])]
        for letter, found in marks.items()
    }
    return Town(network, vertex, street, in_reading_order)


def grid_position(grid: Mapping[tuple[int, int], str], name: str) -> tuple[int, int]:
    """Row and column of a node."""
    return next(at for at, ch in grid.items() if ch == name)


def _walk(
    grid: Mapping[tuple[int, int], str], start: tuple[int, int], way: tuple[int, int]
) -> tuple[str | None, list[tuple[str, int, tuple[int, int]]], str]:
    """Follow a street from a node; return the node at its end, the places on it and its one-way sign."""
    found: list[tuple[str, int, tuple[int, int]]] = []
    one_way = ""
    (r, c), step = start, 0
    while True:
        r, c, step = r + way[0], c + way[1], step + 1
        ch = grid.get((r, c), " ")
        if ch in _NODES:
            return (ch if step > 1 else None), found, one_way
        if ch in (_STREET[way], "+"):
            continue
        if ch == _ONWARD[way]:
            one_way = "f"
        elif ch == _BACK[way]:
            one_way = "b"
        elif ch.islower() and _on_street(grid, (r, c), way):
            found.append((ch, step, (r, c)))
        else:
            return None, [], ""


def _on_street(grid: Mapping[tuple[int, int], str], at: tuple[int, int], way: tuple[int, int]) -> bool:
    """Tell whether a small letter stands on a street drawn in direction `way`."""
    along = set(_STREET[way] + _ONWARD[way] + _BACK[way] + "+") | _NODES
    before, after = (grid.get((at[0] + s * way[0], at[1] + s * way[1]), " ") for s in (-1, 1))
    return (before in along or before.islower()) and (after in along or after.islower())
