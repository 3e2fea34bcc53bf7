"""The few lines that a run says at its end."""

from __future__ import annotations

from pipelines.rundir import RunDirectory

_MODES = {"walk": "on foot", "bike": "by bicycle", "street30": "by motor vehicle at 30 km/h"}


def headline(run: RunDirectory) -> str:
    """
    The city's figures, a line a mode.

    Shares are of residents, or of cells with streets where the run has no population; the line says which.
    """
    summary = run.summary
    by, minutes = summary["weighted_by"], summary["threshold_min"]
    lines = [f"{run.name}: {summary['cells']} cells, shares of {by} within {minutes:g} minutes"]
    for mode in run.modes:
        figures = summary["modes"][mode]
        shares = ", ".join(
            f"{name} {_percent(figures['categories'][name]['share'])}" for name in run.categories
        )
        lines.append(f"  {_MODES.get(mode, mode)}: {shares}; all of them {_percent(figures['all_share'])}")
    if summary["cells_edge_affected"]:
        lines.append(
            f"  {summary['cells_edge_affected']} cells lie near the end of the data and may see too little"
        )
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"
