"""A run: fetch → networks → opportunities → reach → scores → gaps and sites → export, each step cached by content."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from pipelines.budget import Budget
from pipelines.cache import collect, lease, limit_bytes
from pipelines.config import Config, Mode, load_config, parse_config, slug
from pipelines.errors import ConfigError
from pipelines.memory import peak_mb
from pipelines.progress import Progress
from pipelines.quantity import bytes_of, shown_bytes
from pipelines.rundir import RunDirectory
from pipelines.runlog import RunLog
from pipelines.steps.context import Context, code_digest
from pipelines.steps.export import export, refuse_unusable
from pipelines.steps.gaps import gaps_artifact
from pipelines.steps.ground import Ground, lay_ground
from pipelines.steps.measures import measures_artifact
from pipelines.steps.panel import panel_artifact
from pipelines.steps.portrait import green_artifact, portrait_artifact
from pipelines.steps.reach import reach_artifact
from pipelines.steps.results import Results
from pipelines.steps.scores import scores_artifact
from pipelines.steps.site_budget import budget_artifact, split_artifact
from pipelines.steps.sites import KINDS, SiteSources, sites_artifact
from pipelines.store import Artifact, write_atomic
from pipelines.version import __version__
from pipelines.warm import warming


def cache_folder() -> Path:
    """The cache: ``$PROCHE_CACHE``, else ``cache`` in the current folder."""
    return Path(os.environ.get("PROCHE_CACHE") or "cache").resolve()


def run(
    config: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
    cache: str | Path | None = None,
    base: str | Path | None = None,
    tile_cells: int | None = None,
    memory_limit: str | int | None = None,
    profile: bool = False,
) -> RunDirectory:
    """
    Compute a run and give its directory.

    A step whose inputs, keys and code are unchanged is not computed again.

    Parameters
    ----------
    config
        A TOML file, the ``manifest.json`` of a run, or the tables themselves.
    out
        Run directory; default ``<cache>/runs/<name>``.
    overrides
        ``section.key=value``, as with ``--set``.
    force
        Compute every step anew.
    offline
        Never reach for the internet.
    progress
        Where progress is said; default: nowhere.
    cache
        Cache folder; default `cache_folder`.
    base
        Folder that relative paths in the configuration start from; default: the file's own, for tables the
        current one.
    tile_cells
        Cells of a tile at most: a larger area is measured tile by tile, with less memory and the same results.

    memory_limit
        [bytes] Resident memory to keep to, or a text such as ``2GB``: a large area is computed in tiles, with the same
        results; one that cannot fit is an error before it starts.
    profile
        Write a table of the functions that took the time, beside the log.

    Returns
    -------
    RunDirectory

    Raises
    ------
    ConfigError, SourceError, ArtifactError, PipelineError
        With one message that says what was found, what was expected and what to do.

    Examples
    --------
    >>> run("configs/demo.toml").cells["walk_score"].median()  # doctest: +SKIP
    """
    with opened(
        config,
        out=out,
        overrides=overrides,
        force=force,
        offline=offline,
        progress=progress,
        cache=cache,
        base=base,
        tile_cells=tile_cells,
        memory_limit=memory_limit,
        profile=profile,
    ) as ctx:
        return finish(ctx)


@contextmanager
def opened(
    config: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
    cache: str | Path | None = None,
    base: str | Path | None = None,
    tile_cells: int | None = None,
    memory_limit: str | int | None = None,
    profile: bool = False,
) -> Iterator[Context]:
    """
    Begin a run: what is used of the cache stays until the end, what happens is logged; parameters as those of `run`.

    Yields
    ------
    Context
        For `finish`, or for single steps.
    """
    resolved, own_base = _configured(config, overrides)
    folder = Path(cache) if cache else cache_folder()
    target = Path(out) if out else folder / "runs" / slug(resolved.area.name)
    refuse_unusable(target)
    ctx = Context(
        config=resolved,
        base=Path(base).resolve() if base else own_base,
        cache=folder,
        out=target,
        progress=progress or Progress(),
        force=force,
        offline=offline,
        tile_cells=tile_cells,
        budget=_budget(memory_limit),
        log=RunLog.open(folder, slug(resolved.area.name)),
    )
    with ExitStack() as stack:
        stack.enter_context(lease(folder))
        stack.enter_context(_logged(ctx))
        stack.enter_context(_profiled(ctx, wanted=profile))
        with ExitStack() as warm:
            ctx.on_first_build = lambda: warm.enter_context(warming())
            yield ctx
        for entry in collect(folder, limit=limit_bytes()):
            ctx.progress.say(f"  - evicted from the cache: {entry.name}, {shown_bytes(entry.size)}")
            ctx.log.write("evicted", entry=entry.name, size=entry.size)


def _budget(limit: str | int | None) -> Budget:
    amount = bytes_of(limit, what="--memory-limit") if isinstance(limit, str) else limit
    return Budget.of(amount)


def finish(ctx: Context, ground: Ground | None = None) -> RunDirectory:
    """
    Every step, then the run directory.

    Parameters
    ----------
    ctx
        The run that was begun.
    ground
        What it rests on, where that was laid already.
    """
    start = time.perf_counter()
    ctx.progress.say(f"{ctx.config.area.name}: {', '.join(ctx.config.modes)}")
    results = compute_results(ctx, ground)
    finished, written = export(
        ctx, results, ctx.out, seconds=lambda: time.perf_counter() - start, peak_mb=peak_mb()
    )
    state = (
        "nothing to do: every step was known"
        if not ctx.built and not written
        else f"{len(ctx.built)} steps computed"
    )
    ctx.progress.say(f"  {state}; {time.perf_counter() - start:.2f} s, peak {peak_mb():.0f} MB")
    limit = ctx.budget.limit_mb
    if limit is not None and peak_mb() > limit:
        ctx.progress.say(f"  ! that is more than the limit of {limit:.0f} MB; please report it with the log")
        ctx.log.write("fault", step="memory", what=f"peak {peak_mb():.0f} MB, limit {limit:.0f} MB")
    return finished


@contextmanager
def _logged(ctx: Context) -> Iterator[None]:
    """Tell the log how a run began and how it ended."""
    ctx.log.write(
        "start",
        version=__version__,
        code=code_digest(),
        config_digest=ctx.config.digest,
        area=ctx.config.area.name,
        out=str(ctx.out),
        python=platform.python_version(),
        system=platform.platform(),
    )
    start = time.perf_counter()
    try:
        yield
    except BaseException as error:
        ctx.log.write(
            "failed", kind=type(error).__name__, message=str(error), peak_memory_mb=round(peak_mb(), 1)
        )
        raise
    seconds = round(time.perf_counter() - start, 3)
    ctx.log.write("end", seconds=seconds, peak_memory_mb=round(peak_mb(), 1), computed=ctx.built)


@contextmanager
def _profiled(ctx: Context, *, wanted: bool) -> Iterator[None]:
    """Measure where the time goes, function by function; the table lies beside the log."""
    if not wanted or ctx.log.path is None:
        yield
        return
    from cProfile import Profile
    from pstats import Stats

    profile = Profile()
    with profile:
        yield
    text = StringIO()
    Stats(profile, stream=text).sort_stats("cumulative").print_stats(60)
    path = ctx.log.path.with_suffix(".profile.txt")
    write_atomic(path, text.getvalue().encode())
    ctx.progress.say(f"  profile: {path}")


def _configured(config: str | Path | Mapping[str, Any], overrides: Sequence[str]) -> tuple[Config, Path]:
    if isinstance(config, Mapping):
        if overrides:
            msg = "overrides go with a file; change the tables themselves"
            raise ConfigError(msg)
        return parse_config(config), Path.cwd()
    path = Path(config)
    resolved = load_config(path, overrides=overrides)
    if path.suffix == ".json":
        return resolved, Path(str(RunDirectory.open(path.parent).manifest.get("base", path.resolve().parent)))
    return resolved, path.resolve().parent


def compute_results(ctx: Context, ground: Ground | None = None) -> Results:
    """Compute every step of a run, or take it from the cache; no run directory is written."""
    ground = ground or lay_ground(ctx)
    area, networks, opportunities = ground.area, ground.networks, ground.opportunities
    modes, categories = ctx.config.modes, ground.categories
    reach = {mode: reach_artifact(ctx, mode, networks[mode], opportunities, area) for mode in modes}
    further = {
        mode: measures_artifact(ctx, mode, networks[mode], opportunities, ground.population, area)
        for mode in modes
    }
    scores = scores_artifact(
        ctx,
        area,
        reach,
        further,
        ground.population,
        categories,
        extract=ground.extract,
        reaches=ground.reaches,
    )
    green = green_artifact(ctx, networks["walk"], opportunities, area) if "walk" in networks else None
    panel = panel_artifact(
        ctx,
        modes[0],
        area,
        network=networks[modes[0]],
        opportunities=opportunities,
        scores=scores,
        extract=ground.extract,
        categories=categories,
    )
    portrait = portrait_artifact(ctx, scores, opportunities, green, panel, categories)
    gaps = gaps_artifact(ctx, scores, categories)
    sites, budget = _all_sites(ctx, ground, reach)
    return Results(
        area,
        modes,
        tuple(categories),
        ground.extract,
        networks,
        opportunities,
        scores,
        portrait,
        gaps,
        sites,
        budget,
    )


def _all_sites(
    ctx: Context, ground: Ground, reach: dict[Mode, Artifact]
) -> tuple[dict[str, Artifact], Artifact | None]:
    """Sites of every kind that is enabled, each clear of the kinds before it, and what one sum for several buys."""
    networks = ground.networks
    if "walk" not in networks or "street30" not in networks:
        return {}, None
    sources = SiteSources(
        ground.extract,
        networks["walk"],
        networks["street30"],
        ground.opportunities,
        reach["walk"],
        ground.population,
    )
    sites: dict[str, Artifact] = {}
    split = split_artifact(ctx, sources, ground.area)
    counts = {} if split is None else split.info["count"]
    for kind in KINDS:
        if getattr(ctx.config.sites, kind).enabled:
            sites[kind] = sites_artifact(
                ctx, kind, sources, ground.area, before=sites, count=counts.get(kind)
            )
    return sites, None if split is None else budget_artifact(ctx, split, sites)
