"""`proche batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.console import PATH, json_option, print_table


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--out", type=PATH, help="Folder of the batch (default: cache/batches/NAME).")
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
@json_option
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
        print_table(found.table if as_json else found.table.head(40), as_json=as_json)
        click.echo(found.summary(), err=as_json)
        return
    if status:
        table = read_status(list(files), out=out)
    else:
        progress = Progress() if quiet else Progress.to_stderr()
        finished = run_batch(list(files), out=out, progress=progress, **how)
        table = finished.status
        click.echo(f"{finished.path}", err=as_json)
    print_table(table if as_json else shown(table), as_json=as_json)
    if not status and exit_code(table):
        raise SystemExit(exit_code(table))
