"""Counts, gravity, catchments and coverage of towns solved by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.reach import Decay, Destinations, cell_counts, coverage, cumulative, gravity, two_step_fca
from engine.reach.places_to_cells import cell_units
from tests.towns import Town, exact_snaps, town

S = 1000
ENGINES = ["searches", "sweeps"]


def cells_of(t: Town, *streets: str) -> StreetPieces:
    """One cell a street."""
    chosen = np.array([t.street[s] for s in streets], dtype=np.int32)
    n = len(chosen)
    return StreetPieces(
        cells=np.arange(1, n + 1, dtype=np.uint64),
        cell=np.arange(n, dtype=np.int32),
        street=chosen,
        start=np.zeros(n),
        stop=np.ones(n),
        length_m=t.network.length_m[chosen],
        access_ms=np.zeros(n, dtype=np.int64),
        no_network=np.zeros(n, dtype=bool),
    )


@pytest.fixture
def row() -> Town:
    """Two streets of 100 s, a shop in the middle of the first."""
    return town("A----s----B---------C")


def test_cumulative_counts_the_boundary(row: Town) -> None:
    at = [row.street["AB"], row.street["BC"], row.street["BC"], -1]
    origins = exact_snaps(at, [0.0, 0.0, 1.0, 0.0], [0, 0, 5 * S, 0])
    found = cumulative(
        row.network, origins, row.destinations("s"), [50 * S - 1, 50 * S, 155 * S - 1, 155 * S]
    )
    assert found[0, 0].tolist() == [0, 1, 1, 1]
    assert found[1, 0].tolist() == [0, 1, 1, 1]
    assert found[2, 0].tolist() == [0, 0, 0, 1]  # 150 s and a walk of 5 s
    assert np.isnan(found[3]).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("decay", "weight"),
    [
        (Decay.step(60 * S), lambda t: float(t <= 60)),
        (Decay.linear(120 * S), lambda t: max(1 - t / 120, 0)),
        (Decay.logistic(60 * S, 10 * S, limit_ms=400 * S), lambda t: 1 / (1 + math.exp((t - 60) / 10))),
        (Decay.exponential(50 * S, limit_ms=400 * S), lambda t: math.exp(-t / 50)),
        (Decay.gaussian(40 * S, limit_ms=400 * S), lambda t: math.exp(-(t**2) / 2 / 40**2)),
        (Decay.power(1.0, limit_ms=400 * S, full_ms=20 * S), lambda t: max(t, 20) ** -1.0 * 20),
        (Decay.power(2.0, limit_ms=400 * S, full_ms=20 * S), lambda t: max(t, 20) ** -2.0 * 400),
    ],
)
def test_gravity_is_the_integral(row: Town, decay: Decay, weight, engine: str) -> None:
    found = gravity(row.network, cells_of(row, "AB", "BC"), row.destinations("s"), decay, engine=engine)
    near = quad(weight, 0, 50, points=[20, 40])[0] / 50
    far = quad(weight, 50, 150, points=[60, 120])[0] / 100
    assert found[:, 0].tolist() == pytest.approx([near, far], abs=1e-7)
    assert decay.weight([0, 30 * S, 70 * S, 500 * S]) == pytest.approx(
        [weight(0), weight(30), weight(70), 0.0]
    )


def test_decays_end_where_nothing_is_left() -> None:
    for decay in (Decay.exponential(60 * S), Decay.gaussian(60 * S), Decay.logistic(300 * S, 60 * S)):
        assert decay.weight(decay.limit_ms) == pytest.approx(0.001, rel=0.01)
        assert decay.weight(decay.limit_ms + 1) == 0
    assert Decay.linear(0).weight([0, 1]).tolist() == [1, 0]


@pytest.mark.parametrize("wrong", [("spline", 1), ("step", -1), ("step", 2**31), ("linear", 1, 0.0)])
def test_senseless_decays_are_refused(wrong: tuple) -> None:
    with pytest.raises(InputError):
        Decay(*wrong)


def test_capacities_are_added(row: Town) -> None:
    found = cell_counts(
        row.network, cells_of(row, "AB"), row.destinations("s", capacity=250.5), [100 * S], weighted=True
    )
    assert found[0, 0, 0] == pytest.approx(250.5, rel=1e-9)
    vast = row.destinations("s", capacity=3e12)  # too large for plain integers
    assert cell_counts(row.network, cells_of(row, "AB"), vast, [100 * S], weighted=True)[
        0, 0, 0
    ] == pytest.approx(3e12)


def test_sweeps_refuse_capacities(row: Town) -> None:
    with pytest.raises(InputError, match="auto"):
        gravity(
            row.network,
            cells_of(row, "AB"),
            row.destinations("s"),
            Decay.step(9),
            weighted=True,
            engine="sweeps",
        )


@pytest.mark.parametrize("cutoffs", [[], [5, 5], [6, 5], [-1]])
def test_cutoffs_must_increase(row: Town, cutoffs: list[int]) -> None:
    with pytest.raises(InputError):
        cell_counts(row.network, cells_of(row, "AB"), row.destinations("s"), cutoffs)


def test_no_decay_is_refused(row: Town) -> None:
    with pytest.raises(InputError, match="no decay"):
        cell_units(row.network, cells_of(row, "AB"), row.destinations("s"), [])


def test_coverage_tells_share_and_time(row: Town) -> None:
    found = coverage(row.network, cells_of(row, "AB", "BC"), row.destinations("s"), cutoff_ms=75 * S)
    assert found.offsets.tolist() == [0, 2]
    assert found.cell.tolist() == [0, 1]
    assert found.share.tolist() == pytest.approx([1.0, 0.25])
    assert found.time_ms.tolist() == pytest.approx([25 * S, 62.5 * S])
    assert found.place.tolist() == [0, 0]


def test_coverage_of_a_place_that_nobody_reaches(row: Town) -> None:
    nowhere = Destinations(
        snaps=exact_snaps([-1], [0.0]),
        place=np.zeros(1, dtype=np.int32),
        category=np.zeros(1, dtype=np.int32),
        capacity=np.ones(1),
        n_categories=1,
    )
    assert coverage(row.network, cells_of(row, "AB"), nowhere, cutoff_ms=S).offsets.tolist() == [0, 0]


def test_two_step_divides_the_supply(row: Town) -> None:
    # the catchment takes all of AB and a quarter of BC: 100 + 0.25 · 40 people share 220 seats
    seats = row.destinations("s", capacity=220.0)
    cells = cells_of(row, "AB", "BC")
    people = np.array([100.0, 40.0])
    found = two_step_fca(row.network, cells, seats, people, Decay.step(75 * S))
    assert found[:, 0].tolist() == pytest.approx([2.0, 0.5])
    assert float((found[:, 0] * people).sum()) == pytest.approx(220.0)


def test_two_step_without_people_gives_nothing(row: Town) -> None:
    found = two_step_fca(
        row.network, cells_of(row, "AB"), row.destinations("s"), np.zeros(1), Decay.step(75 * S)
    )
    assert found.tolist() == [[0.0]]
    with pytest.raises(InputError, match="demand"):
        two_step_fca(row.network, cells_of(row, "AB"), row.destinations("s"), np.array([-1.0]), Decay.step(S))
