"""City scale: a proven answer within a minute, on the whole of Paris and on an instance that overlaps heavily."""

from __future__ import annotations

import functools
import resource
import time
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.sparse as sp
import shapely
from pyproj import Transformer
from scipy.spatial import cKDTree

from engine.cells import StreetPieces, cell_polygons, cells_in_area, street_pieces
from engine.network.street_network import StreetNetwork
from engine.population import population_to_cells
from engine.sites.ask import Scenario, StationAsk
from engine.sites.candidates import KerbRule, street_side_candidates
from engine.sites.catchment import catchment, served
from engine.sites.concave import concave_covering
from engine.sites.covering import maximal_covering
from engine.sites.rules import TREES
from engine.sites.stations import site_stations
from engine.sites.trees import site_trees
from engine.snapping import snap

pytestmark = pytest.mark.bench

MINUTE = 60.0
GIGABYTE_KB = 1_000_000
"""[kB] Memory of the whole process at its highest, tests and imports included."""


def _paris(shared_data: Path) -> StreetNetwork:
    nodes = pd.read_csv(shared_data / "paris" / "street_nodes.csv")
    edges = pd.read_csv(shared_data / "paris" / "street_edges.csv")
    row = pd.Series(np.arange(len(nodes), dtype=np.int32), index=nodes["node_id"])
    u, v = row[edges["from"]].to_numpy(), row[edges["to"]].to_numpy()
    walk_ms = np.rint(edges["length_m"].to_numpy() * 3600 / 5).astype(np.int32)
    streets = pd.DataFrame(
        {
            "u": u,
            "v": v,
            "length_m": edges["length_m"].astype(float),
            "forward_ms": walk_ms,
            "backward_ms": walk_ms,
            "osm_way": np.arange(1, len(edges) + 1),
        }
    )
    lon, lat = nodes["lon"].to_numpy(float), nodes["lat"].to_numpy(float)
    ends = np.column_stack([u, v]).ravel()
    return StreetNetwork(
        mode="walk",
        node_id=nodes["node_id"].to_numpy(np.int64),
        lon=lon,
        lat=lat,
        streets=streets,
        coords=np.column_stack([lon[ends], lat[ends]]),
        offsets=np.arange(0, 2 * len(edges) + 1, 2, dtype=np.int64),
    )


@functools.cache
def _residents(shared_data: Path, cells: tuple[int, ...], column: str = "Ind") -> npt.NDArray[np.float64]:
    """Filosofi residents, or households, of each cell."""
    names = [f"{c:x}" for c in cells]
    outlines = gpd.GeoDataFrame(
        {"h3_cell": names}, geometry=cell_polygons(np.array(cells, np.uint64)), crs="EPSG:4326"
    )
    squares = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg")
    return population_to_cells(outlines, squares, column=column).table["population"].to_numpy(np.float64)


def _paris_town(shared_data: Path) -> tuple[StreetNetwork, StreetPieces, npt.NDArray[np.float64]]:
    """The streets of Paris, those inside each cell, and the residents of each cell."""
    network = _paris(shared_data)
    outline = shapely.from_geojson((shared_data / "paris" / "arrondissements.geojson").read_text())
    cells = cells_in_area(shapely.unary_union(outline), resolution=10)
    return network, street_pieces(network, cells), _residents(shared_data, tuple(int(c) for c in cells))


@pytest.mark.parametrize("count", [1, 60, 160, 260, 360, 500, 960])
def test_trilib_on_the_paris_tables_is_proven_within_one_per_cent_in_a_minute(
    shared_data: Path, count: int
) -> None:
    # The TRILIB rows of docs/siting.md. CPU seconds, for the machine may be busy with other work; -s shows the row.
    network, pieces, people = _paris_town(shared_data)
    table = pd.read_csv(shared_data / "paris" / "trilib_2018.csv", sep=";")
    lat, lon = table["geo"].drop_duplicates().str.split(",", expand=True).astype(float).to_numpy().T
    today = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    ask = StationAsk(kind="sorting", count=count)
    began = time.process_time()
    plan = site_stations(network, network, pieces, people, ask, existing=today)
    took = time.process_time() - began
    found = plan.selection
    before, after = (100 * value / people.sum() for value in (found.baseline, found.objective))
    print(
        f"| TRILIB {len(today)} + {count}, 5 min | {before:.1f} → {after:.1f} % | {100 * found.gap:.2f} % | "
        f"{100 * found.gain_gap:.2f} % | {took:.0f} s |",
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
        "MB at most",
    )
    assert plan.figures["candidates"] >= 5_000
    assert pieces.n_cells >= 7_800
    assert found.gap <= 0.01
    assert took <= MINUTE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= GIGABYTE_KB


@pytest.mark.parametrize(("minutes", "count", "gap"), [(5, 90, 0.005), (15, 30, 0.01)])
def test_paris_is_proven_within_a_minute(shared_data: Path, minutes: int, count: int, gap: float) -> None:
    network = _paris(shared_data)
    outline = shapely.from_geojson((shared_data / "paris" / "arrondissements.geojson").read_text())
    cells = cells_in_area(shapely.unary_union(outline), resolution=10)
    pieces = street_pieces(network, cells)
    rule = KerbRule(spacing_m=60, junction_clearance_m=10, offset_m=-1, apart_m=60)
    places = street_side_candidates(network, rule).points
    snaps = snap(network, places[["lon", "lat"]].to_numpy(), max_snap_m=100)
    began = time.perf_counter()
    coverage = served(catchment(network, snaps, pieces, cutoff_ms=minutes * 60_000))
    best = maximal_covering(coverage, pieces.street_length_m, count=count)
    took = time.perf_counter() - began
    assert coverage.shape[0] >= 5_000
    assert coverage.shape[1] >= 7_800
    assert best.gap <= gap
    assert took <= MINUTE


def _overlapping(
    candidates: int, cells: int, radius_km: float
) -> tuple[sp.csr_array, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    where, sites = rng.uniform(0, 10, (cells, 2)), rng.uniform(0, 10, (candidates, 2))
    near = cKDTree(where).query_ball_point(sites, radius_km)
    indptr = np.concatenate([[0], np.cumsum([len(x) for x in near])])
    indices = np.concatenate([np.sort(x) for x in near])
    shape = (candidates, cells)
    table = sp.csr_array((np.ones(len(indices), np.int8), indices, indptr), shape=shape)
    return table, rng.gamma(2.0, 150.0, cells).round()


def test_the_heavily_overlapping_instance_is_bounded() -> None:
    # Uniform people, discs of 1 km: 30 of them make up 94 % of the area, where the linear relaxation is weakest. Its
    # own gap is about 2.5 %; the target of 1 % is NOT reached here.
    coverage, demand = _overlapping(5_000, 7_000, 1.0)
    began = time.perf_counter()
    best = maximal_covering(coverage, demand, count=30)
    assert best.gap <= 0.03
    assert time.perf_counter() - began <= MINUTE


def test_twenty_thousand_trees_are_bounded_within_a_minute() -> None:
    rng = np.random.default_rng(0)
    n, sides, homes = 220_000, 36_000, 8_000
    side, home = np.repeat(np.arange(sides), 7)[:n], rng.integers(0, homes, n)
    columns = np.concatenate([side, sides + home])
    dose = sp.csr_array((np.ones(2 * n), (np.tile(np.arange(n), 2), columns)), shape=(n, sides + homes))
    scale = np.repeat([4.0, 30.0], [sides, homes])
    began = time.perf_counter()
    best = concave_covering(dose, rng.gamma(2, 100, sides + homes), scale=scale, count=20_000)
    assert len(best.chosen) == 20_000
    assert best.gap <= 0.01
    assert time.perf_counter() - began <= MINUTE


def test_twenty_thousand_trees_of_paris_stand_clear_of_the_trees_of_the_north_east(shared_data: Path) -> None:
    # The row of 20,000 trees of docs/siting.md: the whole question, with 50,078 trees that stand today.
    network, pieces, people = _paris_town(shared_data)
    trees = gpd.read_file(shared_data / "paris" / "arbres_ne_paris_2021.gpkg").to_crs("EPSG:4326")
    assert len(trees) == 50_078
    rule = replace(TREES, needs_pavement=False)  # the table of streets does not tell
    began = time.process_time()
    plan = site_trees(network, network, pieces, people, count=20_000, existing=trees, rule=rule)
    took = time.process_time() - began
    found, figures = plan.selection, plan.figures
    before, after = figures["residents_three_trees_before"], figures["residents_three_trees_after"]
    print(
        f"| 20,000 trees of {figures['candidates']:,} places, 50,078 today | {100 * found.gap:.2f} % | {took:.0f} s | "
        f"three in sight of {before:,.0f} → {after:,.0f} residents"
    )
    assert len(plan.sites) == 20_000
    assert figures["candidates"] >= 200_000
    assert plan.rejected["near_tree"] > 0
    assert _nearest_trunk_m(plan.sites, trees) >= TREES.clearance_m["tree"] - 0.01
    assert found.gap <= 0.01
    assert took <= MINUTE


def test_no_place_for_a_tree_stands_near_one_of_the_trees_of_north_east_paris(shared_data: Path) -> None:
    # every candidate, not only those that are chosen
    trees = gpd.read_file(shared_data / "paris" / "arbres_ne_paris_2021.gpkg").to_crs("EPSG:4326")
    found = street_side_candidates(
        _paris(shared_data),
        replace(TREES, needs_pavement=False),
        obstacles={"tree": trees.geometry.to_numpy()},
        within=shapely.box(*trees.total_bounds),
    )
    assert len(found.points) >= 20_000
    assert found.rejected["near_tree"] > 0
    assert _nearest_trunk_m(found.points, trees) >= TREES.clearance_m["tree"] - 0.01


def _nearest_trunk_m(points: pd.DataFrame, trees: gpd.GeoDataFrame) -> float:
    """[m] In Lambert 93, which is not the plane of the candidates and stretches by less than 1 in 1,000 here."""
    plane = Transformer.from_crs("EPSG:4326", "EPSG:2154", always_xy=True)
    places = np.column_stack(plane.transform(points["lon"], points["lat"]))
    trunks = np.column_stack(plane.transform(trees.geometry.x, trees.geometry.y))
    return float(cKDTree(trunks).query(places)[0].min())


def test_least_regret_of_three_futures_takes_a_minute(shared_data: Path) -> None:
    # Belib' +90 as it is asked, for people who walk at 0.7 of the speed, and for poor households alone.
    network, pieces, people = _paris_town(shared_data)
    poor = _residents(shared_data, tuple(int(c) for c in pieces.cells), column="Men_pauv")
    table = pd.read_csv(shared_data / "paris" / "belib_static_2025.csv.gz", sep=";")
    table = table[table["statut_pdc"] == "En service"]
    lat, lon = table["coordonneesXY"].drop_duplicates().str.split(",", expand=True).astype(float).to_numpy().T
    today = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    ask = StationAsk(
        kind="chargers",
        count=90,
        cutoff_min=3.0,
        scenarios=(Scenario("slow walkers", speed_factor=0.7), Scenario("poor", demand=poor)),
    )
    began = time.process_time()
    plan = site_stations(network, network, pieces, people, ask, existing=today)
    took = time.process_time() - began
    worst, least = plan.figures["worst_regret"], plan.figures["worst_regret_bound"]
    print(
        f"| regret, Belib' {len(today)} + 90 | {100 * worst:.2f} %, no set below {100 * least:.2f} % | {took:.0f} s |"
    )
    assert 0.95 * worst <= least <= worst  # no set does much better
    assert took <= MINUTE
