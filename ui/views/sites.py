"""The page Sites: where new trees, chargers and sorting points would serve most, and why each."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import streamlit as st

from ui.assets import serve
from ui.exports import MIME, export_bytes
from ui.layers.features import as_points, table_geojson
from ui.map.component import show_curve
from ui.session import Context, change, current, from_widget, seeded, translator
from ui.views.mapping import MapOptions, draw_map, site_labels
from ui.views.site_questions import bend_caption, questions, unit_name
from ui.views.text import plain

NEW_COLOUR, LOCKED_COLOUR = "#7b2d8b", "#4a4a4a"
_ROWS = 15


def sites() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    run, view, t = context.run, context.view, context.t
    if not run.site_kinds:
        st.info(t("sites.none"))
        return
    kind = view.site_kind or run.site_kinds[0]
    with st.sidebar:
        st.pills(
            t("sites.kind"), run.site_kinds, format_func=lambda k: t.known("site", k),
            key=seeded("site_kind", kind), on_change=from_widget("site_kind", "site_kind"),
        )  # fmt: skip
        st.caption(t(f"sites.about_{kind}"))
    table, facts = run.sites(kind), run.site_facts(kind)
    most = int(table["rank"].max()) if len(table) else 0
    count = most if view.sites is None else min(view.sites, most)
    left, right = st.columns([6, 4], gap="medium")
    with left:
        points = table_geojson(as_points(table), label=site_labels(t, table), keep=("locked", "rank"))
        draw_map(context, MapOptions(overlays={"sites": points}, dim=True))
    with right:
        data = curve_data(context, kind, facts, table, count=count)
        show_curve(data, served=serve(), key="map", on_count=_take_count)
        if bend := bend_caption(context, facts):
            st.caption(bend)
        st.caption(t("sites.method", method=plain(t.said("searched", str(facts.get("method", "–"))))))
    site_table(context, kind, table, count=count)
    exports(context, kind, table[table["rank"] <= count])
    questions(context, kind, facts)


def _take_count() -> None:
    taken = (st.session_state["map-curve"] or {}).get("count")
    if isinstance(taken, int | float):
        change(sites=int(taken))


def curve_data(
    context: Context, kind: str, facts: dict[str, Any], table: gpd.GeoDataFrame, *, count: int
) -> dict[str, Any]:
    """What the curve is told: figures as in ``sites_{kind}.json``."""
    t = context.t
    curve = facts.get("curve") or [0.0]
    counted, text = value_text(context, kind, facts)
    locked = int(table["locked"].sum())
    gap = facts.get("gap")
    return {
        "language": t.language,
        "curve": [float(v) for v in curve],
        "total": float(context.run.weight.sum()) if counted else 0.0,
        "bend": int(facts.get("bend") or 0),
        "count": min(count, len(curve) - 1),
        "key": [
            [NEW_COLOUR, t("sites.new")],
            *([[LOCKED_COLOUR, t("sites.locked", count=t.number(locked))]] if locked else []),
        ],
        "texts": {
            "title": t.known("site", kind),
            "slider": t("sites.slider"),
            "plot": t("sites.plot"),
            "value": text,
            "value_of": text,
            "proof": proof(context, gap, count=len(curve) - 1),
            "axis": t("sites.axis"),
        },
    }


def value_text(context: Context, kind: str, facts: dict[str, Any]) -> tuple[bool, str]:
    """
    Whether the curve counts residents (or cells) served, so that they can be told as a share of all, and its text.

    It does not where people count by need, stream by stream, by the minutes they walk, or are vehicles or another
    column of the population.
    """
    t, unit = context.t, str(facts.get("unit", ""))
    if kind == "trees":
        return False, t("sites.value_trees")
    if facts.get("sense") == "min":
        return False, t("sites.value_minutes")
    asked = context.run.manifest["config"].get("sites", {}).get(kind, {})
    if asked.get("equity_aversion") or asked.get("streams") or unit not in ("residents", "cells"):
        return False, t("sites.value_weighed").replace("{unit}", unit_name(context, unit))
    return (False, t(f"sites.value_{unit}")) if kind == "green" else (True, t(f"sites.value_of_{unit}"))


def proof(context: Context, gap: float | None, *, count: int) -> str:
    """How far the whole set may be from the best of its size: nothing, a percentage, or not told."""
    t = context.t
    if gap is None:
        return ""
    if round(100 * gap, 1) <= 0:
        return t("sites.proof_best", count=t.number(count))
    return t("sites.proof", gap=t.number(100 * gap, 1), count=t.number(count))


def site_table(context: Context, kind: str, table: gpd.GeoDataFrame, *, count: int) -> None:
    """The first sites with their reasons."""
    t = context.t
    new = table[(table["rank"] > 0) & (table["rank"] <= count)].sort_values("rank", kind="stable")
    shown = new.head(_ROWS)
    rows = pd.DataFrame(
        {
            t("sites.rank"): shown["rank"].astype(int).astype(str),
            t("sites.where"): [place(context, row) for _, row in shown.iterrows()],
            t("sites.adds"): [t.number(v, 1 if kind == "trees" else 0) for v in shown["newly_served"]],
            t("sites.nearest"): [metres(context, v) for v in shown["nearest_existing_m"]],
            t("sites.replaces"): [replaced(context, row) for _, row in shown.iterrows()],
            t("sites.rests"): [rests(context, row) for _, row in shown.iterrows()],
        }
    )
    st.markdown(f"### {t('sites.heading', shown=t.number(len(shown)), count=t.number(len(new)))}")
    st.table(rows.set_index(t("sites.rank")))


def place(context: Context, row: pd.Series) -> str:
    """Where a site is: street and side."""
    t = context.t
    name = row["name"] if isinstance(row["name"], str) and row["name"] else t("sites.unnamed")
    side = t.known("side", row["side"]) if row["side"] else ""
    area = row.get("area_ha", np.nan)
    size = f"{t.number(float(area), 2)}\u00a0ha" if pd.notna(area) else ""
    return ", ".join(part for part in (name, side, size) if part)


def replaced(context: Context, row: pd.Series) -> str:
    """What stands there now."""
    said = str(row.get("replaces") or "")
    return context.t.said("replaces", said) if said else "–"


def metres(context: Context, value: float) -> str:
    """A distance in metres, or that there is none."""
    return f"{context.t.number(value)}\u00a0m" if np.isfinite(value) else context.t("sites.no_nearest")


def rests(context: Context, row: pd.Series) -> str:
    """Which data a site rests on, and what has to be looked at on the spot."""
    t = context.t
    if row["kind"] == "green":
        return t("sites.outline")
    width = t("sites.width_tagged" if bool(row["width_known"]) else "sites.width_assumed")
    return f"{width}; {t.known('parking', str(row['parking']))}"


def exports(context: Context, kind: str, table: gpd.GeoDataFrame) -> None:
    """The sites that are seen, as files."""
    t = context.t

    def content(form: str) -> Any:
        return lambda: export_bytes(table, form=form, stem=kind, layer=f"sites_{kind}").content

    with st.container(horizontal=True):
        for form, mime in MIME.items():
            st.download_button(
                t("export.button", form=t(f"export.{form}")), data=content(form), mime=mime,
                key=f"sites-{form}", file_name=f"proche-{context.run.name}-{kind}.{form}", on_click="ignore",
            )  # fmt: skip
