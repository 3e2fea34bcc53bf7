"""Times, means and counts of towns small enough to solve by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cells import StreetPieces
from engine.reach import UNREACHABLE, cell_counts, cell_times, nearest
from tests.towns import town

S = 1000


def one_cell(network, *, streets=None, start=0.0, stop=1.0) -> StreetPieces:
    """All given streets in a single cell."""
    chosen = np.arange(len(network.streets)) if streets is None else np.asarray(streets)
    n = len(chosen)
    return StreetPieces(
        cells=np.array([1], dtype=np.uint64),
        cell=np.zeros(n, dtype=np.int32),
        street=chosen.astype(np.int32),
        start=np.full(n, start),
        stop=np.full(n, stop),
        length_m=network.length_m[chosen] * (stop - start),
        access_ms=np.zeros(n, dtype=np.int64),
        no_network=np.array([False]),
    )


def test_nearest_on_a_square() -> None:
    t = town("""
A--s--B
|     |
C-->--D
    """)
    field = nearest(t.network, t.destinations("s"))
    # A, B: half of AB; C: up to A; D: up to B, never back along CD
    assert field.time_ms[0, :, 0].tolist() == [30 * S, 30 * S, 50 * S, 50 * S]
    assert (field.place == 0).all()


def test_one_way_street_is_obeyed() -> None:
    t = town("As->-B")
    field = nearest(t.network, t.destinations("s"))
    assert field.time_ms[0, :, 0].tolist() == [10 * S, UNREACHABLE]


def test_second_nearest_is_another_place() -> None:
    t = town("A-g--g-B-s-s-C")
    merged = nearest(t.network, t.destinations("g", "s", merged="g"), k=2)
    assert merged.time_ms[0, :, 0].tolist() == [20 * S, 20 * S, 80 * S]
    assert (merged.time_ms[0, :, 1] == UNREACHABLE).all()
    assert merged.time_ms[1, :, 1].tolist() == [110 * S, 40 * S, 40 * S]


def test_tie_takes_the_lowest_place() -> None:
    t = town("A-s-B-s-C")
    for engine in ("compiled", "igraph"):
        field = nearest(t.network, t.destinations("s"), engine=engine)
        assert field.place[0, :, 0].tolist() == [0, 0, 1]


def test_mean_has_the_v_of_a_shop_on_the_street() -> None:
    t = town("A----s----B")
    d = t.destinations("s")
    times = cell_times(t.network, one_cell(t.network), nearest(t.network, d, k=2), d)
    assert times.mean_ms[0, 0, 0] == pytest.approx(25 * S)  # from 50 s to 0 and back to 50 s
    assert times.p90_ms[0, 0, 0] == pytest.approx(45 * S)
    assert np.isnan(times.mean_ms[0, 0, 1])
    assert times.place[0, 0, 0] == 0


def test_mean_of_a_street_between_two_shops() -> None:
    t = town(
        """
s-A----B-s
    """.replace("s-A", "Cs-A").replace("B-s", "B-sD")
    )
    d = t.destinations("s")
    ab = [t.street["AB"]]
    times = cell_times(t.network, one_cell(t.network, streets=ab), nearest(t.network, d, k=2), d)
    # A and B are 20 s from their shop, the middle of AB (50 s long) 45 s from both
    assert times.mean_ms[0, 0].tolist() == pytest.approx([32.5 * S, 57.5 * S])
    assert times.p90_ms[0, 0].tolist() == pytest.approx([42.5 * S, 67.5 * S])


def test_part_that_cannot_reach_has_no_mean() -> None:
    t = town("A-s->B")
    d = t.destinations("s")
    times = cell_times(t.network, one_cell(t.network), nearest(t.network, d), d)
    assert np.isnan(times.mean_ms[0, 0, 0])
    first_half = cell_times(t.network, one_cell(t.network, stop=0.4), nearest(t.network, d), d)
    assert first_half.mean_ms[0, 0, 0] == pytest.approx(10 * S)


def test_counts_are_exact_along_the_street() -> None:
    t = town("A----s----B----s----C")
    d = t.destinations("s")
    counts = cell_counts(t.network, one_cell(t.network), d, [0, 20 * S, 50 * S, 100 * S, 200 * S])
    assert counts[0, 0].tolist() == pytest.approx([0.0, 0.4, 1.0, 1.5, 2.0])


def test_gates_of_one_park_count_once() -> None:
    t = town("A----g----B----g----C")
    counts = cell_counts(
        t.network, one_cell(t.network), t.destinations("g", merged="g"), [20 * S, 50 * S, 100 * S]
    )
    assert counts[0, 0].tolist() == pytest.approx([0.4, 1.0, 1.0])
