"""The proof card of a cell: its figures as written in the run, the way there, and what would change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import shapely
import streamlit as st

from ui.layers.scale import CITY_KINDS
from ui.proof import explanation, isochrones, route_feature
from ui.session import Context
from ui.views.mapping import name_of
from ui.views.text import plain

_ENDS = ((1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))


def cell_overlays(context: Context) -> dict[str, Any]:
    """The layers that belong to the chosen cell: the way to the nearest place; isochrones where asked for."""
    run, view = context.run, context.view
    if view.cell is None:
        return {}
    found: dict[str, Any] = {}
    if "isochrones" in view.overlays:
        found["isochrone"] = isochrones(run, view.cell, view.mode)
    if view.measure.category:
        with st.spinner(context.t("cell.working")):
            route = route_feature(explanation(run, view.cell, view.mode), view.measure.category)
        if route is not None:
            found["route"] = route
    return found


def cell_card(context: Context) -> None:
    """The chosen cell's figures, or how to choose one."""
    run, view, t = context.run, context.view, context.t
    row = run.row_of.get(view.cell or "")
    if row is None:
        st.info(t("cell.choose"))
        return
    cell = run.cells.iloc[row]
    st.markdown(f"### {t('cell.heading')} `{view.cell}`")
    with st.container(horizontal=True, gap="small"):
        if run.residents is not None:
            st.metric(t("cell.residents"), t.number(run.residents[row]))
        else:
            st.metric(t("cell.street_length"), f"{t.number(number(cell['street_length_m']))}\u00a0m")
        for kind in CITY_KINDS:
            column = f"{view.mode}_{kind}"
            if column in run.cells.columns:
                of = len(run.categories) if kind == "within_15" else 100
                st.metric(t(f"cell.{kind}"), f"{t.number(number(cell[column]))} / {t.number(of)}")
    if bool(cell["no_network"]):
        st.warning(t("cell.no_network"))
    st.table(cell_figures(context, row=row))
    if view.measure.category:
        proof(context, view.measure.category)
    if bool(cell["edge_affected"]):
        st.caption(t("cell.edge_affected"))


def isochrone_badges(context: Context, overlays: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The minutes of each isochrone on its outline: at its eastern, southern, western end in turn."""
    found = []
    for turn, feature in enumerate(overlays.get("isochrone", {}).get("features", [])):
        points = shapely.get_coordinates(shapely.geometry.shape(feature["geometry"]))
        towards = points @ np.array(_ENDS[turn % len(_ENDS)])
        lon, lat = points[int(np.argmax(towards))]
        text = context.t.number(float(feature["properties"]["minutes"])) + "\u00a0min"
        label = context.t("key.within", minutes=text)
        found.append({"text": text, "lon": float(lon), "lat": float(lat), "label": label, "kind": "reach"})
    return found


def proof(context: Context, category: str) -> None:
    """The place that the figure rests on, the runner-up, what is left of the time, and the cheapest change."""
    run, view, t = context.run, context.view, context.t
    told = explanation(run, str(view.cell), view.mode)["categories"][category]
    st.markdown(f"**{plain(name_of(context, category))}**")
    lines = [
        t(
            f"proof.{key}",
            name=place_name(told[key], t("proof.unnamed")),
            minutes=t.minutes(told[key]["minutes"]),
        )
        for key in ("nearest", "runner_up")
        if told[key] is not None
    ]
    if told["nearest"] is None:
        lines.append(t("proof.none"))
    if told["route_m"] is not None:
        lines.append(t("proof.route", metres=t.number(told["route_m"])))
    if told["slack_min"] is not None:
        key = "slack" if told["slack_min"] >= 0 else "over"
        left, cutoff = t.minutes(abs(told["slack_min"])), t.number(told["threshold_min"])
        lines.append(t(f"proof.{key}", minutes=left, cutoff=cutoff))
    if told["speed_needed_kmh"] is not None:
        lines.append(t("proof.speed", speed=t.number(told["speed_needed_kmh"], 1)))
    fix = told["cheapest_fix"]
    if fix is not None:
        length = t.number(max(float(fix["length_m"]), 1.0))
        lines.append(t(f"proof.fix_{fix['kind']}", minutes=t.minutes(fix["minutes"]), metres=length))
    if told["confidence"] is not None:
        why = t(f"proof.because_{told['confidence_because'] or 'nothing'}")
        lines.append(t("proof.confidence", value=t.number(told["confidence"], 2), why=why))
    st.markdown("\n".join(f"- {line}" for line in lines))


def place_name(place: dict[str, Any], unnamed: str) -> str:
    """What a place is called: its name, else what it is, else that it has no name; as text, not as markup."""
    return plain(str(place["name"] or place["kind"] or unnamed))


def cell_figures(context: Context, *, row: int) -> pd.DataFrame:
    """Minutes from a cell to each category in the view's mode: nearest, second nearest; how many in 15."""
    run, t, mode = context.run, context.t, context.view.mode
    records = []
    for category in run.categories:
        record = {t("cell.place"): name_of(context, category)}
        for key, suffix in (("nearest", "minutes"), ("second", "second_minutes")):
            value = number(run.cells[f"{mode}_{category}_{suffix}"].iloc[row])
            record[t(f"cell.{key}")] = t("cell.not_reached") if np.isnan(value) else t.minutes(value)
        count = number(run.cells[f"{mode}_{category}_n15"].iloc[row])
        record[t("cell.n15")] = t.number(count, 0 if count.is_integer() else 1)
        records.append(record)
    return pd.DataFrame(records).set_index(t("cell.place"))


def number(value: Any) -> float:
    """A figure of a table as a float, NaN where it is null."""
    return float("nan") if pd.isna(value) else float(value)
