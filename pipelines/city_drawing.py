"""Maps of cells and curves as inline SVG: no script, no file beside them, sharp in print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

_Floats = npt.NDArray[np.float64]
_WIDTH = 340.0
_MAX_HEIGHT = 300.0
_MIN_WIDTH = 90.0
_LONGEST_MIN = 30
_GRID_DEG = 1e-7
"""[deg] About a centimetre: corners of neighbouring cells this near to each other are one."""
_INK = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f3c8d", "#80868b")
"""Colours that people with a colour vision deficiency tell apart (Okabe and Ito 2008), and two more."""
_DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "10 4", "4 4", "3 1", "12 2")


class Band(NamedTuple):
    """One class of a map: values of at least `low` that no higher class took."""

    low: float
    colour: str
    label: str


BANDS = (
    Band(-5.0, "#fde725", "≤ 5 min"),
    Band(-10.0, "#5ec962", "≤ 10 min"),
    Band(-15.0, "#21918c", "≤ 15 min"),
    Band(-20.0, "#3b528b", "≤ 20 min"),
    Band(-np.inf, "#440154", "over 20 min"),
)
"""Classes of minutes; the value is minus the time, so that more is better."""
SCORES = (
    Band(80.0, "#fde725", "80 and more"),
    Band(60.0, "#5ec962", "60 to 80"),
    Band(40.0, "#21918c", "40 to 60"),
    Band(20.0, "#3b528b", "20 to 40"),
    Band(0.0, "#440154", "below 20"),
)
"""Classes of scores."""


class Frame(NamedTuple):
    """From degrees to the units of the drawing: equirectangular at the middle latitude."""

    west: float
    north: float
    across: float
    down: float
    width: float
    height: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """[deg] West, south, east, north."""
        east, south = self.west + self.width / self.across, self.north - self.height / self.down
        return (self.west, south, east, self.north)

    def points(self, lon_lat: _Floats) -> _Floats:
        """Places in the drawing of places given in degrees."""
        return np.column_stack(
            [(lon_lat[:, 0] - self.west) * self.across, (self.north - lon_lat[:, 1]) * self.down]
        )


def frame_of(bounds: Sequence[float]) -> Frame:
    """Fit a box [deg] into the drawing."""
    west, south, east, north = bounds
    shrink = max(float(np.cos(np.radians((south + north) / 2))), 0.01)
    scale = min(_WIDTH / max((east - west) * shrink, 1e-9), _MAX_HEIGHT / max(north - south, 1e-9))
    return Frame(west, north, scale * shrink, scale, (east - west) * shrink * scale, (north - south) * scale)


def map_svg(
    cells: gpd.GeoDataFrame,
    value: pd.Series,
    bands: Sequence[Band],
    *,
    title: str,
    outlines: Sequence[tuple[str, Any]] = (),
    backdrop: Callable[[Frame], Sequence[str]] | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    overlay: Callable[[Frame], Sequence[str]] | None = None,
) -> str:
    """
    Draw a map of cells in classes.

    Parameters
    ----------
    cells
        Polygons, EPSG:4326; ``no_network`` cells are left white.
    value
        Value of each cell; a missing one belongs to the last class.
    bands
        Classes, the highest first.
    title
        What the map shows, for those who cannot see it.
    outlines
        Numbered outlines over the cells: label and geometry.
    backdrop
        Gives SVG elements that are drawn over the cells and under the outlines: water, roads, names.
    bounds
        [deg] West, south, east, north of what is drawn; by default all cells.
    overlay
        Gives SVG elements that are drawn over the cells; the cells of a class are one outline then, without seams.

    Returns
    -------
    str
        An ``svg`` element, one path a class.
    """
    whole = cells.total_bounds.tolist() if len(cells) else (0.0, 0.0, 1.0, 1.0)
    frame = frame_of(whole if bounds is None else bounds)
    if bounds is not None:
        inside = shapely.intersects(cells.geometry.to_numpy(), shapely.box(*bounds))
        cells, value = cells[inside], value[inside]
    number = pd.to_numeric(value).to_numpy(np.float64, na_value=np.nan)
    level = np.array([b.low for b in bands])
    band = np.where(np.isnan(number), len(bands) - 1, (number[:, None] < level[None, :]).sum(axis=1))
    band = np.where(cells["no_network"].to_numpy(bool), -1, np.minimum(band, len(bands) - 1))
    shapes, clip = cells.geometry.to_numpy(), None if bounds is None else shapely.box(*bounds)

    def drawn(some: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        return some if overlay is None else _merged(some, clip)

    paths = [
        f'<path d="{outline(drawn(shapes[band == k]), frame)}" fill="{b.colour}" stroke="{b.colour}" '
        'stroke-width=".3"/>'
        for k, b in enumerate(bands)
        if (band == k).any()
    ]
    paths.append(
        f'<path d="{outline(drawn(shapes[band < 0]), frame)}" fill="#fff" stroke="#ccc" stroke-width=".2"/>'
    )
    paths += backdrop(frame) if backdrop else ()
    for label, shape in outlines:
        edge = outline(np.array([shape], dtype=object), frame)
        paths.append(f'<path d="{edge}" fill="none" stroke="#d50000" stroke-width="1.6"/>')
        x, y = frame.points(shapely.get_coordinates(shapely.point_on_surface(shape)))[0]
        paths.append(
            f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-size="11" font-weight="700" '
            f'fill="#d50000" stroke="#fff" stroke-width="2.5" paint-order="stroke">{escape(label)}</text>'
        )
    paths += overlay(frame) if overlay else ()
    width = _WIDTH if overlay is None else max(frame.width, _MIN_WIDTH)
    aside = (width - frame.width) / 2 if overlay is None else 0.0
    return _svg(title, width, frame.height + 16, [*paths, _scale_bar(frame)], aside=aside)


def legend_html(bands: Sequence[Band]) -> str:
    """A line that says which colour is which class."""
    square = "display:inline-block;width:.9em;height:.9em;margin-right:.3em;border:.5px solid #777"
    items = "".join(
        f'<span style="margin-right:1em;white-space:nowrap"><i style="{square};background:{b.colour}"></i>'
        f"{escape(b.label)}</span>"
        for b in bands
    )
    return f'<div style="font-size:85%;margin-top:.3em">{items}</div>'


def _merged(shapes: npt.NDArray[np.object_], clip: Any) -> npt.NDArray[np.object_]:
    """Neighbouring cells as one outline, without seams, as far as they lie in the drawing."""
    whole = shapely.union_all(shapes, grid_size=_GRID_DEG)
    return np.array([whole if clip is None else shapely.intersection(whole, clip)], dtype=object)


def outline(shapes: npt.NDArray[np.object_], frame: Frame) -> str:
    """Outlines of polygons as one path."""
    parts = shapely.get_parts(shapely.get_parts(shapes))
    rings = shapely.get_rings(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])
    drawn = (frame.points(shapely.get_coordinates(ring)[:-1]) for ring in rings)
    return "".join("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in ring) + "Z" for ring in drawn)


def _scale_bar(frame: Frame) -> str:
    """Draw a round length of at most a third of the map."""
    per_m = frame.down / 111_195.0  # a degree of latitude, in metres
    room = frame.width / 3 / per_m
    power = 10.0 ** np.floor(np.log10(max(room, 1e-3)))
    metres = power * max(f for f in (1.0, 2.0, 5.0) if f * power <= max(room, power))
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    y, x = frame.height + 8, metres * per_m
    return (
        f'<path d="M0,{y:.1f}H{x:.1f}" stroke="#333" stroke-width="1.5"/>'
        f'<text x="{x + 4:.1f}" y="{y + 3:.1f}" font-size="9" fill="#333">{text}</text>'
    )


def curves_svg(times: Mapping[str, _Floats], weight: _Floats | Mapping[str, _Floats], *, title: str) -> str:
    """
    Draw the share of residents that each category is within so many minutes of.

    Parameters
    ----------
    times
        [min] Time of each cell by category, NaN where unreachable.
    weight
        Residents of each cell; a mapping, where the curves are of different places.
    title
        What the curves show, for those who cannot see them.

    Returns
    -------
    str
        An ``svg`` element; the curves differ by colour and dash.
    """
    left, top, width, height = 34.0, 6.0, 304.0, 140.0
    minutes = np.arange(0.0, _LONGEST_MIN + 0.25, 0.25)
    parts = [
        f'<path d="M{left:g},{top + height * (1 - k / 4):g}h{width:g}" stroke="#ddd" stroke-width=".6"/>'
        f'<text x="{left - 4:g}" y="{top + height * (1 - k / 4) + 3:g}" font-size="9" text-anchor="end">'
        f"{25 * k} %</text>"
        for k in range(5)
    ]
    parts += [
        f'<text x="{left + width * m / _LONGEST_MIN:g}" y="{top + height + 12:g}" font-size="9" '
        f'text-anchor="{anchor}">{text}</text>'
        for m, anchor, text in [
            *((m, "middle", str(m)) for m in range(0, _LONGEST_MIN, 5)),
            (_LONGEST_MIN, "end", f"{_LONGEST_MIN} min"),
        ]
    ]
    x15 = left + width / 2
    parts.append(
        f'<path d="M{x15:g},{top:g}v{height:g}" stroke="#888" stroke-width=".8" stroke-dasharray="2 2"/>'
    )
    for k, (label, time) in enumerate(times.items()):
        own = weight[label] if isinstance(weight, Mapping) else weight
        total = float(own.sum())
        order = np.argsort(time, kind="stable")
        held = np.concatenate([[0.0], np.cumsum(own[order])])
        share = (
            held[np.searchsorted(time[order], minutes, side="right")] / total if total > 0 else minutes * 0
        )
        xy = np.column_stack([left + width * minutes / _LONGEST_MIN, top + height * (1 - share)])
        ink, dash = _INK[k % len(_INK)], _DASHES[k % len(_DASHES)]
        line = "L".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        y = top + height + 28 + 12 * k
        stroke = f'fill="none" stroke="{ink}" stroke-width="1.8" stroke-dasharray="{dash}"'
        parts.append(f'<path d="M{line}" {stroke}/><path d="M{left:g},{y - 3:g}h24" {stroke}/>')
        parts.append(f'<text x="{left + 30:g}" y="{y:g}" font-size="10">{escape(label)}</text>')
    return _svg(title, _WIDTH, top + height + 28 + 12 * len(times), parts)


def _svg(title: str, width: float, height: float, parts: Sequence[str], *, aside: float = 0.0) -> str:
    """Put parts together; `aside` is room to the left of them."""
    name = escape(title, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-1 - aside:.0f} -1 {width + 2:.0f} {height + 2:.0f}" '
        f'role="img" aria-label="{name}"><title>{name}</title>{"".join(parts)}</svg>'
    )
