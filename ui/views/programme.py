"""The page Programme: the city's targets against what the data show."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ui.language import Translator
from ui.programme import Shown, Target, shown, targets
from ui.runs import Run
from ui.session import Context, current, translator


def programme() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    t = context.t
    st.markdown(f"## {t('page.programme')}")
    st.markdown(t("programme.intro"))
    st.caption(t("programme.caution", area=context.run.title, date=data_date(context)))
    st.table(programme_table(context).set_index(t("programme.target")))
    st.markdown(f"### {t('programme.definitions')}")
    for target in targets():
        with st.expander(t(f"target.{target.key}")):
            st.markdown(t(f"definition.{target.key}"))
            st.caption(t("programme.announced", source=target.source, date=target.date))


def programme_table(context: Context) -> pd.DataFrame:
    """One row a target: announced, shown with bounds, what would close the gap."""
    t = context.t
    rows = []
    for target in targets():
        found = _shown(context.run.key, target.key, context.run)
        rows.append(
            {
                t("programme.target"): t(f"target.{target.key}"),
                t("programme.value"): announced(target, t),
                t("programme.shown"): bounds(found, target, t),
                t("programme.close"): closing(found, target, t),
            }
        )
    return pd.DataFrame(rows)


@st.cache_data(show_spinner=False, max_entries=200)
def _shown(key: tuple[str, str], target: str, _run: Run) -> Shown:
    return shown(_run, next(t for t in targets() if t.key == target))


def data_date(context: Context) -> str:
    """Date of the run's streets and places, as far as it is known."""
    stamp = context.run.manifest.get("osm", {}).get("timestamp")
    return str(stamp)[:10] if stamp else context.t("programme.no_date")


def announced(target: Target, t: Translator) -> str:
    """The target as announced, with its start where it has one."""
    value = f"{t.number(target.value)} {t(f'unit_of.{target.unit}')}"
    return value if target.start is None else f"{t.number(target.start)} → {value}"


def bounds(found: Shown, target: Target, t: Translator) -> str:
    """What the data show: one figure, a range, at least so much, or that they do not tell."""
    decimals = 1 if target.unit in ("ha", "km", "percent") else 0
    unit = t(f"unit_of.{target.unit}")
    if found.low is None:
        return t("programme.unknown")
    low = t.number(found.low, decimals)
    if found.high is None:
        return t("programme.at_least", value=f"{low} {unit}")
    high = t.number(found.high, decimals)
    return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


def closing(found: Shown, target: Target, t: Translator) -> str:
    """What is missing to the target, between its bounds, and what the run found that could close it."""
    if found.low is None:
        return t(f"close.{target.key}")
    if found.stock:
        places = t("programme.possible", value=f"{t.number(found.possible)} {t(f'unit_of.{target.unit}')}")
        return f"{t('programme.stock')} {places}" if found.possible else t("programme.stock")
    missing_most = max(0.0, target.value - found.low)
    missing_least = max(0.0, target.value - found.high) if found.high is not None else 0.0
    unit = t(f"unit_of.{target.unit}")
    if missing_most == 0:
        text = t("programme.reached")
    elif missing_least == missing_most:
        text = t("programme.missing", value=f"{t.number(missing_most)} {unit}")
    else:
        text = t(
            "programme.missing_between", low=t.number(missing_least), high=f"{t.number(missing_most)} {unit}"
        )
    if found.possible:
        text += " " + t("programme.possible", value=f"{t.number(found.possible)} {unit}")
    return text
