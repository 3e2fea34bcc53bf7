"""Two pages on a city that print well: maps, curves, figures, gaps, equity, method, dates and attribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from engine.scoring import residents_of
from pipelines.city_drawing import BANDS, SCORES, curves_svg, legend_html, map_svg
from pipelines.explain import labels_of
from pipelines.rundir import RunDirectory

MODES = {"walk": "On foot", "bike": "By bicycle", "street30": "By motor vehicle at 30 km/h"}
_LADDER = {
    "green_01ha_300m": "0.1 ha within 300 m",
    "green_05ha_300m": "0.5 ha within 300 m",
    "green_1ha_300m": "1 ha within 300 m",
    "green_15ha_500m": "1.5 ha within 500 m",
}
_GAPS_SHOWN = 5
_STYLE = """
@page { size: A4; margin: 10mm 12mm }
* { box-sizing: border-box }
body { font: 9pt/1.25 system-ui, "Liberation Sans", Arial, sans-serif; color: #1a1a1a; margin: 0 auto;
  max-width: 186mm; -webkit-print-color-adjust: exact; print-color-adjust: exact }
h1 { font-size: 19pt; margin: 0 0 1mm } h2 { font-size: 11pt; margin: 3mm 0 1mm }
p { margin: 0 0 1.5mm } .quiet { color: #555; font-size: 8pt }
.row { display: flex; gap: 6mm } .row > * { flex: 1; min-width: 0 }
.tiles { display: flex; gap: 3mm; margin: 3mm 0 }
.tiles div { flex: 1; border-top: 1mm solid #21918c; padding: 1.5mm 0 }
.tiles b { display: block; font-size: 16pt; line-height: 1.1 }
table { border-collapse: collapse; width: 100%; font-size: 8pt } caption { text-align: left; color: #555 }
th, td { text-align: right; padding: .6mm 1.2mm; border-bottom: .2mm solid #ccc; vertical-align: top;
  white-space: nowrap }
th:first-child, td:first-child, .text { text-align: left; white-space: normal }
svg { width: 100%; height: auto; display: block }
.warn { border-left: 1mm solid #b35900; padding-left: 2mm } .page { break-after: page } tr, svg { break-inside: avoid }
"""


def city_report(run: RunDirectory) -> str:
    """
    Write the report of a run.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    str
        A self-contained HTML page: no script, no outside request; two A4 pages when printed for three modes and
        four categories, more for more. The maps and curves are of the first mode of the run.

    Raises
    ------
    ArtifactError
        The run lacks a file.
    """
    labels = labels_of(run)
    name = escape(run.name)
    body = (
        f'<section class="page">{_head(run)}{_maps(run, labels)}{_figures(run, labels)}</section>'
        f"<section>{_second_page(run, labels)}</section>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: fifteen-minute report</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _head(run: RunDirectory) -> str:
    summary, mode = run.summary, run.modes[0]
    figures, by = summary["modes"][mode], summary["weighted_by"]
    people = summary["population"]
    within = f"{summary['threshold_min']:g} minutes"
    tiles = [
        (_percent(figures["all_share"]), f"of {by} have every category within {within}"),
        (_number(figures["score_mean"], 0), "mean score, 0 to 100"),
        (_number(figures["mean_minutes"], 1), "minutes, mean over categories"),
        (
            f"{people:,.0f}".replace(",", " ") if people else str(summary["cells"]),
            "residents" if people else "cells; the run knows no residents",
        ),
    ]
    edge = summary["cells_edge_affected"]
    warning = (
        f'<p class="warn">{edge} of {summary["cells"]} cells lie near the end of the data: places beyond it are '
        "not seen, so their times may be too long.</p>"
        if edge
        else ""
    )
    return (
        f"<h1>{escape(run.name)}</h1><p>What people reach within {within} of home. "
        f"{MODES.get(mode, escape(mode))}, unless a table says otherwise. "
        f"Computed {escape(run.manifest['created'][:10])} by Proche {escape(run.manifest['version'])}; "
        f"map data of {escape(str(run.manifest['osm'].get('timestamp') or 'unknown date'))}.</p>"
        f'<div class="tiles">{"".join(f"<div><b>{escape(v)}</b>{escape(t)}</div>" for v, t in tiles)}</div>{warning}'
    )


def _maps(run: RunDirectory, labels: Mapping[str, str]) -> str:
    mode, cells = run.modes[0], run.cells
    shares = run.summary["modes"][mode]["categories"]
    worst = min(run.categories, key=lambda c: (shares[c]["share"] or 0.0, run.categories.index(c)))
    gaps = run.gaps
    own = gaps[(gaps["mode"] == mode) & (gaps["category"] == worst)].head(_GAPS_SHOWN)
    score = map_svg(cells, cells[f"{mode}_score"], SCORES, title=f"Map of {run.name}: score of each cell")
    minutes = map_svg(
        cells,
        -cells[f"{mode}_{worst}_minutes"],
        BANDS,
        title=f"Map of {run.name}: minutes to {labels[worst]}",
        outlines=list(zip(own["rank"].astype(str), own.geometry, strict=True)),
    )
    return (
        f'<div class="row"><figure style="margin:0"><h2>Score</h2>{score}{legend_html(SCORES)}</figure>'
        f'<figure style="margin:0"><h2>Minutes to what is farthest: {escape(labels[worst])}</h2>'
        f"{minutes}{legend_html(BANDS)}</figure></div>"
        '<p class="quiet">North is up. Cells without streets are white; cells without a way to any place count as over '
        "20 minutes. Numbered outlines are the gaps of page two, ranked by what they cost.</p>"
    )


def _figures(run: RunDirectory, labels: Mapping[str, str]) -> str:
    rows = []
    for mode in run.modes:
        for category in run.categories:
            f = run.summary["modes"][mode]["categories"][category]
            rows.append(
                [
                    f"{MODES.get(mode, mode)}: {labels[category]}",
                    *(_percent(f[k]) for k in ("share_5", "share_10", "share")),
                    *(_number(f[k], 1) for k in ("mean_minutes", "p90_minutes")),
                    _number(f.get("confidence_mean"), 2),
                ]
            )
    within = f"≤ {run.summary['threshold_min']:g} min"
    head = ["", "≤ 5 min", "≤ 10 min", within, "mean min", "p90 min", "confidence"]
    caption = (
        f"Shares of {run.summary['weighted_by']} by the mean nearest time of their cell, limits included."
    )
    return f"<h2>Within reach</h2>{_table(head, rows, caption=caption)}"


def _second_page(run: RunDirectory, labels: Mapping[str, str]) -> str:
    mode, cells = run.modes[0], run.cells
    people = residents_of(cells)
    weight = (~cells[f"{mode}_score"].isna()).to_numpy(np.float64) if people is None else people
    times = {labels[c]: cells[f"{mode}_{c}_minutes"].to_numpy(np.float64) for c in run.categories}
    by = run.summary["weighted_by"]
    curves = curves_svg(times, weight, title=f"Share of {by} within so many minutes of each category")
    return (
        f'<div class="row"><div><h2>Share of {escape(by)} by minutes</h2>{curves}</div>'
        f"<div>{_ladder(run)}{_types(run, mode)}</div></div>"
        f"{_equity(run, mode, labels)}{_gaps(run, mode, labels)}{_published(run)}{_method(run)}"
    )


def _ladder(run: RunDirectory) -> str:
    ladder = run.summary.get("green_ladder") or {}
    rows = [
        [text, _percent(ladder[k]["share"]), _number(ladder[k]["mean_m"], 0), ladder[k]["reference"]]
        for k, text in _LADDER.items()
        if k in ladder
    ]
    return f"<h2>Green space</h2>{_table(['', 'share', 'mean m', 'after'], rows, text=(3,))}" if rows else ""


def _types(run: RunDirectory, mode: str) -> str:
    types = run.summary["modes"][mode].get("cell_types") or []
    counted = "cells" if run.summary["population"] is None else "residents"
    rows = [[t["name_en"], f"{t[counted]:,.0f}".replace(",", " ")] for t in types]
    return f"<h2>Kinds of neighbourhood</h2>{_table(['', counted], rows)}" if rows else ""


def _equity(run: RunDirectory, mode: str, labels: Mapping[str, str]) -> str:
    figures = run.summary["modes"][mode]
    blocks = [("Score", figures.get("equity") or {})]
    blocks += [(f"Minutes: {labels[c]}", figures["categories"][c]["equity"]) for c in run.categories]
    known: dict[str, str] = {
        "gini": "Gini",
        "theil": "Theil",
        "palma": "Palma",
        "worst_decile": "worst tenth",
        "fgt0": "share over",
        "fgt1": "depth over",
    }
    known |= {k: k.replace("_", " ") for _, b in blocks for k in b if "income" in k or "concentration" in k}
    rows = [[text, *(_number(block.get(k), 2) for k in known)] for text, block in blocks]
    caption = "Of minutes, more is worse: the worst tenth is the mean of those farthest away."
    return f"<h2>Who is left behind</h2>{_table(['', *known.values()], rows, caption=caption)}"


def _gaps(run: RunDirectory, mode: str, labels: Mapping[str, str]) -> str:
    gaps = run.gaps
    own = gaps[(gaps["mode"] == mode) & gaps["category"].isin(run.categories)].sort_values(
        ["burden", "gap"], ascending=[False, True], kind="stable"
    )
    rows = [[f"{labels[g.category]} {g.rank}", g.why] for g in own.head(_GAPS_SHOWN).itertuples()]
    if not rows:
        return "<h2>Gaps</h2><p>No cell is over the threshold.</p>"
    by = escape(run.summary["weighted_by"])
    return f"<h2>Gaps, by {by} × minutes over</h2>{_table(['gap', 'why'], rows, text=(1,))}"


def _published(run: RunDirectory) -> str:
    rows = [
        [b["definition"], _band(b), _of_unit(b["ours"], b["unit"]), f"{b['source']}. {b['differs']}"]
        for b in run.summary.get("published") or []
    ]
    head = ["", "published", "here", "by whom, and why the two may differ"]
    return f"<h2>Beside published figures</h2>{_table(head, rows, text=(3,))}" if rows else ""


def _band(row: Mapping[str, Any]) -> str:
    low, high = (_of_unit(row[k], row["unit"]) for k in ("published_low", "published_high"))
    return low if low == high else f"{low} to {high}"


def _of_unit(value: float, unit: str) -> str:
    return _percent(value) if unit == "share" else f"{value:.1f} {unit}"


def _method(run: RunDirectory) -> str:
    config = run.manifest["config_resolved"]
    inputs = "; ".join(
        f"{escape(str(i['role']))}: {escape(str(i['address']).rsplit('/', 1)[-1])}"
        for i in run.manifest["inputs"]
    )
    attribution = "; ".join(escape(a) for a in run.manifest["attribution"])
    return (
        '<h2>How it was measured</h2><div class="quiet"><p>Times run along streets that the mode may use, from every '
        "point of the streets of a cell to the nearest place of a category, and a cell has their mean weighted by "
        f"length. Cells are H3 hexagons of resolution {config['area']['resolution']}. Parks are reached at their "
        "entrances; green distances are metres along streets, never converted from minutes. The score is the weighted "
        f"mean over categories of a decay ({escape(config['scoring']['decay'])}) of the nearest time. Confidence is "
        "the smallest of completeness, snap, age, edge and support, where known: 1 is best. Definitions, formulas and "
        "references are in docs/method.md.</p>"
        f"<p>Data: {inputs}; their hashes are in manifest.json. "
        f"Configuration {escape(run.manifest['config_digest'][:12])}. {attribution}.</p></div>"
    )


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", text: Sequence[int] = ()
) -> str:
    """Write a table; every cell is escaped, the first column heads its row, `text` columns are set to the left."""
    aligned = ['class="text"' if k in text else "" for k in range(max(len(head), 1))]

    def cell(k: int, value: str) -> str:
        tag, scope = ("td", "") if k else ("th", 'scope="row"')
        return f"<{tag} {scope} {aligned[k]}>{escape(value)}</{tag}>"

    top = "".join(f'<th scope="col" {aligned[k]}>{escape(h)}</th>' for k, h in enumerate(head))
    lines = "".join(f"<tr>{''.join(cell(k, str(v)) for k, v in enumerate(row))}</tr>" for row in rows)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"
