"""Figures of a run for a notebook: maps and curves that carry their legend and stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.scoring import weight_of
from pipelines.city_drawing import BANDS, SCORES, Band, curves_svg, legend_html, map_svg
from pipelines.errors import ConfigError
from pipelines.explain import labels_of
from pipelines.rundir import RunDirectory

_MODES = {"walk": "on foot", "bike": "by bicycle", "street30": "by motor vehicle at 30 km/h"}
_GAPS_SHOWN = 5


@dataclass(frozen=True)
class Figure:
    """
    A picture that a notebook shows: inline SVG, no script, nothing from the internet.

    Attributes
    ----------
    html
        The picture with its title and its legend.
    """

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __or__(self, other: Figure) -> Figure:
        """Two figures side by side; below one another where there is no room."""
        return Figure(f'<div style="display:flex;flex-wrap:wrap;gap:24px">{self.html}{other.html}</div>')


def minutes_map(run: RunDirectory, mode: str, category: str, *, gaps: bool = False) -> Figure:
    """
    Map of the minutes from each cell to the nearest place of a category.

    Parameters
    ----------
    run
        A finished run.
    mode, category
        What the run has: ``run.modes``, ``run.categories``.
    gaps
        Outline the first gaps, numbered by their rank.

    Raises
    ------
    ConfigError
        The run has no such mode or category.
    """
    _known(run, mode, category)
    label = _label(run, category)
    value = -run.cells[f"{mode}_{category}_minutes"]
    title = f"{run.name}: minutes {_MODES.get(mode, mode)} to {label}"
    return _mapped(run, value, BANDS, title, outlines=_outlines(run, mode, category) if gaps else ())


def score_map(run: RunDirectory, mode: str) -> Figure:
    """
    Map of the score of each cell, 0 to 100.

    Raises
    ------
    ConfigError
        The run has no such mode.
    """
    _known(run, mode)
    return _mapped(
        run, run.cells[f"{mode}_score"], SCORES, f"{run.name}: score {_MODES.get(mode, mode)}, 0 to 100"
    )


def curves(runs: Mapping[str, RunDirectory], mode: str, category: str) -> Figure:
    """
    Share of residents (of cells, where the population is not known) within so many minutes, a curve a run.

    Parameters
    ----------
    runs
        Finished runs by the name that the legend gives them.
    mode, category
        What all of them have.

    Raises
    ------
    ConfigError
        A run has no such mode or category.
    """
    times: dict[str, npt.NDArray[np.float64]] = {}
    weights: dict[str, npt.NDArray[np.float64]] = {}
    for name, run in runs.items():
        _known(run, mode, category)
        cells = run.cells
        weights[name], _ = weight_of(cells)
        times[name] = cells[f"{mode}_{category}_minutes"].to_numpy(np.float64, na_value=np.nan)
    by = "/".join(sorted({str(run.summary["weighted_by"]) for run in runs.values()}))
    label = _label(next(iter(runs.values())), category) if runs else category
    title = f"Share of {by} within so many minutes {_MODES.get(mode, mode)} of {label}"
    return _titled(title, curves_svg(times, weights, title=title))


def _known(run: RunDirectory, mode: str, category: str | None = None) -> None:
    for what, asked, has in (("mode", mode, run.modes), ("category", category, run.categories)):
        if asked is not None and asked not in has:
            msg = f"{run.path} has no {what} {asked!r}; it has {', '.join(has)}"
            raise ConfigError(msg)


def _label(run: RunDirectory, category: str) -> str:
    """Name of a category within a sentence."""
    label = labels_of(run)[category]
    return label[:1].lower() + label[1:]


def _outlines(run: RunDirectory, mode: str, category: str) -> list[tuple[str, object]]:
    own = run.gaps[(run.gaps["mode"] == mode) & (run.gaps["category"] == category)].head(_GAPS_SHOWN)
    return list(zip(own["rank"].astype(str), own.geometry, strict=True))


def _mapped(
    run: RunDirectory,
    value: pd.Series,
    bands: Sequence[Band],
    title: str,
    *,
    outlines: Sequence[tuple[str, object]] = (),
) -> Figure:
    drawn = map_svg(run.cells, value, bands, title=title, outlines=outlines)
    return _titled(title, drawn + legend_html(bands))


def _titled(title: str, content: str) -> Figure:
    return Figure(
        f'<figure style="margin:0;flex:1 1 320px;max-width:480px">'
        f'<figcaption style="font-weight:600;margin-bottom:4px">{escape(title)}</figcaption>{content}</figure>'
    )
