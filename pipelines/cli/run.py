"""`proche run`, `proche demo`, `proche app`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from pipelines.cli.console import PATH, json_option
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.rundir import RunDirectory

P = ParamSpec("P")
R = TypeVar("R")


def _run_options(function: Callable[P, R]) -> Callable[P, R]:
    @click.option("--out", type=PATH, help="Run directory (default: cache/runs/NAME).")
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
    @json_option
    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapped


@click.command()
@click.argument("config", type=PATH)
@_run_options
def run(config: Path, **options: Any) -> None:
    """Compute the run that CONFIG describes (a TOML file, or the manifest.json of a run)."""
    _run(config, **options)


@click.command()
@click.option("--no-app", is_flag=True, help="Do not open the map.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the map.")
@_run_options
def demo(*, no_app: bool, port: int | None, **options: Any) -> None:
    """Compute the demonstration (Helsinki centre, offline) and open the map on it."""
    from pipelines.resources import configs_folder

    finished = _run(configs_folder() / "demo.toml", **options)
    if not no_app:
        _open_app([finished.path], port=port, headless=False)


@click.command()
@click.argument("runs", nargs=-1, type=PATH)
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--headless", is_flag=True, help="Do not open a browser.")
def app(runs: tuple[Path, ...], *, port: int | None, headless: bool) -> None:
    """Open the map on RUNS (default: every run in cache/runs)."""
    from pipelines.rundir import RunDirectory

    for path in runs:
        RunDirectory.open(path)
    _open_app(list(runs), port=port, headless=headless)


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


def _open_app(runs: list[Path], *, port: int | None, headless: bool) -> None:
    """Open the map and stay until it is closed; end with its exit code."""
    import importlib.util
    import subprocess

    if importlib.util.find_spec("streamlit") is None:
        msg = 'the map needs Streamlit, which is not installed; run: pip install "proche[app]"'
        raise ConfigError(msg)
    launch = importlib.import_module("ui.launch")
    command, env = launch.streamlit_command([r.resolve() for r in runs], port=port, headless=headless)
    raise SystemExit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - our own command line
