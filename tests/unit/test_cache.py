"""The cache as a whole: listed, verified, and kept below its limit without taking anything from a running process."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cache import collect, entries, lease, limit_bytes, table_of, verify
from pipelines.cli import cli
from pipelines.errors import ConfigError
from pipelines.sources.download import fetch
from pipelines.store import RECORD, Store
from tests.loopback import Content, serve


def made(root: Path, key: str, *, size: int = 1000, days_ago: float = 0) -> Path:
    def build(folder: Path) -> dict[str, int]:
        (folder / "data.bin").write_bytes(bytes(size))
        return {"size": size}

    artifact, _ = Store(root).make("step", key, build)
    aged(artifact.path, days_ago)
    return artifact.path


def aged(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    old, used, new = (made(tmp_path, k * 32, days_ago=d) for k, d in (("a", 9), ("b", 8), ("c", 1)))
    assert Store(tmp_path).find("step", "b" * 32) is not None
    size = sum(e.size for e in entries(tmp_path) if e.kind == "artifact")
    went = collect(tmp_path, limit=size - 1)
    assert [e.path for e in went] == [old]
    assert [p.exists() for p in (old, used, new)] == [False, True, True]
    assert [e.path for e in collect(tmp_path, limit=0)] == [new, used]


def test_a_dry_run_takes_nothing(tmp_path: Path) -> None:
    path = made(tmp_path, "a" * 32, days_ago=1)
    assert [e.path for e in collect(tmp_path, limit=0, dry_run=True)] == [path]
    assert path.is_dir()


def test_runs_batches_and_logs_are_never_evicted(tmp_path: Path) -> None:
    for name in ("runs/here", "batches/all", "logs/here"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(bytes(1000))
    made(tmp_path, "a" * 32, days_ago=1)
    assert [e.kind for e in collect(tmp_path, limit=0)] == ["artifact"]
    assert {e.kind for e in entries(tmp_path)} == {"run", "batch", "log"}


def _use_and_wait(root: str, key: str, used: Any, leave: Any) -> None:
    with lease(Path(root)):
        assert Store(Path(root)).find("step", key) is not None
        used.set()
        leave.wait(60)


def test_what_a_running_process_uses_stays_until_it_ends(tmp_path: Path) -> None:
    path = made(tmp_path, "a" * 32, days_ago=3)
    idle = made(tmp_path, "b" * 32, days_ago=2)
    context = multiprocessing.get_context("spawn")
    used, leave = context.Event(), context.Event()
    process = context.Process(target=_use_and_wait, args=(str(tmp_path), "a" * 32, used, leave))
    process.start()
    assert used.wait(300), "a new process imports much on a busy machine"
    assert {e.path: e.state for e in entries(tmp_path)} == {path: "in use", idle: "free"}
    assert [e.path for e in collect(tmp_path, limit=0)] == [idle]
    process.kill()  # a lease does not outlive its process, however that ends
    process.join()
    assert [e.path for e in collect(tmp_path, limit=0)] == [path]
    assert list((tmp_path / "leases").iterdir()) == []


def test_an_artifact_that_is_being_made_stays(tmp_path: Path) -> None:
    path = made(tmp_path, "a" * 32, days_ago=1)
    went = []

    def build(folder: Path) -> dict[str, int]:
        went.extend(collect(tmp_path, limit=0))
        return {}

    Store(tmp_path).make("step", "a" * 32, build, force=True)
    assert went == []
    assert path.is_dir()


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    made(tmp_path, "a" * 32)
    for name in (f".{'b' * 32}.x1y2z3", f".dead-{'a' * 32}-77"):
        (tmp_path / "artifacts" / "step" / name).mkdir()
    assert {e.kind for e in collect(tmp_path, limit=None)} == {"leftover"}
    assert [e.kind for e in entries(tmp_path)] == ["artifact"]


def test_downloads_count_and_go_and_come_back(tmp_path: Path) -> None:
    with serve() as server:
        url = server.put("/a.csv", Content(b"name,lon,lat\n" * 100))
        fetched = fetch(url, cache_dir=tmp_path / "http")
        aged(fetched.path.parent, 1)
        assert [(e.kind, e.state) for e in entries(tmp_path)] == [("download", "free")]
        assert len(collect(tmp_path, limit=0)) == 1
        assert not fetched.path.exists()
        assert fetch(url, cache_dir=tmp_path / "http").sha256 == fetched.sha256
        with lease(tmp_path):
            fetch(url, cache_dir=tmp_path / "http")
            assert collect(tmp_path, limit=0) == []


def test_verify_names_what_is_damaged_or_foreign(tmp_path: Path) -> None:
    whole, changed, moved = (made(tmp_path, k * 32) for k in "abc")
    (changed / "data.bin").write_bytes(b"x" * 1000)
    moved.rename(moved.with_name("d" * 32))
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04")
    states = {e.name: e.state for e in verify(tmp_path)}
    assert states == {
        f"step/{'a' * 32}": "ok",
        f"step/{'b' * 32}": "has a changed data.bin",
        f"step/{'d' * 32}": "belongs to another step",
        "model.pkl": "is nothing that proche puts here",
    }
    removed = verify(tmp_path, remove=True)
    assert sum(e.state.endswith("; removed") for e in removed) == 2
    assert {e.name for e in entries(tmp_path)} == {whole.parent.name + "/" + whole.name, "model.pkl"}


@pytest.mark.parametrize(
    "record",
    [
        {"files": {"data.bin": None}},
        {"files": {"data.bin": {"size": "many"}}},
        {"files": {"../../../secret": {"size": 6, "sha256": "0" * 64}}},
        {"files": ["data.bin"]},
        {"info": None},
        {"key": None},
    ],
)
def test_a_record_of_any_shape_is_a_fault_not_a_crash(tmp_path: Path, record: dict[str, Any]) -> None:
    path = made(tmp_path, "a" * 32)
    (tmp_path / "secret").write_text("secret")
    known = json.loads((path / RECORD).read_text())
    (path / RECORD).write_text(json.dumps(known | record))
    store = Store(tmp_path)
    assert store.find("step", "a" * 32) is None
    assert len(store.faults) == 1
    assert (tmp_path / "secret").read_text() == "secret"


def test_an_artifact_may_not_be_a_link_to_somewhere_else(tmp_path: Path) -> None:
    path = made(tmp_path, "a" * 32)
    (tmp_path / "elsewhere").write_bytes((path / "data.bin").read_bytes())
    (path / "data.bin").unlink()
    (path / "data.bin").symlink_to(tmp_path / "elsewhere")
    assert Store(tmp_path).find("step", "a" * 32) is None


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert entries(tmp_path / "none") == []
    assert len(table_of([])) == 0
    assert not (tmp_path / "none").exists()


def test_limits_are_written_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limit_bytes("1.5 GB") == 1_500_000_000
    assert limit_bytes("2GiB") == 2 << 30
    assert limit_bytes() == 50_000_000_000
    monkeypatch.setenv("PROCHE_CACHE_LIMIT", "none")
    assert limit_bytes() is None
    monkeypatch.setenv("PROCHE_CACHE_LIMIT", "lots")
    with pytest.raises(ConfigError, match=r"\$PROCHE_CACHE_LIMIT.*1.5GB.*'lots'"):
        limit_bytes()
    for bad in ("-1GB", "nan", "1e9GB", "1 XB", ""):
        with pytest.raises(ConfigError):
            limit_bytes(bad) if bad else limit_bytes(" ")


def test_the_command_lists_collects_and_verifies(tmp_path: Path) -> None:
    """ls, gc (dry and in earnest) and verify, with exit code 3 as long as something is damaged."""

    def proche(*args: str) -> Result:
        return CliRunner(env={"PROCHE_CACHE": str(tmp_path), "PROCHE_CACHE_LIMIT": "2KB"}).invoke(
            cli, ["cache", *args]
        )

    old, new = made(tmp_path, "a" * 32, days_ago=3), made(tmp_path, "b" * 32, days_ago=1)
    listed = json.loads(proche("ls", "--json").stdout)
    assert [row["path"] for row in listed] == [str(old), str(new)], "the least recently used first"
    assert all(row["kind"] == "artifact" and row["size"] >= 1000 for row in listed)
    plain = proche("ls")
    assert plain.exit_code == 0
    assert "the limit is 2" in plain.stderr
    assert "would be freed" in proche("gc", "--limit", "0", "--dry-run").stderr
    assert (old.exists(), new.exists()) == (True, True)
    assert [row["path"] for row in json.loads(proche("gc", "--json").stdout)] == [str(old)], (
        "down to $PROCHE_CACHE_LIMIT"
    )
    assert (old.exists(), new.exists()) == (False, True)
    assert proche("verify").exit_code == 0
    (new / "data.bin").write_bytes(b"\x01" * 1000)
    found = proche("verify")
    assert found.exit_code == 3
    assert str(new) in found.stderr
    assert new.exists()
    assert proche("verify", "--remove").exit_code == 3
    assert not new.exists()
    assert proche("verify").exit_code == 0
