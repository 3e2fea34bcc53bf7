"""The frame of every page: navigation, language, area, and the address bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pipelines.errors import PipelineError
from ui.cache import set_aside
from ui.session import (
    current,
    follow_address,
    language_switch,
    run_switch,
    translator,
    turn_to,
    write_address,
)
from ui.views.heading import heading
from ui.views.text import plain

_STYLE = """<style>
.stMainBlockContainer { padding: 4.1rem 1.4rem 1.5rem; }
[data-testid="stSidebarUserContent"] { padding-top: 0; }
[data-testid="stMarkdownContainer"] h1 { font-size: 1.7rem; font-weight: 700; padding: 0; line-height: 1.2; }
[data-testid="stMarkdownContainer"] h2 { font-size: 1.35rem; }
[data-testid="stMarkdownContainer"] h3 { font-size: 1.1rem; padding-bottom: 0.3rem; }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {
  color: #4b525a !important; opacity: 1 !important;
}
[data-testid="stMarkdownContainer"] h4 { font-size: 1.02rem; padding-bottom: 0.1rem; }
[data-testid="stMetricValue"] { font-size: 1.4rem; line-height: 1.3; }
[data-testid="stMetric"] { width: auto; }
[data-testid="stTable"] table { font-variant-numeric: tabular-nums; }
[data-testid="stExpandSidebarButton"]::after { content: "CONTROLS"; padding-left: 0.4rem; font-size: 0.95rem; }
[data-testid="stExpandSidebarButton"] { width: auto; padding: 0 0.5rem; }
[data-testid="stFileUploader"] [role="alert"] {
  position: static; width: auto; height: auto; margin: 0; clip: auto; clip-path: none; overflow: visible;
  white-space: normal; color: #9b1c1c; font-size: 0.85rem;
}
@media (max-width: 1150px) {
  [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  [data-testid="stColumn"] { min-width: min(100%, 330px); }
}
</style>"""
_PAGES = Path(__file__).parent / "pages"
_LOGO = Path(__file__).parent / "logo.svg"


def start(pages: Sequence[str]) -> None:
    """
    Show the application.

    Parameters
    ----------
    pages
        Names of the pages in order: ``ui/pages/{name}.py``, text ``page.{name}``; the first is the start
        page.
    """
    st.set_page_config(page_title="Proche", layout="wide", initial_sidebar_state="auto")
    follow_address()
    t = translator()
    listing = [
        st.Page(_PAGES / f"{name}.py", title=t(f"page.{name}"), url_path=name, default=index == 0)
        for index, name in enumerate(pages)
    ]
    st.html(_STYLE.replace("CONTROLS", t("app.controls")))
    st.logo(str(_LOGO), size="large")
    page = st.navigation(listing, position="top")
    turn_to(page.url_path)
    try:
        context = current(t)
    except PipelineError as error:
        st.error(plain(str(error)))
        return
    if context is None:
        st.title(t("app.title"))
        st.info(t("app.no_runs"))
        return
    with st.sidebar:
        st.caption(t("app.tagline"))
        language_switch(t)
        run_switch(t)
    heading(context)
    page.run()
    write_address()
    set_aside(context.run.key, page.url_path)
