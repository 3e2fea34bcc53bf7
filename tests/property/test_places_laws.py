"""Laws of places: order, translation and repetition change nothing; merging conserves area and sources."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.places.category import parse_taxonomy
from engine.places.extract import find_places
from engine.places.green import merge_parks
from engine.projection import equal_area_around

METRIC = equal_area_around(west=-8.6, south=41.15, east=-8.6, north=41.15)
TAXONOMY = parse_taxonomy(
    {
        "categories": {
            "shops": {"osm": {"shop": ["bakery", "butcher"]}},
            "green": {
                "geometry": "green",
                "access": "public",
                "min_area_ha": 0.1,
                "osm": {"leisure": "park"},
            },
        }
    }
)


def degrees(shapes: list[shapely.Geometry]) -> list[shapely.Geometry]:
    return list(gpd.GeoSeries(shapes, crs=METRIC).to_crs(4326)) if shapes else []


@st.composite
def mapped(draw: st.DrawFn) -> gpd.GeoDataFrame:
    ids, tags, shapes = [], [], []
    for k in range(draw(st.integers(0, 10))):
        x, y = draw(st.integers(0, 30)) * 10, draw(st.integers(0, 30)) * 10
        park, name = draw(st.booleans()), draw(st.sampled_from(["", "A", "B"]))
        shop = draw(st.sampled_from(["bakery", "butcher", "car"]))
        side = draw(st.sampled_from([10, 20, 40]))
        ids.append(f"way/{k}" if park else f"node/{k}")
        tags.append({"leisure": "park", "name": name} if park else {"shop": shop, "name": name})
        shapes.append(shapely.box(x, y, x + side, y + side) if park else shapely.Point(x, y))
    return gpd.GeoDataFrame({"id": ids, "tags": tags}, geometry=degrees(shapes), crs=4326)


@given(mapped(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_file_changes_nothing(features: gpd.GeoDataFrame, random) -> None:  # type: ignore[no-untyped-def]
    rows = list(range(len(features)))
    random.shuffle(rows)
    plain, mixed = find_places(features, TAXONOMY), find_places(features.iloc[rows], TAXONOMY)
    columns = ["id", "category", "name", "sources"]
    assert plain.table[columns].to_numpy().tolist() == mixed.table[columns].to_numpy().tolist()
    assert plain.dropped_counts() == mixed.dropped_counts()


@given(mapped())
@settings(max_examples=60, deadline=None)
def test_every_object_is_a_source_once_or_dropped(features: gpd.GeoDataFrame) -> None:
    places = find_places(features, TAXONOMY)
    sources = [s for text in places.table["sources"] for s in text.split(";")]
    assert len(sources) == len(set(sources))
    matching = {
        i
        for i, t in zip(features["id"], features["tags"], strict=True)
        if any(c.matches(t) for c in TAXONOMY.values())
    }
    assert matching == set(sources) | set(places.dropped["id"])


@given(mapped())
@settings(max_examples=40, deadline=None)
def test_what_was_found_again_is_the_same(features: gpd.GeoDataFrame) -> None:
    """A second copy of every object under another id adds sources, not named places."""
    mask = np.array([t["name"] != "" or "leisure" in t for t in features["tags"]], dtype=bool)
    named = features[mask].reset_index(drop=True)
    copy = named.assign(id=[i.replace("/", "/9") for i in named["id"]])
    twice = gpd.GeoDataFrame(
        {"id": [*named["id"], *copy["id"]], "tags": [*named["tags"], *copy["tags"]]},
        geometry=[*named.geometry, *copy.geometry],
        crs=4326,
    )
    once, again = find_places(named, TAXONOMY).table, find_places(twice, TAXONOMY).table
    assert once["category"].tolist() == again["category"].tolist()
    np.testing.assert_allclose(once["area_ha"].astype(float), again["area_ha"].astype(float), rtol=1e-9)


@given(mapped())
@settings(max_examples=60, deadline=None)
def test_merging_parks_conserves_their_land(features: gpd.GeoDataFrame) -> None:
    parks = features[features.geom_type == "Polygon"].reset_index(drop=True)
    parks = parks.assign(name="", sources=parks["id"])
    merged, dropped = merge_parks(parks)
    if len(parks):
        union = shapely.union_all(parks.to_crs(METRIC).geometry.to_numpy()).area / 1e4
        assert abs(merged["area_ha"].sum() - union) < 1e-5 * union
    assert len(merged) + len(dropped) == len(parks)
    small = [i for i, why in merge_parks(parks, min_area_ha=0.1)[1] if why == "too small"]
    assert len(small) == sum(len(s.split(";")) for s in merged.loc[merged["area_ha"] < 0.1, "sources"])
