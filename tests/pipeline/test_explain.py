"""`proche explain` on the demonstration: the numbers of the map, real places, ways that lead there."""

from __future__ import annotations

import json
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from engine.proposals.geojson import parse_proposal
from pipelines.cli import cli
from pipelines.compute import run
from pipelines.errors import ConfigError
from pipelines.explain import ModeView, explain_cell, load_mode
from pipelines.proposals import Workbench, open_base
from pipelines.rundir import RunDirectory
from tests.osm_town import osm_xml

DEMO = Path(__file__).resolve().parents[2] / "configs" / "demo.toml"
NO_SITES = [f"sites.{kind}.enabled=false" for kind in ("trees", "chargers", "sorting")]


@pytest.fixture(scope="module")
def view(demo_run: RunDirectory) -> ModeView:
    return load_mode(demo_run, "walk")


def test_every_cell_is_explained_by_the_number_on_the_map(demo_run: RunDirectory, view: ModeView) -> None:
    portrait = demo_run.portrait.set_index("h3_cell")
    for _, row in demo_run.cells.iloc[::6].iterrows():
        told = explain_cell(demo_run, row["h3_cell"], view=view)
        json.dumps(told, allow_nan=False)
        for name, category in told["categories"].items():
            published = row[f"walk_{name}_minutes"]
            assert category["minutes"] == (None if np.isnan(published) else published)
            assert category["served"] == (published <= 15)
            trusted = portrait.loc[row["h3_cell"], [f"walk_{name}_confidence", f"walk_{name}_because"]]
            assert [category["confidence"], category["confidence_because"]] == trusted.tolist()
            if category["nearest"] and category["runner_up"]:
                assert category["nearest"]["id"] != category["runner_up"]["id"]
                assert category["nearest"]["minutes"] <= category["runner_up"]["minutes"]


def test_the_way_starts_in_the_cell_and_ends_at_the_place(demo_run: RunDirectory, view: ModeView) -> None:
    cell = demo_run.cells.sort_values("walk_sorting_minutes")["h3_cell"].iloc[-1]
    places = demo_run.opportunities
    for name, category in explain_cell(demo_run, cell, view=view)["categories"].items():
        line = shapely.geometry.shape(category["route"])
        start = line.coords[0]
        assert h3.latlng_to_cell(start[1], start[0], 10) == cell
        assert np.allclose(start, category["from"], atol=1e-6)
        place = places[(places["id"] == category["nearest"]["id"]) & (places["category"] == name)]
        assert shapely.distance(place.geometry.iloc[0], shapely.Point(line.coords[-1])) < 1e-4
        minutes_at_5_kmh = category["route_m"] / 5000 * 60
        assert minutes_at_5_kmh <= category["nearest"]["minutes"] + 0.01


def test_a_cell_over_the_threshold_learns_what_would_help(demo_run: RunDirectory, view: ModeView) -> None:
    cell = demo_run.cells.sort_values("walk_sorting_minutes")["h3_cell"].iloc[-1]
    sorting = explain_cell(demo_run, cell, view=view)["categories"]["sorting"]
    assert sorting["slack_min"] == pytest.approx(15 - sorting["minutes"])
    assert sorting["cheapest_fix"]["kind"] in ("gate", "path", "place")
    assert sorting["cheapest_fix"]["minutes"] <= 15
    assert sorting["speed_needed_kmh"] > 5


def test_each_change_named_brings_the_cell_within_when_it_is_proposed(
    demo_cache: Path, tmp_path: Path
) -> None:
    """With eight minutes for a quarter of an hour many cells are over; what is named for them is applied and undone."""
    done = run(DEMO, out=tmp_path / "out", cache=demo_cache, overrides=["scoring.cutoff_min=8", *NO_SITES])
    view, bench = load_mode(done, "walk"), Workbench(open_base(done))
    over = done.cells[(done.cells.filter(regex="^walk_[a-z]+_minutes$") > 8).any(axis=1)]
    kinds = []
    for cell in over["h3_cell"].iloc[::9]:
        for name, told in explain_cell(done, cell, view=view)["categories"].items():
            assert told["served"] == (not told["fixes"])
            for fix in told["fixes"]:
                edits = parse_proposal(json.loads(json.dumps(fix["proposal"]))).edits
                bench.do(edits, counts=False)
                after = bench.cells().set_index("h3_cell").loc[cell, f"walk_{name}_minutes"]
                bench.undo()
                assert after <= 8
                assert after == pytest.approx(fix["minutes"], abs=0.02)
                kinds.append(fix["kind"])
    assert {"path", "place"} <= set(kinds)


def test_a_gate_that_is_named_is_one_when_it_is_proposed(tmp_path: Path) -> None:
    """
    A fenced park with its only gate in the far north, G; who lives along AB in the south walks round::

        Q---G---R-------.
        |  park |       |        the fence is QGRS, 40 m north of the street AB
        T-------S       |
        A-------B-------C
    """
    drawing = "Q..G..RX\n........\n........\n........\n........\n........\n........\nT.....S.\nA.....BC"
    ways = [
        ("ABC", {"highway": "residential"}),
        ("CX", {"highway": "residential"}),
        ("XRG", {"highway": "residential"}),
        ("QGRSTQ", {"leisure": "park", "barrier": "fence", "name": "Jardin clos"}),
    ]
    (tmp_path / "town.osm").write_text(osm_xml(drawing, ways, nodes={"G": {"barrier": "gate"}}, cell_m=25))
    (tmp_path / "town.toml").write_text(
        "[area]\nname='garden'\nbbox=[-0.001, -0.0005, 0.003, 0.003]\nresolution=11\n[source]\nosm='town.osm'\n"
        "[network]\nbike={enabled=false}\nstreet30={enabled=false}\n[scoring]\ncutoff_min=2\nresolutions=[]\n"
    )
    done = run(tmp_path / "town.toml", cache=tmp_path)
    bench = Workbench(open_base(done))
    over = done.cells[done.cells["walk_green_minutes"] > 2]
    named = [
        (cell, fix)
        for cell in over["h3_cell"]
        for fix in explain_cell(done, cell)["categories"]["green"]["fixes"]
        if fix["kind"] == "gate"
    ]
    assert named
    for cell, fix in named:
        assert "Jardin clos" in fix["text"]
        bench.do(parse_proposal(fix["proposal"]).edits)
        after = bench.cells().set_index("h3_cell").loc[cell, "walk_green_minutes"]
        bench.undo()
        assert after <= 2
        assert after == pytest.approx(fix["minutes"], abs=0.02)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("zebra", "is no H3 cell"),
        ("", "is no H3 cell"),
        ("891126d33a7ffff", "has resolution 9"),
        ("8a1fb46622dffff", "is not in Helsinki centre"),
    ],
)
def test_an_unknown_cell_is_a_sentence(
    demo_run: RunDirectory, view: ModeView, cell: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        explain_cell(demo_run, cell, view=view)


def test_an_unknown_mode_is_a_sentence(demo_run: RunDirectory) -> None:
    with pytest.raises(ConfigError, match="no mode 'horse'; it has walk, bike, street30"):
        explain_cell(demo_run, demo_run.cells["h3_cell"].iloc[0], mode="horse")


def test_the_command_prints_json(demo_run: RunDirectory, tmp_path: Path) -> None:
    cell = demo_run.cells["h3_cell"].iloc[3]
    done = CliRunner().invoke(cli, ["explain", str(demo_run.path), cell, "--mode", "bike"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["mode"] == "bike"
    wrong = CliRunner().invoke(cli, ["explain", str(demo_run.path), "zebra"])
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.stderr


def test_a_cell_without_a_time_says_why(tmp_path: Path) -> None:
    """A town of one street: a shop on it, a school too far from every street, no green space at all."""
    drawing = "A....B....C\n\n\n\n\n\n\n\nS"
    nodes = {"A": {"shop": "bakery"}, "S": {"amenity": "school"}}
    ways = [("ABC", {"highway": "residential"})]
    (tmp_path / "town.osm").write_text(osm_xml(drawing, ways, nodes=nodes, cell_m=60))
    (tmp_path / "town.toml").write_text(
        "[area]\nname='island'\nbbox=[0, -0.0005, 0.02, 0.02]\n[source]\nosm='town.osm'\n"
        "[network]\nbike={enabled=false}\nstreet30={enabled=false}\n"
    )
    done = run(tmp_path / "town.toml", cache=tmp_path)
    cells = done.cells
    near = cells.loc[cells["street_length_m"].idxmax(), "h3_cell"]
    far = cells.loc[cells["no_network"], "h3_cell"].iloc[-1]
    told = explain_cell(done, near)["categories"]
    assert told["schools"]["note"].startswith(
        "No place of this category is near enough to a street (1 found)"
    )
    assert told["green"]["note"] == "The data hold no place of this category."
    for category in explain_cell(done, far)["categories"].values():
        assert category["minutes"] is None
        assert category["note"].startswith("No street of the main walk network lies within 250 m")
