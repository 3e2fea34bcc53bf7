"""The page Gaps: where people lack what others have, ranked by what it costs them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import streamlit as st

from engine.gaps import ALL
from ui.assets import serve
from ui.exports import MIME, export_bytes
from ui.language import Translator, inside
from ui.layers.features import table_geojson
from ui.map.component import show_legend
from ui.runs import Run
from ui.session import Context, change, current, seeded, translator
from ui.views.controls import mode_control
from ui.views.mapping import MapOptions, draw_map, fly_to, name_of
from ui.views.text import plain

_MOST = 30
_STREETS_NAMED = 2
_UNSCROLLED = 3
_LIST_HEIGHT = 520
"""[px] More than `_UNSCROLLED` gaps scroll, so that the legend stays in sight."""


def gaps() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    with st.sidebar:
        category = controls(context)
    run, view, t = context.run, context.view, context.t
    table = run.gaps(view.mode, category)
    left, right = st.columns([6, 4], gap="medium")
    with left:
        seen = (
            replace(view, kind="within_15")
            if category is None
            else replace(view, kind="minutes", category=category)
        )
        draw_map(context, gap_options(context, table), view=seen)
        if len(table):
            exports(context, table)
    with right:
        if run.absent and category in (None, *run.absent):
            st.caption(t("gaps.absent", what=", ".join(name_of(context, c) for c in run.absent)))
        if table.empty:
            st.success(t("gaps.none", minutes=t.number(run.cutoff_min)))
        else:
            gap_list(context, table)
        show_legend(served=serve(), key="map")


def controls(context: Context) -> str | None:
    """Mode and category; None is the gaps in any category."""
    run, view, t = context.run, context.view, context.t
    mode_control(context)
    key = seeded("gap_category", view.lacking or ALL)

    def take() -> None:
        chosen = st.session_state[key]
        change(lacking=None if chosen in (None, ALL) else str(chosen))

    st.pills(
        t("control.category"), (ALL, *run.categories), key=key, on_change=take,
        format_func=lambda c: t("gaps.any") if c == ALL else name_of(context, c),
    )  # fmt: skip
    return view.lacking


def gap_options(context: Context, table: gpd.GeoDataFrame) -> MapOptions:
    """The gaps as outlines with their ranks."""
    shown = table.head(_MOST)
    strong = (shown["gap"] == context.view.gap).to_numpy(bool)
    outlines = table_geojson(shown.assign(strong=strong), label=[""] * len(shown), keep=("rank", "strong"))
    points = shapely.point_on_surface(shown.geometry.to_numpy())
    badges = [
        {"text": str(rank), "lon": round(p.x, 6), "lat": round(p.y, 6), "strong": bool(s),
         "label": context.t("gaps.badge", rank=rank)}
        for rank, p, s in zip(shown["rank"], points, strong, strict=True)
    ]  # fmt: skip
    return MapOptions(overlays={"gaps": outlines}, badges=badges)


def gap_list(context: Context, table: gpd.GeoDataFrame) -> None:
    """One block a gap: where, who, what is missing, and a button that flies there."""
    t = context.t
    people = "residents" if context.run.residents is not None else "cells"
    total = float(table[people].sum())
    st.markdown(f"### {t.counted(f'gaps.heading_{people}', len(table), total=t.number(total))}")
    names = street_names(context.run, table.head(_MOST))
    with st.container(height=_LIST_HEIGHT if len(table) > _UNSCROLLED else "content", border=False):
        for (_, gap), streets in zip(table.head(_MOST).iterrows(), names, strict=True):
            with st.container(border=True):
                st.markdown(f"**{gap['rank']}. {plain(streets) or t('gaps.unnamed')}**")
                st.markdown(plain(gap_sentence(context, gap)))
                if notes := gap_notes(context, gap):
                    st.caption(plain(notes))
                st.button(
                    t("gaps.show"),
                    key=f"gap-{gap['gap']}",
                    on_click=_choose,
                    args=(gap["gap"], gap.geometry.bounds),
                )


def _choose(name: str, bounds: tuple[float, float, float, float]) -> None:
    change(gap=name)
    fly_to(bounds)


def gap_sentence(context: Context, gap: pd.Series) -> str:
    """Who lives in a gap, how far they have it, what is missing: every figure as in ``gaps.parquet``."""
    t = context.t
    missing = ", ".join(inside(name_of(context, c)) for c in str(gap["missing"]).split(";") if c)
    who = (
        t.counted("gaps.cells", gap["cells"])
        if pd.isna(gap["residents"])
        else t.counted("gaps.residents", gap["residents"], cells=t.counted("head.cells", gap["cells"]))
    )
    return " ".join([who, t("gaps.time", minutes=t.number(gap["mean_minutes"], 1)),
                     t("gaps.missing", what=missing)])  # fmt: skip


def gap_notes(context: Context, gap: pd.Series) -> str:
    """Who else lives there, and what the figures of a gap leave open."""
    t = context.t
    parts = _further(context.run, gap, t)
    if gap["unreachable_cells"]:
        parts.append(t.counted("gaps.unreachable", gap["unreachable_cells"]))
    if gap["edge_cells"]:
        parts.append(t.counted("gaps.edge", gap["edge_cells"]))
    return " ".join(parts)


def _further(run: Run, gap: pd.Series, t: Translator) -> list[str]:
    rows = [run.row_of[c] for c in str(gap["h3_cells"]).split(";") if c in run.row_of]
    return [
        t(
            "gaps.further",
            name=t.known("people", column),
            count=t.number(float(run.cells[column].iloc[rows].sum())),
        )
        for column in run.further_counts
    ]


@st.cache_data(show_spinner=False, max_entries=64)
def _street_names(
    key: tuple[str, str], gap_names: tuple[str, ...], _run: Run, _table: gpd.GeoDataFrame
) -> list[str]:
    streets = longest_streets(_run.base_streets, _table)
    return [s or n for s, n in zip(streets, main_neighbourhoods(_run, _table), strict=True)]


def main_neighbourhoods(run: Run, table: gpd.GeoDataFrame) -> list[str]:
    """The neighbourhoods that hold most cells of each gap, at most two; "" where the run has none."""
    if not run.districts:
        return [""] * len(table)
    names = run.cells.set_index("h3_cell")["neighbourhood"].dropna().astype(str)
    found = []
    for cells in table["h3_cells"].astype(str):
        counts = names[names.index.isin(cells.split(";"))].value_counts()
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        found.append(", ".join(str(name) for name, _ in ranked[:_STREETS_NAMED]))
    return found


def street_names(run: Run, table: gpd.GeoDataFrame) -> list[str]:
    """Where each gap lies: its main streets by name, else its neighbourhood; gathered once for all sessions."""
    return _street_names(run.key, tuple(table["gap"]), run, table)


def longest_streets(streets: gpd.GeoDataFrame, areas: gpd.GeoDataFrame) -> list[str]:
    """
    The names that most metres of street carry in each area, at most two.

    A street counts with its whole length where it touches the area; an area without a named street gets "".
    """
    if "name" not in streets.columns or streets.empty:
        return [""] * len(areas)
    named = streets[streets["name"].notna().to_numpy()]
    area, street = shapely.STRtree(named.geometry.to_numpy()).query(
        areas.geometry.to_numpy(), predicate="intersects"
    )
    pairs = pd.DataFrame(
        {
            "area": area,
            "name": named["name"].to_numpy(object)[street],
            "length": named["length_m"].to_numpy()[street],
        }
    )
    sums = pairs.groupby(["area", "name"], as_index=False)["length"].sum()
    sums = sums.sort_values(["area", "length", "name"], ascending=[True, False, True], kind="stable")
    best = sums.groupby("area")["name"].agg(lambda names: ", ".join(names.head(_STREETS_NAMED)))
    return [str(best.get(i, "")) for i in np.arange(len(areas))]


def exports(context: Context, table: gpd.GeoDataFrame) -> None:
    """The gaps as files."""
    t = context.t

    def content(form: str) -> Any:
        return lambda: export_bytes(table, form=form, stem="gaps", layer="gaps").content

    with st.container(horizontal=True):
        for form, mime in MIME.items():
            st.download_button(
                t("export.button", form=t(f"export.{form}")), data=content(form), mime=mime, key=f"gaps-{form}",
                file_name=f"proche-{context.run.name}-gaps.{form}", on_click="ignore",
            )  # fmt: skip
