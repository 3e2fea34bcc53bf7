"""The command: results on stdout, progress on stderr, exit codes, one message for an error."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner, Result

from pipelines.cli import cli
from pipelines.config import config_schema
from pipelines.rundir import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.toml"


def proche(*args: object, cache: Path | None = None) -> Result:
    """Run the command in this process."""
    env = {} if cache is None else {"PROCHE_CACHE": str(cache)}
    return CliRunner(env=env).invoke(cli, [str(a) for a in args])


def test_demo_prints_figures_and_the_folder(untouched_cache: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(untouched_cache, tmp_path / "cache")
    result = proche("demo", "--no-app", cache=cache)
    assert result.exit_code == 0, result.stderr
    assert "Helsinki centre: 144 cells" in result.stdout
    assert result.stdout.strip().endswith("helsinki-centre")
    assert "nothing to do" in result.stderr


def test_json_is_one_document_on_stdout(demo_run: RunDirectory, demo_cache: Path) -> None:
    result = proche("run", DEMO, "--json", cache=demo_cache)
    assert json.loads(result.stdout)["summary"] == demo_run.summary


def test_check_passes_and_fails(demo_run: RunDirectory, tmp_path: Path) -> None:
    assert proche("check", demo_run.path).exit_code == 0
    copy = tmp_path / "run"
    shutil.copytree(demo_run.path, copy)
    (copy / "summary.json").write_text("{}")
    result = proche("check", copy, "--json")
    assert result.exit_code == 3
    assert {r["file"]: r["state"] for r in json.loads(result.stdout)}["summary.json"] == "changed"
    assert "summary.json: changed" in result.stderr


@pytest.mark.parametrize("form", ["gpkg", "geojson", "csv", "flatgeobuf"])
def test_export_keeps_every_cell_and_figure(demo_run: RunDirectory, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"cells.{'fgb' if form == 'flatgeobuf' else form}"
    result = proche("export", demo_run.path, "--format", form, "-o", file)
    assert result.exit_code == 0, result.stderr
    table = pd.read_csv(file) if form == "csv" else gpd.read_file(file)
    merged = table.set_index("h3_cell")["walk_shops_minutes"].reindex(demo_run.cells["h3_cell"])
    assert merged.to_numpy() == pytest.approx(demo_run.cells["walk_shops_minutes"].to_numpy(), nan_ok=True)


@pytest.mark.parametrize("form", ["gpkg", "csv"])
def test_every_table_of_a_run_can_be_exported(demo_run: RunDirectory, tmp_path: Path, form: str) -> None:
    tables = [n.removesuffix(".parquet") for n in demo_run.manifest["outputs"] if n.endswith(".parquet")]
    assert {"portrait", "features", "gaps", "network_walk_edges"} <= set(tables)
    for table in tables:
        file = tmp_path / f"{table}.{form}"
        result = proche("export", demo_run.path, "--format", form, "--table", table, "-o", file)
        assert result.exit_code == 0, f"{table}: {result.output} {result.exception}"
        read = pd.read_csv(file, low_memory=False) if form == "csv" else gpd.read_file(file)
        assert len(read) == len(pd.read_parquet(demo_run.path / f"{table}.parquet")), table


@pytest.mark.parametrize("sort", [object, "category", "string"])
def test_a_csv_holds_no_formula(tmp_path: Path, sort: Any) -> None:
    from pipelines.tables_out import export_table

    bad = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x"]
    names = pd.Series([*bad, "safe, with a = comma", None], dtype=sort)
    table = gpd.GeoDataFrame({"name": names}, geometry=[shapely.Point(0, 0)] * len(names), crs="EPSG:4326")
    export_table(table, tmp_path / "x.csv", form="csv", layer="x")
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        read = [row["name"] for row in csv.DictReader(file)]
    assert read == [*(f"'{text}" for text in bad), "safe, with a = comma", ""]


def test_schema_is_the_configuration_s() -> None:
    assert json.loads(proche("schema").stdout) == json.loads(json.dumps(config_schema()))


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "none.toml"], 2, "none.toml"),
        (["run", DEMO, "--set", "area.nam=x"], 2, "'name'"),
        (["run", DEMO, "--set", "source.osm=nowhere.pbf"], 2, "nowhere.pbf"),
        (["run", DEMO, "--set", "source.sha256=" + "0" * 64], 3, "expected 0000"),
        (["check", "."], 3, "not a finished run"),
        (["export", ".", "--format", "dwg", "-o", "x"], 2, "dwg"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_an_error_is_one_message_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[object], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = proche(*args, cache=tmp_path / "cache")
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", [["isochrone", "--at", "24.94,60.17"], ["explain", "8a1126d3301ffff"]])
def test_a_mode_that_the_run_lacks_is_a_usage_error(demo_run: RunDirectory, command: list[str]) -> None:
    result = proche(command[0], demo_run.path, *command[1:], "--mode", "fly")
    assert result.exit_code == 2
    assert "no mode 'fly'; it has walk, bike, street30" in result.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in proche("--debug", "run", tmp_path / "none.toml").stderr


def _hear_interrupts() -> None:
    """Tests that were started in the background of a shell, and their children, are deaf to SIGINT otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_130_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "demo", "--no-app", "--out", str(tmp_path / "out")]
    env = {**os.environ, "PROCHE_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        command,
        env=env,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - one signal, no threads here
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(
        (tmp_path / "cache").glob("artifacts/extract/*/artifact.json")
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert not (tmp_path / "out" / "manifest.json").exists()
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "extract" in done.stderr
    assert proche("check", tmp_path / "out").exit_code == 0


def test_sites_for_any_number_with_their_proof(
    demo_run: RunDirectory, demo_cache: Path, tmp_path: Path
) -> None:
    few = json.loads(
        proche("sites", demo_run.path, "--kind", "chargers", "--count", 3, cache=demo_cache).stdout
    )
    new = [f for f in few["features"] if not f["properties"]["locked"]]
    assert [f["properties"]["rank"] for f in new] == [1, 2, 3]
    assert few["objective"] <= few["bound"] * (1 + 1e-9)
    assert few["gap"] == pytest.approx(few["bound"] / few["objective"] - 1, abs=1e-6)
    whole = proche(
        "sites", demo_run.path, "--kind", "trees", "-o", tmp_path / "trees.geojson", cache=demo_cache
    )
    assert whole.exit_code == 0, whole.stderr
    assert len(gpd.read_file(tmp_path / "trees.geojson")) == len(demo_run.sites("trees"))
