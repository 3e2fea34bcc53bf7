"""`proche cache`: what is kept, how much of it, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.cli.console import DATA, amount, json_option, print_table

if TYPE_CHECKING:
    from pipelines.cache import Entry


@click.group()
def cache() -> None:
    """
    What is kept so that nothing is computed or downloaded twice: $PROCHE_CACHE, else the folder cache.

    Each run ends by evicting what was not used for longest until artifacts and downloads fit into
    $PROCHE_CACHE_LIMIT (default 50GB; none for no limit). What a running process uses stays; so do your runs.
    """


@cache.command("ls")
@json_option
def cache_ls(*, as_json: bool) -> None:
    """List what is in the cache, the least recently used first."""
    from pipelines.cache import EVICTABLE, entries, limit_bytes
    from pipelines.compute import cache_folder

    found = entries(cache_folder())
    _print_entries(found, as_json=as_json)
    limit = limit_bytes()
    held, ceiling = sum(e.size for e in found if e.kind in EVICTABLE), "no limit"
    if limit is not None:
        ceiling = f"the limit is {amount(limit)}"
    click.echo(f"{cache_folder()}: {amount(held)} that can be had again; {ceiling}", err=True)


@cache.command("gc")
@click.option("--limit", metavar="AMOUNT", help="Size to come down to, such as 5GB (default: the limit).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def cache_gc(*, limit: str | None, dry_run: bool, as_json: bool) -> None:
    """Evict what was not used for longest, and sweep what killed processes left."""
    from pipelines.cache import collect, limit_bytes
    from pipelines.compute import cache_folder

    gone = collect(cache_folder(), limit=limit_bytes(limit), dry_run=dry_run)
    _print_entries(gone, as_json=as_json)
    verb = "would be freed" if dry_run else "freed"
    click.echo(f"{amount(sum(e.size for e in gone))} {verb}", err=True)


@cache.command("verify")
@click.option("--remove", is_flag=True, help="Take away what is damaged; the next run makes it anew.")
@json_option
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
        raise SystemExit(DATA)


def _print_entries(found: list[Entry], *, as_json: bool) -> None:
    from pipelines.cache import table_of

    table = table_of(found)
    if not as_json:
        table["size"] = [amount(s) for s in table["size"]]
        table = table.drop(columns="path")
    if as_json or len(table):
        print_table(table, as_json=as_json)
