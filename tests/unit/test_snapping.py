"""Snapping to streets: nearest point on an edge, ties, limits and reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import InputError
from engine.snapping import LocalMetres, metric_streets, snap
from tests.towns import Town, town

NORTH_M = 1 / 111_195.0


@pytest.fixture
def square() -> Town:
    return town("""
A----B
|    |
C----D
    """)


def at(t: Town, name: str, *, north_m: float = 0.0, east_m: float = 0.0) -> list[float]:
    """A point beside a node."""
    i = t.vertex[name]
    lat = t.network.lat[i]
    return [t.network.lon[i] + east_m * NORTH_M / np.cos(np.radians(lat)), lat + north_m * NORTH_M]


def test_middle_of_a_street(square: Town) -> None:
    snaps = snap(square.network, np.array([at(square, "A", north_m=12.5, east_m=25.0)]), max_snap_m=100)
    assert snaps.street.tolist() == [square.street["AB"]]
    assert snaps.fraction[0] == pytest.approx(0.5, abs=1e-3)
    assert snaps.access_m[0] == pytest.approx(
        12.5, rel=0.01
    )  # the drawing is a sphere, the plane an ellipsoid
    assert snaps.access_ms[0] == pytest.approx(9000, rel=0.01)  # 12.5 m at 5 km/h


def test_junction_takes_the_lowest_street(square: Town) -> None:
    corners = np.array([at(square, name) for name in "ABCD"])
    snaps = snap(square.network, corners, max_snap_m=1)
    touching = [min(s for ends, s in square.street.items() if name in ends) for name in "ABCD"]
    assert snaps.street.tolist() == touching
    assert (np.minimum(snaps.fraction, 1 - snaps.fraction) < 1e-9).all()
    assert (snaps.access_ms == 0).all()


def test_rejections_say_why(square: Town) -> None:
    points = np.array([[np.nan, 60.0], [60.17, 124.94], at(square, "A", north_m=163.0), at(square, "A")])
    snaps = snap(square.network, points, max_snap_m=100)
    assert snaps.accepted.tolist() == [False, False, False, True]
    assert snaps.reason[0] == "no coordinates"
    assert "longitude comes first" in snaps.reason[1]
    assert snaps.reason[2] == "farther than 100 m from any walk street (163 m)"
    assert snaps.reason[3] == ""


def test_masked_streets_are_not_used(square: Town) -> None:
    allowed = np.ones(len(square.network.streets), dtype=bool)
    allowed[square.street["AB"]] = False
    snaps = snap(
        square.network, np.array([at(square, "A", north_m=5.0, east_m=20.0)]), max_snap_m=100, streets=allowed
    )
    assert snaps.street[0] == square.street["AC"]
    none = snap(square.network, np.array([at(square, "A")]), max_snap_m=100, streets=~allowed & allowed)
    assert none.reason[0] == "the walk network has no street to attach to"


@pytest.mark.parametrize("points", [np.zeros(2), np.zeros((3, 3))])
def test_wrong_shape_is_refused(square: Town, points: np.ndarray) -> None:
    with pytest.raises(InputError, match="longitude first"):
        snap(square.network, points, max_snap_m=100)


def test_empty_inputs(square: Town) -> None:
    assert len(snap(square.network, np.empty((0, 2)), max_snap_m=100).street) == 0
    nowhere = snap(town("A").network, np.array([[24.94, 60.17]]), max_snap_m=100)
    assert nowhere.street.tolist() == [-1]


@pytest.mark.parametrize("origin", [(179.9995, -16.5), (-70.0, -53.1), (18.9, 69.6)])
def test_anywhere_on_earth(origin: tuple[float, float]) -> None:
    t = town("A----B", origin=origin)
    snaps = snap(t.network, np.array([at(t, "A", north_m=-10.0, east_m=10.0)]), max_snap_m=50)
    assert snaps.fraction[0] == pytest.approx(0.2, abs=1e-3)
    assert snaps.access_m[0] == pytest.approx(10.0, rel=0.01)


def test_local_metres_meet_at_the_180th_meridian() -> None:
    plane = LocalMetres.around(np.array([179.999, -179.999]), np.array([0.0, 0.0]))
    xy = plane.project(np.array([[179.999, 0.0], [-179.999, 0.0]]))
    assert np.hypot(*(xy[1] - xy[0])) == pytest.approx(0.002 * 111_319.49, rel=1e-6)


def test_the_end_of_a_one_way_street_is_reached_from_its_junction() -> None:
    t = town(
        """
A->--B--C
        """
    )
    snaps = snap(t.network, np.array([at(t, "B")]), max_snap_m=1)
    assert snaps.street.tolist() == [t.street["BC"]]  # AB cannot be left from B
    assert snaps.fraction.tolist() == [0.0]


def test_a_network_without_streets_has_no_lines(square: Town) -> None:
    assert len(metric_streets(square.network)) == 4
    network = square.network
    bare = replace(
        network, streets=network.streets[:0], coords=network.coords[:0], offsets=network.offsets[:1]
    )
    assert len(metric_streets(bare)) == 0
    assert snap(bare, np.array([at(square, "A")]), max_snap_m=100).street.tolist() == [-1]
