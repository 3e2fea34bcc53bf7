"""Whom trees serve, by hand: streets as people know them, returns that diminish along them, three trees in sight."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from engine.cells import StreetPieces
from engine.network.street_network import StreetNetwork
from engine.sites.audience import in_sight, shaded, whole_streets
from engine.sites.trees import site_trees
from tests.towns import Town, town


def _named(drawn: Town, **names: str) -> StreetNetwork:
    name = np.full(len(drawn.network.streets), "", dtype=object)
    for street, called in names.items():
        name[drawn.street[street]] = called
    streets = drawn.network.streets.assign(name=name, highway="residential")
    return replace(drawn.network, streets=streets)


def test_a_street_goes_on_across_junctions_and_ends_where_its_name_does() -> None:
    #   A-B-C-D is cut at B and C; E-F bears the same name and does not touch it; C-G has another name
    drawn = town("A---B---C---D\n        |\n        G\n\n\nE---F")
    rue = {"AB": "Rue Lepic", "BC": "Rue Lepic", "CD": "Rue Lepic", "EF": "Rue Lepic", "CG": "Rue Tholozé"}
    number = whole_streets(_named(drawn, **rue))
    along = {street: int(number[row]) for street, row in drawn.street.items()}
    assert along["AB"] == along["BC"] == along["CD"]
    assert len(set(along.values())) == 3


def test_streets_without_a_name_follow_their_way() -> None:
    drawn = town("A---B---C---D")
    way = np.zeros(3, np.int64)
    way[[drawn.street["AB"], drawn.street["BC"]]] = 7
    way[drawn.street["CD"]] = 8
    network = replace(drawn.network, streets=drawn.network.streets.assign(osm_way=way))
    number = whole_streets(network)
    assert number[drawn.street["AB"]] == number[drawn.street["BC"]] != number[drawn.street["CD"]]


def test_streets_of_which_neither_name_nor_way_is_known_are_streets_of_their_own() -> None:
    drawn = town("A---B---C---D")
    network = replace(drawn.network, streets=drawn.network.streets.assign(osm_way=-1))
    assert sorted(whole_streets(network)) == [0, 1, 2]


def test_the_shade_of_a_street_by_hand() -> None:
    # 400 m in two edges of one name, 4 places that see 30, 30, 50 and 90 people: 50 on average, each counted once in
    # 200 m, so 100 in all. Lined on both sides: 100 trees of 8 m, of which 50 make one scale.
    drawn = town("A" + "-" * 19 + "B" + "-" * 19 + "C")
    network = _named(drawn, AB="Rue Monge", BC="Rue Monge")
    street = np.array([drawn.street["AB"], drawn.street["AB"], drawn.street["BC"], drawn.street["BC"]])
    trees = np.zeros(2)
    trees[drawn.street["BC"]] = 6.0
    found = shaded(network, street, np.array([30.0, 30, 50, 90]), trees, within_m=100.0)
    assert found.worth == pytest.approx([100.0], rel=1e-3)
    assert found.scale == pytest.approx([50.0], rel=1e-3)
    assert found.standing.tolist() == [6.0]
    assert found.dose.toarray().ravel() == pytest.approx([0.6, 0.6, 1.0, 1.8])


def test_cutting_a_street_changes_no_tree() -> None:
    """The same street in one edge and in two: the same places are worth the same."""
    whole, cut = town("A" + "-" * 39 + "C"), town("A" + "-" * 19 + "B" + "-" * 19 + "C")
    one, two = _named(whole, AC="Rue Monge"), _named(cut, AB="Rue Monge", BC="Rue Monge")
    exposed = np.array([30.0, 30, 50, 90])
    a = shaded(one, np.zeros(4, np.int64), exposed, np.array([3.0]), within_m=100.0)
    street = np.array([cut.street["AB"], cut.street["AB"], cut.street["BC"], cut.street["BC"]])
    b = shaded(two, street, exposed, np.array([1.0, 2.0]), within_m=100.0)
    assert a.dose.toarray() == pytest.approx(b.dose.toarray())
    for mine, other in ((a.worth, b.worth), (a.scale, b.scale), (a.standing, b.standing)):
        assert mine == pytest.approx(other, rel=1e-6)


def test_three_trees_in_sight_by_hand() -> None:
    # Homes at 0 and 200 m; trees today 50 m from the first, and 51 m. Places at 20, 50, 51 and 180 m.
    home, today = np.array([[0.0, 0.0], [200.0, 0.0]]), np.array([[0.0, 50.0], [0.0, 51.0]])
    places = np.array([[20.0, 0.0], [50.0, 0.0], [51.0, 0.0], [180.0, 0.0]])
    found = in_sight(places, home, np.array([40.0, 10.0]), today)
    assert found.dose.toarray().tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    assert found.standing.tolist() == [1.0, 0.0]
    assert found.scale.tolist() == [1.5, 1.5]


def test_who_has_three_trees_in_sight_is_counted_before_and_after() -> None:
    """Two streets far apart with 100 and 60 residents; the first sees two trees, and one more is planted."""
    drawn = town("A" + "-" * 5 + "B\n" + "\n" * 60 + "C" + "-" * 5 + "D")
    network = _named(drawn, AB="Rue A", CD="Rue C")
    pieces = StreetPieces(
        cells=np.arange(2, dtype=np.uint64),
        cell=np.arange(2, dtype=np.int32),
        street=np.array([drawn.street["AB"], drawn.street["CD"]], np.int32),
        start=np.zeros(2),
        stop=np.ones(2),
        length_m=network.length_m[[drawn.street["AB"], drawn.street["CD"]]],
        access_ms=np.zeros(2, np.int64),
        no_network=np.zeros(2, bool),
    )
    at = network.lon[drawn.vertex["A"]], network.lat[drawn.vertex["A"]]
    two = gpd.GeoDataFrame(geometry=[shapely.Point(at), shapely.Point(at)], crs=4326)
    plan = site_trees(network, network, pieces, [100.0, 60.0], count=1, existing=two)
    assert plan.figures["residents_three_trees_before"] == 0.0
    # 60 residents of Rue C see none: a first tree there is worth more than a third one to 100, e^(−4/3) of them
    assert plan.sites["name"].tolist() == ["Rue C"]
    more = site_trees(network, network, pieces, [100.0, 20.0], count=1, existing=two)
    assert more.sites["name"].tolist() == ["Rue A"]
    assert more.figures["residents_three_trees_after"] == 100.0
