"""The page About the data: what the figures rest on, what was left out, and how they are made."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.language import Translator, inside
from ui.runs import Run
from ui.session import Context, current, translator
from ui.views.heading import data_stamp
from ui.views.mapping import name_of
from ui.views.network_quality import network_quality
from ui.views.text import plain

_METHOD = ("what", "network", "snapping", "cells", "categories", "measures", "gaps", "sites", "limits")


_BOOKKEEPING = frozenset(
    {"edges_read", "nodes_read", "km_kept", "nodes_kept", "number", "crossed", "entrances", "lines",
     "applied_no", "applied_only"}
)  # fmt: skip
"""Counts that stand among what was dropped but tell what was kept, read or made."""


def about() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    run, t = context.run, context.t
    st.markdown(f"## {t('page.about')}")
    sources(context)
    confidence(context)
    network_quality(run, t)
    st.markdown(f"### {t('about.method')}")
    for key in _METHOD:
        with st.expander(t(f"method.{key}_title"), expanded=key == "what"):
            st.markdown(t(f"method.{key}"))
    st.markdown(f"### {t('about.dropped')}")
    st.markdown(t("about.dropped_note"))
    for step, table in dropped_tables(context).items():
        with st.expander(f"{step} · {t.counted('about.lines', len(table))}"):
            st.table(table.set_index(t("about.reason")))
    computed(run, t)


def sources(context: Context) -> None:
    """Sources with dates, licences and digests; attribution in full."""
    run, t = context.run, context.t
    st.markdown(f"### {t('about.sources')}")
    st.markdown(t("about.osm", date=plain(data_stamp(context) or t("programme.no_date"))))
    rows = [
        {
            t("about.role"): t.known("role", str(entry.get("role", ""))),
            t("about.address"): public_address(str(entry.get("address", ""))),
            t("about.licence"): str(entry.get("licence", "")) or "–",
            t("about.size"): t("about.megabytes", count=t.number(float(entry.get("size") or 0) / 1e6, 2)),
            "SHA-256": str(entry.get("sha256", ""))[:12] + "…",
        }
        for entry in run.manifest.get("inputs", [])
    ]
    st.table(pd.DataFrame(rows).set_index(t("about.role")))
    st.caption(plain(" · ".join(run.manifest.get("attribution", []))))


def public_address(address: str) -> str:
    """An address without the folders of the machine that made the run: a file is told by its name."""
    if "://" in address or address.startswith("package:"):
        return address
    return address.replace("\\", "/").rsplit("/", 1)[-1]


def confidence(context: Context) -> None:
    """How far the figures may be trusted."""
    run, t = context.run, context.t
    summary = run.summary
    st.markdown(f"### {t('about.confidence')}")
    places = run.opportunities
    rejected = places["reason"].fillna("").astype(str) != ""
    with st.container(horizontal=True, gap="large"):
        st.metric(t("about.cells"), t.number(len(run.cells)))
        edge = float(summary.get("cells_edge_affected", 0))
        st.metric(t("about.edge_cells"), t.share(edge, len(run.cells)))
        st.metric(t("about.no_network"), t.number(float(summary.get("cells_no_network", 0))))
        st.metric(t("about.rejected"), f"{t.number(int(rejected.sum()))} / {t.number(len(places))}")
    st.caption(t("about.confidence_note"))
    counts = places["category"].value_counts()
    figures = summary["modes"][context.view.mode]["categories"]
    table = pd.DataFrame(
        {
            t("cell.place"): [name_of(context, c) for c in run.categories],
            t("about.places"): [t.number(int(counts.get(c, 0))) for c in run.categories],
            t("about.trust"): [t.number(figures[c].get("confidence_mean"), 2) for c in run.categories],
        }
    )
    st.table(table.set_index(t("cell.place")))


def dropped_tables(context: Context) -> dict[str, pd.DataFrame]:
    """What each step repaired or left out, as counted in the manifest: a table a step, in words."""
    t = context.t
    found: dict[str, list[dict[str, str]]] = {}
    for step, reason, count in dropped_counts(context.run.manifest):
        row = {t("about.reason"): reason_words(context, reason), t("about.count"): t.number(count)}
        found.setdefault(step_words(t, step), []).append(row)
    return {step: pd.DataFrame(rows) for step, rows in found.items()}


def step_words(t: Translator, step: str) -> str:
    """A step of the run in words: “Streets, on foot” for ``network_walk``."""
    kind, _, rest = step.partition("_")
    of = {"network": "mode", "sites": "site"}.get(kind)
    if of is None or not rest:
        return t.known("step", step)
    return t(f"step.{kind}", what=inside(t.known(of, rest)))


def reason_words(context: Context, reason: str) -> str:
    """A reason of the manifest in words, with the category or the mode that it is told of."""
    t = context.t
    *path, leaf = reason.split(" · ")
    named = [name_of(context, p) for p in path if p in context.run.categories]
    if leaf in context.run.modes:
        return t("reason.not_attached", mode=inside(t.known("mode", leaf)))
    key = "_".join("".join(c if c.isalnum() else " " for c in leaf).split())
    return " · ".join([*named, t.known("reason", key)])


def dropped_counts(manifest: dict[str, Any]) -> list[tuple[str, str, float]]:
    """
    Step, reason and number of everything that a run repaired, dropped or rejected; zeros are left out.

    Counts are found under the keys ``repairs``, ``repaired``, ``dropped`` and ``rejected`` of the manifest's
    reports, however deep; lists and texts are not counts.
    """
    found: list[tuple[str, str, float]] = []
    for step, report in sorted(manifest.get("reports", {}).items()):
        for path, value in _walk(report, ()):
            names = [p for p in path if p in ("repairs", "repaired", "dropped", "rejected")]
            if names and value and path[-1] not in _BOOKKEEPING:
                start = path.index(names[0]) + 1
                found.append((str(step), " · ".join(path[start:]) or names[0], float(value)))
    return found


def _walk(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], float]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _walk(inner, (*path, str(key)))]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(path, float(value))]
    return []


def computed(run: Run, t: Translator) -> None:
    """When and with what the run was computed."""
    manifest = run.manifest
    st.markdown(f"### {t('about.computed')}")
    st.markdown(
        t(
            "about.computed_note",
            version=plain(str(manifest.get("version", ""))),
            created=plain(
                f"{t.date(str(manifest.get('created', '')))}, {str(manifest.get('created', ''))[11:16]}"
            ),
            digest=plain(str(manifest.get("config_digest", ""))[:16]),
        )
    )
