"""What a site keeps clear of, read from the tags of OpenStreetMap."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from engine.sites.candidates import KerbRule, street_side_candidates
from engine.sites.rules import CHARGERS, OBSTACLE_KINDS, SORTING, TREES
from engine.snapping import local_metres
from pipelines.steps.site_inputs import obstacles
from tests.towns import town


def test_doors_walls_and_bollards_but_no_kerbs() -> None:
    point, line, yard = shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 0)]), shapely.box(0, 0, 1, 1)
    features = gpd.GeoDataFrame(
        {
            "tags": [
                {"entrance": "main"},
                {"entrance": "no"},
                {"barrier": "bollard"},
                {"barrier": "kerb"},
                {"barrier": "wall"},
                {"barrier": "fence", "landuse": "residential"},
            ]
        },
        geometry=[point, point, point, line, line, yard],
        crs=4326,
    )
    found = obstacles(features, [])
    assert list(found["door"]) == [point]
    bollard, wall, fence = found["barrier"]
    assert (bollard, wall) == (point, line)
    assert fence.equals(yard.exterior), "a fenced yard keeps sites off its fence, not out of its ground"


def test_every_rule_names_obstacles_that_are_read() -> None:
    empty = gpd.GeoDataFrame({"tags": []}, geometry=[], crs=4326)
    read = {*obstacles(empty, []), "walkway"}
    assert set(OBSTACLE_KINDS) <= read
    for rule in (CHARGERS, SORTING, TREES):
        assert {"door", "barrier"} <= set(rule.clearance_m)


@pytest.mark.parametrize("rule", [CHARGERS, SORTING, TREES], ids=["chargers", "sorting", "trees"])
@pytest.mark.parametrize(
    ("kind", "tags"), [("bus_stop", {"highway": "bus_stop"}), ("crossing", {"highway": "crossing"})]
)
def test_bus_stops_and_crossings_keep_the_distance_of_the_rule(
    rule: KerbRule, kind: str, tags: dict[str, str]
) -> None:
    drawn = town("A" + "-" * 39 + "B")  # 400 m
    bare = replace(rule, needs_pavement=False, needs_parking=False, junction_clearance_m=0.0)
    plane = local_metres(drawn.network)
    free = street_side_candidates(drawn.network, bare)
    at = free.points[["lon", "lat"]].to_numpy()[len(free.points) // 2]
    stop = gpd.GeoDataFrame({"tags": [tags]}, geometry=[shapely.Point(at)], crs=4326)
    found = street_side_candidates(drawn.network, bare, obstacles=obstacles(stop, []))

    def away(points: gpd.GeoDataFrame) -> np.ndarray:
        return np.hypot(*(plane.project(points[["lon", "lat"]].to_numpy()) - plane.project(at[None])).T)

    least = rule.clearance_m[kind]
    assert away(found.points).min() >= least
    assert len(found.points) == (away(free.points) >= least).sum() < len(free.points)
