"""What a site keeps clear of, read from the tags of OpenStreetMap."""

from __future__ import annotations

import geopandas as gpd
import shapely

from engine.sites.rules import CHARGERS, OBSTACLE_KINDS, SORTING, TREES
from pipelines.steps.site_inputs import obstacles


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
