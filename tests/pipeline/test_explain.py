"""`proche explain` on the demonstration: the numbers of the map, real places, ways that lead there."""

from __future__ import annotations

import json
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from pipelines.cli import cli
from pipelines.compute import run
from pipelines.errors import ConfigError
from pipelines.explain import ModeView, explain_cell, load_mode
from pipelines.rundir import RunDirectory
from tests.osm_town import osm_xml


@pytest.fixture(scope="module")
def view(demo_run: RunDirectory) -> ModeView:
    return load_mode(demo_run, "walk")


def test_every_cell_is_explained_by_the_number_on_the_map(demo_run: RunDirectory, view: ModeView) -> None:
    for _, row in demo_run.cells.iloc[::6].iterrows():
        told = explain_cell(demo_run, row["h3_cell"], view=view)
        json.dumps(told, allow_nan=False)
        for name, category in told["categories"].items():
            published = row[f"walk_{name}_minutes"]
            assert category["minutes"] == (None if np.isnan(published) else published)
            assert category["served"] == (published <= 15)
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
