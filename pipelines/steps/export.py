"""Export: the run directory, put in place file by file, with the manifest last."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pipelines.errors import ConfigError
from pipelines.rundir import MANIFEST, RunDirectory
from pipelines.steps.context import Context, code_digest, library_versions
from pipelines.store import sha256_of, sync_file, sync_folder
from pipelines.tables_out import write_json
from pipelines.version import __version__

if TYPE_CHECKING:
    from pipelines.compute import Results


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
        The folder exists, holds other things, and is no run directory.
    """
    _refuse_foreign(target)
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / ".lock"):
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


def _refuse_foreign(target: Path) -> None:
    if target.is_file():
        msg = f"{target} is a file; --out takes a folder"
        raise ConfigError(msg)
    if not target.is_dir() or (target / MANIFEST).exists() or (target / ".lock").exists():
        return
    others = [p.name for p in target.iterdir()]
    if others:
        msg = f"{target} holds {', '.join(sorted(others)[:3])} and is no run directory; choose an empty or new folder"
        raise ConfigError(msg)


def _is_current(target: Path, ctx: Context, outputs: dict[str, Any]) -> bool:
    if not (target / MANIFEST).is_file():
        return False
    manifest = RunDirectory.open(target).manifest
    if (
        manifest.get("config_digest") != ctx.config.digest
        or manifest["outputs"] != outputs
        or manifest.get("code") != code_digest()
    ):
        return False
    return all((target / n).is_file() and sha256_of(target / n) == o["sha256"] for n, o in outputs.items())


def _replace_all(target: Path, files: dict[str, Path], outputs: dict[str, Any]) -> None:
    old = RunDirectory.open(target).manifest["outputs"] if (target / MANIFEST).is_file() else {}
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


def _manifest(
    ctx: Context, results: Results, outputs: dict[str, Any], *, seconds: float, peak_mb: float
) -> dict[str, Any]:
    return {
        "product": "proche",
        "version": __version__,
        "code": code_digest(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "base": str(ctx.base),
        "config": ctx.config.model_dump(mode="json", exclude_unset=True),
        "config_resolved": ctx.config.model_dump(mode="json"),
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
        "packages": library_versions(),
    }
