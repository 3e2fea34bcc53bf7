"""The page Programme: the city's targets against what the data show."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ui.language import Translator
from ui.programme import Shown, Target, shown, targets
from ui.runs import Run
from ui.session import Context, current, translator
from ui.views.heading import data_stamp
from ui.views.text import plain

_PARIS = (2.22, 48.81, 2.47, 48.91)
"""[deg] West, south, east, north of the city of Paris."""


def programme() -> None:
    """Show the page."""
    context = current(translator())
    if context is None:
        return
    t = context.t
    st.markdown(f"## {t('page.programme')}")
    st.markdown(t("programme.intro"))
    if in_paris(context.run):
        st.caption(t("programme.caution", area=plain(context.run.title), date=known_date(context)))
    else:
        st.warning(t("programme.elsewhere", area=plain(context.run.title)))
    st.table(programme_table(context).set_index(t("programme.target")))
    st.markdown(f"### {t('programme.definitions')}")
    for pair in zip(targets()[::2], targets()[1::2], strict=True):
        for column, target in zip(st.columns(2, gap="medium"), pair, strict=True):
            with column, st.container(border=True, height="stretch"):
                card(context, target)


def in_paris(run: Run) -> bool:
    """Whether the run's area touches the city whose targets these are."""
    west, south, east, north = run.cells.total_bounds
    return bool(west < _PARIS[2] and east > _PARIS[0] and south < _PARIS[3] and north > _PARIS[1])


def card(context: Context, target: Target) -> None:
    """One target: how far the data see it done, how that is defined, who announced it and when."""
    t = context.t
    found = _shown(context.run.key, target.key, context.run)
    st.markdown(f"#### {t(f'target.{target.key}')}")
    for column, name, figure in zip(
        st.columns(2), columns(context), (announced(target, t), bounds(found, target, t)), strict=True
    ):
        column.markdown(f"{name}  \n**{figure}**")
    done = progress(found, target) if in_paris(context.run) else None
    if done is not None:
        st.progress(min(1.0, done), text=t("programme.progress", share=t.share(done, 1.0)))
    st.markdown(t(f"definition.{target.key}"))
    st.caption(
        f"{t('programme.announced', source=plain(target.source), date=plain(target.date))} "
        f"{t('programme.seen', date=known_date(context))}"
    )


def progress(found: Shown, target: Target) -> float | None:
    """Share of a target that is certainly there; None where the data cannot tell it."""
    if found.low is None or found.stock:
        return None
    return found.low / target.value


def known_date(context: Context) -> str:
    """Date of the data in words."""
    return plain(data_stamp(context) or context.t("programme.no_date"))


def columns(context: Context) -> tuple[str, str]:
    """What the announced figure and the run's are called: outside Paris they are of two cities."""
    names = (
        ("programme.value", "programme.shown")
        if in_paris(context.run)
        else ("programme.paris", "programme.here")
    )
    return context.t(names[0]), context.t(names[1])


def programme_table(context: Context) -> pd.DataFrame:
    """One row a target: announced, shown with bounds, and in Paris what would close the gap."""
    t, value, here = context.t, *columns(context)
    rows = []
    for target in targets():
        found = _shown(context.run.key, target.key, context.run)
        row = {
            t("programme.target"): t(f"target.{target.key}"),
            value: announced(target, t),
            here: bounds(found, target, t),
        }
        if in_paris(context.run):
            row[t("programme.close")] = closing(found, target, t)
        rows.append(row)
    return pd.DataFrame(rows)


@st.cache_data(show_spinner=False, max_entries=200)
def _shown(key: tuple[str, str], target: str, _run: Run) -> Shown:
    return shown(_run, next(t for t in targets() if t.key == target))


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
    """What is missing to the target, between its bounds; what the run found to close it; what to ask next."""
    unit = t(f"unit_of.{target.unit}")
    decimals = 1 if target.unit in ("ha", "km", "percent") else 0

    def amount(value: float) -> str:
        return f"{t.number(value, decimals if value % 1 else 0)} {unit}"

    possible = [t("programme.possible", value=amount(found.possible))] if found.possible else []
    if found.low is None:
        return " ".join([t(f"close.{target.key}"), *possible])
    if found.stock:
        return " ".join([t("programme.stock"), *possible, t(f"advice.{target.key}")])
    missing_most = max(0.0, target.value - found.low)
    missing_least = max(0.0, target.value - found.high) if found.high is not None else 0.0
    if missing_most == 0:
        return t("programme.reached")
    if missing_least == missing_most:
        text = t("programme.missing", value=amount(missing_most))
    else:
        least = t.number(missing_least, decimals if missing_least % 1 else 0)
        text = t("programme.missing_between", low=least, high=amount(missing_most))
    return " ".join([text, *possible, t(f"advice.{target.key}")])
