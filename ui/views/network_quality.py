"""How good the street networks of a run are: kilometres, islands, suspicious gaps, missing attributes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.language import Translator
from ui.runs import Run

_ATTRIBUTES = ("name", "surface", "maxspeed_kmh", "lanes", "width_m", "sidewalk", "parking")


def network_quality(run: Run, t: Translator) -> None:
    """Show what the run reports about its networks; nothing where it reports nothing (tables of one's own)."""
    reports = quality_reports(run.manifest, run.modes)
    if not reports:
        return
    st.markdown(f"### {t('streets.title')}")
    st.table(quality_table(reports, t).set_index(t("streets.what")))
    st.caption(t("streets.note"))
    with st.expander(t("streets.classes")):
        st.table(class_table(reports, t).set_index(t("streets.class")))
    gaps = gap_table(reports, t)
    if len(gaps):
        with st.expander(t("streets.gaps_listed", count=t.number(len(gaps)))):
            link = st.column_config.LinkColumn(t("streets.node"), display_text=r"node/(-?\d+)")
            st.dataframe(gaps, hide_index=True, column_config={t("streets.node"): link})


def quality_reports(
    manifest: dict[str, Any], modes: list[str] | tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Quality reports of the manifest by mode, with ``length_km`` of the whole network."""
    found = {mode: manifest.get("reports", {}).get(f"network_{mode}", {}) for mode in modes}
    return {
        mode: {**report["quality"], "length_km": report.get("length_km")}
        for mode, report in found.items()
        if isinstance(report.get("quality"), dict)
    }


def quality_table(reports: dict[str, dict[str, Any]], t: Translator) -> pd.DataFrame:
    """One row a figure, one column a mode."""
    rows = {
        t("streets.km"): lambda q: t.number(sum(q.get("km_by_class", {}).values()), 1),
        t("streets.km_outlines"): lambda q: _km(q.get("km_outlines_of_areas"), t),
        t("streets.km_major"): lambda q: _km(q.get("km_major"), t),
        t("streets.km_limited"): lambda q: _km(q.get("km_limited"), t),
        t("streets.islands"): lambda q: t.number(max(q.get("islands", {}).get("number", 1) - 1, 0)),
        t("streets.km_islands"): lambda q: _km(q.get("islands", {}).get("km_dropped"), t),
        t("streets.gaps"): lambda q: t.number(q.get("suspicious_gaps", {}).get("number", 0)),
        t("streets.vague"): lambda q: t.number(q.get("ways_without_class", 0)),
    }
    for name in _ATTRIBUTES:
        rows[t("streets.without", attribute=t(f"streets.{name}"))] = lambda q, name=name: t.share(
            float(q.get("missing_share", {}).get(name, 0.0)), 1.0
        )
    return pd.DataFrame(
        {
            t("streets.what"): list(rows),
            **{t(f"mode.{mode}"): [figure(q) for figure in rows.values()] for mode, q in reports.items()},
        }
    )


def class_table(reports: dict[str, dict[str, Any]], t: Translator) -> pd.DataFrame:
    """[km] One row a class of street, one column a mode."""
    classes = sorted({name for q in reports.values() for name in q.get("km_by_class", {})})
    return pd.DataFrame(
        {
            t("streets.class"): classes,
            **{
                t(f"mode.{mode}"): [_km(q.get("km_by_class", {}).get(name), t) for name in classes]
                for mode, q in reports.items()
            },
        }
    )


def gap_table(reports: dict[str, dict[str, Any]], t: Translator) -> pd.DataFrame:
    """The listed gaps, each node once, the narrowest first."""
    seen: dict[int, dict[str, Any]] = {}
    for report in reports.values():
        for gap in report.get("suspicious_gaps", {}).get("nearest", ()):
            seen.setdefault(int(gap["node_id"]), gap)
    rows = sorted(seen.values(), key=lambda gap: (gap["gap_m"], gap["node_id"]))
    return pd.DataFrame(
        {
            t("streets.node"): [f"https://www.openstreetmap.org/node/{gap['node_id']}" for gap in rows],
            t("streets.gap_m"): [gap["gap_m"] for gap in rows],
            "lon": [gap["lon"] for gap in rows],
            "lat": [gap["lat"] for gap in rows],
        }
    )


def _km(value: float | None, t: Translator) -> str:
    return t.number(value, 1)
