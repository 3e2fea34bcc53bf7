"""`proche compare`: rivals on equal terms, written into a folder that comes out the same when it is computed again."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pipelines.cli import cli
from pipelines.comparison_files import check_comparison
from pipelines.compute import run
from pipelines.dossier_words import LANGUAGES, words_of
from pipelines.proposals import Workbench, open_base, read_proposal, recomputed, resolve_proposal
from pipelines.rundir import RunDirectory
from pipelines.store import sha256_of
from pipelines.warm_town import town_tables
from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "configs" / "proposals").glob("helsinki-*.geojson"))
SHOP = {"edit": "add_amenity", "category": "shops"}


def proposal(folder: Path, stem: str, *features: tuple[dict[str, Any], Any], **head: Any) -> Path:
    """A proposal file of (properties, geometry)."""
    rows = [{"type": "Feature", "properties": p, "geometry": g} for p, g in features]
    file = folder / f"{stem}.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", **head, "features": rows}), encoding="utf-8")
    return file


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def proche(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture(scope="module")
def compared(demo_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compare") / "rivals"
    done = proche("compare", demo_run.path, *EXAMPLES, "-o", out, "--draws", 60)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def result(compared: Path) -> dict[str, Any]:
    return json.loads((compared / "comparison.json").read_text("utf-8"))


def test_the_examples_are_three_rivals_and_each_figure_is_there(result: dict[str, Any]) -> None:
    assert [p["letter"] for p in result["proposals"]] == ["A", "B", "C"]
    for p in result["proposals"]:
        assert np.isclose(sum(p["rank_probability"]), 1)
        low, high = p["intervals"]["gain"]
        assert low <= high
        assert len(p["sha256"]) == 64
        for mode in ("walk", "bike", "street30", "bike_calm"):
            assert set(p["modes"][mode]["categories"]) == {"shops", "schools", "green", "sorting"}
    assert np.allclose(np.sum([p["rank_probability"] for p in result["proposals"]], axis=0), 1)
    assert all(sorted(order) == ["A", "B", "C"] for order in result["ranking"].values())
    best = max(result["proposals"], key=lambda p: p["gain"])
    assert result["ranking"]["gain"][0] == best["letter"]


def test_phases_end_where_the_whole_does(result: dict[str, Any]) -> None:
    calm = result["proposals"][0]
    assert [s["name"] for s in calm["phases"]] == ["2027"]
    assert calm["phases"][0]["cost_eur"] == 1_500_000
    assert calm["phases"][0]["edits"] == 1
    assert calm["phases"][0]["gain"] != calm["gain"]


def test_the_table_says_what_the_json_says(compared: Path, result: dict[str, Any]) -> None:
    with (compared / "comparison.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * (1 + 4 * (1 + 4))
    for row in rows:
        p = next(p for p in result["proposals"] if p["letter"] == row["proposal"])
        if row["category"] != "all":
            found = p["modes"][row["mode"]]["categories"][row["category"]]
            assert float(row["person_minutes"]) == pytest.approx(found["person_minutes"], abs=1e-8)
            assert float(row["newly_within"]) == found["newly_within"]
        elif row["mode"] == "all":
            assert float(row["score_gain"]) == pytest.approx(p["gain"], abs=1e-8)


def test_every_cell_is_what_a_full_recomputation_gives(demo_run: RunDirectory) -> None:
    base = open_base(demo_run, calm=True)
    bench = Workbench(base)
    for path in EXAMPLES:
        one = read_proposal(path)
        expected = recomputed(base, resolve_proposal(base, one))
        bench.do(one.edits)
        assert bench.cells().equals(expected), path.name
        bench.undo()
        assert bench.cells().equals(base.cells), path.name


AREA = [[24.9385, 60.1700], [24.9399, 60.1700], [24.9399, 60.1708], [24.9385, 60.1708], [24.9385, 60.1700]]


def every_kind(run: RunDirectory) -> dict[str, tuple[dict[str, Any], Any]]:
    """An edit of each kind that the examples leave out; those of streets change a long one-way street."""
    places, streets = run.opportunities, run.network("street30").streets
    ids = places.groupby("category")["id"].first()
    way = int(streets.loc[streets[streets["backward_ms"] < 0]["length_m"].idxmax(), "osm_way"])
    change = {"edit": "change_street", "osm_way": way}
    park = {"edit": "add_amenity", "category": "green"}
    return {
        "remove_amenity": ({"edit": "remove_amenity", "id": ids["schools"]}, None),
        "resize_amenity": ({"edit": "resize_amenity", "id": ids["schools"], "capacity": 900}, None),
        "park": (park, {"type": "Polygon", "coordinates": [AREA]}),
        "gates": (park | {"entrances": AREA[:2]}, {"type": "Polygon", "coordinates": [AREA]}),
        "remove_street": ({"edit": "remove_street", "osm_way": way}, None),
        "direction": (change | {"direction": "both"}, None),
        "speed": (change | {"speed_kmh": 12, "modes": ["walk", "bike", "street30"]}, None),
        "lts": (change | {"lts": 4}, None),
        "width": (change | {"cycleway": "lane", "width_m": 2.2}, None),
    }


def test_every_other_kind_of_edit_is_what_a_full_recomputation_gives(
    demo_run: RunDirectory, tmp_path: Path
) -> None:
    base = open_base(demo_run, calm=True)
    bench = Workbench(base)
    for kind, edit in every_kind(demo_run).items():
        one = read_proposal(proposal(tmp_path, kind, edit))
        bench.do(one.edits)
        now, expected = bench.cells(), recomputed(base, resolve_proposal(base, one))
        assert now.equals(expected), kind
        assert kind in ("direction", "lts", "width") or not now.equals(base.cells), kind
        bench.undo()
        assert bench.cells().equals(base.cells), kind


def test_it_is_recomputed_to_the_last_byte(compared: Path, demo_run: RunDirectory, tmp_path: Path) -> None:
    table = check_comparison(compared)
    assert (table["state"] == "ok").all(), table.to_string()
    assert len(table) == 3 * 2 + 3 + 1
    again = proche("compare", demo_run.path, *EXAMPLES, "-o", tmp_path / "again", "--draws", 60)
    assert again.exit_code == 0
    outputs = json.loads((compared / "manifest.json").read_text("utf-8"))["outputs"]
    assert {n: sha256_of(tmp_path / "again" / n) for n in outputs} == {
        n: o["sha256"] for n, o in outputs.items()
    }


def test_a_forged_figure_is_found_even_when_its_hash_is_forged_too(compared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compared, copy)
    text = (copy / "comparison.csv").read_text("utf-8-sig").replace("all,all,", "all,all,9", 1)
    (copy / "comparison.csv").write_text(text, encoding="utf-8-sig", newline="")
    changed = proche("check", copy, "--json")
    assert changed.exit_code == 3
    assert "comparison.csv: changed" in changed.output
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["outputs"]["comparison.csv"]["sha256"] = sha256_of(copy / "comparison.csv")
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    forged = proche("check", copy)
    assert forged.exit_code == 3
    assert "comparison.csv: recomputes differently" in forged.output


def test_without_its_run_nothing_is_claimed(compared: Path, demo_run: RunDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compared, copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["run"] |= {"path": str(tmp_path / "gone"), "relative_path": "gone"}
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    gone = proche("check", copy)
    assert gone.exit_code == 3
    assert "run Helsinki centre: missing" in gone.output
    assert (check_comparison(copy, run=demo_run.path)["state"] == "ok").all()


@pytest.mark.parametrize("key", ["options", "run", "inputs"])
def test_a_damaged_manifest_is_one_message(compared: Path, tmp_path: Path, key: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compared, copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest[key] = [{"file": "../../etc/passwd", "address": ""}] if key == "inputs" else {}
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = proche("check", copy)
    assert done.exit_code == 3
    assert "does not say how the comparison was made" in done.output


def test_nothing_to_do_gives_the_very_bytes_of_the_run(demo_run: RunDirectory, tmp_path: Path) -> None:
    idle = proposal(tmp_path, "idle")
    way = int(demo_run.network("street30").streets["osm_way"].iloc[0])
    same = proposal(tmp_path, "same", ({"edit": "change_street", "osm_way": way, "max_speed_kmh": 200}, None))
    done = proche("compare", demo_run.path, idle, same, "-o", tmp_path / "out", "--draws", 5)
    assert done.exit_code == 0, done.output
    published = (demo_run.path / "cells.parquet").read_bytes()
    for letter in "AB":
        assert (tmp_path / "out" / f"cells_{letter}.parquet").read_bytes() == published
    made = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    for p in made["proposals"]:
        assert [p[k] for k in ("gain", "winners", "losers", "newly_within", "person_minutes")] == [0] * 5
    assert "changes nothing" in (tmp_path / "out" / "dossier.html").read_text("utf-8")


def test_adding_hurts_nobody_and_removing_helps_nobody(demo_run: RunDirectory, tmp_path: Path) -> None:
    places = demo_run.opportunities
    sorting = places[places["category"] == "sorting"]["id"].tolist()
    more = proposal(
        tmp_path, "more", (SHOP | {"category": "sorting"}, point(24.944, 60.1775)),
        ({"edit": "add_street", "modes": ["walk", "bike"]},
         {"type": "LineString", "coordinates": [[24.9400, 60.1705], [24.9440, 60.1712]]}),
    )  # fmt: skip
    less = proposal(tmp_path, "less", *(({"edit": "remove_amenity", "id": i}, None) for i in sorting))
    done = proche("compare", demo_run.path, more, less, "-o", tmp_path / "out", "--draws", 5, "--lang", "fr")
    assert done.exit_code == 0, done.output
    a, b = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))["proposals"]
    assert a["losers"] == a["no_longer_within"] == 0 < a["winners"]
    assert b["winners"] == b["newly_within"] == 0 < b["losers"]
    assert b["modes"]["walk"]["categories"]["sorting"]["cut_off"] > 0
    assert b["dominated_by"] == []  # everybody being worse off is more equal
    page = (tmp_path / "out" / "dossier.html").read_text("utf-8")
    assert '<html lang="fr">' in page
    assert "Personne ne perd un dixième de point avec A." in page


def test_streets_of_own_tables_carry_no_stress_and_take_every_edit(tmp_path: Path) -> None:
    town = run(town_tables(tmp_path), cache=tmp_path / "cache", out=tmp_path / "town")
    corner = [[2.3495, 48.8495], [2.352, 48.8495], [2.352, 48.852], [2.3495, 48.852], [2.3495, 48.8495]]
    street = {"type": "LineString", "coordinates": [[2.35, 48.85], [2.351, 48.85]]}
    files = [
        proposal(
            tmp_path,
            "slow",
            ({"edit": "speed_area", "max_speed_kmh": 20}, {"type": "Polygon", "coordinates": [corner]}),
        ),
        proposal(tmp_path, "cycleway", ({"edit": "change_street", "cycleway": "track"}, street)),
        proposal(tmp_path, "level", ({"edit": "change_street", "lts": 1, "speed_kmh": 20}, street)),
    ]
    done = proche("compare", town.path, *files, "-o", tmp_path / "rivals", "--draws", 10)
    assert done.exit_code == 0, done.output
    slow = json.loads((tmp_path / "rivals" / "comparison.json").read_text("utf-8"))["proposals"][0]
    assert re.search(r"street30 [1-9]\d* of \d+; stress of cycling not known", json.dumps(slow))


def test_the_same_for_more_money_is_dominated(demo_run: RunDirectory, tmp_path: Path) -> None:
    edit = ({"edit": "add_amenity", "category": "sorting"}, point(24.944, 60.1775))
    files = [proposal(tmp_path, f"p{c}", edit, name=f"For {c}", cost_eur=c) for c in (9000, 3000)]
    done = proche("compare", demo_run.path, *files, "-o", tmp_path / "out", "--draws", 5, "--json")
    assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    dear, cheap = made["proposals"]
    assert (dear["dominated_by"], cheap["dominated_by"]) == (["B"], [])
    assert dear["rank_probability"] == cheap["rank_probability"] == [0.5, 0.5]
    assert cheap["rank_probability_per_euro"] == [1.0, 0.0]
    assert cheap["newly_within_per_million"] == pytest.approx(3 * dear["newly_within_per_million"])
    assert made["ranking"]["gain_per_million"] == ["B", "A"]


def test_the_dossier_stands_alone(demo_run: RunDirectory, compared: Path, tmp_path: Path) -> None:
    page = (compared / "dossier.html").read_text("utf-8")
    at_edge = int(demo_run.cells["edge_affected"].sum())
    assert at_edge > 0
    assert f"{at_edge} of them lie so near the end of the data" in page
    assert "a place added: Schools and kindergartens" in page
    assert "a place of schools" not in page
    for asks in ("<script", "<link", "<img", "src=", "@import", "url("):
        assert asks not in page
    assert page.count("<svg") == 3 * (1 + 3)
    for said in (
        "The verdict",
        "How sure is the ranking?",
        "Method",
        "SHA-256",
        "OpenStreetMap contributors",
    ):
        assert said in page
    evil = proposal(tmp_path, "evil", (SHOP | {"name": "<script>"}, point(24.944, 60.1775)), name="<b>&\"'")
    done = proche("compare", demo_run.path, evil, "-o", tmp_path / "out", "--draws", 5)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "dossier.html").read_text("utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_say_everything(language: str) -> None:
    assert set(words_of(language)) == set(words_of("en"))


def test_bad_input_is_one_clear_message(demo_run: RunDirectory, tmp_path: Path) -> None:
    unknown = proposal(tmp_path, "spa", ({"edit": "add_amenity", "category": "spas"}, point(24.944, 60.1775)))
    far = proposal(tmp_path, "far", (SHOP, point(2.35, 48.85)))
    slip = proposal(tmp_path, "slip", ({"edit": "add_amenity", "categroy": "shops"}, point(24.944, 60.1775)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    good = EXAMPLES[0]
    for args, code, says in (
        ((unknown,), 3, "spa: feature 1: property 'category' is 'spas'; the run has shops"),
        ((far,), 3, "far: feature 1: it lies farther than 100 m from every street"),
        ((slip,), 3, "did you mean 'category'"),
        ((tmp_path / "absent.geojson",), 3, "cannot read the proposal"),
        ((good, *[good] * 26), 2, "found 27 proposals"),
        ((good, "--assume", "sped=0.2"), 2, "unknown 'sped'; known are speed"),
        ((good, "--assume", "gone=x"), 2, "expected a number from 0 to 0.9"),
    ):
        done = proche("compare", demo_run.path, *args, "-o", tmp_path / "out")
        assert (done.exit_code, says in done.output) == (code, True), done.output
        assert not (tmp_path / "out").exists()
    done = proche("compare", demo_run.path, good, "-o", tmp_path / "full")
    assert done.exit_code == 2
    assert "holds mine.txt and is no comparison" in done.output
    done = proche("report", tmp_path / "full", "-o", tmp_path / "x.html")
    assert done.exit_code == 3


def test_what_is_assumed_moves_the_intervals_and_nothing_else(demo_run: RunDirectory, tmp_path: Path) -> None:
    made = {}
    for name, more in (("sure", ["speed=0", "snap_min=0", "gone=0", "unmapped=0"]), ("unsure", ["gone=0.5"])):
        options = [x for pair in more for x in ("--assume", pair)]
        done = proche("compare", demo_run.path, EXAMPLES[-1], "-o", tmp_path / name, "--draws", 30, *options)
        assert done.exit_code == 0, done.output
        (made[name],) = json.loads((tmp_path / name / "comparison.json").read_text("utf-8"))["proposals"]
    assert made["sure"]["gain"] == made["unsure"]["gain"]
    assert made["sure"]["intervals"]["gain"] == pytest.approx([made["sure"]["gain"]] * 2)
    low, high = made["unsure"]["intervals"]["gain"]
    assert low < high
