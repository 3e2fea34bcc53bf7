"""Every page, run by Streamlit without a browser, on the real demonstration."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from streamlit.testing.v1 import AppTest

from pipelines.explain import explain_cell
from pipelines.isochrone import isochrone_geojson
from tests.app.pages_driver import ROOT, message, opened, words
from ui.language import Translator
from ui.layers.packing import unpack
from ui.runs import Run

PAGES = ("explore", "gaps", "sites", "programme", "about")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_in_both_languages(app: AppTest, page: str, language: str) -> None:
    opened(app, page, lang=language)
    assert not app.error
    assert "{" not in words(app).replace("{}", ""), "a text was not filled in"
    assert app.session_state["language"] == language


def test_the_map_gets_exactly_the_column_of_the_run(app: AppTest, run: Run) -> None:
    opened(app, "explore", mode="bike", show="minutes", category="schools")
    header, arrays = message(app)
    values = run.values("bike_schools_minutes")
    np.testing.assert_allclose(arrays["values"], np.where(np.isnan(values), 1e9, values), rtol=1e-6)
    assert header["overlays"].keys() == {"backdrop"}
    assert len(arrays["mask"]) == 0


def test_a_cell_shows_its_figures_as_in_the_run(app: AppTest, run: Run) -> None:
    t, row = Translator("en"), 17
    cell = run.cells.iloc[row]
    opened(app, "explore", cell=cell["h3_cell"], mode="walk", lang="en")
    text = words(app)
    for category in run.categories:
        assert t.minutes(cell[f"walk_{category}_minutes"]) in text
    assert cell["h3_cell"] in text
    assert message(app)[0]["cell"] == cell["h3_cell"]


def test_the_address_follows_the_widgets(app: AppTest) -> None:
    opened(app, "explore", lang="en")
    app.selectbox(key="kind").select("score").run()
    assert app.query_params["show"] in ("score", ["score"])
    assert message(app)[0]["scale"]["kind"] == "amount"


def test_a_search_flies_to_a_street_of_the_run(app: AppTest, run: Run) -> None:
    name = run.base_streets["name"].dropna().iloc[0]
    opened(app, "explore", lang="en")
    app.text_input(key="search").input(name).run()
    assert not app.exception
    app.button(key="hit0").click().run()
    (west, south), (east, north) = message(app)[0]["flight"]["bounds"]
    streets = run.base_streets[run.base_streets["name"] == name]
    assert (west, south, east, north) == pytest.approx(tuple(streets.total_bounds))


def test_two_maps_are_compared(app: AppTest) -> None:
    opened(app, "explore", lang="en")
    app.toggle(key="compare").set_value(True).run()
    assert not app.exception
    maps = [unpack(e.proto.bytes)[0] for e in app.get("bidi_component") if e.proto.bytes]
    assert [m["legend"] for m in maps] == ["map", "map2"]
    assert {m["linked"] for m in maps} == {"compare"}
    assert maps[0]["texts"]["title"] != maps[1]["texts"]["title"]


def test_an_address_from_the_browsers_history_is_followed(app: AppTest) -> None:
    opened(app, "explore", lang="en")
    before = app.query_params.copy()
    app.pills(key="mode").set_value("bike").run()
    assert message(app)[0]["fileName"].endswith("bike_shops_minutes")
    app.query_params.clear()
    app.query_params.update(before | {"lang": ["fr"], "beside": ["bike minutes shops"]})
    app.run()
    assert not app.exception
    assert message(app)[0]["fileName"].endswith("walk_shops_minutes")
    assert message(app)[0]["language"] == "fr"
    assert app.toggle(key="compare").value is True


def test_an_older_address_does_not_undo_what_was_just_chosen(app: AppTest) -> None:
    opened(app, "explore", lang="en")
    before = app.query_params.copy()
    app.pills(key="mode").set_value("bike").run()
    app.query_params.clear()
    app.query_params.update(before)
    app.pills(key="category").set_value("schools").run()
    assert message(app)[0]["fileName"].endswith("bike_schools_minutes")


def test_gaps_are_listed_by_rank_with_the_figures_of_the_run(app: AppTest, run: Run) -> None:
    opened(app, "gaps", lang="en", mode="walk")
    table = run.gaps("walk", None)
    headings = re.findall(r"\*\*(\d+)\\?\. ", words(app))
    assert headings == [str(r) for r in table["rank"].head(30)]
    assert f"{table['mean_minutes'].iloc[0]:.1f}".replace(".", r"\.") in words(app)
    app.button(key=f"gap-{table['gap'].iloc[0]}").click().run()
    header, _ = message(app)
    assert header["flight"]["bounds"][0] == pytest.approx(table.geometry.iloc[0].bounds[:2])
    assert [b["strong"] for b in header["badges"]][:1] == [True]


def test_sites_follow_kind_and_count(app: AppTest, run: Run) -> None:
    opened(app, "sites", lang="en", kind="chargers", sites="3")
    table = run.sites("chargers")
    shown = app.table[0].value
    assert len(shown) == min(3, int((table["rank"] > 0).sum()))
    header, _ = message(app)
    assert len(header["overlays"]["sites"]["features"]) == len(table)
    ranks = [f["properties"]["rank"] for f in header["overlays"]["sites"]["features"]]
    assert ranks == table["rank"].tolist()


def test_the_programme_names_every_target_and_invents_no_figure(app: AppTest) -> None:
    opened(app, "programme", lang="en")
    table = app.table[0].value
    assert len(table) == 8
    assert "not told by these data" in table.loc["Green roofs and walls, a third of them farmed"].tolist()


def test_about_names_sources_licence_and_what_was_dropped_but_no_folder(app: AppTest, run: Run) -> None:
    opened(app, "about", lang="en")
    text = words(app)
    assert "ODbL" in text
    assert run.manifest["inputs"][0]["sha256"][:12] in text
    assert str(run.manifest["base"]) not in text
    told = [t.value.to_csv() for t in app.table if t.value.index.name == Translator("en")("about.reason")]
    assert any("ways closed to this mode" in t for t in told)
    assert not re.search(r"[a-z]_[a-z]", "".join(told)), "a name of the code stands on the page"


def test_about_shows_how_good_the_streets_are_and_how_many_keep_their_limit(app: AppTest, run: Run) -> None:
    opened(app, "about", lang="en")
    figures = next(table.value for table in app.table if "Kilometres of streets" in table.value.index)
    report = run.manifest["reports"]["network_street30"]["quality"]
    driven = figures["By car at 30 km/h"]
    assert driven["… that keep their limit (major roads), km"] == f"{report['km_major']:.1f}"
    assert driven["… at 30 km/h at most, km"] == f"{report['km_limited']:.1f}"
    dead_ends = driven["Dead ends within 5 m of another street, not joined"]
    assert dead_ends == str(report["suspicious_gaps"]["number"]) != "0"
    assert figures["On foot"]["… at 30 km/h at most, km"] == "–"
    assert any("openstreetmap.org/node/" in str(frame.value.iloc[0, 0]) for frame in app.dataframe)


def test_without_a_run_the_app_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCHE_RUNS", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["app.py"])
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    assert "proche demo" in app.info[0].value


def test_isochrones_of_a_cell_are_those_of_the_command(app: AppTest, run: Run) -> None:
    cell = run.cells["h3_cell"].iloc[70]
    opened(app, "explore", cell=cell, mode="walk", layers="isochrones", lang="en")
    features = message(app)[0]["overlays"]["isochrone"]["features"]
    assert [f["properties"]["minutes"] for f in features] == [15, 10, 5]
    lat, lon = h3.cell_to_latlng(cell)
    wanted = isochrone_geojson(run.directory, lon_lat=(lon, lat), mode="walk", minutes=[5, 10, 15])[
        "features"
    ]
    for found, exact in zip(features, wanted, strict=True):
        a, b = shapely.geometry.shape(found["geometry"]), shapely.geometry.shape(exact["geometry"])
        assert a.symmetric_difference(b).area < 0.02 * b.area


@pytest.mark.parametrize("mode", ["walk", "bike"])
def test_the_proof_names_place_runner_up_and_way_as_the_command_does(
    app: AppTest, run: Run, mode: str
) -> None:
    cell = run.cells["h3_cell"].iloc[5]
    opened(app, "explore", cell=cell, mode=mode, category="sorting", lang="en")
    told = explain_cell(run.directory, cell, mode=mode)["categories"]["sorting"]
    text = words(app)
    assert f"{told['nearest']['minutes']:.1f}\u00a0min" in text
    assert f"{told['runner_up']['minutes']:.1f}\u00a0min" in text
    assert f"{abs(told['slack_min']):.1f}\u00a0min {'to spare' if told['served'] else 'over'}" in text
    assert f"Confidence {told['confidence']:.2f} of 1: " in text
    assert message(app)[0]["overlays"]["route"]["geometry"]["coordinates"] == [
        list(c) for c in told["route"]["coordinates"]
    ]


def test_two_runs_of_one_area_stay_apart(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "copied"
    shutil.copytree(run.directory.path, other)
    monkeypatch.setenv("PROCHE_RUNS", f"{run.directory.path}{os.pathsep}{other}")
    monkeypatch.setattr("sys.argv", ["app.py"])
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=800)
    opened(app, "explore", run="copied", lang="en")
    assert app.session_state["run"] == "copied"
    assert len(set(app.selectbox(key="run_widget").options)) == 2
    app.selectbox(key="kind").select("score").run()
    assert not app.exception
    assert app.session_state["run"] == "copied"
    app.selectbox(key="run_widget").select(run.directory.path.name).run()
    assert not app.exception
    assert app.session_state["run"] == run.directory.path.name


def test_a_link_to_a_neighbourhood_opens_on_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarters = tmp_path / "quarters"
    shutil.copytree(run.directory.path, quarters)
    west = run.cells.bounds["minx"].to_numpy() < 24.942
    cells = run.cells.assign(neighbourhood=np.where(west, "West", "East"))
    cells.to_parquet(quarters / "cells.parquet")
    monkeypatch.setenv("PROCHE_RUNS", str(quarters))
    monkeypatch.setattr("sys.argv", ["app.py"])
    app = opened(
        AppTest.from_file(str(ROOT / "app.py"), default_timeout=800), "explore", district="West", lang="en"
    )
    header, arrays = message(app)
    assert [x for corner in header["bounds"] for x in corner] == list(cells[west].total_bounds)
    np.testing.assert_array_equal(arrays["mask"] != 0, west)
    assert app.selectbox(key="district").value == "West"
    app.selectbox(key="district").select("East").run()
    (w, s), (e, n) = message(app)[0]["flight"]["bounds"]
    assert (w, s, e, n) == tuple(cells[~west].total_bounds)


def test_a_damaged_run_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    monkeypatch.setenv("PROCHE_RUNS", str(tmp_path / "broken"))
    monkeypatch.setattr("sys.argv", ["app.py"])
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    assert "manifest" in app.error[0].value
