"""
Towns solved with a pencil, from the OSM file to the figure of the cell, to the second.

A town lies in one large cell, so that the cell's time is the mean over all of its streets. At 5 km/h 100 m take
72 s, by bicycle at 15 km/h 24 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines import RunDirectory, run
from tests.osm_town import Way, osm_xml

STREET = {"highway": "residential"}
PATH = {"highway": "footway"}
SHOP = {"shop": "bakery", "name": "Shop"}
PARK = {"leisure": "park", "name": "Park"}
WALK_S, RIDE_S = 0.72, 0.24
"""[s] A metre on foot, by bicycle."""


def town(
    folder: Path,
    drawing: str,
    ways: Sequence[Way],
    *,
    mode: str = "walk",
    nodes: Mapping[str, Mapping[str, str]] | None = None,
    **more: Any,
) -> RunDirectory:
    """Run a drawing, one mode, as one cell."""
    (folder / "town.osm").write_text(osm_xml(drawing, ways, nodes=nodes, **more))
    off = "".join(f"{m}={{enabled=false}}\n" for m in ("walk", "bike", "street30") if m != mode)
    (folder / "town.toml").write_text(
        "[area]\nname='town'\nresolution=6\nbbox=[0.0001, 0.0001, 0.004, 0.004]\n"
        f"[source]\nosm='town.osm'\n[network]\n{off}[scoring]\nresolutions=[]\n"
    )
    done = run(folder / "town.toml", cache=folder)
    assert len(done.cells) == 1
    return done


def seconds(done: RunDirectory, column: str) -> float:
    return 60 * float(done.cells[column].iloc[0])


def length(done: RunDirectory) -> float:
    return float(done.cells["street_length_m"].iloc[0])


def test_a_river_with_one_bridge(tmp_path: Path) -> None:
    """
    The shop is at F. Means along E-F 50 m, D-E 150, the bridge B-E 150, A-B and B-C 250: over all streets 170 m.
    """
    drawing = """
A.B.C
.....
D.E.F
"""
    bridge = {**STREET, "bridge": "yes", "layer": "1"}
    done = town(
        tmp_path, drawing, [("ABC", STREET), ("DEF", STREET), ("BE", bridge)], nodes={"F": SHOP}, cell_m=50
    )
    assert length(done) == pytest.approx(500, abs=0.1)
    assert seconds(done, "walk_shops_minutes") == pytest.approx(170 * WALK_S, abs=0.1)
    assert seconds(done, "walk_shops_p90_minutes") == pytest.approx(275 * WALK_S, abs=0.1)


def test_a_fenced_park_with_one_gate(tmp_path: Path) -> None:
    """
    The street A-B-C runs 10 m below the fence; the only gate G is reached by the path B-G of 10 m.

    Along the street the mean is 50 + 10 m, along the path 5: (200 · 60 + 10 · 5) / 210.
    """
    drawing = "\n".join(["...Q......R...", *["..............."] * 9, "...P.....G..S..", "A........B.......C"])
    fence = {"barrier": "fence"}
    ring = [("PGSRQP", {**PARK}), ("PGSRQP", fence)]
    ways: list[Way] = [("AB", STREET), ("BC", STREET), ("BG", PATH), *ring]
    done = town(tmp_path, drawing, ways, nodes={"G": {"barrier": "gate"}}, cell_m=10)
    ab, bc, gate = 90.0, 80.0, 10.0
    mean = (ab * (ab / 2 + gate) + bc * (bc / 2 + gate) + gate * gate / 2) / (ab + bc + gate)
    assert length(done) == pytest.approx(ab + bc + gate, abs=0.1)
    assert seconds(done, "walk_green_minutes") == pytest.approx(mean * WALK_S, abs=0.1)
    kinds = set(done.access_points["kind"])
    assert kinds == {"gate"}
    (listed,) = pd.read_csv(done.path / "parks.csv").to_dict("records")
    assert (listed["entrance"], listed["entrances"]) == ("gate", 1)
    assert done.opportunities["entrance"].tolist() == ["gate"]


def test_the_fence_without_its_gate_flags_the_park(tmp_path: Path) -> None:
    drawing = "\n".join(["...Q......R...", *["..............."] * 9, "...P........S..", "A........B.......C"])
    ways: list[Way] = [("ABC", STREET), ("PSRQP", PARK), ("PSRQP", {"barrier": "fence"})]
    done = town(tmp_path, drawing, ways, cell_m=10)
    assert done.cells["walk_green_minutes"].isna().all()
    assert done.summary["parks_without_entrance"] == ["way/2"]
    assert done.summary["park_entrances"]["none"] == 1
    (listed,) = pd.read_csv(done.path / "parks.csv").to_dict("records")
    assert (listed["id"], listed["entrance"], listed["entrances"]) == ("way/2", "none", 0)
    assert listed["reason"] == "no entrance: fenced, no gate mapped"


def test_a_park_split_in_two_polygons_is_one(tmp_path: Path) -> None:
    """Two halves of 0.06 ha that share an edge: only together are they 0.1 ha, and they count once."""
    drawing = "\n".join(["P..Q..R", "......", "S..T..U", "A.....B"])
    halves: list[Way] = [("PQTSP", PARK), ("QRUTQ", PARK)]
    done = town(tmp_path, drawing, [("AB", STREET), *halves], cell_m=10)
    parks = done.opportunities[done.opportunities["category"] == "green"]
    assert parks["sources"].tolist() == ["way/2;way/3"]
    assert parks["area_ha"].iloc[0] == pytest.approx(0.12, rel=0.01)
    assert done.cells["walk_green_n5"].iloc[0] == pytest.approx(1)
    assert seconds(done, "walk_green_minutes") < 30
    alone = town(tmp_path, drawing, [("AB", STREET), halves[0]], cell_m=10)
    assert alone.opportunities.empty


def test_two_islands(tmp_path: Path) -> None:
    """The smaller island has no way to the shop and is left out: the mean is that of the larger one, 100 m."""
    drawing = """
A....B....C


X..Y
"""
    done = town(tmp_path, drawing, [("ABC", STREET), ("XY", STREET)], nodes={"A": SHOP, "X": SHOP}, cell_m=20)
    assert length(done) == pytest.approx(200, abs=0.1)
    assert seconds(done, "walk_shops_minutes") == pytest.approx(100 * WALK_S, abs=0.1)
    assert done.manifest["reports"]["network_walk"]["dropped"]["components"]["nodes_dropped"] == 2


def test_a_shop_in_the_middle_of_a_street_is_reached_from_both_ends(tmp_path: Path) -> None:
    """The shop S stands 30 m along A-B of 100 m: the mean is (30² / 2 + 70² / 2) / 100 = 29 m."""
    drawing = "A..S......B"
    done = town(tmp_path, drawing, [("AB", STREET)], nodes={"S": SHOP}, cell_m=10)
    assert seconds(done, "walk_shops_minutes") == pytest.approx(29 * WALK_S, abs=0.1)


@pytest.mark.parametrize(
    ("tags", "mean_s"),
    [
        ({"oneway:bicycle": "no"}, 100 * RIDE_S),
        ({"cycleway": "opposite"}, 100 * RIDE_S),
        ({}, 200 * RIDE_S),
    ],
)
def test_a_contraflow_street(tmp_path: Path, tags: dict[str, str], mean_s: float) -> None:
    """
    A square of 100 m a side, the shop at A; A-B is one-way away from the shop.

    Where bicycles may ride against it, the farthest point is C, 200 m either way: the mean is 100 m. Where they may
    not, everybody rides on by C and D, 400 m from just behind A: the mean is 200 m.
    """
    drawing = "D.........C\n" + "\n" * 9 + "A.........B"
    ways: list[Way] = [("AB", {**STREET, "oneway": "yes", **tags}), ("BCDA", STREET)]
    done = town(tmp_path, drawing, ways, mode="bike", nodes={"A": SHOP}, cell_m=10)
    assert seconds(done, "bike_shops_minutes") == pytest.approx(mean_s, abs=0.1)


def test_cells_without_streets_count_in_no_share_of_cells(tmp_path: Path) -> None:
    """The park of 1.1 ha lies along the only street: every cell with a street is served, the bare ones do not count."""
    drawing = "\n".join(["S.........R", *["..........."] * 10, "P.........Q", "A.........B"])
    (tmp_path / "town.osm").write_text(osm_xml(drawing, [("AB", STREET), ("PQRSP", PARK)], cell_m=10))
    (tmp_path / "town.toml").write_text(
        "[area]\nname='town'\nbbox=[0, 0, 0.01, 0.01]\n[source]\nosm='town.osm'\n"
        "[network]\nbike={enabled=false}\nstreet30={enabled=false}\n[scoring]\nresolutions=[]\n"
    )
    done = run(tmp_path / "town.toml", cache=tmp_path)
    bare = done.cells["no_network"].to_numpy(bool)
    assert 0 < bare.sum() < len(bare)
    figures = done.summary["modes"]["walk"]
    assert figures["categories"]["green"]["share"] == 1
    assert {name: step["share"] for name, step in done.summary["green_ladder"].items()} == {
        "green_01ha_300m": 1,
        "green_05ha_300m": 1,
        "green_1ha_300m": 1,
        "green_15ha_500m": 0,
    }
    assert sum(t["cells"] for t in figures["cell_types"]) == (~bare).sum()
