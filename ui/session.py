"""A session's view: seeded from the address, kept across pages, written back to the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from pipelines.errors import PipelineError
from ui.cache import open_run, runs_offered
from ui.language import LANGUAGES, Translator
from ui.runs import Run
from ui.state import View, fit, language_from_query, view_from_query

_LANGUAGE_NAMES = {"fr": "Français", "en": "English"}


@dataclass(frozen=True)
class Context:
    """What every page works with."""

    run: Run
    view: View
    t: Translator


def accepted_languages() -> list[str]:
    """Languages of the browser in its order, as far as the server is told."""
    locale = st.context.locale
    return [locale] if locale else []


def translator() -> Translator:
    """Texts of the session's language."""
    if "language" not in st.session_state:
        st.session_state.language = language_from_query(st.query_params, accepted_languages())
    return Translator(st.session_state.language)


def follow_address() -> None:
    """
    Take language, run and view from the address where somebody else has changed it: Back and Forward do.

    An address that no longer tells a run is a page opened from the menu. A rerun after a change of the view may
    still bring the address from before that change: then the view counts.
    """
    changed = st.session_state.pop("changed", False)
    query, written = st.query_params.to_dict(), st.session_state.get("written")
    if changed or written is None or "run" not in query or query == written:
        return
    for key in ("language", "run", "view"):
        st.session_state.pop(key, None)


def current(t: Translator) -> Context | None:
    """The session's run and view; None where the server has no run at all."""
    offered = runs_offered()
    if not offered:
        return None
    name = st.session_state.get("run") or st.query_params.get("run", "")
    if name not in offered:
        name = next(iter(offered))
    run = open_run(name, offered[name])
    known: View | None = st.session_state.get("view")
    if known is None or st.session_state.get("run") != name:
        known = view_from_query(st.query_params, run)
    st.session_state.run = name
    st.session_state.view = fit(known, run)
    return Context(run, st.session_state.view, t)


def change(**fields: Any) -> None:
    """Change fields of the session's view; there is none while another run is being opened."""
    if "view" in st.session_state:
        st.session_state.view = replace(st.session_state.view, **fields)
        st.session_state.changed = True


def seeded(key: str, value: Any) -> str:
    """
    The key of a widget that shows `value`, whoever changed it last: the widget, the map or the address.

    On a page that was just opened the browser is told again: a widget of the same key may be of another page.
    """
    if st.session_state.get("page_opened") or st.session_state.get(key) != value:
        st.session_state[key] = value
    return key


def from_widget(key: str, field: str) -> Callable[[], None]:
    """A callback that takes a field of the view from a widget; a widget left empty changes nothing."""

    def take() -> None:
        value = st.session_state[key]
        if value is not None:
            change(**{field: tuple(value) if isinstance(value, list) else value})

    return take


def turn_to(page: str) -> None:
    """Remember which page the session is on, and whether it has just been opened."""
    st.session_state.page_opened = st.session_state.get("page") != page
    st.session_state.page = page


def write_address() -> None:
    """Put the view into the address bar, so that a copied link opens the same view."""
    view: View = st.session_state.view
    query = {"run": st.session_state.run, **view.to_query(), "lang": st.session_state.language}
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)
    st.session_state.written = query


def language_switch(t: Translator) -> None:
    """French or English, in the language's own name."""
    key = seeded("language_widget", t.language)

    def take() -> None:
        if st.session_state[key] is not None:
            st.session_state.language = st.session_state[key]
            st.session_state.changed = True

    st.segmented_control(
        t("app.language"),
        LANGUAGES,
        format_func=_LANGUAGE_NAMES.__getitem__,
        key=key,
        on_change=take,
        label_visibility="collapsed",
    )


def run_switch(t: Translator) -> None:
    """Which run is shown; hidden where there is only one."""
    offered = runs_offered()
    if len(offered) < 2:
        return
    key = seeded("run_widget", st.session_state.run)

    def take() -> None:
        st.session_state.run = st.session_state[key]
        st.session_state.changed = True
        st.session_state.pop("view", None)
        st.query_params.clear()

    titles = run_titles(offered)
    st.selectbox(t("app.run"), list(offered), key=key, on_change=take, format_func=titles.__getitem__)


def run_titles(offered: Mapping[str, Path]) -> dict[str, str]:
    """What each run is called: its area, with its own name where two runs are of areas of one name."""
    areas: dict[str, str] = {}
    for name, path in offered.items():
        try:
            areas[name] = open_run(name, path).title
        except PipelineError:
            areas[name] = name
    return {n: a if list(areas.values()).count(a) == 1 else f"{a} · {n}" for n, a in areas.items()}
