"""The few lines that a run says at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.places.extract import NO_CAPACITY
from pipelines.rundir import RunDirectory

_CUT_OFF = 0.1
"""Share of a network that may be cut off from its main part before the headline says so."""
_NO_STREET = 0.2
"""Share of the cells that may lie away from every street before the headline says so."""

_MODES = {"walk": "on foot", "bike": "by bicycle", "street30": "by motor vehicle at 30 km/h"}


def headline(run: RunDirectory) -> str:
    """
    The city's figures, a line a mode, with what they are shares of; published ones beside ours where there are any.

    Shares are of residents, or of cells with streets where the run has no population; the line says which.
    """
    summary = run.summary
    by, minutes = summary["weighted_by"], summary["threshold_min"]
    lines = [
        f"{run.name}: {summary['cells']} cells, shares of {by} within {minutes:g} minutes",
        f"  (whose cell's mean time along its streets to the nearest place is at most {minutes:g} minutes)",
    ]
    for mode in run.modes:
        figures = summary["modes"][mode]
        shares = ", ".join(
            f"{name} {'unknown' if name in run.absent else _percent(figures['categories'][name]['share'])}"
            for name in run.categories
        )
        lines.append(f"  {_MODES.get(mode, mode)}: {shares}; all of them {_percent(figures['all_share'])}")
    if summary["cells_edge_affected"]:
        lines.append(
            f"  {summary['cells_edge_affected']} cells lie near the end of the data and may see too little"
        )
    lines += [_beside(row) for row in summary["published"]]
    return "\n".join([*lines, *(f"  ! {w}" for w in warnings(run))])


def _left_out(reasons: Mapping[str, int]) -> str:
    """Where a category's places are: not in the data, or all left out, and why."""
    if not reasons:
        return "in the data"
    return f"remain, all were left out ({', '.join(f'{why} {n}' for why, n in sorted(reasons.items()))})"


def _of_people(moved: Mapping[str, Any]) -> list[str]:
    """What the residents' figures leave out."""
    found = []
    if (n := moved.get("without_income", 0.0)) >= 1:
        found.append(
            f"{n:,.0f} of {moved['inside']:,.0f} residents live where no income is known: figures by income leave "
            "them out"
        )
    if n := moved.get("source", {}).get("residents_without_place", 0):
        found.append(
            f"{n:,.0f} residents stand in rows of the file that have no usable outline: they are nowhere"
        )
    return found


def _beside(row: Mapping[str, Any]) -> str:
    """A published figure, ours beside it, and why the two may differ."""
    low, high, ours = (_figure(row[k], row["unit"]) for k in ("published_low", "published_high", "ours"))
    band = low if low == high else f"{low} to {high}"
    return f"  published: {row['definition']}: {band}, {row['source']}; here {ours}. {row['differs']}"


def _figure(value: float, unit: str) -> str:
    return _percent(value) if unit == "share" else f"{value:.1f} {unit}"


def warnings(run: RunDirectory) -> list[str]:
    """What a reader must know before believing the figures: places or streets that the data lack, in sentences."""
    reports = run.manifest["reports"]
    opportunities = reports["opportunities"]
    found = [
        f"no {name} {_left_out(opportunities['dropped'].get(name, {}))}: unknown, not 0 %; nobody can have all of them"
        for name in run.absent
    ]
    for name, reasons in opportunities["dropped"].items():
        if n := reasons.get(NO_CAPACITY):
            found.append(
                f"{name}: {n} place{'s'[: n != 1]} of which the source states a capacity of 0: not counted "
                '(capacity_from = "rows" counts the rows of a file instead)'
            )
    places = sum(opportunities["places"].values())
    for mode in run.modes:
        parts = reports[f"network_{mode}"]["dropped"].get("components", {})
        kept, dropped = parts.get("km_kept", 0.0), parts.get("km_dropped", 0.0)
        if dropped > _CUT_OFF * (kept + dropped):
            found.append(
                f"{_MODES.get(mode, mode)}: {dropped:.0f} of {kept + dropped:.0f} km of streets are cut off from "
                "the main part and were left out"
            )
        rejected = opportunities["rejected"].get(mode, 0)
        if places and rejected > _CUT_OFF * places:
            found.append(
                f"{_MODES.get(mode, mode)}: {rejected} of {places} places are too far from a street to be reached; "
                "opportunities.parquet gives the reasons"
            )
    found += _of_people(reports.get("population") or {})
    blind, cells = run.summary["cells_no_network"], run.summary["cells"]
    if blind > _NO_STREET * cells:
        found.append(f"{blind} of {cells} cells have no street near: parks and water, or a gap in the data")
    parks = len(run.summary["parks_without_entrance"])
    if parks:
        found.append(
            f"parks without any entrance that could be found: {parks}, not counted; they are the first in parks.csv"
        )
    return found


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"
