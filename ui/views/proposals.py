"""The page Proposals: draw or upload what could be built, see every cell re-scored, compare A, B and C."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from engine.errors import InputError
from ui.assets import serve
from ui.drafting import LARGEST_UPLOAD_BYTES, Draft, draft_from_file, link_edit, point_edit
from ui.language import inside
from ui.layers.scale import CITY_KINDS
from ui.map.component import show_legend
from ui.rescoring import Outcome, loading_steps, rescorer, steps_of
from ui.sentences import in_words
from ui.session import Context, current, from_widget, seeded, translator
from ui.state import View
from ui.views.controls import category_control, mode_control
from ui.views.dossier import dossier_files
from ui.views.mapping import MapOptions, draw_map, name_of
from ui.views.text import plain
from ui.work import Job, foreseen

LETTERS = ("A", "B", "C")
TOOLS = ("look", "place", "link", "speed", "remove")
_KINDS = ("minutes", "score", "within_15")
_POLL_S = 0.5
_PENDING = "link_start"
_BESIDE_HEIGHT = 380


def proposals() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    drafts: dict[str, Draft] = st.session_state.setdefault("drafts", {x: Draft(x) for x in LETTERS})
    if st.session_state.get("drafts_run") != context.run.key:
        drafts.update({x: Draft(x) for x in LETTERS})
        st.session_state.drafts_run = context.run.key
        rescorer().prepare(context.run)
    with st.sidebar:
        controls(context)
    letter = st.segmented_control(
        context.t("proposals.which"), LETTERS, default="A", key="letter", label_visibility="collapsed"
    ) or "A"  # fmt: skip
    draft = drafts[letter]
    job = rescorer().submit(context.run, draft) if draft.features else None
    waiting = job is not None and job.waiting  # asked once: the job may end while the page is being drawn
    found, refused = (None, None) if job is None or waiting else outcome_of(job)
    left, right = st.columns([6, 4], gap="medium")
    with left:
        # While the last edit is being computed, what was known before it stays on the map.
        before = rescorer().known(context.run, draft.before) if found is None and draft.before else None
        draw_map(context, draft_map(context, draft, found or before), view=shown_view(context))
    with right:
        show_legend(served=serve(), key="map")
        if waiting:
            wait(context, draft)
        faults(context, draft, refused)
        edit_list(context, letter, draft, found)
    files(context, letter, draft)
    results(context, drafts)
    dossier_files(context, drafts)


def controls(context: Context) -> None:
    """What is shown, and what a click on the map does."""
    run, view, t = context.run, context.view, context.t
    mode_control(context)
    kind = view.kind if view.kind in _KINDS else "minutes"
    st.selectbox(
        t("control.kind"), _KINDS, format_func=lambda k: t(f"kind.{k}"),
        key=seeded("kind", kind), on_change=from_widget("kind", "kind"),
    )  # fmt: skip
    if kind not in CITY_KINDS:
        category_control(context)
    st.toggle(t("proposals.change"), key="show_change", value=True, help=t("proposals.change_help"))
    tool = st.radio(
        t("proposals.tool"), TOOLS, format_func=lambda x: t(f"tool.{x}"), key="tool", on_change=forget_start
    )
    if tool in ("place", "remove"):
        start = run.categories.index(view.category) if view.category in run.categories else 0
        st.selectbox(
            t(f"tool.{tool}_kind"),
            run.categories,
            index=start,
            format_func=lambda c: name_of(context, c),
            key="tool_category",
        )
    if tool == "speed":
        st.number_input(t("proposals.speed"), 3, 130, 30, key="tool_speed")
        st.selectbox(t("tool.speed_mode"), run.modes, format_func=lambda m: t.known("mode", m), key="tool_mode",
                     index=len(run.modes) - 1)  # fmt: skip
    st.caption(t("tool.link_started" if _PENDING in st.session_state else f"tool.{tool}_help"))
    exact_place(context)


def forget_start() -> None:
    """Another tool was taken up: a link whose second end was not given is none."""
    st.session_state.pop(_PENDING, None)


def exact_place(context: Context) -> None:
    """The way without a mouse: the tool's place as longitude and latitude."""
    t = context.t
    if st.session_state.get("tool", "look") == "look":
        return
    west, south, east, north = (float(x) for x in context.run.cells.total_bounds)
    with st.expander(t("proposals.by_numbers")):
        middle = round((west + east) / 2, 5), round((south + north) / 2, 5)
        lon = st.number_input(t("proposals.lon"), -180.0, 180.0, middle[0], format="%.5f", key="at_lon")
        lat = st.number_input(t("proposals.lat"), -85.0, 85.0, middle[1], format="%.5f", key="at_lat")
        st.button(t("proposals.apply"), key="at_apply", on_click=use_tool, args=(context, lon, lat))


def use_tool(context: Context, lon: float, lat: float) -> None:
    """Do with a point of the map what the chosen tool does."""
    tool = st.session_state.get("tool", "look")
    if tool == "link":
        start = st.session_state.pop(_PENDING, None)
        if start is None:
            st.session_state[_PENDING] = (lon, lat)
            return
        feature = link_edit(start, (lon, lat))
    elif tool == "place":
        feature = point_edit("add_amenity", lon, lat, category=st.session_state.tool_category)
    elif tool == "remove":
        feature = point_edit("remove_amenity", lon, lat, category=st.session_state.tool_category)
    elif tool == "speed":
        feature = point_edit(
            "change_street",
            lon,
            lat,
            speed_kmh=float(st.session_state.tool_speed),
            modes=[st.session_state.tool_mode],
        )
    else:
        return
    attempt(context, lambda draft: draft.adding(feature))


def attempt(context: Context, change: Callable[[Draft], Draft]) -> None:
    """Change the current draft, or say why it cannot be changed."""
    letter = st.session_state.get("letter") or "A"
    try:
        st.session_state.drafts[letter] = change(st.session_state.drafts[letter])
    except InputError as error:
        st.session_state.fault = str(error)


def outcome_of(job: Job[Outcome]) -> tuple[Outcome | None, BaseException | None]:
    """What a finished job found, or what it ended with."""
    error = job.future.exception()
    return (job.future.result(), None) if error is None else (None, error)


def faults(context: Context, draft: Draft, refused: BaseException | None) -> None:
    """What is wrong with the last change, and with the draft as it stands, in sentences."""
    fault = st.session_state.pop("fault", None)
    if fault:
        st.error(plain(said(context, fault)))
    if refused is None:
        return
    if foreseen(refused):
        st.error(f"{context.t('proposals.fault')} {plain(said(context, str(refused)))}")
        return
    st.error(context.t("proposals.broke"))
    st.button(context.t("proposals.again"), key="again", on_click=lambda: rescorer().stop(context.run, draft))


def said(context: Context, sentence: str) -> str:
    """A sentence of the engine in the language of the page."""
    return in_words(sentence, context.t, name=lambda category: name_of(context, category))


def shown_view(context: Context) -> View:
    """The session's view, with minutes where this page cannot show its measure."""
    view = context.view
    return view if view.kind in _KINDS else replace(view, kind="minutes")


def draft_map(context: Context, draft: Draft, found: Outcome | None) -> MapOptions:
    """The map to draw on: the cells after the draft, or what changes, with the edits over them."""
    features = [*draft.features]
    pending = st.session_state.get(_PENDING)
    if pending is not None:
        features.append(point_edit("add_street", *pending))

    def take() -> None:
        chosen = (st.session_state.map or {}).get("chosen") or {}
        lon, lat = chosen.get("lon"), chosen.get("lat")
        if isinstance(lon, int | float) and isinstance(lat, int | float):
            use_tool(context, float(lon), float(lat))

    return replace(after_edits(context, features, found), on_chosen=take, words=uploader_words(context))


def after_edits(context: Context, features: Sequence[dict[str, Any]], found: Outcome | None) -> MapOptions:
    """How a map shows edits and what they do: the gains and losses, or the figures after them."""
    labels = [{"label": context.t.known("edit", str(f["properties"]["edit"]))} for f in features]
    drawn = [{**f, "properties": label} for f, label in zip(features, labels, strict=True)]
    edits = {"type": "FeatureCollection", "features": drawn}
    options = MapOptions(overlays={"edits": edits}, linked="proposals")
    if found is None:
        return options
    view = shown_view(context)
    after = pd.to_numeric(found.rescored.cells[view.measure.column]).to_numpy(np.float64, na_value=np.nan)
    if not st.session_state.get("show_change", True):
        return replace(options, values=after)
    before = context.run.values(view.measure.column)
    gain = difference(before, after, more_is_better=view.kind in CITY_KINDS)
    return replace(options, values=gain, change=True)


def difference(before: np.ndarray, after: np.ndarray, *, more_is_better: bool) -> np.ndarray:
    """
    What a cell gains: minutes saved, or points won; below zero it loses.

    Where a place was out of reach and is no more, or the other way round, the gain is infinite; where it is
    out of reach before and after, there is none to tell (NaN).
    """
    if more_is_better:
        return np.nan_to_num(after) - np.nan_to_num(before)
    was, now = np.isfinite(before), np.isfinite(after)
    gain = np.where(was & now, before - after, np.nan)
    return np.where(~was & now, np.inf, np.where(was & ~now, -np.inf, gain))


def wait(context: Context, draft: Draft) -> None:
    """Say how far the re-scoring is, with a button that ends it and takes the last edit back."""
    t, run = context.t, context.run

    @st.fragment(run_every=_POLL_S)
    def poll() -> None:
        if not rescorer().submit(run, draft).waiting:
            st.rerun(scope="app")
        done = rescorer().steps(run, draft)
        text = t("proposals.working" if done >= loading_steps(run) else "proposals.loading")
        st.progress(min(0.97, (0.3 + done) / (steps_of(run) + 0.5)), text=text)

    poll()

    def stop() -> None:
        rescorer().stop(run, draft)
        attempt(context, Draft.undone)

    st.button(t("proposals.stop"), key="stop", on_click=stop)


def edit_list(context: Context, letter: str, draft: Draft, found: Outcome | None) -> None:
    """The edits in words, with undo."""
    t = context.t
    st.markdown(f"### {t.counted('proposals.edits', len(draft.features), letter=letter)}")
    if not draft.features:
        st.info(t("proposals.empty"))
    says = [said(context, step.says) for step in found.rescored.resolved.steps] if found else []
    for number, feature in enumerate(draft.features, start=1):
        st.markdown(f"{number}. {plain(edit_label(context, feature))}")
    if found and found.rescored.notes:
        st.caption(plain(" · ".join(said(context, note) for note in found.rescored.notes)))
    if says:
        with st.expander(t("proposals.understood")):
            for text in says:
                st.markdown(f"- {plain(text)}")
    with st.container(horizontal=True):
        st.button(t("proposals.undo"), key="undo", disabled=draft.before is None,
                  on_click=attempt, args=(context, Draft.undone))  # fmt: skip
        st.button(t("proposals.clear"), key="clear", disabled=not draft.features,
                  on_click=attempt, args=(context, Draft.cleared))  # fmt: skip


def edit_label(context: Context, feature: dict[str, Any]) -> str:
    """An edit in words."""
    t, properties = context.t, feature["properties"]
    words = t.known("edit", str(properties.get("edit")))
    parts = [str(properties["name"])] if properties.get("name") else []
    if properties.get("category"):
        parts.append(name_of(context, str(properties["category"])))
    if properties.get("speed_kmh"):
        parts.append(f"{t.number(float(properties['speed_kmh']))} km/h")
    return t("proposals.edit", what=words, which=", ".join(parts)) if parts else words


def results(context: Context, drafts: dict[str, Draft]) -> None:
    """A, B and C side by side against the city as it is: figures, and maps where they are asked for."""
    t, run = context.t, context.run
    known: dict[str, Outcome] = {}
    edited = {letter: draft for letter, draft in drafts.items() if draft.features}
    for letter, draft in edited.items():
        rescorer().submit(run, draft)
        outcome = rescorer().known(run, draft)
        if outcome is not None:
            known[letter] = outcome
    if not known:
        return
    st.markdown(f"### {t('proposals.results', mode=inside(t.known('mode', context.view.mode)))}")
    if missing := [letter for letter in edited if letter not in known]:
        st.caption(t("proposals.no_figures", letters=", ".join(missing)))
    if st.toggle(t("proposals.maps"), key="maps_beside"):
        maps_beside(context, {letter: (drafts[letter], found) for letter, found in known.items()})
    costs = {letter: drafts[letter].proposal.cost_eur for letter in known}
    table = results_table(context, known, costs)
    st.table(table.set_index(t("proposals.figure")))
    st.caption(t("proposals.results_note"))


def maps_beside(context: Context, known: dict[str, tuple[Draft, Outcome]]) -> None:
    """One map a proposal, on the same scale and moving together."""
    for column, (letter, (draft, found)) in zip(st.columns(len(known)), known.items(), strict=True):
        with column:
            st.markdown(f"**{context.t('proposals.one', letter=letter)}**")
            options = replace(after_edits(context, draft.features, found), key=f"map-{letter}",
                              height=_BESIDE_HEIGHT, on_chosen=_ignore)  # fmt: skip
            draw_map(context, options, view=shown_view(context))


def _ignore() -> None:
    """A click on a map that only shows."""


def results_table(
    context: Context, known: dict[str, Outcome], costs: dict[str, float | None]
) -> pd.DataFrame:
    """Figures of `engine.scoring.city_summary`, before and after, each as a difference from today."""
    t, run, mode = context.t, context.run, context.view.mode
    people = "residents" if run.residents is not None else "cells"
    wanted: list[tuple[str, tuple[str, ...], int]] = []
    for category in run.categories:
        name = name_of(context, category)
        path: tuple[str, ...] = ("categories", category)
        wanted += [
            (t(f"proposals.served_{people}", category=name), (*path, "served"), 0),
            (t("proposals.mean", category=name), (*path, "mean_minutes"), 2),
            (t("proposals.worst", category=name), (*path, "equity", "worst_decile"), 2),
        ]
    wanted += [(t("proposals.score"), ("score_mean",), 2), (t("proposals.gini"), ("equity", "gini"), 4)]
    rows = []
    for label, path, decimals in wanted:
        today = figure_at(run.summary["modes"][mode], path)
        row = {t("proposals.figure"): label, t("proposals.today"): t.number(today, decimals)}
        for letter, found in known.items():
            row[letter] = with_change(context, today, figure_at(found.summary["modes"][mode], path), decimals)
        rows.append(row)
    cost = {t("proposals.figure"): t("proposals.cost"), t("proposals.today"): "–"}
    if any(costs[x] is not None for x in known):
        rows.append(cost | {x: "–" if costs[x] is None else f"{t.number(costs[x])}\u00a0€" for x in known})
    return pd.DataFrame(rows)


def figure_at(summary: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """A figure deep in a summary, None where it is missing or null."""
    value: Any = summary
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)


def with_change(context: Context, before: float | None, after: float | None, decimals: int) -> str:
    """A figure, strong where it has changed, and in brackets its signed difference from today."""
    if after is None:
        return "–"
    text = context.t.number(after, decimals)
    if before is None:
        return text
    change = round(after - before, decimals) + 0.0
    if change == 0:
        return f"{text} (±0)"
    sign = "+" if change > 0 else ""
    return f"**{text}** ({sign}{context.t.number(change, decimals)})"


def files(context: Context, letter: str, draft: Draft) -> None:
    """Upload a proposal, download the draft."""
    t = context.t
    left, right = st.columns(2, gap="medium")
    with right:
        st.download_button(
            t("proposals.download", letter=letter), key="download_draft", mime="application/geo+json",
            data=json.dumps(draft.geojson, ensure_ascii=False, indent=1).encode(),
            file_name=f"proposal-{letter}.geojson", on_click="ignore", disabled=not draft.features,
        )  # fmt: skip
    with left:
        limit = context.t.number(LARGEST_UPLOAD_BYTES / 1e6)
        label = t("proposals.upload", letter=letter, limit=limit)
        sent = st.file_uploader(label, type=["geojson", "json"], key="upload")
        if sent is not None and st.session_state.get("uploaded") != (sent.file_id, letter):
            st.session_state.uploaded = (sent.file_id, letter)
            content = sent.getvalue()
            attempt(context, lambda old: replace(draft_from_file(content, name=letter), before=old))
            st.rerun()


def uploader_words(context: Context) -> list[tuple[str, str, str, str]]:
    """The words of Streamlit's field for files, which it knows in English only."""
    t = context.t
    limit = t("proposals.file_limit", limit=t.number(LARGEST_UPLOAD_BYTES / 1e6))
    field = '[data-testid="stFileUploader"]'
    refusals = (f"{field} [role=alert]", '[data-testid="stTooltipErrorContent"] p')
    return [
        ('[data-testid="stFileUploaderDropzone"] button p', "", "", t("proposals.browse")),
        ('[data-testid="stFileUploaderDropzoneInput"]', "aria-label", "", t("proposals.browse")),
        ('[data-testid="stFileUploaderDropzoneInstructions"] span', "", "", limit),
        (f"{field} button", "aria-label", "^Add files$", t("proposals.browse")),
        (f"{field} button", "aria-label", "^Remove (?=.)", f"{t('proposals.take_away')} "),
        *((where, "", "^Error: ?", "") for where in refusals),
        *((where, "", "^.*or smaller.*$", t("proposals.too_large", limit=limit)) for where in refusals),
        *((where, "", "^.*are not allowed.*$", t("proposals.no_geojson")) for where in refusals),
    ]
