"""The page About the data: what the figures rest on, what was left out, and how they are made."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.language import Translator
from ui.runs import Run
from ui.session import Context, current, translator
from ui.views.mapping import name_of
from ui.views.network_quality import network_quality
from ui.views.text import plain

_METHOD = ("what", "network", "snapping", "cells", "categories", "measures", "gaps", "sites", "limits")


def about() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    run, t = context.run, context.t
    st.markdown(f"## {t('page.about')} · {plain(run.title)}")
    sources(run, t)
    confidence(context)
    network_quality(run, t)
    st.markdown(f"### {t('about.method')}")
    for key in _METHOD:
        with st.expander(t(f"method.{key}_title"), expanded=key == "what"):
            st.markdown(t(f"method.{key}"))
    st.markdown(f"### {t('about.dropped')}")
    st.markdown(t("about.dropped_note"))
    st.table(dropped_table(context).set_index(t("about.step")))
    computed(run, t)


def sources(run: Run, t: Translator) -> None:
    """Sources with dates, licences and digests; attribution in full."""
    st.markdown(f"### {t('about.sources')}")
    osm = run.manifest.get("osm", {})
    st.markdown(t("about.osm", date=plain(str(osm.get("timestamp") or t("programme.no_date")))))
    rows = [
        {
            t("about.role"): str(entry.get("role", "")),
            t("about.address"): public_address(str(entry.get("address", ""))),
            t("about.licence"): str(entry.get("licence", "")) or "–",
            t("about.size"): f"{t.number(float(entry.get('size') or 0) / 1e6, 2)} MB",
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
    columns = st.columns(4)
    columns[0].metric(t("about.cells"), t.number(len(run.cells)))
    columns[1].metric(
        t("about.edge_cells"), t.share(float(summary.get("cells_edge_affected", 0)), len(run.cells))
    )
    columns[2].metric(t("about.no_network"), t.number(float(summary.get("cells_no_network", 0))))
    places = run.opportunities
    rejected = places["reason"].fillna("").astype(str) != ""
    columns[3].metric(t("about.rejected"), f"{t.number(int(rejected.sum()))} / {t.number(len(places))}")
    st.caption(t("about.confidence_note"))
    counts = places["category"].value_counts()
    table = pd.DataFrame(
        {
            t("cell.place"): [name_of(context, c) for c in run.categories],
            t("about.places"): [t.number(int(counts.get(c, 0))) for c in run.categories],
        }
    )
    st.table(table.set_index(t("cell.place")))


def dropped_table(context: Context) -> pd.DataFrame:
    """What each step repaired or left out, as counted in the manifest."""
    t = context.t
    rows = [
        {
            t("about.step"): step,
            t("about.reason"): reason.replace("_", " "),
            t("about.count"): t.number(count),
        }
        for step, reason, count in dropped_counts(context.run.manifest)
    ]
    columns = [t("about.step"), t("about.reason"), t("about.count")]
    return pd.DataFrame(rows, columns=columns)


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
            if names and value:
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
            created=plain(str(manifest.get("created", ""))),
            seconds=t.number(manifest.get("seconds"), 1),
            digest=plain(str(manifest.get("config_digest", ""))[:16]),
        )
    )
