"""Laws of moving people: nobody is lost, invented, or moved by relabelling."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.population import population_to_cells
from engine.projection import equal_area_around

METRIC = equal_area_around(west=2.35, south=48.85, east=2.35, north=48.85)
SIDE = 100.0


def grid(n: int = 3) -> gpd.GeoDataFrame:
    boxes = [
        shapely.box(i * SIDE, j * SIDE, (i + 1) * SIDE, (j + 1) * SIDE) for i in range(n) for j in range(n)
    ]
    frame = gpd.GeoDataFrame({"h3_cell": [str(k) for k in range(n * n)]}, geometry=boxes, crs=METRIC)
    return frame.to_crs(4326)


CELLS = grid()
coordinate = st.floats(-150, 450, allow_nan=False)


@st.composite
def tracts(draw: st.DrawFn) -> gpd.GeoDataFrame:
    n = draw(st.integers(1, 6))
    shapes = []
    for _ in range(n):
        x, y = draw(coordinate), draw(coordinate)
        w, h = draw(st.floats(5, 300)), draw(st.floats(5, 300))
        shapes.append(shapely.box(x, y, x + w, y + h))
    people = draw(st.lists(st.floats(0, 1e5), min_size=n, max_size=n))
    income = draw(st.lists(st.floats(1, 1e5), min_size=n, max_size=n))
    return gpd.GeoDataFrame({"population": people, "income": income}, geometry=shapes, crs=METRIC)


@given(tracts())
@settings(max_examples=60, deadline=None)
def test_everybody_is_inside_or_outside(people: gpd.GeoDataFrame) -> None:
    moved = population_to_cells(CELLS, people)
    tolerance = 1e-9 * max(moved.total, 1)
    assert abs(moved.inside + moved.outside - people["population"].sum()) <= tolerance
    assert abs(moved.table["population"].sum() - moved.inside) <= tolerance
    assert (moved.table["population"] >= 0).all()
    assert moved.outside >= -tolerance


@given(tracts())
@settings(max_examples=40, deadline=None)
def test_the_study_area_loses_nobody(people: gpd.GeoDataFrame) -> None:
    """An area that holds every tract keeps every resident, wherever the cells lie."""
    area = gpd.GeoSeries([shapely.box(-500, -500, 1000, 1000)], crs=METRIC).to_crs(4326).iloc[0]
    moved = population_to_cells(CELLS, people, area=area)
    assert abs(moved.inside - moved.total) <= 1e-9 * max(moved.total, 1)


@given(tracts(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_changes_nothing(people: gpd.GeoDataFrame, random) -> None:  # type: ignore[no-untyped-def]
    rows, columns = list(range(len(people))), list(range(len(CELLS)))
    random.shuffle(rows)
    random.shuffle(columns)
    plain = population_to_cells(CELLS, people, means=["income"]).table.set_index("h3_cell")
    mixed = population_to_cells(CELLS.iloc[columns], people.iloc[rows], means=["income"]).table.set_index(
        "h3_cell"
    )
    pd.testing.assert_frame_equal(plain, mixed.loc[plain.index], rtol=1e-9, atol=1e-9)


@given(tracts())
@settings(max_examples=30, deadline=None)
def test_a_mean_lies_between_its_parts(people: gpd.GeoDataFrame) -> None:
    income = population_to_cells(CELLS, people, means=["income"]).table["income"].dropna()
    low, high = people["income"].min(), people["income"].max()
    assert ((income >= low * (1 - 1e-9)) & (income <= high * (1 + 1e-9))).all()


@given(tracts(), st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_twice_the_people_give_twice_the_people(people: gpd.GeoDataFrame, factor: float) -> None:
    once = population_to_cells(CELLS, people).table["population"].to_numpy()
    more = population_to_cells(CELLS, people.assign(population=people["population"] * factor)).table[
        "population"
    ]
    np.testing.assert_allclose(more.to_numpy(), once * factor, rtol=1e-9, atol=1e-9)


@given(tracts())
@settings(max_examples=30, deadline=None)
def test_buildings_conserve_too(people: gpd.GeoDataFrame) -> None:
    houses = gpd.GeoDataFrame(
        {"floors": [1.0, 5.0, 2.0]},
        geometry=[shapely.box(10, 10, 40, 40), shapely.box(210, 20, 240, 90), shapely.box(350, 0, 400, 50)],
        crs=METRIC,
    )
    moved = population_to_cells(CELLS, people, by="buildings", buildings=houses)
    assert abs(moved.inside + moved.outside - moved.total) <= 1e-9 * max(moved.total, 1)
    assert (moved.table["population"] >= 0).all()
