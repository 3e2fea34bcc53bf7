"""What commands share: options, values from text, results on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from pipelines.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
R = TypeVar("R")

DATA = 3
"""Exit code where input data or a file is at fault."""
PATH = click.Path(path_type=Path)


def json_option(function: Callable[P, R]) -> Callable[P, R]:
    """Give a command the option ``--json``, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def write_json(value: object, output: Path | None) -> None:
    """Write to the file and say its name, or to stdout."""
    from pipelines.store import write_atomic

    text = json.dumps(value, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        write_atomic(output, text.encode())
        click.echo(str(output))


def print_table(table: pd.DataFrame, *, as_json: bool) -> None:
    """A table on stdout: as JSON, one object a row, or as text."""
    if as_json:
        click.echo(table.to_json(orient="records", force_ascii=False))
    else:
        click.echo(table.to_string(index=False))


def amount(size: float) -> str:
    """A number of bytes as people read it."""
    from pipelines.quantity import shown_bytes

    return shown_bytes(size)


def numbers_of(text: str, *, option: str) -> list[float]:
    """Numbers with commas between, as the option of this name takes them."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        msg = f"{option} takes numbers with commas between; found {text!r}"
        raise ConfigError(msg) from None
    if not all(abs(n) < float("inf") for n in numbers):
        msg = f"{option} takes finite numbers; found {text!r}"
        raise ConfigError(msg)
    return numbers


def lon_lat_of(text: str) -> tuple[float, float]:
    """Longitude and latitude, as ``--at`` takes them."""
    numbers = numbers_of(text, option="--at")
    if len(numbers) != 2 or not (-180 <= numbers[0] <= 180 and -90 <= numbers[1] <= 90):
        msg = f"--at takes LON,LAT in degrees, for example 24.94,60.17; found {text!r}"
        raise ConfigError(msg)
    return numbers[0], numbers[1]
