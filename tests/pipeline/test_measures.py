"""Mean of the k nearest, gravity with every decay, and supply per head, as cells.parquet carries them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import geopandas as gpd
import numpy as np
import pytest

from pipelines import RunDirectory, run
from pipelines.config import DecayName
from pipelines.proposals import open_base, with_measures
from pipelines.steps.measures import decay_of, further_columns
from tests.osm_town import osm_xml

ALONG = {"highway": "residential"}
MINUTE_M = 250 / 3
"""[m] A minute at 5 km/h."""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """One street of ten minutes; schools at its ends take 100 and 300 pupils, a third has no number."""
    folder = tmp_path_factory.mktemp("street")
    schools = {
        "A": {"amenity": "school", "name": "West", "capacity": "100"},
        "B": {"amenity": "school", "name": "Middle"},
        "C": {"amenity": "school", "name": "East", "capacity": "300"},
    }
    (folder / "town.osm").write_text(osm_xml("A----B----C", [("ABC", ALONG)], nodes=schools, cell_m=MINUTE_M))
    x = 11 * MINUTE_M / 111_195
    ring = [[-0.002, -0.002], [x, -0.002], [x, 0.002], [-0.002, 0.002], [-0.002, -0.002]]
    home = gpd.GeoDataFrame({"population": [1000.0]}, geometry=[_polygon(ring)], crs="EPSG:4326")
    home.to_file(folder / "homes.geojson")
    kinds = ", ".join(f"'{k}'" for k in get_args(DecayName))
    (folder / "town.toml").write_text(
        f"[area]\nname='street'\nbbox=[-0.002, -0.002, {x}, 0.002]\n[source]\nosm='town.osm'\n"
        "[network]\nbike={enabled=false}\nstreet30={enabled=false}\n"
        "[population]\npolygons='homes.geojson'\n"
        f"[scoring]\ngravity=[{kinds}]\nnearest_mean_of=2\ncatchment_min=20\n"
    )
    return run(folder / "town.toml", cache=folder)


def _polygon(ring: list[list[float]]) -> object:
    from shapely import Polygon

    return Polygon(ring)


def test_the_mean_of_two_is_the_mean_of_the_nearest_and_the_second(street: RunDirectory) -> None:
    cells = street.cells
    mean = (cells["walk_schools_minutes"] + cells["walk_schools_second_minutes"]) / 2
    assert mean.notna().any()
    np.testing.assert_allclose(cells["walk_schools_mean2_minutes"], mean, atol=2e-6)
    assert cells["walk_shops_mean2_minutes"].isna().all()


def test_gravity_with_a_step_is_the_number_in_reach_and_every_decay_stays_below_it(
    street: RunDirectory,
) -> None:
    cells = street.cells
    within = cells["walk_schools_n15"]
    np.testing.assert_allclose(cells["walk_schools_gravity_step"], within, atol=2e-6)
    for kind in set(get_args(DecayName)) - {"step"}:
        column = cells[f"walk_schools_gravity_{kind}"]
        assert (column <= within + 1e-6).all()
        assert (column < within - 0.05).any()
    assert (cells["walk_shops_gravity_step"].dropna() == 0).all()


@pytest.mark.parametrize("kind", ["logistic", "exponential", "gaussian", "power"])
def test_a_decay_has_its_half_where_it_says_and_its_end_at_the_limit(kind: DecayName) -> None:
    decay = decay_of(kind, half_min=5, limit_min=15)
    half, end, beyond = decay.weight([300_000, 900_000, 900_001])
    assert half == pytest.approx(0.5, abs=0.02)
    assert 0 < end < half
    assert beyond == 0


def test_supply_per_head_gives_everybody_the_whole_supply(street: RunDirectory) -> None:
    """The catchment spans the town: 100 + 300 + the median 200 pupils are shared by all 1,000 residents."""
    cells = street.cells
    known = cells[~cells["no_network"]]
    share = known["population"].sum() / cells["population"].sum()
    np.testing.assert_allclose(known["walk_schools_supply_per_1000"], 600 / share, rtol=1e-6)
    assert "walk_shops_supply_per_1000" not in cells.columns
    assert street.manifest["reports"]["measures_walk"]["capacity_known"]["schools"] == [2, 3]


@pytest.mark.parametrize(
    ("override", "moved"),
    [
        ("scoring.gravity_half_min=2", "walk_schools_gravity_power"),
        ("scoring.catchment_min=3", "walk_schools_supply_per_1000"),
        ("scoring.catchment_decay=linear", "walk_schools_supply_per_1000"),
    ],
)
def test_a_key_moves_its_column(street: RunDirectory, tmp_path: Path, override: str, moved: str) -> None:
    folder = street.path.parents[1]
    other = run(folder / "town.toml", out=tmp_path / "out", cache=folder, overrides=[override])
    assert not np.allclose(street.cells[moved], other.cells[moved], equal_nan=True)


def test_without_capacities_or_people_there_is_no_supply(demo_run: RunDirectory) -> None:
    assert not [c for c in demo_run.cells.columns if "supply" in c]
    assert "walk_shops_mean3_minutes" in demo_run.cells.columns
    assert "bike_green_gravity_linear" in demo_run.cells.columns


def test_other_times_are_not_taken_for_categories(demo_run: RunDirectory) -> None:
    from engine.scoring import categories_of

    assert categories_of(demo_run.cells, mode="walk") == demo_run.categories


def test_a_proposal_leaves_out_what_it_does_not_measure_again(street: RunDirectory) -> None:
    base = open_base(street)
    mine = further_columns(street.cells, ("walk",))
    assert len(mine) == 4 * (1 + len(get_args(DecayName))) + 1
    assert list(with_measures(base, {}).columns) == list(street.cells.columns)
    from pipelines.proposals import check_base, mode_measures

    after = with_measures(base, {"walk": mode_measures(base, "walk", base.tables["walk"])})
    assert set(street.cells.columns) - set(after.columns) == set(mine)
    check_base(base)
