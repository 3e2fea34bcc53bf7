"""Why a cell has its number, and what would change it, on towns small enough to solve by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pytest
import shapely

from engine.cells import StreetPieces
from engine.errors import InputError
from engine.explain import Reached, explain_category
from engine.fix import Fix, FixRules, _target, find_fixes, fix_as_proposal
from engine.proposals.geojson import parse_proposal
from engine.reach import UNREACHABLE, nearest
from engine.surroundings import Surroundings, times_from
from tests.towns import Town, town

NAN = float("nan")


def around(
    t: Town,
    letter: str,
    street: str,
    span: tuple[float, float],
    parks: gpd.GeoDataFrame | None = None,
) -> Surroundings:
    """A cell whose streets are a part of one; its point is the middle of that."""
    number, (start, stop) = t.street[street], span
    one = np.zeros(1, dtype=np.int32)
    pieces = StreetPieces(
        cells=np.ones(1, dtype=np.uint64),
        cell=one,
        street=one + np.int32(number),
        start=np.array([start]),
        stop=np.array([stop]),
        length_m=(stop - start) * t.network.length_m[[number]],
        access_ms=np.zeros(1, dtype=np.int64),
        no_network=np.zeros(1, dtype=bool),
    )
    places = t.destinations(letter) if letter in t.marks else replace(t.destinations(), n_categories=1)
    field = nearest(t.network, places)
    return Surroundings(
        network=t.network,
        pieces=pieces,
        destinations=places,
        category=0,
        street=number,
        fraction=(start + stop) / 2,
        field_ms=field.time_ms[0, :, 0],
        parks=parks,
    )


def test_times_from_the_middle_of_a_street() -> None:
    """From a quarter of AB: 10 s back to A, 30 s on to B, 60 s to C; D lies behind a one-way street."""
    t = town("""
A---B--C
    V
    |
    D
    """)
    out = times_from(t.network, t.street["AB"], 0.25)
    assert [int(out[t.vertex[n]]) for n in "ABCD"] == [10_000, 30_000, 60_000, 60_000]
    back = times_from(t.network, t.street["BD"], 0.5)
    assert int(back[t.vertex["D"]]) == 15_000
    assert [int(back[t.vertex[n]]) for n in "ABC"] == [UNREACHABLE] * 3


def test_what_is_served_needs_no_change() -> None:
    told = explain_category(
        "shops",
        label="Shops",
        minutes=15.0,
        nearest=Reached("node/1", "Paul", "shop=bakery", 15.0),
        runner_up=None,
    )
    assert told.served
    assert (told.slack_min, told.fixes, told.speed_needed_kmh) == (0.0, (), None)


def test_slack_and_the_speed_that_would_do() -> None:
    told = explain_category("shops", label="Shops", minutes=18.0, nearest=None, runner_up=None, speed_kmh=5.0)
    assert not told.served
    assert told.slack_min == -3
    assert told.speed_needed_kmh == pytest.approx(6.0)


def test_unreachable_has_no_slack_but_fixes() -> None:
    t = town("A--B")
    nowhere = around(t, "s", "AB", (0.5, 0.5))
    told = explain_category(
        "shops", label="Shops", minutes=NAN, nearest=None, runner_up=None, surroundings=nowhere, speed_kmh=5.0
    )
    assert (told.minutes, told.slack_min, told.served, told.speed_needed_kmh) == (None, None, False, None)
    assert [fix.kind for fix in told.fixes] == ["place"]


def test_a_river_with_one_bridge_far_away() -> None:
    """
    One character is a minute. The cell stands on AB, the shop across the river beside it, the bridge is far::

        A--------B      20 m from B down to C as the crow flies,
                 ~      but the way leads round by E and F
        s--------C
    """
    t = town(
        """
A--------B-------------E
                       |
D-s------C-------------F
    """,
        step_m=20.0,
        step_ms=60_000,
    )
    here = around(t, "s", "AB", (0.5, 0.5))
    fixes = find_fixes(here, minutes=39.5, label="shops", rules=FixRules())
    assert [fix.kind for fix in fixes] == ["path", "place"]
    path = fixes[0]
    assert path.length_m == pytest.approx(40, abs=1)
    assert path.line is not None
    # two and a half steps along the two banks, and the link at 5 km/h
    assert path.minutes == pytest.approx(2.5 + path.length_m * 0.72 / 60, abs=4e-5)
    slow = find_fixes(here, minutes=39.5, label="shops", rules=FixRules(access_speed_kmh=0.5))[0]
    assert slow.minutes == pytest.approx(2.5 + path.length_m * 7.2 / 60, abs=4e-5)
    # the shop is 2 steps from D: from the middle of AB (4.5 steps from A) the link saves all but the last steps
    assert find_fixes(here, minutes=39.5, label="shops", rules=FixRules(max_path_m=30))[0].kind == "place"


def test_a_gate_on_the_near_side_of_a_park() -> None:
    """A park beside the cell whose only entrance is far away on foot."""
    t = town("A------g------B", step_m=20.0, step_ms=300_000)
    lon, lat = float(t.network.lon[t.vertex["A"]]), float(t.network.lat[t.vertex["A"]])
    park = gpd.GeoDataFrame(
        {"name": ["Jardin clos"]},
        geometry=[shapely.box(lon - 2e-4, lat + 9e-5, lon + 1e-3, lat + 1e-3)],
        crs=4326,
    )
    fixes = find_fixes(around(t, "g", "AB", (0.0, 0.0), park), minutes=35.0, label="parks", rules=FixRules())
    assert [fix.kind for fix in fixes] == ["gate", "place"]
    assert "Jardin clos" in fixes[0].text
    assert fixes[0].minutes == pytest.approx(10 / (5000 / 60), abs=0.02)
    assert fixes[0].lat == pytest.approx(lat + 9e-5, abs=1e-6)
    far = find_fixes(
        around(t, "g", "AB", (0.0, 0.0), park), minutes=35.0, label="parks", rules=FixRules(gate_m=5)
    )
    assert [fix.kind for fix in far] == ["place"]


def test_a_change_is_measured_over_all_streets_of_the_cell() -> None:
    """One character is a minute and 20 m; the cell is AB, 12 to 21 min from the shop, 16½ in the mean."""
    t = town("A--------B-----------s-C", step_m=20.0, step_ms=60_000)
    cell = around(t, "s", "AB", (0.0, 1.0))
    assert cell.mean_with((t.street["BC"], 1.0, 10**7)) == pytest.approx(16.5)
    # a place at B: 0 to 9 min along AB
    assert cell.mean_with((t.street["AB"], 1.0, 0)) == pytest.approx(4.5)
    # one that the shop is nearer than from the far half alone: min(x + 16, 21 - x) over 0 ≤ x ≤ 9
    assert cell.mean_with((t.street["AB"], 0.0, 16 * 60_000)) == pytest.approx(
        (2.5 * (16 + 18.5) / 2 + 6.5 * (18.5 + 12) / 2) / 9
    )
    fixes = find_fixes(cell, minutes=16.5, label="shops", rules=FixRules())
    assert all(fix.minutes <= 15 for fix in fixes)
    # a place in the middle of AB serves both halves: 0 to 4½ min
    assert fixes[-1].minutes == pytest.approx(2.25, abs=1e-3)


def test_a_change_is_a_proposal_file() -> None:
    line = shapely.LineString([(2.0, 48.0), (2.1, 48.1)])
    path = Fix("path", 12.0, 2.0, 48.0, 40.0, "A new path", line)
    gate = Fix("gate", 12.0, 2.0, 48.0, 0.0, "A gate")
    for fix in (path, gate):
        text = json.dumps(fix_as_proposal(fix, category="green", mode="walk", rules=FixRules()))
        (edit,) = parse_proposal(json.loads(text)).edits
        assert edit.name == fix.text
        assert edit.shape.equals(line if fix is path else shapely.Point(2.0, 48.0))


def test_the_answer_is_json() -> None:
    t = town("A--s--B", step_ms=300_000)
    told = explain_category(
        "shops",
        label="Shops",
        minutes=20.0,
        nearest=Reached("node/1", "Paul", "shop=bakery", 20.0),
        runner_up=Reached("way/2", "", "shop=deli", 24.0),
        route=shapely.LineString([(2.0, 48.0), (2.1, 48.1)]),
        surroundings=around(t, "s", "AB", (0.0, 0.0)),
        speed_kmh=5.0,
    )
    data = json.loads(json.dumps(told.as_dict(), allow_nan=False))
    assert data["nearest"] == {"id": "node/1", "name": "Paul", "kind": "shop=bakery", "minutes": 20.0}
    assert data["route"] == {"type": "LineString", "coordinates": [[2.0, 48.0], [2.1, 48.1]]}
    assert data["cheapest_fix"] == data["fixes"][0]
    assert data["slack_min"] == -5


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        FixRules(max_path_m=0)


@pytest.mark.parametrize(
    ("now", "mean", "threshold", "limit"),
    [
        (16.0, 18.0, 15.0, 13.0),  # the mean is 3 min too long: so much sooner must the point be
        (20.0, 16.0, 15.0, 15.0),  # 1 min too long, but the threshold itself is stricter
        (12.0, 15.0, 15.0, 12.0),
        (9.0, 14.0, 15.0, 9.0),  # a mean within the threshold may not get longer
        (np.inf, 18.0, 15.0, 15.0),
        (16.0, NAN, 15.0, 15.0),
    ],
)
def test_the_point_must_be_as_much_sooner_as_the_mean_is_too_long(
    now: float, mean: float, threshold: float, limit: float
) -> None:
    asked = SimpleNamespace(
        street=3, fraction=0.5, times_at=lambda _street, _fraction: np.array([now * 60_000.0])
    )
    assert _target(asked, mean, threshold) == limit * 60_000
