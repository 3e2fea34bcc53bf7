"""The map on a page: which cells, which layers over them, where it flies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from engine.scoring import flag_of
from ui.assets import serve
from ui.cache import places_file, run_files
from ui.language import Translator
from ui.layers.features import as_points, table_geojson
from ui.map.component import show_map
from ui.map.message import map_message, map_texts
from ui.runs import Run
from ui.session import Context, change
from ui.state import View

HEIGHT = 620


@dataclass(frozen=True)
class MapOptions:
    """
    How a map on a page differs from the plain one.

    Attributes
    ----------
    key
        Identity of the map on its page.
    overlays
        Further layers: kind → GeoJSON, or the name of a file on the shelf.
    height
        [px]
    linked
        Maps of one name move together.
    badges
        Numbers on the map: ``text``, ``lon``, ``lat``, ``label``, ``strong``.
    dim
        Draw the cells faintly, because the layers over them are the subject.
    values
        Figures to draw instead of the run's, one a cell.
    change
        The figures are gains and losses.
    on_chosen
        Called before the rerun that follows a click; by default the cell is chosen.
    words
        Words of Streamlit's own fields on the page in the page's language: selector, attribute or "", what they
        are told by (a regular expression; "" takes the place of any), text.
    """

    key: str = "map"
    overlays: Mapping[str, Any] = field(default_factory=dict)
    height: int = HEIGHT
    linked: str = ""
    badges: Sequence[Mapping[str, Any]] = ()
    dim: bool = False
    values: npt.NDArray[np.float64] | None = None
    change: bool = False
    on_chosen: Callable[[], None] | None = None
    words: Sequence[tuple[str, str, str, str]] = ()


def draw_map(context: Context, options: MapOptions | None = None, *, view: View | None = None) -> Any:
    """Put a map of the session's run on the page, and take clicks and cutoffs from it into the view."""
    options = options or MapOptions()
    run, t = context.run, context.t
    view = view or context.view
    served = serve()
    files = run_files(run)
    inside = run.inside(view.district)
    shown = run.cells if inside is None or not inside.any() else run.cells[inside]
    west, south, east, north = (float(x) for x in shown.total_bounds)
    header = {
        "run": f"{run.name} {run.mark}",
        "language": t.language,
        "height": options.height,
        "legend": options.key,
        "linked": options.linked,
        "dim": options.dim,
        "badges": list(options.badges),
        "words": list(options.words),
        "bounds": [[west, south], [east, north]],
        "files": {"cells": files.cells, "streets": files.streets, "names": files.names},
        "filesAt": served.files,
        "libraryAt": served.library,
        "texts": map_texts(
            view.measure,
            t,
            place=run.title,
            label=category_label(context, view),
            run=run,
            change=options.change,
        ),
        "residents": run.residents is not None,
        "cell": view.cell,
        "overlays": {"backdrop": files.backdrop, **view_overlays(context, view), **options.overlays},
        "flight": st.session_state.get("flight"),
        "fileName": f"proche-{run.name}-{view.measure.column}",
    }
    header["key"] = layer_key(context, header["overlays"])
    message = map_message(
        run.values(view.measure.column) if options.values is None else options.values,
        measure=view.measure,
        header=header,
        cutoff_min=view.cutoff_min,
        n_categories=len(run.categories),
        inside=inside,
        streetless=told_streetless(run, view, inside),
        change=options.change,
    )
    return show_map(
        message,
        served=served,
        key=options.key,
        on_chosen=options.on_chosen or (lambda: take_cell(options.key)),
        on_cutoff=lambda: take_cutoff(options.key),
    )


def told_streetless(
    run: Run, view: View, inside: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """Cells without a street of the view's mode, where the geometry's own flags do not say so already."""
    streetless = run.streetless(view.measure.mode)
    known = inside is None and np.array_equal(streetless, flag_of(run.cells, "no_network"))
    return None if known else streetless


def layer_key(context: Context, overlays: Mapping[str, Any]) -> list[list[str]]:
    """What the layers over the cells are, for the legend: sign and text, of those that hold something."""
    t = context.t

    def filled(kind: str) -> bool:
        layer = overlays.get(kind)
        return isinstance(layer, str) or bool(layer and (layer.get("features") or layer.get("geometry")))

    signs = [kind for kind in ("places", "route", "isochrone", "gaps", "edits") if filled(kind)]
    if filled("sites"):
        locked = [bool(f["properties"].get("locked")) for f in overlays["sites"]["features"]]
        signs += [name for name, there in (("sites", not all(locked)), ("locked", any(locked))) if there]
    if context.view.cell:
        signs.append("chosen")
    return [[sign, t(f"key.{sign}")] for sign in signs]


def category_label(context: Context, view: View) -> str:
    """What the view's category is called."""
    return name_of(context, view.measure.category) if view.measure.category else ""


def name_of(context: Context, category: str) -> str:
    """What a category is called: by the run, else by this program, else its key."""
    t = context.t
    return context.run.label(category, t.language) or t.known("category", category)


def view_overlays(context: Context, view: View) -> dict[str, Any]:
    """The layers over the cells that a view asks for."""
    run = context.run
    wanted: dict[str, Any] = {}
    category = view.measure.category
    if "places" in view.overlays and category:
        wanted["places"] = places_file(run, category)
    if "gaps" in view.overlays:
        table = run.gaps(view.mode, category)
        wanted["gaps"] = table_geojson(table, label=[""] * len(table), keep=("rank",))
    if "sites" in view.overlays:
        tables = [
            table_geojson(
                as_points(run.sites(k)), label=site_labels(context.t, run.sites(k)), keep=("locked", "rank")
            )
            for k in run.site_kinds
        ]
        wanted["sites"] = {
            "type": "FeatureCollection",
            "features": list(chain.from_iterable(c["features"] for c in tables)),
        }
    return wanted


def site_labels(t: Translator, table: Any) -> list[str]:
    """What a site is called on the map: its street, else its kind in words, and whether it exists or which it is."""
    kinds, names = table["kind"].astype(str), table["name"].astype("string").fillna("")
    called = [str(n) or t.known("one_site", k) for n, k in zip(names, kinds, strict=True)]
    return [
        t("sites.label_locked", what=what)
        if locked
        else t("sites.label_new", what=what, rank=t.number(int(rank)))
        for what, locked, rank in zip(called, table["locked"], table["rank"], strict=True)
    ]


def take_cell(key: str) -> None:
    """A click on the map chooses a cell."""
    chosen = (st.session_state[key] or {}).get("chosen")
    if chosen:
        cell = chosen.get("cell")
        change(cell=cell if isinstance(cell, str) else None)


def take_cutoff(key: str) -> None:
    """The slider beside the map has come to rest."""
    cutoff = (st.session_state[key] or {}).get("cutoff")
    if isinstance(cutoff, int | float):
        change(cutoff_min=int(cutoff))


def fly_to(bounds: tuple[float, float, float, float], *, alone: bool = False) -> None:
    """
    Let every map on the page fly to a box [deg] (west, south, east, north), once.

    With `alone`, nothing else changes in the address: the browser keeps the place left behind for its Back.
    """
    west, south, east, north = bounds
    serial = int((st.session_state.get("flight") or {"serial": 0})["serial"]) + 1
    st.session_state.flight = {"serial": serial, "bounds": [[west, south], [east, north]], "alone": alone}
