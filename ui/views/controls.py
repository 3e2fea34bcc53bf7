"""Controls that several pages have in their sidebar."""

from __future__ import annotations

import streamlit as st

from ui.session import Context, from_widget, seeded
from ui.views.mapping import name_of


def mode_control(context: Context) -> None:
    """On foot, by bike, by car."""
    run, view, t = context.run, context.view, context.t
    st.pills(
        t("control.mode"), run.modes, format_func=lambda m: t.known("mode", m),
        key=seeded("mode", view.mode), on_change=from_widget("mode", "mode"),
    )  # fmt: skip


def category_control(context: Context) -> None:
    """The kind of places that is shown."""
    st.pills(
        context.t("control.category"), context.run.categories, format_func=lambda c: name_of(context, c),
        key=seeded("category", context.view.category), on_change=from_widget("category", "category"),
    )  # fmt: skip
