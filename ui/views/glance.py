"""The city at a glance: who reaches what in time, as ``summary.json`` says."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ui.session import Context
from ui.views.mapping import name_of
from ui.views.text import plain


def glance(context: Context) -> None:
    """A small table: kinds of places by modes, the share within the run's own cutoff."""
    run, t = context.run, context.t
    people = "cells" if run.residents is None else "residents"
    st.markdown(f"### {t('glance.heading')}")
    st.caption(t(f"glance.note_{people}", minutes=t.number(run.cutoff_min)))
    if context.view.district is not None:
        st.caption(t("glance.whole", area=plain(run.title), part=plain(context.view.district)))
    st.table(glance_table(context).set_index(t("cell.place")))
    if run.absent:
        st.caption(t("glance.absent", what=", ".join(name_of(context, c) for c in run.absent)))
    st.caption(t("cell.choose"))


def glance_table(context: Context) -> pd.DataFrame:
    """Shares by kind of place (rows) and mode (columns); the last row is all kinds together."""
    run, t = context.run, context.t
    modes = run.summary["modes"]
    rows = []
    for category in run.categories:
        shares = {m: modes[m]["categories"].get(category, {}).get("share") for m in run.modes}
        told = _percents(context, shares) if category not in run.absent else _unknown(context)
        rows.append({t("cell.place"): name_of(context, category)} | told)
    everything = {m: modes[m].get("all_share") for m in run.modes}
    rows.append({t("cell.place"): t("glance.all")} | _percents(context, everything))
    return pd.DataFrame(rows)


def _unknown(context: Context) -> dict[str, str]:
    return dict.fromkeys((context.t.known("short_mode", m) for m in context.run.modes), "–")


def _percents(context: Context, shares: dict[str, float | None]) -> dict[str, str]:
    t = context.t
    return {
        t.known("short_mode", mode): "–" if share is None else t.share(share, 1.0)
        for mode, share in shares.items()
    }
