"""Export: the run directory, put in place file by file, with the manifest last."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipelines.errors import ArtifactError, ConfigError
from pipelines.rundir import MANIFEST, RunDirectory
from pipelines.sources.transfer import public_url
from pipelines.steps.context import Context, code_digest, library_versions
from pipelines.steps.results import Results
from pipelines.store import sha256_of, sync_file, sync_folder
from pipelines.tables_out import write_json
from pipelines.version import __version__

LOCK = ".lock"
"""File in a run directory that is locked while it is written."""


def export(
    ctx: Context, results: Results, target: Path, *, seconds: Callable[[], float], peak_mb: float
) -> tuple[RunDirectory, bool]:
    """
    Put the outputs of a run into its directory.

    The manifest goes first and comes last: a directory without one is not finished, one with it is whole.
    Files of yours beside the outputs stay.

    Returns
    -------
    tuple of RunDirectory and bool
        The run, and whether anything had to be written.

    Raises
    ------
    ConfigError
        The folder cannot become a run directory: see `refuse_unusable`.
    """
    refuse_unusable(target)
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / LOCK):
        files = {name: artifact.file(name) for name, artifact in results.files().items()}
        outputs = {
            name: dict(artifact.record["files"][name]) for name, artifact in sorted(results.files().items())
        }
        if _is_current(target, ctx, outputs):
            return RunDirectory.open(target), False
        _replace_all(target, files, outputs)
        write_json(_manifest(ctx, results, outputs, seconds=seconds(), peak_mb=peak_mb), target / MANIFEST)
        sync_folder(target)
    return RunDirectory.open(target), True


def refuse_unusable(target: Path) -> None:
    """
    Say that a folder cannot become the run directory, before hours are spent on a run.

    Raises
    ------
    ConfigError
        It is a file, a link to nothing, holds other things, or cannot be written.
    """
    if target.is_file() or (target.is_symlink() and not target.exists()):
        msg = f"{target} is a {'file' if target.is_file() else 'link to nothing'}; --out takes a folder"
        raise ConfigError(msg)
    ground = next(p for p in (target, *target.absolute().parents) if p.exists())
    if not ground.is_dir() or not os.access(ground, os.W_OK | os.X_OK):
        why = "cannot be written" if ground.is_dir() else "is a file"
        msg = f"cannot write the run to {target}: {ground} {why}; choose another folder with --out"
        raise ConfigError(msg)
    if target.is_dir() and not (target / LOCK).is_file() and _manifest_in(target) is None:
        others = [p.name for p in target.iterdir()]
        if others:
            held = ", ".join(sorted(others)[:3])
            msg = f"{target} holds {held} and is no run directory; choose an empty or new folder"
            raise ConfigError(msg)
    if (target / LOCK).is_symlink():
        msg = f"{target / LOCK} is a link: this is no run directory that proche made; choose another folder"
        raise ConfigError(msg)


def _manifest_in(target: Path) -> dict[str, Any] | None:
    """The manifest of the run that lies in a folder, None where there is none that can be read."""
    try:
        return RunDirectory.open(target).manifest
    except ArtifactError:
        return None


def _is_current(target: Path, ctx: Context, outputs: dict[str, Any]) -> bool:
    manifest = _manifest_in(target)
    if (
        manifest is None
        or manifest.get("config_digest") != ctx.config.digest
        or manifest["outputs"] != outputs
        or manifest.get("code") != code_digest()
    ):
        return False
    return all((target / n).is_file() and sha256_of(target / n) == o["sha256"] for n, o in outputs.items())


def _replace_all(target: Path, files: dict[str, Path], outputs: dict[str, Any]) -> None:
    old = (_manifest_in(target) or {"outputs": {}})["outputs"]
    for left in target.glob(".new-*"):
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=target, prefix=".new-"))
    try:
        for name, path in files.items():
            shutil.copyfile(path, work / name)
            sync_file(work / name)
        (target / MANIFEST).unlink(missing_ok=True)
        for name in files:
            os.replace(work / name, target / name)  # noqa: PTH105 - atomic within the folder
        for name in set(old) - set(outputs):
            (target / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _public(value: Any) -> Any:
    """Configuration as it may be passed on: addresses without user name and password."""
    if isinstance(value, dict):
        return {k: _public(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_public(v) for v in value]
    return public_url(value) if isinstance(value, str) and "://" in value else value


def _manifest(
    ctx: Context, results: Results, outputs: dict[str, Any], *, seconds: float, peak_mb: float
) -> dict[str, Any]:
    return {
        "product": "proche",
        "version": __version__,
        "code": code_digest(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "base": str(ctx.base),
        "config": _public(ctx.config.model_dump(mode="json", exclude_unset=True)),
        "config_resolved": _public(ctx.config.model_dump(mode="json")),
        "config_digest": ctx.config.digest,
        "area": {"bbox": list(results.area.boundary.bounds), "cells": len(results.area.cells)},
        "modes": list(results.modes),
        "categories": list(results.categories),
        "neighbourhoods": sorted({str(n) for n in results.area.neighbourhood if n is not None}),
        "attribution": sorted({i.licence for i in ctx.inputs.values() if i.licence}),
        "osm": results.extract.info,
        "inputs": [ctx.inputs[k].record() for k in sorted(ctx.inputs)],
        "outputs": outputs,
        "steps": ctx.timings,
        "reports": ctx.reports,
        "seconds": round(seconds, 3),
        "peak_memory_mb": round(peak_mb, 1),
        "memory_limit_mb": ctx.budget.limit_mb,
        "tile_cells": ctx.tile_cells,
        "log": None if ctx.log.path is None else str(ctx.log.path),
        "packages": library_versions(),
    }
