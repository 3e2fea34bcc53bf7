"""The page Explore: any measure on the map, its figures beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from ui.assets import serve
from ui.cache import search_index
from ui.exports import MIME, export_cells
from ui.layers.scale import CITY_KINDS, Kind, Measure
from ui.map.component import show_legend
from ui.map.message import measure_title
from ui.search import Hit
from ui.session import Context, change, current, from_widget, seeded, translator
from ui.state import KINDS, OVERLAYS
from ui.views.cell_card import cell_card, cell_overlays, isochrone_badges
from ui.views.controls import category_control, mode_control
from ui.views.glance import glance
from ui.views.mapping import MapOptions, category_label, draw_map, fly_to, name_of
from ui.views.table import worst_cells
from ui.views.text import plain

_COMPARE_HEIGHT = 520


def explore() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    with st.sidebar:
        controls(context)
    overlays = cell_overlays(context)
    if context.view.second is not None:
        two_maps(context, context.view.second, overlays)
    else:
        left, right = st.columns([13, 7], gap="medium")
        with left:
            draw_map(context, MapOptions(overlays=overlays, badges=isochrone_badges(context, overlays)))
        with right:
            show_legend(served=serve(), key="map")
            if context.view.cell is None:
                glance(context)
            else:
                cell_card(context)
    with st.expander(context.t("table.heading")):
        worst_cells(context)
    downloads(context)


def two_maps(context: Context, second: Measure, overlays: dict[str, object]) -> None:
    """Two layers side by side on maps that move together, the second with a measure of its own."""
    second_controls(context, second)
    beside = replace(context.view, mode=second.mode, kind=second.kind, category=second.category)
    columns = st.columns(2, gap="small")
    for column, key, view in zip(columns, ("map", "map2"), (context.view, beside), strict=True):
        with column:
            options = MapOptions(key=key, linked="compare", height=_COMPARE_HEIGHT, overlays=overlays)
            draw_map(context, options, view=view)
            show_legend(served=serve(), key=key)
    cell_card(context)


def second_controls(context: Context, second: Measure) -> None:
    """Mode, measure and place of the right-hand map."""
    run, t = context.run, context.t

    def take(key: str, field: str) -> None:
        wanted = replace(second, **{field: st.session_state[key]})
        category = None if wanted.kind in CITY_KINDS else wanted.category or context.view.category
        change(second=replace(wanted, category=category))

    def choice(field: str, options: Sequence[str], words: Callable[[str], str]) -> None:
        key = seeded(f"{field}2", getattr(second, field))
        label = t(f"compare.{field}")
        st.selectbox(label, options, format_func=words, key=key, on_change=take, args=(key, field))

    with st.container(horizontal=True, horizontal_alignment="right"):
        choice("mode", run.modes, lambda m: t.known("mode", m))
        choice("kind", kinds_of(context), lambda k: t(f"kind.{k}"))
        if second.category is not None:
            choice("category", run.categories, lambda c: name_of(context, c))


def kinds_of(context: Context) -> list[Kind]:
    """The measures that the run has."""
    run, view = context.run, context.view
    return [k for k in KINDS if replace(view, kind=k).measure.column in run.cells.columns]


def compare_switch(context: Context) -> None:
    """One layer, or two side by side: the second starts as the first in the run's next mode."""
    run, view = context.run, context.view
    key = seeded("compare", view.second is not None)

    def take() -> None:
        other = next((m for m in run.modes if m != view.mode), view.mode)
        change(second=replace(view.measure, mode=other) if st.session_state[key] else None)

    st.toggle(context.t("compare.toggle"), key=key, on_change=take)


def controls(context: Context) -> None:
    """Mode, measure, place, layers, neighbourhood, search."""
    run, view, t = context.run, context.view, context.t
    mode_control(context)
    st.selectbox(
        t("control.kind"), kinds_of(context), format_func=lambda k: t(f"kind.{k}"),
        key=seeded("kind", view.kind), on_change=from_widget("kind", "kind"),
    )  # fmt: skip
    if view.kind not in CITY_KINDS and run.categories:
        category_control(context)
    st.pills(
        t("control.layers"), OVERLAYS, format_func=lambda o: t(f"layer.{o}"), selection_mode="multi",
        key=seeded("overlays", list(view.overlays)), on_change=from_widget("overlays", "overlays"),
    )  # fmt: skip
    district_choice(context)
    search_box(context)
    compare_switch(context)


def district_choice(context: Context) -> None:
    """The neighbourhood that the figures are restricted to; hidden where the run has none."""
    run, view, t = context.run, context.view, context.t
    if not run.districts:
        return
    everywhere = t("control.everywhere")
    key = seeded("district", view.district or everywhere)

    def take() -> None:
        wanted = st.session_state[key]
        change(district=None if wanted == everywhere else wanted)
        inside = run.inside(None if wanted == everywhere else wanted)
        shown = run.cells if inside is None else run.cells[inside]
        if len(shown):
            fly_to(tuple(float(x) for x in shown.total_bounds))  # type: ignore[arg-type]

    st.selectbox(t("control.district"), (everywhere, *run.districts), key=key, on_change=take)


def search_box(context: Context) -> None:
    """A street or a place by its name; choosing a hit flies there."""
    t = context.t
    query = st.text_input(t("search.label"), key="search", placeholder=t("search.hint"), max_chars=100)
    if not query.strip():
        return
    hits = search_index(context.run).find(query)
    if not hits:
        st.caption(t("search.nothing"))
    for number, hit in enumerate(hits):
        st.button(
            hit_label(hit, context), key=f"hit{number}", width="stretch",
            on_click=fly_to, args=(hit.bounds,), kwargs={"alone": True},
        )  # fmt: skip


def hit_label(hit: Hit, context: Context) -> str:
    """A hit in words, its Markdown signs taken as letters."""
    kind = context.t("search.street") if hit.kind == "street" else name_of(context, hit.kind)
    return plain(f"{hit.name} · {kind}")


def downloads(context: Context) -> None:
    """The cells that are seen, as a file; made when it is asked for."""
    t = context.t
    with st.container(horizontal=True):
        for form, mime in MIME.items():
            st.download_button(
                t("export.button", form=t(f"export.{form}")),
                data=lambda form=form: export_cells(context.run, context.view, form=form).content,
                file_name=f"proche-{context.run.name}-{context.view.measure.column}.{form}",
                mime=mime,
                key=f"export-{form}",
                on_click="ignore",
            )
    st.caption(
        f"{measure_title(context.view.measure, t, label=category_label(context, context.view))}. {t('export.note')}"
    )
