"""A run on disks that are full, closed or hostile, and what it leaves for those who look for the reason."""

from __future__ import annotations

import errno
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import cli
from pipelines.compute import run
from pipelines.errors import ArtifactError, ConfigError, SourceError
from pipelines.rundir import MANIFEST, RunDirectory, check
from pipelines.warm_town import town_tables
from tests.loopback import Content, serve


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A town of sixteen crossings."""
    return town_tables(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town-cache")


@pytest.fixture(scope="module")
def clean(tables: dict[str, Any], cache: Path) -> RunDirectory:
    """The town's run, undisturbed."""
    return run(tables, cache=cache)


@pytest.fixture
def config(tables: dict[str, Any], tmp_path: Path) -> Path:
    """The town as a file."""
    path = tmp_path / "town.toml"
    source, places = tables["source"], tables["opportunities"]
    lines = [
        f'[area]\nname = "Warm-up"\nbbox = {list(tables["area"]["bbox"])}',
        f'[source]\nosm = "tables"\nnodes = "{source["nodes"]}"\nedges = "{source["edges"]}"',
        *(f'[opportunities.{n}]\nosm = {{}}\nfile = "{p["file"]}"\ngeometry = "point"\nmin_area_ha = 0.0'
          for n, p in places.items()),
        *(f"[sites.{k}]\ncount = {v['count']}" for k, v in tables["sites"].items()),
    ]  # fmt: skip
    path.write_text("\n".join(lines), "utf-8")
    return path


def proche(*args: object, cache: Path) -> Result:
    return CliRunner(env={"PROCHE_CACHE": str(cache)}).invoke(cli, [str(a) for a in args])


def log_of(finished: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(finished.manifest["log"]).read_text("utf-8").splitlines()]


# --- what a run tells


def test_the_log_tells_every_step_with_time_and_memory(clean: RunDirectory) -> None:
    events = log_of(clean)
    assert (events[0]["event"], events[-1]["event"]) == ("start", "end")
    steps = {e["step"]: e for e in events if e["event"] == "step"}
    assert steps.keys() == clean.manifest["steps"].keys()
    for name, told in clean.manifest["steps"].items():
        assert 0 < told["computing_seconds"] <= told["seconds"], name
        assert 50 < told["peak_memory_mb"] <= clean.manifest["peak_memory_mb"] + 0.1, name
        assert told["cached"] is False
        assert steps[name]["peak_memory_mb"] == told["peak_memory_mb"]
    assert {e["role"] for e in events if e["event"] == "input"} == {
        i["role"] for i in clean.manifest["inputs"]
    }


def test_what_a_step_took_is_known_when_it_comes_from_the_cache(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    again = run(tables, cache=cache, out=tmp_path / "out")
    for name, told in again.manifest["steps"].items():
        assert told["cached"] is True
        assert told["peak_memory_mb"] == clean.manifest["steps"][name]["peak_memory_mb"]
    assert again.manifest["outputs"] == clean.manifest["outputs"]


def test_a_run_that_fails_leaves_its_log(tables: dict[str, Any], tmp_path: Path) -> None:
    broken = {**tables, "source": {**tables["source"], "edges": str(tmp_path / "edges.csv")}}
    (tmp_path / "edges.csv").write_text("\x00\x1b[31m")
    with pytest.raises(SourceError):
        run(broken, cache=tmp_path / "cache")
    (log,) = (tmp_path / "cache" / "logs" / "warm-up").glob("*.jsonl")
    last = json.loads(log.read_text("utf-8").splitlines()[-1])
    assert (last["event"], last["kind"]) == ("failed", "SourceError")
    assert "edges.csv" in last["message"]
    assert log.read_text("utf-8").replace("\n", "").isprintable(), (
        "nothing in a log moves a terminal's cursor"
    )


def test_a_profile_names_the_functions_that_took_the_time(
    clean: RunDirectory, config: Path, cache: Path
) -> None:
    result = proche("run", config, "--profile", cache=cache)
    assert result.exit_code == 0, result.stderr
    path = Path(next(line.split(": ")[1] for line in result.stderr.splitlines() if "profile: " in line))
    assert "compute_results" in path.read_text("utf-8")


def test_a_password_in_an_address_is_told_to_nobody(tables: dict[str, Any], tmp_path: Path) -> None:
    with serve() as server:
        server.put("/nodes.csv", Content(Path(tables["source"]["nodes"]).read_bytes()))
        address = server.url.replace("http://", "http://me:s3cret@") + "/nodes.csv"
        private = {**tables, "source": {**tables["source"], "nodes": address}}
        finished = run(private, cache=tmp_path / "cache")
    told = (finished.path / MANIFEST).read_text() + Path(finished.manifest["log"]).read_text()
    assert "s3cret" not in told
    assert f"{server.url}/nodes.csv" in told


# --- disks


def no_space(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the disk be full from the `call`-th sync on."""
    count = 0
    sync = os.fsync

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("call", [1, 2, 4, 9, 20])
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
    clean: RunDirectory, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    with monkeypatch.context() as patch:
        no_space(patch, call)
        result = proche("run", config, "--out", out, cache=cache)
    assert result.exit_code == 3, result.stderr
    assert "No space left on device" in result.stderr
    assert "proche cache gc" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (out / MANIFEST).exists()
    assert not [p for p in cache.rglob("artifacts/*/.*") if any(p.iterdir())]
    result = proche("run", config, "--out", out, cache=cache)
    assert result.exit_code == 0, result.stderr
    assert RunDirectory.open(out).manifest["outputs"] == clean.manifest["outputs"]


def test_a_disk_that_fills_up_while_an_old_run_is_replaced_leaves_the_old_or_none(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(tables, cache=cache, out=out)
    other = {**tables, "scoring": {"cutoff_min": 7}}
    run(other, cache=cache, out=tmp_path / "known")
    for call in (1, 5, 12):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            no_space(patch, call)
            run(other, cache=cache, out=out)
        assert set(check(out)["state"]) == {"ok"} if (out / MANIFEST).exists() else True
    assert run(other, cache=cache, out=out).manifest["outputs"] == check_of(tmp_path / "known")


def check_of(path: Path) -> dict[str, Any]:
    assert set(check(path)["state"]) == {"ok"}
    return dict(RunDirectory.open(path).manifest["outputs"])


def test_a_folder_that_cannot_be_written_is_said_before_the_run(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed)  # a test may run as root
    result = proche("run", config, "--out", closed / "out", cache=tmp_path / "cache")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert "--out" in result.stderr
    assert not (tmp_path / "cache" / "artifacts").exists()


def test_a_closed_cache_is_a_sentence(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache should be")
    result = proche("run", config, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert result.exit_code == 3
    assert str(tmp_path / "cache") in result.stderr
    assert "Traceback" not in result.stderr


# --- folders that are not what they seem


def test_a_damaged_manifest_is_put_right_by_the_next_run(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(tables, cache=cache, out=out)
    for content in (b"", b"{", b"[" * 100_000, b'{"outputs": {"cells.parquet": 3}}', b"\xff\xfe"):
        (out / MANIFEST).write_bytes(content)
        with pytest.raises(ArtifactError, match=MANIFEST):
            RunDirectory.open(out)
        run(tables, cache=cache, out=out)
        assert check_of(out) == clean.manifest["outputs"]


@pytest.mark.parametrize("name", ["../thesis.tex", "/etc/passwd", "..", "a/b", "manifest.json", "x\x00y"])
def test_a_manifest_that_names_files_elsewhere_reaches_nothing(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path, name: str
) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("mine")
    out = tmp_path / "out"
    shutil.copytree(clean.path, out)
    hostile = dict(clean.manifest)
    hostile["outputs"] = {**hostile["outputs"], name: {"sha256": "0" * 64, "size": 4}}
    (out / MANIFEST).write_text(json.dumps(hostile))
    with pytest.raises(ArtifactError, match="no file in this folder"):
        check(out)
    run({**tables, "scoring": {"cutoff_min": 7}}, cache=cache, out=out)
    assert thesis.read_text() == "mine"
    assert set(check(out)["state"]) == {"ok"}


def test_links_in_a_run_directory_are_replaced_not_followed(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("mine")
    out = tmp_path / "out"
    shutil.copytree(clean.path, out)
    for name in ("cells.parquet", MANIFEST):
        (out / name).unlink()
        (out / name).symlink_to(thesis)
    run(tables, cache=cache, out=out)
    assert thesis.read_text() == "mine"
    assert check_of(out) == clean.manifest["outputs"]
    (out / ".lock").unlink(missing_ok=True)
    (out / ".lock").symlink_to(thesis)
    with pytest.raises(ConfigError, match="is a link"):
        run(tables, cache=cache, out=out)
    assert thesis.read_text() == "mine"


def test_a_link_to_a_folder_is_a_folder_and_a_link_to_nothing_is_not(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert check_of(run(tables, cache=cache, out=tmp_path / "link").path) == clean.manifest["outputs"]
    assert (tmp_path / "real" / MANIFEST).is_file()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="link to nothing"):
        run(tables, cache=cache, out=tmp_path / "gone")


def test_somebody_else_s_manifest_is_left_alone(tables: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"manifest_version": 3, "name": "an extension of a browser"}')
    with pytest.raises(ConfigError, match=r"manifest.json.*no run directory"):
        run(tables, cache=cache, out=tmp_path)
    assert "browser" in (tmp_path / MANIFEST).read_text()


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc",
        "/root",
        "a\nb\x00c\x1b[31m",
        "<script>alert(1)</script>",
        "=1+1",
        "..",
        "é" * 120,
        "東京\u202e",
    ],
)
def test_a_name_stays_inside_the_cache(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, name: str
) -> None:
    before = {p.name for p in cache.parent.iterdir()}
    named = {**tables, "area": {**tables["area"], "name": name}}
    finished = run(named, cache=cache)
    assert finished.path.parent == cache / "runs"
    assert finished.name == name
    assert {p.name for p in cache.parent.iterdir()} == before
    cells = finished.manifest["outputs"]["cells.parquet"]
    assert cells == clean.manifest["outputs"]["cells.parquet"], "a name is no figure"


# --- two at once


def _run_in_process(tables: dict[str, Any], cache: str, out: str) -> dict[str, Any]:
    return dict(run(tables, cache=cache, out=out).manifest["outputs"])


def test_runs_at_once_agree_and_finish(clean: RunDirectory, tables: dict[str, Any], tmp_path: Path) -> None:
    outs = [str(tmp_path / name) for name in ("same", "same", "other")]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_run_in_process, tables, str(tmp_path / "cache"), out) for out in outs]
        found = [job.result(timeout=300) for job in jobs]
    assert found == [clean.manifest["outputs"]] * 3
    for out in set(outs):
        assert set(check(Path(out))["state"]) == {"ok"}


def test_a_damaged_cache_entry_is_named_and_made_anew(
    clean: RunDirectory, tables: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    hurt = sorted(copy.glob("artifacts/*/*/*.parquet"))
    for path in hurt:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    finished = run(tables, cache=copy, out=tmp_path / "out")
    assert finished.manifest["outputs"] == clean.manifest["outputs"]
    named = {e["step"] for e in log_of(finished) if e["event"] == "fault"}
    assert {"extract", "network_walk", "reach_bike", "scores"} <= named


def test_the_cache_keeps_to_its_limit_and_spares_what_is_in_use(
    clean: RunDirectory, tables: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.cache import entries

    cache = tmp_path / "cache"
    old = cache / "artifacts" / "scores" / ("0" * 32)
    old.mkdir(parents=True)
    (old / "x").write_bytes(bytes(10_000))
    os.utime(old, (0, 0))
    monkeypatch.setenv("PROCHE_CACHE_LIMIT", "1kB")
    finished = run(tables, cache=cache)
    assert not old.exists()
    kept = [e for e in entries(cache) if e.kind == "artifact"]
    assert len(kept) == len(finished.manifest["steps"]), "the run's own results were in use"
    assert any(e["event"] == "evicted" for e in log_of(finished))
    assert check_of(finished.path) == clean.manifest["outputs"]
