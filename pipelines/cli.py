"""The command `proche`: results on stdout, progress on stderr, one clear message for an error."""

from __future__ import annotations

import errno
import json
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import click

from engine.errors import EngineError, InputError
from pipelines.errors import ConfigError, PipelineError
from pipelines.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.cache import Entry
    from pipelines.rundir import RunDirectory

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
_DATA, _COMPUTATION = 3, 4
_EXISTING = click.Path(path_type=Path)


class _Group(click.Group):
    """Turns the errors that we raise on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (PipelineError, EngineError, MemoryError) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(
                f"proche: {str(error) or 'out of memory: choose a smaller area or a coarser resolution'}",
                err=True,
            )
            ctx.exit(_exit_code(error))
        except KeyboardInterrupt:
            click.echo(
                "proche: interrupted; finished steps are kept, the next run goes on from there", err=True
            )
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"proche: {_disk_message(error)}", err=True)
            ctx.exit(_DATA)


def _disk_message(error: OSError) -> str:
    """What a disk refused, and what to do."""
    what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{what}; make room (`proche cache gc --limit 5GB`), or use another disk: --out and $PROCHE_CACHE"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what}; choose a folder that can be written: --out for the run, $PROCHE_CACHE for the cache"
    return (
        f"{what}; finished steps are kept, the next run goes on from there (--debug shows where it happened)"
    )


def _exit_code(error: BaseException) -> int:
    if isinstance(error, PipelineError):
        return error.exit_code
    return _DATA if isinstance(error, InputError) else _COMPUTATION


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="proche")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure what people reach within fifteen minutes of home, and what to build next."""


def main() -> None:
    """Run the command."""
    cli(prog_name="proche")


def _json_option(function: Callable[P, R]) -> Callable[P, R]:
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def _run_options(function: Callable[P, R]) -> Callable[P, R]:
    @click.option("--out", type=_EXISTING, help="Run directory (default: cache/runs/NAME).")
    @click.option(
        "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change one key; repeatable."
    )
    @click.option("--force", is_flag=True, help="Compute every step anew.")
    @click.option(
        "--offline", is_flag=True, help="Never reach for the internet: use the cache or say what lacks."
    )
    @click.option(
        "--memory-limit", metavar="AMOUNT", help="Memory to keep to, such as 2GB: computes in tiles."
    )
    @click.option("--profile", is_flag=True, help="Write which functions took the time, beside the log.")
    @click.option("--quiet", is_flag=True, help="No progress lines.")
    @_json_option
    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapped


@cli.command()
@click.argument("config", type=_EXISTING)
@_run_options
def run(
    config: Path,
    *,
    out: Path | None,
    overrides: tuple[str, ...],
    force: bool,
    offline: bool,
    memory_limit: str | None,
    profile: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compute the run that CONFIG describes (a TOML file, or the manifest.json of a run)."""
    _run(
        config,
        out=out,
        overrides=overrides,
        force=force,
        offline=offline,
        memory_limit=memory_limit,
        profile=profile,
        quiet=quiet,
        as_json=as_json,
    )


@cli.command()
@click.option("--no-app", is_flag=True, help="Do not open the map.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the map.")
@_run_options
def demo(
    *,
    no_app: bool,
    port: int | None,
    out: Path | None,
    overrides: tuple[str, ...],
    force: bool,
    offline: bool,
    memory_limit: str | None,
    profile: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compute the demonstration (Helsinki centre, offline) and open the map on it."""
    from pipelines.resources import configs_folder

    finished = _run(
        configs_folder() / "demo.toml",
        out=out,
        overrides=overrides,
        force=force,
        offline=offline,
        memory_limit=memory_limit,
        profile=profile,
        quiet=quiet,
        as_json=as_json,
    )
    if not no_app:
        _open_app([finished.path], port=port, headless=False)


def _run(config: Path, *, quiet: bool, as_json: bool, **options: Any) -> RunDirectory:
    from pipelines.compute import run as compute
    from pipelines.progress import Progress

    progress = Progress() if quiet else Progress.to_stderr()
    finished = compute(config, progress=progress, **options)
    if as_json:
        click.echo(
            json.dumps(
                {"run": str(finished.path), "summary": finished.summary}, ensure_ascii=False, sort_keys=True
            )
        )
    else:
        from pipelines.report import headline

        click.echo(headline(finished))
        click.echo(str(finished.path))
    return finished


@cli.command()
@click.argument("files", nargs=-1, required=True, type=_EXISTING)
@click.option("--out", type=_EXISTING, help="Folder of the batch (default: cache/batches/NAME).")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="A dask cluster; default: processes here.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of local processes (default: what fits).")
@click.option("--memory-gb", type=float, help="Memory of all local processes together.")
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="For every city; repeatable."
)
@click.option("--resume", is_flag=True, help="Take what is recorded, finished or failed, as it is.")
@click.option("--retry-failed", is_flag=True, help="As --resume, but try again what failed.")
@click.option("--status", is_flag=True, help="Only say how far the batch is.")
@click.option("--estimate", is_flag=True, help="Only say what the batch will take: time, memory, disk.")
@click.option("--force", is_flag=True, help="Compute every step anew.")
@click.option("--offline", is_flag=True, help="Never reach for the internet.")
@click.option("--quiet", is_flag=True, help="No progress lines.")
@_json_option
def batch(
    files: tuple[Path, ...],
    *,
    status: bool,
    estimate: bool,
    quiet: bool,
    as_json: bool,
    out: Path | None,
    **how: Any,
) -> None:
    """Compute every city and setting of FILES: TOML with [[areas]], CSV, or plain configurations."""
    from pipelines.batch.batch import estimate_batch, exit_code, read_status, run_batch
    from pipelines.batch.catalogue import shown
    from pipelines.progress import Progress

    if estimate:
        known = {key: how[key] for key in ("workers", "memory_gb", "overrides")}
        found = estimate_batch(list(files), out=out, **known)
        _print_table(found.table if as_json else found.table.head(40), as_json=as_json)
        click.echo(found.summary(), err=as_json)
        return
    if status:
        table = read_status(list(files), out=out)
    else:
        progress = Progress() if quiet else Progress.to_stderr()
        finished = run_batch(list(files), out=out, progress=progress, **how)
        table = finished.status
        click.echo(f"{finished.path}", err=as_json)
    _print_table(table if as_json else shown(table), as_json=as_json)
    if not status and exit_code(table):
        raise SystemExit(exit_code(table))


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option("--run", "of_run", type=_EXISTING, help="Where the run of a comparison is, if it was moved.")
@_json_option
def check(run: Path, *, of_run: Path | None, as_json: bool) -> None:
    """Recompute every hash in the manifest of RUN; a comparison is computed again and must come out the same."""
    from pipelines.comparison_files import check_comparison, is_comparison
    from pipelines.progress import Progress
    from pipelines.rundir import check as recompute

    compared = is_comparison(run)
    table = check_comparison(run, run=of_run, progress=Progress.to_stderr()) if compared else recompute(run)
    bad = table[table["state"] != "ok"]
    _print_table(table[["file", "state"]], as_json=as_json)
    if len(bad):
        again = "compare again" if compared else "run the configuration again"
        click.echo(
            f"proche: {len(bad)} of {len(table)} files of {run} differ from the manifest "
            f"({', '.join(f'{r.file}: {r.state}' for r in bad.itertuples())}); {again}",
            err=True,
        )
        raise SystemExit(_DATA)


@cli.group()
def cache() -> None:
    """
    What is kept so that nothing is computed or downloaded twice: $PROCHE_CACHE, else the folder cache.

    Each run ends by evicting what was not used for longest until artifacts and downloads fit into
    $PROCHE_CACHE_LIMIT (default 50GB; none for no limit). What a running process uses stays; so do your runs.
    """


@cache.command("ls")
@_json_option
def cache_ls(*, as_json: bool) -> None:
    """List what is in the cache, the least recently used first."""
    from pipelines.cache import EVICTABLE, entries, limit_bytes
    from pipelines.compute import cache_folder

    found = entries(cache_folder())
    _print_entries(found, as_json=as_json)
    limit = limit_bytes()
    held, ceiling = sum(e.size for e in found if e.kind in EVICTABLE), "no limit"
    if limit is not None:
        ceiling = f"the limit is {_amount(limit)}"
    click.echo(f"{cache_folder()}: {_amount(held)} that can be had again; {ceiling}", err=True)


@cache.command("gc")
@click.option("--limit", metavar="AMOUNT", help="Size to come down to, such as 5GB (default: the limit).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_json_option
def cache_gc(*, limit: str | None, dry_run: bool, as_json: bool) -> None:
    """Evict what was not used for longest, and sweep what killed processes left."""
    from pipelines.cache import collect, limit_bytes
    from pipelines.compute import cache_folder

    gone = collect(cache_folder(), limit=limit_bytes(limit), dry_run=dry_run)
    _print_entries(gone, as_json=as_json)
    verb = "would be freed" if dry_run else "freed"
    click.echo(f"{_amount(sum(e.size for e in gone))} {verb}", err=True)


@cache.command("verify")
@click.option("--remove", is_flag=True, help="Take away what is damaged; the next run makes it anew.")
@_json_option
def cache_verify(*, remove: bool, as_json: bool) -> None:
    """Hash everything in the cache again; exit code 3 if something is damaged or foreign."""
    from pipelines.cache import verify
    from pipelines.compute import cache_folder

    checked = verify(cache_folder(), remove=remove)
    _print_entries(checked, as_json=as_json)
    bad = [e for e in checked if e.state != "ok"]
    if bad:
        named = "; ".join(f"{e.path} {e.state}" for e in bad[:5])
        todo = "" if remove else "; `proche cache verify --remove` takes away what is damaged"
        click.echo(f"proche: {len(bad)} of {len(checked)} entries are not in order: {named}{todo}", err=True)
        raise SystemExit(_DATA)


def _amount(size: float) -> str:
    from pipelines.quantity import shown_bytes

    return shown_bytes(size)


def _print_entries(found: list[Entry], *, as_json: bool) -> None:
    from pipelines.cache import table_of

    table = table_of(found)
    if not as_json:
        table["size"] = [_amount(s) for s in table["size"]]
        table = table.drop(columns="path")
    if as_json or len(table):
        _print_table(table, as_json=as_json)


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option("--format", "form", type=click.Choice(["gpkg", "geojson", "csv", "flatgeobuf"]), required=True)
@click.option("--table", default="cells", show_default=True, help="cells, opportunities, gaps, sites_trees …")
@click.option("-o", "--output", type=_EXISTING, required=True, help="File to write.")
def export(run: Path, *, form: str, table: str, output: Path) -> None:
    """Write a table of RUN for QGIS or a spreadsheet."""
    from pipelines.rundir import RunDirectory
    from pipelines.tables_out import export_table

    opened = RunDirectory.open(run)
    known = sorted(n.removesuffix(".parquet") for n in opened.manifest["outputs"] if n.endswith(".parquet"))
    if table not in known:
        msg = f"{run} has no table {table!r}; it has {', '.join(known)}"
        raise ConfigError(msg)
    export_table(opened.table(table), output, form=form, layer=table)
    click.echo(str(output))


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    from pipelines.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option("--at", required=True, metavar="LON,LAT", help="Where the walk starts.")
@click.option("--mode", default="walk", show_default=True)
@click.option("--minutes", default="5,10,15", show_default=True, metavar="M,M,…")
@click.option(
    "--shape",
    type=click.Choice(["outline", "buffer", "cells", "streets"]),
    default="outline",
    show_default=True,
)
@click.option("-o", "--output", type=_EXISTING, help="File to write (default: stdout).")
def isochrone(run: Path, *, at: str, mode: str, minutes: str, shape: str, output: Path | None) -> None:
    """Polygons that are reached from a point, as GeoJSON."""
    from pipelines.isochrone import isochrone_geojson
    from pipelines.rundir import RunDirectory

    collection = isochrone_geojson(
        RunDirectory.open(run),
        lon_lat=_lon_lat(at),
        mode=mode,
        minutes=_numbers(minutes, option="--minutes"),
        shape=shape,
    )
    _write_json(collection, output)


@cli.command()
@click.argument("run", type=_EXISTING)
@click.argument("cell", metavar="CELL")
@click.option("--mode", default="walk", show_default=True)
@click.option("-o", "--output", type=_EXISTING, help="File to write (default: stdout).")
def explain(run: Path, cell: str, *, mode: str, output: Path | None) -> None:
    """Why CELL (an H3 index of RUN) has its numbers: places, ways, runners-up, slack, cheapest fix; JSON."""
    from pipelines.explain import explain_cell
    from pipelines.rundir import RunDirectory

    _write_json(explain_cell(RunDirectory.open(run), cell, mode=mode), output)


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option("-o", "--output", type=_EXISTING, required=True, help="HTML file to write.")
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True)
def report(run: Path, *, output: Path, language: Literal["en", "fr"]) -> None:
    """Two pages on the city of RUN that print well: maps, curves, figures, gaps, method; one HTML file."""
    from pipelines.city_report import city_report
    from pipelines.rundir import RunDirectory
    from pipelines.store import write_atomic

    write_atomic(output, city_report(RunDirectory.open(run), language=language).encode())
    click.echo(str(output))


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option("--kind", type=click.Choice(["trees", "chargers", "sorting", "green"]), required=True)
@click.option("--count", type=click.IntRange(0, 1_000_000), help="New sites at most (default: the run's).")
@click.option(
    "--objective", type=click.Choice(["covering", "p_median"]), help="Most people served, or least walking."
)
@click.option("--sweep", metavar="N,N,…", help="Answer these numbers as well: coverage against number.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Ask one key differently from the run, for example sites.chargers.capacity=400; repeatable.",
)
@click.option("-o", "--output", type=_EXISTING, help="File to write (default: stdout).")
def sites(
    run: Path,
    *,
    kind: str,
    count: int | None,
    objective: str | None,
    sweep: str | None,
    overrides: tuple[str, ...],
    output: Path | None,
) -> None:
    """Sites of one kind as GeoJSON, with objective, bound and gap."""
    from pipelines.progress import Progress
    from pipelines.rundir import RunDirectory
    from pipelines.siting import sites_geojson

    asked = list(overrides)
    if objective is not None:
        asked.append(f"sites.{kind}.objective={objective}")
    if sweep is not None:
        numbers = [int(n) if n == int(n) else n for n in _numbers(sweep, option="--sweep")]
        asked.append(f"sites.{kind}.sweep={numbers}")
    found = sites_geojson(
        RunDirectory.open(run), kind=kind, count=count, overrides=asked, progress=Progress.to_stderr()
    )
    _write_json(found, output)
    click.echo(_proof(found), err=True)


@cli.command()
@click.argument("run", type=_EXISTING)
@click.argument("proposals", metavar="PROPOSAL.geojson…", nargs=-1, required=True, type=_EXISTING)
@click.option("-o", "--output", type=_EXISTING, required=True, help="Folder to write.")
@click.option(
    "--lang", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of the dossier."
)
@click.option(
    "--draws", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Of what is not known."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=15, show_default=True, help="Of the draws."
)
@click.option(
    "--assume",
    multiple=True,
    metavar="KEY=VALUE",
    help="What is declared as not known: speed, snap_min, gone, unmapped, spread_m; repeatable.",
)
@click.option("--quiet", is_flag=True, help="No progress lines.")
@_json_option
def compare(
    run: Path,
    proposals: tuple[Path, ...],
    *,
    output: Path,
    lang: Literal["en", "fr"],
    draws: int,
    seed: int,
    assume: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Re-score every cell of RUN under each proposal; write comparison.json, .csv and a dossier that prints well."""
    from pipelines.comparison_files import assumed, compare_files, scoreboard
    from pipelines.progress import Progress

    made = compare_files(
        run,
        proposals,
        output,
        language=lang,
        uncertainty=assumed(assume, seed=seed, draws=draws),
        progress=Progress() if quiet else Progress.to_stderr(),
    )
    _print_table(scoreboard(made), as_json=as_json)
    click.echo(str(output), err=as_json)


@cli.command()
@click.argument("run", type=_EXISTING)
@click.argument("points", metavar="POINTS", type=_EXISTING)
@click.option("--category", help="Category of every idea (default: the file's column 'category').")
@click.option(
    "--within-m",
    type=click.FloatRange(0, 10_000),
    default=150.0,
    show_default=True,
    help="Ideas of one category no farther apart are taken as one.",
)
@click.option("--count", type=click.IntRange(min=1), help="Ranks to give (default: all).")
@click.option(
    "--top", type=click.IntRange(1, 200), default=10, show_default=True, help="Ranks in --proposal."
)
@click.option("--proposal", type=_EXISTING, help="Write the first ranks as a proposal for `proche compare`.")
@click.option(
    "-o", "--output", type=_EXISTING, help="GeoJSON or CSV file to write (default: a table on stdout)."
)
@click.option("--quiet", is_flag=True, help="No progress lines.")
@_json_option
def rank(
    run: Path,
    points: Path,
    *,
    category: str | None,
    within_m: float,
    count: int | None,
    top: int,
    proposal: Path | None,
    output: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Rank the ideas in POINTS (CSV or GeoJSON) by what each adds to those above it in RUN, neighbours as one."""
    from pipelines.progress import Progress
    from pipelines.proposals import open_base
    from pipelines.ranking import best_proposal, rank_ideas, read_ideas
    from pipelines.rundir import RunDirectory
    from pipelines.tables_out import export_table

    base = open_base(RunDirectory.open(run))
    ideas = read_ideas(points, base, category=category)
    progress = Progress() if quiet else Progress.to_stderr()
    table = rank_ideas(base, ideas, within_m=within_m, count=count, progress=progress)
    if proposal is not None:
        _write_json(best_proposal(table, top=top, name=f"Best of {points.stem}"), proposal)
    if output is not None:
        form = "csv" if output.suffix.casefold() == ".csv" else "geojson"
        export_table(table, output, form=form, layer="ideas")
        click.echo(str(output))
        return
    plain = table.drop(columns="geometry").assign(
        lon=table.geometry.x.round(6), lat=table.geometry.y.round(6)
    )
    _print_table(
        plain if as_json else plain[plain["head"]].head(top).drop(columns=["head", "reason"]), as_json=as_json
    )


@cli.command()
@click.argument("run", type=_EXISTING)
@click.option(
    "--kind", type=click.Choice(["speed30", "bridge", "railway", "bike_links", "parks_closed"]), required=True
)
@click.option(
    "--speed-kmh", type=click.FloatRange(3, 130), default=30.0, show_default=True, help="Of speed30."
)
@click.option(
    "--km", type=click.FloatRange(min=0, min_open=True), help="Of bike_links (default: as many as today)."
)
@click.option("--name", help="Only bridges, railways or streets whose name holds this.")
@click.option(
    "--top", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Entries of the ranking."
)
@click.option("-o", "--output", type=_EXISTING, help="Proposal file to write (default: stdout).")
@click.option("--quiet", is_flag=True, help="No progress lines.")
def counterfactual(run: Path, *, output: Path | None, quiet: bool, **asked: Any) -> None:
    """Make the proposal of a standing question, with a ranking where there is a choice, for `proche compare`."""
    from pipelines.counterfactual import Asked, needs_calm
    from pipelines.counterfactual import counterfactual as make
    from pipelines.progress import Progress
    from pipelines.proposals import open_base
    from pipelines.rundir import RunDirectory

    base = open_base(RunDirectory.open(run), calm=needs_calm(str(asked["kind"])))
    made = make(base, Asked(**asked), progress=Progress() if quiet else Progress.to_stderr())
    _write_json(made, output)


@cli.command()
@click.argument("runs", nargs=-1, type=_EXISTING)
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--headless", is_flag=True, help="Do not open a browser.")
def app(runs: tuple[Path, ...], *, port: int | None, headless: bool) -> None:
    """Open the map on RUNS (default: every run in cache/runs)."""
    from pipelines.rundir import RunDirectory

    for path in runs:
        RunDirectory.open(path)
    _open_app(list(runs), port=port, headless=headless)


def _open_app(runs: list[Path], *, port: int | None, headless: bool) -> None:
    import importlib.util
    import subprocess

    if importlib.util.find_spec("streamlit") is None:
        msg = 'the map needs Streamlit, which is not installed; run: pip install "proche[app]"'
        raise ConfigError(msg)
    launch = importlib.import_module("ui.launch")
    command, env = launch.streamlit_command([r.resolve() for r in runs], port=port, headless=headless)
    raise SystemExit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - our own command line


def _proof(found: dict[str, Any]) -> str:
    """One line on what a set of sites is worth and how far from the best it can be."""
    new = sum(not f["properties"]["locked"] for f in found["features"])
    gap = "unknown" if found["gap"] is None else f"{100 * found['gap']:.2f} %"
    note = f"; {found['note']}" if "note" in found else ""
    return (
        f"{new} new {found['kind']}: {found['baseline']:,.1f} → {found['objective']:,.1f} {found['unit']}, "
        f"bound {found['bound']:,.1f}, proven gap {gap}{note}"
    )


def _write_json(value: object, output: Path | None) -> None:
    """Write to the file and say its name, or to stdout."""
    from pipelines.store import write_atomic

    text = json.dumps(value, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        write_atomic(output, text.encode())
        click.echo(str(output))


def _lon_lat(text: str) -> tuple[float, float]:
    numbers = _numbers(text, option="--at")
    if len(numbers) != 2 or not (-180 <= numbers[0] <= 180 and -90 <= numbers[1] <= 90):
        msg = f"--at takes LON,LAT in degrees, for example 24.94,60.17; found {text!r}"
        raise ConfigError(msg)
    return numbers[0], numbers[1]


def _numbers(text: str, *, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        msg = f"{option} takes numbers with commas between; found {text!r}"
        raise ConfigError(msg) from None
    if not all(abs(n) < float("inf") for n in numbers):
        msg = f"{option} takes finite numbers; found {text!r}"
        raise ConfigError(msg)
    return numbers


def _print_table(table: pd.DataFrame, *, as_json: bool) -> None:
    if as_json:
        click.echo(table.to_json(orient="records", force_ascii=False))
    else:
        click.echo(table.to_string(index=False))
