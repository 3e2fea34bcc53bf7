"""The head of every page: which area, how large, how old the data."""

from __future__ import annotations

import streamlit as st

from ui.session import Context
from ui.views.text import plain


def heading(context: Context) -> None:
    """The area's name, and in one line what its figures count and when its data were taken."""
    st.markdown(f"# {plain(context.run.title)}")
    st.caption(plain(" · ".join(facts(context))))


def facts(context: Context) -> list[str]:
    """Number of cells, residents or that there are none, date of the data."""
    run, t = context.run, context.t
    residents = run.residents
    return [
        t.counted("head.cells", len(run.cells)),
        t("head.no_residents")
        if residents is None
        else t("head.residents", count=t.number(float(residents.sum()))),
        t("head.date", date=stamp) if (stamp := data_stamp(context)) else t("head.no_date"),
    ]


def data_stamp(context: Context) -> str | None:
    """Day of the run's streets and places in words, else that of their newest edit, None where no source tells it."""
    osm, t = context.run.manifest.get("osm", {}), context.t
    if stamp := osm.get("timestamp"):
        return t.date(str(stamp))
    newest = osm.get("newest_edit")
    return t("head.newest_edit", date=t.date(str(newest))) if newest else None
