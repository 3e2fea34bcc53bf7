"""What else was asked of the sites: how many are worth it, other futures, one sum for several kinds, least walking."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd
import streamlit as st

from ui.session import Context
from ui.views.text import plain

_COLOUR, _HEIGHT = "#7b2d8b", 220
_RULE = "#4a4a4a"


def questions(context: Context, kind: str, facts: dict[str, Any]) -> None:
    """One part for each further question that the run answers for this kind, and how to ask where it answers none."""
    figures = facts.get("figures") or {}
    if sweep := figures.get("sweep"):
        sweep_part(context, sweep, unit=str(facts.get("unit", "")))
    if scenarios := figures.get("scenarios"):
        scenario_part(context, scenarios, figures)
    if "mean_min_before" in figures:
        walking_part(context, figures)
    budget = context.run.site_budget
    if budget:
        budget_part(context, budget)
    if not (sweep or scenarios or budget) and kind in ("chargers", "sorting"):
        st.caption(context.t("sites.ask_more", kind=kind))


def unit_name(context: Context, unit: str) -> str:
    """What is counted, in the reader's language: residents, cells, vehicles, or the name of a column."""
    return context.t.known("people", unit).lower() if unit not in ("residents", "cells", "vehicles") else (
        context.t(f"sites.unit_{unit}")
    )  # fmt: skip


def bend_caption(context: Context, facts: dict[str, Any]) -> str:
    """After how many sites each further one adds less than the average; "" where the curve has no bend."""
    t, bend = context.t, int(facts.get("bend") or 0)
    curve = facts.get("curve") or [0.0]
    if not 0 < bend < len(curve) - 1:
        return ""
    part = t.share(abs(curve[bend] - curve[0]), abs(curve[-1] - curve[0]))
    return t("sites.bend", count=t.number(bend), share=part, all=t.number(len(curve) - 1))


def sweep_part(context: Context, sweep: list[dict[str, Any]], *, unit: str) -> None:
    """Coverage against number of sites, each number with its own proof, and the bend."""
    t = context.t
    st.markdown(f"### {t('sites.sweep')}")
    at = next((row for row in sweep if row["bend"]), None)
    if at is not None:
        st.markdown(
            t("sites.sweep_bend", count=t.number(at["count"]), share=t.share(at["share"], 1.0, 1),
              unit=unit_name(context, unit))
        )  # fmt: skip
    st.vega_lite_chart(
        pd.DataFrame(sweep)[["count", "share", "bend"]], sweep_chart(context), width="stretch", height=_HEIGHT
    )
    rows = pd.DataFrame(
        {
            t("sites.sweep_count"): [t.number(row["count"]) for row in sweep],
            t("sites.sweep_served"): [t.number(row["objective"]) for row in sweep],
            t("sites.sweep_share"): [t.share(row["share"], 1.0, 1) for row in sweep],
            t("sites.sweep_each"): ["–", *(t.number(v) for v in each_further(sweep))],
            t("sites.sweep_gap"): [gap(context, row["gap"]) for row in sweep],
            t("sites.sweep_mark"): [t("sites.sweep_here") if row["bend"] else "" for row in sweep],
        }
    )
    st.table(rows.set_index(t("sites.sweep_count")))


def each_further(sweep: list[dict[str, Any]]) -> list[float]:
    """What one more site adds on average between each number of the sweep and the next."""
    return [(b["objective"] - a["objective"]) / (b["count"] - a["count"]) for a, b in pairwise(sweep)]


def sweep_chart(context: Context) -> dict[str, Any]:
    """Share served against number of sites as a Vega-Lite chart; a ring and a rule mark the bend."""
    t = context.t
    x = {"field": "count", "type": "quantitative", "title": t("sites.sweep_count")}
    y = {"field": "share", "type": "quantitative", "title": t("sites.sweep_share"), "axis": {"format": "%"},
         "scale": {"zero": False}}  # fmt: skip
    bend = [{"filter": "datum.bend"}]
    return {
        "layer": [
            {"mark": {"type": "line", "color": _COLOUR, "point": {"color": _COLOUR}}, "encoding": {"x": x, "y": y}},
            {"transform": bend, "mark": {"type": "rule", "color": _RULE, "strokeDash": [4, 3]}, "encoding": {"x": x}},
            {"transform": bend, "mark": {"type": "point", "size": 160, "color": _RULE}, "encoding": {"x": x, "y": y}},
        ]
    }  # fmt: skip


def scenario_part(context: Context, scenarios: list[dict[str, Any]], figures: dict[str, Any]) -> None:
    """What one set is worth in each future, and how much of the best there it misses."""
    t = context.t
    st.markdown(f"### {t('sites.futures')}")
    st.markdown(
        t("sites.futures_worst", regret=t.share(figures["worst_regret"], 1.0, 2),
          least=t.share(figures["worst_regret_bound"], 1.0, 2))
    )  # fmt: skip
    name = t("sites.future")
    rows = pd.DataFrame(
        {
            name: [t("sites.as_asked") if s["name"] == "as asked" else s["name"] for s in scenarios],
            t("sites.future_served"): [t.number(s["served"]) for s in scenarios],
            t("sites.future_best"): [t.number(s["best_bound"]) for s in scenarios],
            t("sites.future_regret"): [t.share(s["regret"], 1.0, 2) for s in scenarios],
        }
    )
    st.table(rows.set_index(name))


def walking_part(context: Context, figures: dict[str, Any]) -> None:
    """Mean walk to the nearest station, today and with the new ones."""
    t = context.t
    st.markdown(
        t("sites.walking", before=t.minutes(figures["mean_min_before"]), after=t.minutes(figures["mean_min_after"]))
    )  # fmt: skip


def budget_part(context: Context, budget: dict[str, Any]) -> None:
    """How one sum is divided between the kinds, what each part adds, and the proof of the division."""
    t = context.t
    st.markdown(f"### {t('sites.sum')}")
    share = t.share(budget["spent"], budget["amount"])
    st.markdown(
        t("sites.sum_spent", spent=t.number(budget["spent"]), amount=t.number(budget["amount"]), share=share,
          gap=gap(context, budget.get("gap")))
    )  # fmt: skip
    kinds = budget["kinds"]
    name = t("sites.sum_kind")
    rows = pd.DataFrame(
        {
            name: [t.known("site", kind) for kind in kinds],
            t("sites.sum_count"): [t.number(k["count"]) for k in kinds.values()],
            t("sites.sum_cost"): [t.number(k["cost"]) for k in kinds.values()],
            t("sites.sum_adds"): [
                f"{t.number(k['objective'] - k['baseline'])} {unit_name(context, k['unit'])}" for k in kinds.values()
            ],
            t("sites.sum_each"): [per_thousand(context, k) for k in kinds.values()],
            t("sites.sum_weight"): [t.number(k["weight"], 2) for k in kinds.values()],
        }
    )  # fmt: skip
    st.table(rows.set_index(name))
    st.caption(t("sites.sum_note"))


def per_thousand(context: Context, kind: dict[str, Any]) -> str:
    """What a thousand of money adds; a dash where nothing is spent."""
    if not kind["cost"]:
        return "–"
    return context.t.number(1000 * (kind["objective"] - kind["baseline"]) / kind["cost"], 1)


def gap(context: Context, value: float | None) -> str:
    """A proven gap in per cent, a dash where there is none."""
    return plain("–") if value is None else context.t.share(value, 1.0, 2)
