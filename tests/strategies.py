"""Hypothesis strategies: random street networks with every oddity that real ones have, and places on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from engine.cells import StreetPieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.reach import Destinations
from tests.towns import exact_snaps

FRACTIONS = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.9, 1.0]) | st.floats(0.0, 1.0)


@dataclass(frozen=True)
class Street:
    """One drawn street."""

    u: int
    v: int
    forward_ms: int
    backward_ms: int
    length_m: float


@st.composite
def street_networks(draw: st.DrawFn, *, max_vertices: int = 10, max_streets: int = 18) -> StreetNetwork:
    """
    Draw a network of one mode: islands, one-way and closed streets, zero times, parallel streets and loops.

    Times of the two directions differ; many ties, because times are small.
    """
    n = draw(st.integers(1, max_vertices))
    times = st.integers(0, 12) | st.integers(0, 1_000_000)
    one = st.builds(
        Street,
        u=st.integers(0, n - 1),
        v=st.integers(0, n - 1),
        forward_ms=times,
        backward_ms=times,
        length_m=st.just(0.0) | st.floats(0.001, 500.0),
    )
    streets = draw(st.lists(one, max_size=max_streets))
    symmetric = draw(st.booleans())
    closed = draw(st.lists(st.sampled_from("fbx   "), min_size=len(streets), max_size=len(streets)))
    grid = np.arange(n)
    lon = 24.9 + 0.002 * (grid % 4) + 1e-5 * grid
    lat = 60.1 + 0.001 * (grid // 4)
    return network_of(streets, closed, symmetric=symmetric, lon=lon, lat=lat)


def network_of(
    streets: list[Street], closed: list[str], *, symmetric: bool, lon: np.ndarray, lat: np.ndarray
) -> StreetNetwork:
    """Build a network from drawn streets; ``f`` or ``b`` in `closed` shuts that direction, ``x`` both."""
    rows, coords, offsets = [], [], [0]
    for i, (s, shut) in enumerate(zip(streets, closed, strict=True)):
        back = s.forward_ms if symmetric else s.backward_ms
        rows.append(
            (
                s.u,
                s.v,
                s.length_m,
                NO_WAY if shut in "fx" else s.forward_ms,
                NO_WAY if shut in "bx" else back,
                i,
            )
        )
        points = [(lon[s.u], lat[s.u]), (lon[s.v], lat[s.v])]
        if s.u == s.v:  # a loop goes round a small block
            points[1:1] = [(lon[s.u] + 3e-4, lat[s.u]), (lon[s.u] + 3e-4, lat[s.u] + 2e-4)]
        coords += points
        offsets.append(len(coords))
    columns = ["u", "v", "length_m", "forward_ms", "backward_ms", "osm_way"]
    table = pd.DataFrame(rows, columns=columns).astype({"length_m": float})
    return StreetNetwork(
        mode="walk",
        node_id=np.arange(100, 100 + len(lon), dtype=np.int64),
        lon=lon,
        lat=lat,
        streets=table.astype(dict.fromkeys(["u", "v", "forward_ms", "backward_ms"], np.int32)),
        coords=np.array(coords, dtype=float).reshape(-1, 2),
        offsets=np.array(offsets, dtype=np.int64),
    )


@st.composite
def destinations_on(
    draw: st.DrawFn, network: StreetNetwork, *, max_places: int = 6, n_categories: int | None = None
) -> Destinations:
    """Draw places with one to three access points each: at street ends, in the middle, off the street, rejected."""
    m = len(network.streets)
    categories = draw(st.integers(1, 3)) if n_categories is None else n_categories
    n_places = draw(st.integers(0, max_places))
    street, fraction, access, place = [], [], [], []
    for p in range(n_places):
        for _ in range(draw(st.integers(0, 3))):
            street.append(draw(st.integers(0, m - 1) if m and draw(st.integers(0, 9)) else st.just(-1)))
            fraction.append(draw(FRACTIONS))
            access.append(draw(st.integers(0, 3) | st.integers(0, 72_000)))
            place.append(p)
    return Destinations(
        snaps=exact_snaps(street, fraction, access),
        place=np.array(place, dtype=np.int32),
        category=np.array([draw(st.integers(0, categories - 1)) for _ in range(n_places)], dtype=np.int32),
        capacity=np.array([draw(st.integers(0, 500)) for _ in range(n_places)], dtype=float),
        n_categories=categories,
    )


@st.composite
def pieces_on(draw: st.DrawFn, network: StreetNetwork, *, max_cells: int = 4) -> StreetPieces:
    """Draw cells that hold parts of streets, a point of a street after a walk, or nothing."""
    m = len(network.streets)
    n_cells = draw(st.integers(1, max_cells))
    rows: list[tuple[int, int, float, float, float, int]] = []
    without = np.zeros(n_cells, dtype=bool)
    for cell in range(n_cells):
        kind = draw(st.sampled_from(["streets", "streets", "point", "nothing"])) if m else "nothing"
        without[cell] = kind == "nothing"
        if kind == "point":
            at = draw(
                st.floats(0.001, 0.999) | st.sampled_from([0.25, 1 / 3, 0.5])
            )  # ends: see `street_pieces`
            rows.append((cell, draw(st.integers(0, m - 1)), at, at, 0.0, draw(st.integers(0, 100_000))))
        elif kind == "streets":
            chosen = draw(st.lists(st.integers(0, m - 1), min_size=1, max_size=4, unique=True))
            for street in sorted(chosen):
                a, b = sorted((draw(FRACTIONS), draw(FRACTIONS)))
                a, b = (
                    (a, b) if b - a > 1e-9 else (0.0, 1.0)
                )  # sums are kept in units: no shorter piece has a mean
                rows.append((cell, street, a, b, (b - a) * network.length_m[street], 0))
    cell, street, start, stop, length, access = (
        (np.array(c) for c in zip(*rows, strict=True)) if rows else [[]] * 6
    )
    return StreetPieces(
        cells=np.arange(1, n_cells + 1, dtype=np.uint64),
        cell=np.asarray(cell, dtype=np.int32),
        street=np.asarray(street, dtype=np.int32),
        start=np.asarray(start, dtype=np.float64),
        stop=np.asarray(stop, dtype=np.float64),
        length_m=np.asarray(length, dtype=np.float64),
        access_ms=np.asarray(access, dtype=np.int64),
        no_network=without,
    )
