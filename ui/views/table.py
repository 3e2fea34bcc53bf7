"""The layer as a table: the path without a mouse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from ui.layers.scale import CUTOFF_KINDS
from ui.map.message import measure_title
from ui.runs import Run
from ui.session import Context, change
from ui.state import View
from ui.views.mapping import category_label

_ROWS = 20


def worst_cells(context: Context) -> None:
    """The worst-served cells of the view, and a field to choose any cell by its index."""
    run, view, t = context.run, context.view, context.t
    st.caption(f"{measure_title(view.measure, t, label=category_label(context, view))}. {t('table.note')}")
    rows = worst_rows(run, view)[:_ROWS]
    values = run.values(view.measure.column)[rows]
    table = pd.DataFrame(
        {
            t("cell.heading"): run.cells["h3_cell"].to_numpy()[rows],
            t(f"unit.{view.measure.unit}"): [
                t.number(v, 1) if np.isfinite(v) else t("cell.not_reached") for v in values
            ],
        }
    )
    if run.residents is not None:
        table[t("cell.residents")] = [t.number(v) for v in run.residents[rows]]
    st.table(table.set_index(t("cell.heading")))

    def take() -> None:
        if st.session_state.pick_cell in run.row_of:
            change(cell=st.session_state.pick_cell)

    st.selectbox(
        t("table.choose"), run.cells["h3_cell"].to_numpy()[rows].tolist(), index=None, key="pick_cell",
        on_change=take, placeholder=t("table.choose_hint"),
    )  # fmt: skip


def worst_rows(run: Run, view: View) -> np.ndarray:
    """
    Rows of the cells of the view, the worst-served first.

    Longest times first and cells that reach nothing before them; least points, places and kinds first. Cells
    without streets are left out, and those outside the chosen neighbourhood. Ties keep the order of the file.
    """
    values = run.values(view.measure.column)
    badness = (
        np.where(np.isnan(values), np.inf, values) if view.kind in CUTOFF_KINDS else -np.nan_to_num(values)
    )
    order = np.argsort(-badness, kind="stable")
    keep = ~run.cells["no_network"].fillna(value=False).to_numpy(bool)
    inside = run.inside(view.district)
    return order[keep[order] if inside is None else (keep & inside)[order]]
