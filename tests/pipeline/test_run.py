"""A run on real data: the contract's files, the same bytes, no work twice, no half-written directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pytest

from pipelines.compute import run
from pipelines.errors import ArtifactError, ConfigError, SourceError
from pipelines.progress import Progress
from pipelines.rundir import MANIFEST, RunDirectory, check

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.toml"
CATEGORIES = ("shops", "schools", "green", "sorting")
MODES = ("walk", "bike", "street30")


class Heard(Progress):
    """Progress that is listened to."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line.strip())

    @property
    def computed(self) -> set[str]:
        return {line.split()[1] for line in self.lines if line.startswith("✓")}


def test_cells_have_the_contract_s_columns(demo_run: RunDirectory) -> None:
    cells = demo_run.cells
    expected = ["h3_cell", "geometry", "population", "street_length_m", "edge_affected", "no_network"]
    for mode in MODES:
        for category in CATEGORIES:
            stem = f"{mode}_{category}"
            expected += [
                f"{stem}_{m}" for m in ("minutes", "p90_minutes", "second_minutes", "n5", "n10", "n15")
            ]
        expected += [f"{mode}_score", f"{mode}_within_15"]
    assert set(expected) <= set(cells.columns)
    assert cells.crs == "EPSG:4326"
    assert cells["h3_cell"].is_monotonic_increasing
    assert all(h3.get_resolution(c) == 10 for c in cells["h3_cell"])


def test_figures_keep_their_own_laws(demo_run: RunDirectory) -> None:
    cells = demo_run.cells
    for mode in MODES:
        known = ~cells[f"{mode}_shops_minutes"].isna()
        for category in CATEGORIES:
            stem = f"{mode}_{category}"
            some = cells.loc[known]
            assert (some[f"{stem}_minutes"] <= some[f"{stem}_second_minutes"].fillna(np.inf) + 1e-9).all()
            assert (some[f"{stem}_n5"] <= some[f"{stem}_n10"] + 1e-9).all()
            assert (some[f"{stem}_n10"] <= some[f"{stem}_n15"] + 1e-9).all()
            n_places = (demo_run.opportunities["category"] == category).sum()
            assert some[f"{stem}_n15"].max() <= n_places
        assert cells.loc[known, f"{mode}_score"].between(0, 100).all()
    assert (cells["bike_shops_minutes"] <= cells["walk_shops_minutes"] + 1).mean() > 0.9


def test_edges_are_one_row_a_direction(demo_run: RunDirectory) -> None:
    for mode in MODES:
        nodes = gpd.read_parquet(demo_run.path / f"network_{mode}_nodes.parquet")
        edges = gpd.read_parquet(demo_run.path / f"network_{mode}_edges.parquet")
        assert {"from_node", "to_node", "length_m", "travel_time_ms", "osm_way", "geometry"} <= set(
            edges.columns
        )
        assert ("lts" in edges.columns) == (mode == "bike")
        assert set(edges["from_node"]) | set(edges["to_node"]) <= set(nodes["node_id"])
        assert edges["travel_time_ms"].dtype.kind == "i"
        assert (edges["travel_time_ms"] >= 0).all()


def test_the_manifest_tells_the_whole_story(demo_run: RunDirectory) -> None:
    manifest = demo_run.manifest
    assert (
        manifest["inputs"][0]["sha256"] == "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee"
    )
    on_disk = {p.name for p in demo_run.path.iterdir() if not p.name.startswith(".")}
    assert on_disk == set(manifest["outputs"]) | {MANIFEST}
    assert manifest["packages"]["igraph"]
    assert manifest["osm"]["counts"]["ways"] > 0
    assert manifest["reports"]["network_walk"]["dropped"]
    assert any("OpenStreetMap" in a for a in manifest["attribution"])


def test_a_second_run_does_no_work_and_says_so(untouched_cache: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(untouched_cache, tmp_path / "cache")
    folder = run(DEMO, cache=cache).path
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    heard = Heard()
    run(DEMO, cache=cache, progress=heard)
    assert heard.computed == set()
    assert any("nothing to do" in line for line in heard.lines)
    assert before == {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("override", "recomputed"),
    [
        ("scoring.weights={green=3}", {"scores", "panel", "portrait", "gaps"}),
        ("scoring.cutoff_min=10", {"scores", "panel", "portrait", "gaps"}),
        ("sites.trees.count=20", {"sites_trees"}),
        ("network.bike.max_lts=2", {"network_bike", "opportunities", "reach_walk", "reach_bike", "reach_street30",
                                    "measures_walk", "measures_bike", "measures_street30", "scores", "green",
                                    "panel", "portrait", "gaps"}),
    ],
)  # fmt: skip
def test_one_key_recomputes_what_hangs_on_it(
    demo_run: RunDirectory, untouched_cache: Path, tmp_path: Path, override: str, recomputed: set[str]
) -> None:
    cache = shutil.copytree(untouched_cache, tmp_path / "cache")
    heard = Heard()
    changed = run(DEMO, out=tmp_path / "out", cache=cache, overrides=[override], progress=heard)
    assert heard.computed == recomputed
    assert changed.manifest["outputs"] != demo_run.manifest["outputs"]


def test_two_clean_runs_give_the_same_bytes(demo_run: RunDirectory, tmp_path: Path) -> None:
    again = run(DEMO, cache=tmp_path / "cache", out=tmp_path / "out")
    assert again.manifest["outputs"] == demo_run.manifest["outputs"]


def test_the_manifest_reproduces_the_run(demo_run: RunDirectory, tmp_path: Path) -> None:
    again = run(demo_run.path / MANIFEST, cache=tmp_path / "cache", out=tmp_path / "out")
    assert again.manifest["outputs"] == demo_run.manifest["outputs"]


def test_the_readme_s_lines_of_python_work(
    demo_run: RunDirectory, demo_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    assert len(text.splitlines()) <= 10
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PROCHE_CACHE", str(demo_cache))
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["cells"]["h3_cell"].tolist() == demo_run.cells["h3_cell"].tolist()
    assert names["cells"]["walk_score"].max() > 50


def test_check_finds_one_changed_byte_in_any_output(demo_run: RunDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(demo_run.path, copy)
    assert set(check(copy)["state"]) == {"ok"}
    for name in demo_run.manifest["outputs"]:
        file = copy / name
        whole = file.read_bytes()
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        table = check(copy).set_index("file")["state"]
        assert table[name] == "changed"
        assert (table.drop(name) == "ok").all()
        file.write_bytes(whole)
    (copy / "cells.parquet").unlink()
    assert check(copy).set_index("file")["state"]["cells.parquet"] == "missing"


def test_a_damaged_output_is_put_right_by_the_next_run(demo_cache: Path, tmp_path: Path) -> None:
    made = run(DEMO, out=tmp_path / "out", cache=demo_cache)
    (made.path / "cells.parquet").write_bytes(b"broken")
    (made.path / "notes.txt").write_text("mine")
    run(DEMO, out=tmp_path / "out", cache=demo_cache)
    assert set(check(made.path)["state"]) == {"ok"}
    assert (made.path / "notes.txt").read_text() == "mine"


def test_a_directory_without_manifest_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a finished run"):
        RunDirectory.open(tmp_path)


def test_a_folder_of_other_things_is_left_alone(
    demo_run: RunDirectory, demo_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match=r"thesis.tex.*no run directory"):
        run(DEMO, out=tmp_path, cache=demo_cache)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", [b"", b"garbage", b"<osm", b"\x00\x00\x00\x0d"])
def test_a_broken_extract_is_a_sentence_and_leaves_no_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.osm.pbf").write_bytes(content)
    config = {"area": {"name": "X"}, "source": {"osm": str(tmp_path / "x.osm.pbf")}}
    with pytest.raises(SourceError, match=r"x\.osm\.pbf"):
        run(config, cache=tmp_path / "cache")
    assert not (tmp_path / "cache" / "runs").exists()


def test_no_mode_is_an_error(tmp_path: Path) -> None:
    off = {m: {"enabled": False} for m in MODES}
    with pytest.raises(ConfigError, match="no mode is enabled"):
        run({"area": {"name": "X"}, "source": {"osm": "x"}, "network": off}, cache=tmp_path)


def test_sites_and_gaps_are_ranked_with_reasons(demo_run: RunDirectory) -> None:
    for kind in ("chargers", "sorting", "trees"):
        sites = demo_run.sites(kind)
        facts = json.loads((demo_run.path / f"sites_{kind}.json").read_text("utf-8"))
        new = sites[~sites["locked"].astype(bool)]
        assert list(new["rank"]) == list(range(1, len(new) + 1))
        assert new["why"].str.len().gt(10).all()
        assert facts["objective"] <= facts["bound"] * (1 + 1e-9)
        assert facts["gap"] >= 0
    gaps = demo_run.gaps
    assert {"mode", "category", "rank", "why", "geometry"} <= set(gaps.columns)
    assert isinstance(gaps["why"].iloc[0], str)


def test_tables_open_without_geopandas(demo_run: RunDirectory) -> None:
    assert len(pd.read_parquet(demo_run.path / "cells.parquet", columns=["h3_cell"])) == len(demo_run.cells)
