"""Finding a street or a place by its name."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ui.search import build_index, fold


@pytest.fixture(scope="module")
def index():
    streets = gpd.GeoDataFrame(
        {"name": ["Rue de l'Évangile", "Rue de l'Évangile", None, "Place d’Italie", " "]},
        geometry=[shapely.LineString([(i, 0), (i + 1, 1)]) for i in range(5)],
        crs=4326,
    )
    places = gpd.GeoDataFrame(
        {"name": ["Évangile Primeurs", "École d'Italie", None], "category": ["shops", "schools", "shops"]},
        geometry=[shapely.Point(9, 9), shapely.Point(8, 8), shapely.Point(7, 7)],
        crs=4326,
    )
    return build_index(streets, places)


def test_pieces_of_a_street_are_one_hit_with_the_box_of_all(index) -> None:
    hits = index.find("evangile")
    assert [(h.name, h.kind) for h in hits] == [
        ("Évangile Primeurs", "shops"),
        ("Rue de l'Évangile", "street"),
    ]
    assert hits[1].bounds == (0.0, 0.0, 2.0, 1.0)


@pytest.mark.parametrize("query", ["ÉVANGILE", "  rue   de l’evangile ", "l'év", "Rue-de"])
def test_case_accents_and_punctuation_do_not_matter(index, query: str) -> None:
    assert "Rue de l'Évangile" in [h.name for h in index.find(query)]


def test_nothing_finds_nothing(index) -> None:
    assert index.find("") == index.find("   ") == index.find("!?") == index.find("zzz") == []


@given(st.text(max_size=300))
def test_no_query_breaks_it(text: str) -> None:
    empty = gpd.GeoDataFrame({"name": []}, geometry=[], crs=4326)
    assert build_index(empty, empty).find(text) == []
    assert fold(fold(text)) == fold(text)
