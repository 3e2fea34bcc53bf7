"""Maps of the dossier: cells before, after and the difference, the streets for orientation, the edits by number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.network.street_network import StreetNetwork
from engine.proposals.edit import Edit, StreetChoice
from engine.proposals.effect import MATERIAL_MIN, MATERIAL_SCORE
from pipelines.city_drawing import BANDS, Band, Frame, map_svg
from pipelines.comparison import Comparison, Measured

Box = tuple[float, float, float, float]
_Floats = npt.NDArray[np.float64]
_GAIN = ("#08519c", "#4292c6", "#9ecae1")
_SAME = "#ececec"
_LOSS = ("#fdae6b", "#e6550d", "#a63603")
_MARGIN = 0.12
_LEAST_DEG = 0.012
_ALL = 0.6
"""A detail that would show more than this share of the city's width and height is the whole city."""
_MOST_STREETS = 2_500
_BIG = ("motorway", "trunk", "primary", "secondary")


def change_bands(steps: Sequence[float], least: float, words: Callable[[str], str], unit: str) -> list[Band]:
    """Classes of a change, more is better: three of gain, none, three of loss; the steps increase."""
    text = [f"{s:g}" for s in steps]
    names = [f"> {text[1]}", f"{text[0]}–{text[1]}", f"< {text[0]}"]
    gain = [
        Band(low, colour, f"{words('gained')} {name} {unit}")
        for low, colour, name in zip((steps[1], steps[0], least), _GAIN, names, strict=True)
    ]
    loss = [
        Band(low, colour, f"{words('lost')} {name} {unit}")
        for low, colour, name in zip((-steps[0], -steps[1], -np.inf), _LOSS, reversed(names), strict=True)
    ]
    return [*gain, Band(np.nextafter(-least, 0), _SAME, words("same")), *loss]


def minutes_saved(before: _Floats, after: _Floats) -> _Floats:
    """[min] What each cell gains; infinite where a way appears or disappears, 0 where there is none at all."""
    was, now = np.isfinite(before), np.isfinite(after)
    saved = np.where(was & now, before - after, 0.0)
    return np.where(now & ~was, np.inf, np.where(was & ~now, -np.inf, saved))


def score_change(comparison: Comparison, one: Measured) -> _Floats:
    """[points] Change of each cell's score, mean over modes."""
    changes = [
        np.nan_to_num(one.cells[f"{m}_score"].to_numpy(np.float64))
        - np.nan_to_num(comparison.base.cells[f"{m}_score"].to_numpy(np.float64))
        for m in comparison.criteria.modes
    ]
    return np.asarray(np.mean(changes, axis=0))


def edit_shapes(comparison: Comparison, one: Measured) -> list[Any]:
    """[deg] Where each edit is; None where it cannot be drawn."""
    return [_shape(comparison, edit) for edit in one.proposal.edits]


def _shape(comparison: Comparison, edit: Edit) -> Any:
    if edit.geometry is not None:
        return edit.geometry
    places = comparison.base.standing.places
    name = getattr(edit, "place_id", None)
    if name is not None and name in places.place_id:
        return shapely.point_on_surface(places.geometry[places.place_id.index(name)])
    if isinstance(edit, StreetChoice):
        for tables in comparison.base.tables.values():
            lines = _lines(
                tables.network, np.flatnonzero(np.isin(tables.network.streets["osm_way"], edit.osm_way))
            )
            if len(lines):
                return shapely.union_all(lines)
    return None


def _lines(network: StreetNetwork, streets: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    o = network.offsets
    return np.array([shapely.linestrings(network.coords[o[s] : o[s + 1]]) for s in streets], dtype=object)


def detail_of(comparison: Comparison, one: Measured, changed: npt.NDArray[np.bool_]) -> Box:
    """[deg] The part of the city where a proposal changes something; all of it where that is most of it."""
    cells = comparison.base.cells
    whole = cells.total_bounds
    shapes = [s for s in edit_shapes(comparison, one) if s is not None]
    drawn = [*cells.geometry.to_numpy()[changed], *shapes]
    if not drawn:
        return _box(*whole)
    near = shapely.total_bounds(np.array(drawn, dtype=object))
    middle, size = (near[2:] + near[:2]) / 2, (near[2:] - near[:2]) * (1 + 2 * _MARGIN)
    shrink = max(float(np.cos(np.radians(middle[1]))), 0.1)
    side = max(float(size[0]) * shrink, float(size[1]), _LEAST_DEG)
    size = np.array([side / shrink, side])
    if (size > _ALL * (whole[2:] - whole[:2])).all():
        return _box(*whole)
    low = np.clip(middle - size / 2, whole[:2], np.maximum(whole[2:] - size, whole[:2]))
    high = np.minimum(low + size, whole[2:])
    if (high <= low).any():
        return _box(*whole)
    return _box(*low, *high)


def _box(west: float, south: float, east: float, north: float) -> Box:
    return float(west), float(south), float(east), float(north)


def streets_of(comparison: Comparison, bounds: Box) -> npt.NDArray[np.object_]:
    """[deg] Streets for orientation: all of them where there is room, else the big ones, else none."""
    tables = comparison.base.tables
    network = (tables.get("street30") or next(iter(tables.values()))).network
    view = comparison.base.standing.streets[network.mode if network.mode in tables else next(iter(tables))]
    frame: Any = shapely.box(*bounds)
    near = np.sort(view.index.tree.query(_projected(view, frame)))
    if len(near) > _MOST_STREETS and "highway" in network.streets.columns:
        near = near[np.isin(network.streets["highway"].to_numpy(str)[near], _BIG)]
    if len(near) > _MOST_STREETS:
        near = near[:0]
    return np.asarray(
        shapely.intersection(_lines(network, np.sort(near)), shapely.box(*bounds)), dtype=object
    )


def _projected(view: Any, shape: Any) -> Any:
    return shapely.transform(shape, view.index.plane.project)


def overlay(
    streets: npt.NDArray[np.object_] | None, shapes: Sequence[Any], *, name: str, first: bool
) -> Callable[[Frame], list[str]]:
    """Streets (drawn once under a name, then referred to) and numbered edits over a map."""

    def draw(frame: Frame) -> list[str]:
        parts = []
        if streets is not None and len(streets):
            if first:
                path = "".join(
                    _polyline(frame, line) for line in shapely.get_parts(shapely.get_parts(streets))
                )
                parts.append(
                    f'<path id="{name}" d="{path}" fill="none" stroke="#000" stroke-opacity=".22" stroke-width=".5"/>'
                )
            else:
                parts.append(f'<use href="#{name}"/>')
        numbers = [(i, s) for i, s in enumerate(shapes, start=1) if s is not None]
        return [*parts, *(_edit_drawn(frame, s) for _, s in numbers), *_labels(frame, numbers)]

    return draw


def _polyline(frame: Frame, line: Any) -> str:
    if line.geom_type != "LineString" or line.is_empty:
        return ""
    xy = frame.points(shapely.get_coordinates(line))
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in xy)


def _edit_drawn(frame: Frame, shape: Any) -> str:
    stroke = 'fill="none" stroke="#d50000" stroke-width="1.8" stroke-linejoin="round"'
    if shape.geom_type in ("Point", "MultiPoint"):
        x, y = frame.points(shapely.get_coordinates(shape))[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="#d50000" stroke="#fff" stroke-width=".8"/>'
    lines = shapely.get_parts(shapely.boundary(shape) if shape.geom_type.endswith("Polygon") else shape)
    path = "".join(_polyline(frame, line) for line in lines)
    return f'<path d="{path}" stroke-opacity=".9" {stroke}/>'


_MOST_LABELS = 24


def _labels(frame: Frame, numbers: Sequence[tuple[int, Any]]) -> list[str]:
    """Numbers beside the edits; where there are too many to be read, none."""
    if not 1 < len(numbers) <= _MOST_LABELS:
        return []
    out = []
    for number, shape in numbers:
        x, y = frame.points(shapely.get_coordinates(shapely.point_on_surface(shape)))[0]
        out.append(
            f'<text x="{x + 4.5:.1f}" y="{y - 3:.1f}" font-size="9.5" font-weight="700" fill="#d50000" stroke="#fff" '
            f'stroke-width="2.4" paint-order="stroke">{escape(str(number))}</text>'
        )
    return out


def overview(comparison: Comparison, one: Measured, words: Callable[[str], str]) -> tuple[str, list[Band]]:
    """Change of the score in the whole city."""
    bands = change_bands((2.0, 10.0), MATERIAL_SCORE, words, "")
    value = pd.Series(score_change(comparison, one), index=comparison.base.cells.index)
    drawn = map_svg(
        comparison.base.cells,
        value,
        bands,
        title=f"{one.letter}: {words('change_key')}",
        overlay=overlay(None, edit_shapes(comparison, one), name="", first=True),
    )
    return drawn, bands


def three_maps(
    comparison: Comparison, one: Measured, mode: str, category: str, words: Callable[[str], str]
) -> tuple[list[str], list[Band], list[Band]]:
    """Before, after and difference of one mode and category, where the proposal changes something."""
    column = f"{mode}_{category}_minutes"
    cells = comparison.base.cells
    before, after = (
        pd.to_numeric(t[column]).to_numpy(np.float64, na_value=np.nan) for t in (cells, one.cells)
    )
    saved = minutes_saved(before, after)
    bounds = detail_of(comparison, one, np.abs(saved) >= MATERIAL_MIN)
    streets, shapes = streets_of(comparison, bounds), edit_shapes(comparison, one)
    bands = change_bands((2.0, 5.0), MATERIAL_MIN, words, "min")
    drawn = []
    for key, value, classes, shown in (
        ("before", -before, BANDS, []),
        ("after", -after, BANDS, shapes),
        ("difference", saved, bands, shapes),
    ):
        drawn.append(
            map_svg(
                cells,
                pd.Series(value, index=cells.index),
                classes,
                title=f"{one.letter}, {words(key)}: {mode} {category}",
                bounds=bounds,
                overlay=overlay(streets, shown, name=f"streets-{one.letter}", first=key == "before"),
            )
        )
    minutes = [*BANDS[:-1], BANDS[-1]._replace(label=words("over_20"))]
    return drawn, minutes, bands
