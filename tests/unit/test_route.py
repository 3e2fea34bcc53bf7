"""Nearest places from a point of a street, and the way there, on towns small enough to walk in the head."""

from __future__ import annotations

import numpy as np
import shapely

from engine.reach import nearest
from engine.route import nearest_at, route_to_place
from tests.towns import town

TOWN = """
A-----B-s-C
|         |
D-->--E---F
"""
"""The shop s is 20 s beyond B. D to E is one-way; every other street goes both ways."""


def test_the_two_nearest_from_a_point_of_a_street() -> None:
    """From a third of the way on AB: 40 s on to B, then 20 s to the first shop and 40 s to the second."""
    t = town("A-----B-s-s-C")
    shops = t.destinations("s")
    field = nearest(t.network, shops, k=2)
    found = nearest_at(t.network, shops, field, category=0, street=t.street["AB"], fraction=1 / 3)
    assert [(round(ms), place) for ms, place in found] == [(60_000, 0), (80_000, 1)]


def test_a_place_on_the_same_street_is_reached_directly_and_only_the_way_that_is_open() -> None:
    t = town("A--s-->--B")
    shops = t.destinations("s")
    field = nearest(t.network, shops, k=1)
    street = t.street["AB"]
    before = nearest_at(t.network, shops, field, category=0, street=street, fraction=0.0)
    assert [(round(ms), place) for ms, place in before] == [(30_000, 0)]
    assert nearest_at(t.network, shops, field, category=0, street=street, fraction=0.9) == []
    assert route_to_place(t.network, shops, street=street, fraction=0.9, place=0) is None
    route = route_to_place(t.network, shops, street=street, fraction=0.0, place=0)
    assert route is not None
    assert route.time_ms == 30_000


def test_the_way_obeys_the_one_way_street() -> None:
    """From the middle of EF (20 s to F): E to D is closed, so the way goes by F and C, 20 + 20 + 20 s."""
    t = town(TOWN)
    shops = t.destinations("s")
    route = route_to_place(t.network, shops, street=t.street["EF"], fraction=0.5, place=0)
    assert route is not None
    assert (route.time_ms, round(route.length_m)) == (60_000, 60)
    assert route.line is not None
    n = t.network
    corners = [(n.lon[t.vertex[x]], n.lat[t.vertex[x]]) for x in "FC"]
    np.testing.assert_allclose(shapely.get_coordinates(route.line)[1:3], corners)


def test_the_route_takes_the_time_that_the_labels_say() -> None:
    """From every street and three points of it, the search by labels and the search for a way agree."""
    t = town(TOWN)
    shops = t.destinations("s")
    field = nearest(t.network, shops, k=1)
    for street in range(len(t.network.streets)):
        for fraction in (0.0, 0.25, 1.0):
            found = nearest_at(t.network, shops, field, category=0, street=street, fraction=fraction)
            route = route_to_place(t.network, shops, street=street, fraction=fraction, place=0)
            assert route is not None
            assert route.time_ms == round(found[0][0])


def test_a_street_may_take_no_time() -> None:
    """AB is free in one direction or both: the way along it is found all the same."""
    for times, ways in (((0, 0), (True, True)), ((0, -1), (True, False)), ((-1, 0), (False, True))):
        t = town("A--s--B", times={"AB": times})
        shops = t.destinations("s")
        for fraction, open_ in zip((0.25, 0.75), ways, strict=True):
            route = route_to_place(t.network, shops, street=0, fraction=fraction, place=0)
            assert (route is not None) == open_
            assert route is None or (route.time_ms, round(route.length_m)) == (0, 15)


def test_who_stands_at_the_place_has_no_way_to_draw() -> None:
    t = town("A--s--B")
    route = route_to_place(t.network, t.destinations("s"), street=t.street["AB"], fraction=0.5, place=0)
    assert route is not None
    assert (route.time_ms, route.length_m, route.line) == (0, 0.0, None)
