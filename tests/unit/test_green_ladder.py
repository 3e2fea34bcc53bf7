"""The green ladder in metres along streets, never in minutes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.places.ladder import green_distances, ladder_summary, metre_network, metre_snaps
from tests.towns import exact_snaps, town


def pieces_of(network, streets: list[int]) -> StreetPieces:  # type: ignore[no-untyped-def]
    """One cell a street."""
    n = len(streets)
    return StreetPieces(
        cells=np.arange(n, dtype=np.uint64),
        cell=np.arange(n, dtype=np.int32),
        street=np.array(streets, dtype=np.int32),
        start=np.zeros(n),
        stop=np.ones(n),
        length_m=network.length_m[streets],
        access_ms=np.zeros(n, dtype=np.int64),
        no_network=np.zeros(n, dtype=bool),
    )


def test_metres_not_minutes() -> None:
    """
    A steep street takes ten times as long; the ladder does not care. AB is 100 m, BC 300 m::

        A----------B------------------------------C
        g: a small park at A;  p: a large one at C
    """
    t = town("A---------B-----------------------------C", times={"BC": (3_000_000, 3_000_000)})
    snaps = exact_snaps([0, 1], [0.0, 1.0])
    table = green_distances(
        t.network, pieces_of(t.network, [0, 1]), snaps, np.array([0, 1], dtype=np.int32), np.array([0.2, 2.0])
    )
    ab, bc = t.network.length_m
    assert table["green_01ha_300m_m"].to_numpy() == pytest.approx(
        [ab / 2, ((ab + bc) ** 2 / 4 - (ab**2) / 2) / bc], rel=1e-3
    )
    assert table["green_05ha_300m_m"].to_numpy() == pytest.approx([bc + ab / 2, bc / 2], rel=1e-5)
    assert table["green_15ha_500m_m"].to_numpy() == pytest.approx([bc + ab / 2, bc / 2], rel=1e-5)
    assert table["green_1ha_300m"].tolist() == [False, True]
    assert table["green_15ha_500m"].tolist() == [True, True]


def test_the_distance_is_inclusive_and_the_leg_counts() -> None:
    t = town("A------------------------------B")
    snaps = exact_snaps([0], [0.0], access_ms=0)
    network = t.network
    near = green_distances(
        network, pieces_of(network, [0]), snaps, np.zeros(1, dtype=np.int32), np.array([0.1])
    )
    half = float(network.length_m[0]) / 2
    assert near["green_01ha_300m_m"].iloc[0] == pytest.approx(half, abs=1e-3)
    from dataclasses import replace

    off = replace(snaps, access_m=np.array([300.0 - half]))
    at_limit = green_distances(
        network, pieces_of(network, [0]), off, np.zeros(1, dtype=np.int32), np.array([0.1])
    )
    assert at_limit["green_01ha_300m_m"].iloc[0] == pytest.approx(300, abs=1e-3)
    assert bool(at_limit["green_01ha_300m"].iloc[0])


def test_no_large_park_is_null_and_not_within() -> None:
    t = town("A--B")
    table = green_distances(
        t.network,
        pieces_of(t.network, [0]),
        exact_snaps([0], [0.5]),
        np.zeros(1, dtype=np.int32),
        np.array([0.3]),
    )
    assert np.isnan(table["green_1ha_300m_m"].iloc[0])
    assert not table["green_1ha_300m"].iloc[0]
    summary = ladder_summary(table, np.array([40.0]))
    assert summary["green_01ha_300m"]["share"] == 1
    assert summary["green_1ha_300m"]["share"] == 0
    assert summary["green_1ha_300m"]["mean_m"] is None
    assert ladder_summary(table, np.array([0.0]))["green_01ha_300m"]["share"] is None


def test_one_way_streets_stay_one_way() -> None:
    network = metre_network(town("A->-B").network)
    assert network.forward_ms.tolist() == [round(float(network.length_m[0]) * 1000)]
    assert network.backward_ms.tolist() == [-1]
    assert metre_snaps(exact_snaps([0], [0.0])).access_ms.tolist() == [0]


def test_an_entrance_needs_a_park() -> None:
    t = town("A--B")
    with pytest.raises(InputError, match="park 3"):
        green_distances(
            t.network,
            pieces_of(t.network, [0]),
            exact_snaps([0], [0.5]),
            np.array([3], dtype=np.int32),
            np.ones(1),
        )
