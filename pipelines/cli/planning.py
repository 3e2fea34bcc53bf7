"""Commands that ask what to build: sites, compare, rank, counterfactual."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from pipelines.cli.console import PATH, json_option, numbers_of, print_table, write_json


@click.command()
@click.argument("run", type=PATH)
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
@click.option("-o", "--output", type=PATH, help="File to write (default: stdout).")
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
        numbers = [int(n) if n == int(n) else n for n in numbers_of(sweep, option="--sweep")]
        asked.append(f"sites.{kind}.sweep={numbers}")
    found = sites_geojson(
        RunDirectory.open(run), kind=kind, count=count, overrides=asked, progress=Progress.to_stderr()
    )
    write_json(found, output)
    click.echo(_proof(found), err=True)


@click.command()
@click.argument("run", type=PATH)
@click.argument("proposals", metavar="PROPOSAL.geojson…", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
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
@json_option
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
    print_table(scoreboard(made), as_json=as_json)
    click.echo(str(output), err=as_json)


@click.command()
@click.argument("run", type=PATH)
@click.argument("points", metavar="POINTS", type=PATH)
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
@click.option("--proposal", type=PATH, help="Write the first ranks as a proposal for `proche compare`.")
@click.option("-o", "--output", type=PATH, help="GeoJSON or CSV file to write (default: a table on stdout).")
@click.option("--quiet", is_flag=True, help="No progress lines.")
@json_option
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
        write_json(best_proposal(table, top=top, name=f"Best of {points.stem}"), proposal)
    if output is not None:
        form = "csv" if output.suffix.casefold() == ".csv" else "geojson"
        export_table(table, output, form=form, layer="ideas")
        click.echo(str(output))
        return
    plain = table.drop(columns="geometry").assign(
        lon=table.geometry.x.round(6), lat=table.geometry.y.round(6)
    )
    print_table(
        plain if as_json else plain[plain["head"]].head(top).drop(columns=["head", "reason"]), as_json=as_json
    )


@click.command()
@click.argument("run", type=PATH)
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
@click.option("-o", "--output", type=PATH, help="Proposal file to write (default: stdout).")
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
    write_json(made, output)


def _proof(found: dict[str, Any]) -> str:
    """One line on what a set of sites is worth and how far from the best it can be."""
    new = sum(not f["properties"]["locked"] for f in found["features"])
    gap = "unknown" if found["gap"] is None else f"{100 * found['gap']:.2f} %"
    note = f"; {found['note']}" if "note" in found else ""
    return (
        f"{new} new {found['kind']}: {found['baseline']:,.1f} → {found['objective']:,.1f} {found['unit']}, "
        f"bound {found['bound']:,.1f}, proven gap {gap}{note}"
    )
