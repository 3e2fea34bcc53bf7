"""The folder of a comparison: its files, their manifest, and the proof that they come out the same again."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from engine.proposals.edit import Proposal
from engine.proposals.uncertainty import Uncertainty
from pipelines.comparison import Comparison, compare, needs_calm
from pipelines.dossier import dossier
from pipelines.dossier_words import LANGUAGES, Language
from pipelines.errors import ArtifactError, ConfigError
from pipelines.progress import Progress
from pipelines.proposals import open_base, read_proposal
from pipelines.rundir import MANIFEST, RunDirectory, check
from pipelines.steps.context import code_digest, library_versions
from pipelines.store import sha256_of
from pipelines.tables_out import harmless, write_json, write_parquet
from pipelines.version import __version__

KIND = "comparison"
MOST_DRAWS = 100_000
JSON, CSV, DOSSIER = "comparison.json", "comparison.csv", "dossier.html"


def compare_files(
    run: Path,
    proposals: Sequence[Path],
    out: Path,
    *,
    language: Language = "en",
    uncertainty: Uncertainty | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """
    Compare proposal files on a run and write everything about it into a folder.

    Parameters
    ----------
    run
        Run directory.
    proposals
        GeoJSON files, 1 to 26.
    out
        New or empty folder, or that of an earlier comparison, which is replaced.
    language
        Of the dossier.
    uncertainty
        What is declared as not known.
    progress
        Where progress is said.

    Returns
    -------
    Comparison
        What was written: ``comparison.json``, ``comparison.csv``, ``dossier.html``, ``cells_A.parquet`` … with every
        cell under each proposal, ``proposal_A.geojson`` … as they were given, ``manifest.json`` last.

    Raises
    ------
    ConfigError
        The folder holds other things, or the number of proposals is wrong.
    SourceError, InputError
        A proposal cannot be read or resolved.
    ArtifactError
        The run is not finished, or was made by another version.
    """
    _refuse_foreign(out)
    finished = RunDirectory.open(run)
    read = [read_proposal(path) for path in proposals]
    unknown = uncertainty or Uncertainty()
    made = _compared(finished, read, unknown, progress or Progress())
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out, prefix=".new-"))
    try:
        names = _write(made, [p.read_bytes() for p in proposals], work, language)
        manifest = _manifest(made, proposals, work, names, language=language, out=out)
        _replace(out, work, names)
        write_json(manifest, out / MANIFEST)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


def _compared(
    run: RunDirectory, proposals: Sequence[Proposal], unknown: Uncertainty, progress: Progress
) -> Comparison:
    base = open_base(run, calm=needs_calm(proposals))
    return compare(base, proposals, uncertainty=unknown, progress=progress)


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        msg = f"{out} is a file; -o takes a folder"
        raise ConfigError(msg)
    if not out.is_dir() or is_comparison(out):
        return
    others = sorted(p.name for p in out.iterdir() if not p.name.startswith(".new-"))
    if others:
        msg = f"{out} holds {', '.join(others[:3])} and is no comparison; choose an empty or new folder"
        raise ConfigError(msg)


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a finished comparison."""
    if not (folder / MANIFEST).is_file():
        return False
    try:
        return RunDirectory(folder).manifest.get("kind") == KIND
    except ArtifactError:
        return False


def _write(made: Comparison, raw: Sequence[bytes], folder: Path, language: Language) -> list[str]:
    """Write every file but the manifest; their bytes depend on the run, the proposals and the options alone."""
    names = []
    for one, content in zip(made.measured, raw, strict=True):
        names += [f"proposal_{one.letter}.geojson", f"cells_{one.letter}.parquet"]
        (folder / names[-2]).write_bytes(content)
        write_parquet(one.cells, folder / names[-1])
    write_json(made.result, folder / JSON)
    (folder / CSV).write_text(comparison_csv(made), encoding="utf-8-sig", newline="")
    hashes = {n: sha256_of(folder / n) for n in (JSON, CSV)}
    (folder / DOSSIER).write_text(dossier(made, language=language, hashes=hashes), encoding="utf-8")
    return [*names, JSON, CSV, DOSSIER]


def _manifest(
    made: Comparison,
    proposals: Sequence[Path],
    folder: Path,
    names: Sequence[str],
    *,
    language: Language,
    out: Path,
) -> dict[str, Any]:
    run = made.base.run
    return {
        "product": "proche",
        "kind": KIND,
        "version": __version__,
        "code": code_digest(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **{key: run.manifest[key] for key in ("config", "modes", "categories")},
        "run": {
            "name": run.name,
            "path": str(run.path.resolve()),
            "relative_path": os.path.relpath(run.path.resolve(), out.resolve()),
            "config_digest": run.manifest["config_digest"],
            "outputs": {n: o["sha256"] for n, o in run.manifest["outputs"].items()},
        },
        "options": {"language": language, "uncertainty": asdict(made.uncertainty)},
        "inputs": [
            {"role": f"proposal {one.letter}", "address": path.name, "sha256": one.proposal.digest,
             "size": path.stat().st_size, "file": f"proposal_{one.letter}.geojson"}
            for one, path in zip(made.measured, proposals, strict=True)
        ],
        "outputs": {
            n: {"sha256": sha256_of(folder / n), "size": (folder / n).stat().st_size} for n in sorted(names)
        },
        "attribution": run.manifest.get("attribution", []),
        "packages": library_versions(),
    }  # fmt: skip


def _replace(out: Path, work: Path, names: Sequence[str]) -> None:
    """Put the files in place; without a manifest meanwhile, the folder is not finished."""
    old = RunDirectory(out).manifest["outputs"] if is_comparison(out) else {}
    (out / MANIFEST).unlink(missing_ok=True)
    for name in names:
        os.replace(work / name, out / name)  # noqa: PTH105 - atomic within the folder
    for name in set(old) - set(names):
        (out / Path(name).name).unlink(missing_ok=True)


_SHOWN = (
    "letter", "name", "gain", "newly_within", "no_longer_within", "winners", "losers", "worst_decile_gain",
    "gini_change", "cost_eur",
)  # fmt: skip


def scoreboard(made: Comparison) -> pd.DataFrame:
    """The main figures, a row a proposal, from the greatest gain to the least."""
    rivals = {p["letter"]: p for p in made.result["proposals"]}
    rows = [{k: rivals[x][k] for k in _SHOWN} for x in made.result["ranking"]["gain"]]
    table = pd.DataFrame(rows, columns=list(_SHOWN))
    table["ranks_first"] = [rivals[x]["rank_probability"][0] for x in made.result["ranking"]["gain"]]
    return table.round({"gain": 3, "worst_decile_gain": 3, "gini_change": 5})


_COLUMNS = (
    "newly_within", "no_longer_within", "cut_off", "winners", "losers", "person_minutes", "mean_minutes_before",
    "mean_minutes_after", "p90_minutes_before", "p90_minutes_after", "worst_decile_before", "worst_decile_after",
    "gini_before", "gini_after", "score_before", "score_after", "score_gain", "gain_low", "gain_high",
    "newly_within_low", "newly_within_high", "ranks_first", "first_in_weightings", "cost_eur", "gain_per_million",
    "newly_within_per_million", "cost_per_newly_within", "person_minutes_per_euro", "dominated_by",
)  # fmt: skip


def comparison_csv(made: Comparison) -> str:
    """
    The figures as one table: a row for each proposal, then for each of its modes, then for each category in them.

    ``mode`` and ``category`` are ``all`` where a row sums them up; a cell is empty where the figure does not apply.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(["proposal", "name", "mode", "category", *_COLUMNS])
    for p in made.result["proposals"]:
        head = [p["letter"], harmless(p["name"])]
        (low, high), (fewest, most) = p["intervals"]["gain"], p["intervals"]["newly_within"]
        whole = p | {
            "score_gain": p["gain"], "gain_low": low, "gain_high": high, "newly_within_low": fewest,
            "newly_within_high": most, "ranks_first": p["rank_probability"][0],
            "dominated_by": " ".join(p["dominated_by"]),
        }  # fmt: skip
        writer.writerow([*head, "all", "all", *_row(whole)])
        for mode, m in p["modes"].items():
            writer.writerow([*head, mode, "all", *_row(m)])
            for category, c in m["categories"].items():
                writer.writerow([*head, mode, category, *_row(c)])
    return stream.getvalue()


def _row(figures: Mapping[str, Any]) -> list[Any]:
    values = [figures.get(c) for c in _COLUMNS]
    return ["" if v is None else round(v, 9) if isinstance(v, float) else v for v in values]


def check_comparison(
    folder: Path, *, run: Path | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """
    Recompute a comparison from its run and its proposals, and compare it with its files to the last byte.

    Parameters
    ----------
    folder
        Folder of a comparison.
    run
        Where its run is now; by default where it was.
    progress
        Where progress is said.

    Returns
    -------
    pandas.DataFrame
        As `pipelines.rundir.check` gives it: ``ok``, ``changed``, ``missing``, and for what is whole but does not
        come out again: ``recomputes differently``, or ``not recomputed`` where the run is gone or was changed.
    """
    table = check(folder)
    manifest = RunDirectory(folder).manifest
    _refuse_damaged(folder, manifest)
    found, state = _run_of(folder, manifest, run)
    rows = [*table.to_dict(orient="records"), {"file": f"run {manifest['run']['name']}", "state": state}]
    if (table["state"] == "ok").all():
        again = _again(found, folder, manifest, progress or Progress()) if found and state == "ok" else {}
        for row in rows[:-1]:
            if row["file"] not in again:
                row["state"] = "not recomputed"
            elif again[row["file"]] != row["found"]:
                row["state"] = "recomputes differently"
    return pd.DataFrame(rows, columns=["file", "state", "expected", "found"])


def _refuse_damaged(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that lacks what is needed to compute again, or leads out of the folder."""
    try:
        unknown = Uncertainty(**manifest["options"]["uncertainty"])
        ok = manifest["options"]["language"] in LANGUAGES and 0 < int(unknown.draws) <= MOST_DRAWS
        ok = ok and all(
            i["file"] in manifest["outputs"] and isinstance(i["address"], str) for i in manifest["inputs"]
        )
        ok = ok and all(isinstance(manifest["run"][k], str) for k in ("name", "path", "relative_path"))
        ok = ok and isinstance(manifest["run"]["outputs"], dict)
    except (KeyError, TypeError, ValueError):
        ok = False
    if not ok:
        msg = f"{folder / MANIFEST} does not say how the comparison was made, or is of another version; compare again"
        raise ArtifactError(msg)


def _run_of(folder: Path, manifest: Mapping[str, Any], given: Path | None) -> tuple[RunDirectory | None, str]:
    """The run of a comparison, and whether it is still the one that was compared on."""
    recorded = manifest["run"]
    places = [given] if given else [folder / recorded["relative_path"], Path(recorded["path"])]
    path = next((p for p in places if (p / MANIFEST).is_file()), None)
    if path is None:
        return None, "missing"
    run = RunDirectory.open(path)
    same = {n: o["sha256"] for n, o in run.manifest["outputs"].items()} == recorded["outputs"]
    return run, "ok" if same and (check(path)["state"] == "ok").all() else "changed"


def _again(
    run: RunDirectory, folder: Path, manifest: Mapping[str, Any], progress: Progress
) -> dict[str, str]:
    """Hashes of every file, made anew in a folder of its own."""
    options = manifest["options"]
    files = [folder / i["file"] for i in manifest["inputs"]]
    read = [read_proposal(f) for f in files]
    named = [
        p if p.name != f.stem else _renamed(p, Path(i["address"]).stem)
        for p, f, i in zip(read, files, manifest["inputs"], strict=True)
    ]
    made = _compared(run, named, Uncertainty(**options["uncertainty"]), progress)
    with tempfile.TemporaryDirectory(prefix="proche-check-") as work:
        names = _write(made, [f.read_bytes() for f in files], Path(work), options["language"])
        return {n: sha256_of(Path(work) / n) for n in names}


def _renamed(proposal: Proposal, name: str) -> Proposal:
    """A proposal that its file does not name is called after the file that was given."""
    return replace(proposal, name=name)


def assumed(pairs: Sequence[str], *, seed: int, draws: int) -> Uncertainty:
    """
    What is declared as not known, from ``KEY=VALUE`` as the command takes them.

    Raises
    ------
    ConfigError
        A key is unknown, or a value is not a number that it can take.
    """
    known = {f.name: f.default for f in fields(Uncertainty) if f.name not in ("seed", "draws")}
    values: dict[str, float] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        key = key.strip()
        if key not in known:
            msg = f"--assume {pair!r}: unknown {key!r}; known are {', '.join(known)}"
            raise ConfigError(msg)
        most = {"snap_min": 60.0, "spread_m": 1e5}.get(key, 0.9)
        try:
            values[key] = float(text)
        except ValueError:
            values[key] = -1.0
        if not 0 <= values[key] <= most:
            msg = f"--assume {pair!r}: expected a number from 0 to {most:g}, for example {key}={known[key]:g}"
            raise ConfigError(msg)
    return Uncertainty(**values, seed=seed, draws=draws)
