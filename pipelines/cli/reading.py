"""Commands that read a run: check, export, isochrone, explain, report; and the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from pipelines.cli.console import DATA, PATH, json_option, lon_lat_of, numbers_of, print_table, write_json
from pipelines.errors import ConfigError


@click.command()
@click.argument("run", type=PATH)
@click.option("--run", "of_run", type=PATH, help="Where the run of a comparison is, if it was moved.")
@json_option
def check(run: Path, *, of_run: Path | None, as_json: bool) -> None:
    """Recompute every hash in the manifest of RUN; a comparison is computed again and must come out the same."""
    from pipelines.comparison_files import check_comparison, is_comparison
    from pipelines.progress import Progress
    from pipelines.rundir import check as recompute

    compared = is_comparison(run)
    table = check_comparison(run, run=of_run, progress=Progress.to_stderr()) if compared else recompute(run)
    bad = table[table["state"] != "ok"]
    print_table(table[["file", "state"]], as_json=as_json)
    if len(bad):
        again = "compare again" if compared else "run the configuration again"
        click.echo(
            f"proche: {len(bad)} of {len(table)} files of {run} differ from the manifest "
            f"({', '.join(f'{r.file}: {r.state}' for r in bad.itertuples())}); {again}",
            err=True,
        )
        raise SystemExit(DATA)


@click.command()
@click.argument("run", type=PATH)
@click.option("--format", "form", type=click.Choice(["gpkg", "geojson", "csv", "flatgeobuf"]), required=True)
@click.option("--table", default="cells", show_default=True, help="cells, opportunities, gaps, sites_trees …")
@click.option("-o", "--output", type=PATH, required=True, help="File to write.")
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


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    from pipelines.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


@click.command()
@click.argument("run", type=PATH)
@click.option("--at", required=True, metavar="LON,LAT", help="Where the walk starts.")
@click.option("--mode", default="walk", show_default=True)
@click.option("--minutes", default="5,10,15", show_default=True, metavar="M,M,…")
@click.option(
    "--shape",
    type=click.Choice(["outline", "buffer", "cells", "streets"]),
    default="outline",
    show_default=True,
)
@click.option("-o", "--output", type=PATH, help="File to write (default: stdout).")
def isochrone(run: Path, *, at: str, mode: str, minutes: str, shape: str, output: Path | None) -> None:
    """Polygons that are reached from a point, as GeoJSON."""
    from pipelines.isochrone import isochrone_geojson
    from pipelines.rundir import RunDirectory

    collection = isochrone_geojson(
        RunDirectory.open(run),
        lon_lat=lon_lat_of(at),
        mode=mode,
        minutes=numbers_of(minutes, option="--minutes"),
        shape=shape,
    )
    write_json(collection, output)


@click.command()
@click.argument("run", type=PATH)
@click.argument("cell", metavar="CELL")
@click.option("--mode", default="walk", show_default=True)
@click.option("-o", "--output", type=PATH, help="File to write (default: stdout).")
def explain(run: Path, cell: str, *, mode: str, output: Path | None) -> None:
    """Why CELL (an H3 index of RUN) has its numbers: places, ways, runners-up, slack, cheapest fix; JSON."""
    from pipelines.explain import explain_cell
    from pipelines.rundir import RunDirectory

    write_json(explain_cell(RunDirectory.open(run), cell, mode=mode), output)


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="HTML file to write.")
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True)
def report(run: Path, *, output: Path, language: Literal["en", "fr"]) -> None:
    """Two pages on the city of RUN that print well: maps, curves, figures, gaps, method; one HTML file."""
    from pipelines.city_report import city_report
    from pipelines.rundir import RunDirectory
    from pipelines.store import write_atomic

    write_atomic(output, city_report(RunDirectory.open(run), language=language).encode())
    click.echo(str(output))
