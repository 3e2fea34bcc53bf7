"""What the map is told: a JSON header with texts, scale and layers, and one figure a cell."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from ui.language import Translator, inside
from ui.layers.cells import encode_values
from ui.layers.packing import pack
from ui.layers.scale import CITY_KINDS, Measure, change_scale, scale_of
from ui.runs import Run
from ui.state import LONGEST_MIN, SHORTEST_MIN

_FARTHEST = 1000.0
"""Gain of a cell that reaches a place for the first time: more than any number of minutes saved."""
_GAINS = ("gained", "lost", "same", "newly", "no_longer")
"""What a cell may be said to gain."""


def measure_title(measure: Measure, t: Translator, *, label: str) -> str:
    """What a layer shows, in words: “On foot to the nearest: shops”; `label` is what the category is called."""
    mode = t.known("mode", measure.mode)
    if measure.kind in CITY_KINDS:
        return t(f"title.{measure.kind}", mode=mode)
    return t(f"title.{measure.kind}", mode=mode, category=inside(label))


def map_texts(
    measure: Measure, t: Translator, *, place: str, label: str, run: Run, change: bool = False
) -> dict[str, str]:
    """The texts that the browser shows; figures are filled in there, because the cutoff moves there."""
    people = "cells" if run.residents is None else "residents"
    unit = t(f"unit.{measure.unit}")
    title = measure_title(measure, t, label=label)
    if change:
        title = t("change.title", title=title)
    return {
        "title": title,
        "place": place,
        "unitShort": unit,
        "key": t("map.key"),
        "unit": t(f"change.{measure.unit}") if change else t(f"unit.{measure.unit}_long"),
        "legend": t("map.legend"),
        "map": t("map.label", title=title, place=place),
        "histogram": t(f"map.histogram_{people}"),
        "cutoff": t("map.cutoff"),
        "minutes": t("map.minutes"),
        "play": t("map.play"),
        "pause": t("map.pause"),
        "picture": t("map.picture"),
        "served": t(f"change.served_{people}") if change else t(f"map.served_{people}"),
        "mean": t(f"map.mean_{people}", unit=unit),
        "unreachable": t("map.unreachable"),
        "noNetwork": t("map.no_network"),
        "value": f"{{value}}\u00a0{unit}",
        **({f"change_{key}": t(f"change.{key}", unit=unit) for key in _GAINS} if change else {}),
        "residents": t("map.residents"),
        "edge": edge_note(run, t),
        "zoomIn": t("map.zoom_in"),
        "zoomOut": t("map.zoom_out"),
        "loading": t("map.loading"),
        "failed": t("map.failed"),
        "attribution": t("map.attribution"),
        "attributionText": t("map.attribution_text"),
    }


def edge_note(run: Run, t: Translator) -> str:
    """How many cells lie so near the edge of the data that places beyond it may be missing."""
    count = int(run.cells["edge_affected"].fillna(value=False).sum())
    return t("map.edge", count=t.number(count), all=t.number(len(run.cells))) if count else ""


def map_message(
    values: npt.NDArray[np.float64],
    *,
    measure: Measure,
    header: Mapping[str, Any],
    cutoff_min: int,
    n_categories: int,
    inside: npt.NDArray[np.bool_] | None = None,
    streetless: npt.NDArray[np.bool_] | None = None,
    change: bool = False,
) -> bytes:
    """
    One message to the map.

    Parameters
    ----------
    values
        Figure of each cell in the order of ``cells.parquet``; NaN where there is none.
    measure, cutoff_min, n_categories
        What is shown and how it is classed.
    header
        Texts, files, overlays, camera.
    inside
        Cells of the chosen district; the others are dimmed and left out of the counts. None: all.
    streetless
        Cells without a street of the mode. None: those that the geometry's own flags tell.
    change
        The figures are gains (above zero) and losses.

    Notes
    -----
    Four bytes a cell and about 3 kB of header: 35 kB for the 7,859 cells of Paris.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "values": encode_values(np.clip(values, -_FARTHEST, _FARTHEST) if change else values),
        "mask": _mask(inside, streetless, len(values)),
    }
    scale = (
        change_scale(measure)
        if change
        else scale_of(measure, cutoff_min=cutoff_min, n_categories=n_categories)
    )
    full = {**header, "scale": scale, "farthest": _FARTHEST, "cutoffRange": [SHORTEST_MIN, LONGEST_MIN]}
    serial = sha256(pack(full, arrays)).hexdigest()[:12]
    return pack({**full, "serial": serial}, arrays)


def _mask(
    inside: npt.NDArray[np.bool_] | None, streetless: npt.NDArray[np.bool_] | None, cells: int
) -> npt.NDArray[np.uint8]:
    """One byte a cell: 1 inside the district, 2 without streets; empty where neither has to be told."""
    if inside is None and streetless is None:
        return np.zeros(0, np.uint8)
    bits = np.ones(cells, np.uint8) if inside is None else inside.astype(np.uint8)
    return bits if streetless is None else bits + np.uint8(2) * streetless.astype(np.uint8)
