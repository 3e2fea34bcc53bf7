"""Gaps: which cells, joined how, ranked by what, and the sentence that says why."""

from __future__ import annotations

import geopandas as gpd
import h3
import numpy as np
import pytest
import shapely
from scipy.sparse.csgraph import connected_components

from engine.errors import SchemaError
from engine.gaps import ALL, GAP_COLUMNS, _joined, cell_graph, find_gaps

NAN = float("nan")
MIDDLE = h3.latlng_to_cell(48.85, 2.35, 10)


def outline(cell: str) -> shapely.Polygon:
    return shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])


def ring(k: int) -> list[str]:
    return sorted(h3.grid_ring(MIDDLE, k))


def city(cells: list[str], **columns: list[object]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"h3_cell": cells, **columns}, geometry=[outline(c) for c in cells], crs=4326)


def line(n: int) -> list[str]:
    """A row of n cells, each touching the next."""
    start, end = MIDDLE, max(h3.grid_ring(MIDDLE, n - 1))
    return h3.grid_path_cells(start, end)


def test_neighbours_join_and_strangers_do_not() -> None:
    """
    A row of six cells at 20, 20, 5, 30, 5, 20 minutes: three gaps::

        [20][20][ 5][30][ 5][20]
    """
    row = line(6)
    gaps = find_gaps(
        city(row, population=[10, 10, 10, 10, 10, 10], walk_shops_minutes=[20, 20, 5, 30, 5, 20]), mode="walk"
    )
    assert [set(g.split(";")) for g in gaps["h3_cells"]] == [{row[3]}, {row[0], row[1]}, {row[5]}]
    assert gaps["rank"].tolist() == [1, 2, 3]
    assert gaps["burden"].tolist() == [150, 100, 50]
    assert gaps["residents"].tolist() == [10, 20, 10]
    assert gaps["gap"].tolist() == ["walk-shops-1", "walk-shops-2", "walk-shops-3"]
    assert list(gaps.columns) == list(GAP_COLUMNS)


def test_the_threshold_is_served() -> None:
    assert find_gaps(city(line(2), walk_shops_minutes=[15.0, 14.0]), mode="walk").empty
    assert len(find_gaps(city(line(2), walk_shops_minutes=[15.1, 14.0]), mode="walk")) == 1
    assert len(find_gaps(city(line(2), walk_shops_minutes=[15.0, 14.0]), mode="walk", threshold_min=10)) == 1


def test_more_residents_rank_before_more_minutes() -> None:
    row = line(3)
    table = city(row, population=[100, 0.5, 1], walk_shops_minutes=[16.0, 5.0, 40.0])
    assert find_gaps(table, mode="walk", limit_min=60)["h3_cells"].tolist() == [row[0], row[2]]
    nobody = find_gaps(table.drop(columns="population"), mode="walk", limit_min=60)
    assert nobody["h3_cells"].tolist() == [row[2], row[0]]
    assert nobody["ranked_by"].tolist() == ["cells × minutes"] * 2
    assert nobody["residents"].isna().all()


def test_a_category_that_no_cell_reaches_does_not_hide_where_the_others_are_missing() -> None:
    row = line(3)
    table = city(
        row, population=[5, 5, 5], walk_shops_minutes=[5.0, 20.0, 5.0], walk_sorting_minutes=[NAN, NAN, NAN]
    )
    gaps = find_gaps(table, mode="walk", limit_min=60).set_index("category")
    assert gaps.loc[ALL, "h3_cells"] == row[1]
    assert gaps.loc[ALL, "mean_minutes"] == 20
    assert "sorting" not in gaps.loc[ALL, "why"]
    assert gaps.loc["sorting", "cells"] == 3
    nothing = table.assign(walk_shops_minutes=NAN)
    assert find_gaps(nothing, mode="walk").set_index("category").loc[ALL, "cells"] == 3


def test_cells_without_people_or_streets_are_in_no_gap() -> None:
    row = line(3)
    table = city(
        row, population=[5, 0, 5], walk_shops_minutes=[20.0, 20.0, NAN], no_network=[False, False, True]
    )
    assert find_gaps(table, mode="walk")["h3_cells"].tolist() == [row[0]]


def test_unreachable_counts_as_the_limit() -> None:
    gaps = find_gaps(
        city(line(2), population=[2, 2], walk_shops_minutes=[NAN, 5.0]), mode="walk", limit_min=45
    )
    assert gaps["mean_minutes"].tolist() == [45]
    assert gaps["burden"].tolist() == [60]
    assert gaps["unreachable_cells"].tolist() == [1]
    assert "1 cell without any in reach, counted as 45 min" in gaps["why"].iloc[0]


def test_every_category_and_all_together() -> None:
    """Cell 0 lacks green only, cell 1 both: in the gap of all, the slowest category counts."""
    row = line(2)
    table = city(row, population=[10, 10], walk_shops_minutes=[5.0, 25.0], walk_green_minutes=[20.0, 35.0])
    gaps = find_gaps(table, mode="walk", labels={"green": "Green space"}, limit_min=60)
    assert gaps["category"].tolist() == ["shops", "green", ALL]
    whole = gaps[gaps["category"] == ALL].iloc[0]
    assert whole["burden"] == 10 * 5 + 10 * 20
    assert whole["missing"] == "green;shops"
    assert whole["why"] == (
        "20 residents in 2 cells: 27.5 min (on foot) to the slowest category (green space, shops), "
        "12.5 more than 15."
    )
    assert gaps.iloc[0]["missing"] == "shops;green"


def test_the_sentence_warns_of_the_edge() -> None:
    table = city(line(1), population=[10], walk_shops_minutes=[20.0], edge_affected=[True])
    why = find_gaps(table, mode="walk")["why"].iloc[0]
    assert why.startswith(
        "10 residents in 1 cell: 20.0 min (on foot) to shops, 5.0 more than 15; all at the edge of the data"
    )


def test_a_gap_lies_in_the_neighbourhood_of_most_of_its_residents() -> None:
    """Two cells of Bonfim with 3 residents each, one of Sé with 10, one of none; without residents cells count."""
    table = city(line(4), walk_shops_minutes=[20.0] * 4, neighbourhood=["Bonfim", "Bonfim", "Sé", None])
    gap = find_gaps(table.assign(population=[3, 3, 10, 40]), mode="walk").iloc[0]
    assert gap["neighbourhood"] == "Sé"
    assert gap["why"].startswith("Sé, 56 residents in 4 cells: ")
    assert find_gaps(table, mode="walk")["neighbourhood"].tolist() == ["Bonfim"]
    assert find_gaps(table.drop(columns="neighbourhood"), mode="walk")["neighbourhood"].tolist() == [""]


@pytest.mark.parametrize("cell_by_cell_up_to", [20_000, 40])
def test_a_large_gap_is_cut_into_connected_parts_that_lose_nothing(
    cell_by_cell_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.gaps.WARD_CELLS", cell_by_cell_up_to)
    cells = sorted(h3.grid_disk(MIDDLE, 6))
    table = city(cells, population=[1.0] * len(cells), walk_shops_minutes=[20.0] * len(cells))
    whole = find_gaps(table, mode="walk", max_area_km2=100)
    parts = find_gaps(table, mode="walk", max_area_km2=0.5)
    assert len(whole) == 1
    assert len(parts) == np.ceil(whole["area_km2"].iloc[0] / 0.5)
    members = [set(g.split(";")) for g in parts["h3_cells"]]
    assert sorted(c for m in members for c in m) == cells
    for m in members:
        seen, todo = set(), [min(m)]
        while todo:
            c = todo.pop()
            seen.add(c)
            todo += [n for n in h3.grid_ring(c, 1) if n in m - seen]
        assert seen == m
    assert parts["burden"].sum() == pytest.approx(whole["burden"].sum())


def test_cells_of_a_very_large_gap_are_joined_to_parents_and_stay_connected() -> None:
    cells = sorted(h3.grid_disk(MIDDLE, 12))
    cells = [c for c in cells if c not in h3.grid_ring(MIDDLE, 8)[::5]]
    graph = cell_graph(cells)
    names = np.array(cells, dtype=object)
    node = _joined(graph, names, most=100, least=8)
    groups = [names[node == k] for k in range(node.max() + 1)]
    assert 8 <= len(groups) <= 100 < len(cells)
    for group in groups:
        assert len({h3.cell_to_parent(c, 9) for c in group}) == 1
        assert len(group) <= 7
        assert connected_components(cell_graph(group))[0] == 1
    few = _joined(graph, names, most=100, least=len(cells))
    assert few.tolist() == list(range(len(cells))), "never fewer groups than the cut asks for"


def test_categories_that_lack_in_the_same_cells_have_the_same_gaps() -> None:
    row = line(6)
    times = [20.0, 20.0, 5.0, 30.0, 5.0, NAN]
    table = city(row, walk_shops_minutes=times, walk_green_minutes=[t + 5 for t in times])
    gaps = find_gaps(table, mode="walk")
    shops, green, both = (gaps[gaps["category"] == name] for name in ("shops", "green", ALL))
    assert set(shops["h3_cells"]) == set(green["h3_cells"]) == set(both["h3_cells"])
    pair = ";".join(sorted(row[:2]))
    assert green.set_index("h3_cells")["burden"][pair] == 20
    assert shops.set_index("h3_cells")["burden"][pair] == 10


def test_the_order_of_the_cells_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    cells = sorted(h3.grid_disk(MIDDLE, 5))
    table = city(
        cells,
        population=rng.integers(0, 50, len(cells)).astype(float).tolist(),
        walk_shops_minutes=rng.uniform(5, 25, len(cells)).tolist(),
    )
    gaps = find_gaps(table, mode="walk")
    shuffled = find_gaps(table.sample(frac=1, random_state=2), mode="walk")
    assert gaps["h3_cells"].tolist() == shuffled["h3_cells"].tolist()
    assert gaps["burden"].to_numpy() == pytest.approx(shuffled["burden"].to_numpy())


def test_the_graph_of_cells_is_symmetric_and_has_six_neighbours() -> None:
    graph = cell_graph([MIDDLE, *ring(1), *ring(3)])
    assert (graph != graph.T).nnz == 0
    assert graph[[0]].sum() == 6
    assert cell_graph([MIDDLE]).nnz == 0


def test_a_pentagon_has_five_neighbours() -> None:
    pentagon = h3.get_pentagons(5)[0]
    assert cell_graph([pentagon, *(set(h3.grid_disk(pentagon, 1)) - {pentagon})])[[0]].sum() == 5


def test_nothing_wrong_is_an_empty_table_and_missing_columns_are_named() -> None:
    gaps = find_gaps(city(line(2), walk_shops_minutes=[1.0, 2.0]), mode="walk")
    assert gaps.empty
    assert list(gaps.columns) == list(GAP_COLUMNS)
    assert gaps.crs.equals("EPSG:4326")
    with pytest.raises(SchemaError, match="bike_green_minutes"):
        find_gaps(city(line(1), walk_shops_minutes=[1.0]), mode="bike", categories=["green"])
    with pytest.raises(SchemaError, match="h3_cell"):
        find_gaps(city(line(1), walk_shops_minutes=[1.0]).drop(columns="h3_cell"), mode="walk")
