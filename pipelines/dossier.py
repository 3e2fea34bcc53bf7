"""The dossier: a comparison as one self-contained HTML file for juries, on screen and in print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from engine.proposals.effect import SECTORS
from engine.proposals.resolve import CALM
from pipelines.city_drawing import Band
from pipelines.comparison import Comparison, Measured, changed_most
from pipelines.dossier_drawing import overview, three_maps
from pipelines.dossier_verdict import verdict
from pipelines.dossier_words import Language, Speech
from pipelines.version import __version__

_STYLE = """
@page { size: A4; margin: 11mm 12mm }
* { box-sizing: border-box }
body { font: 9.5pt/1.3 system-ui, "Liberation Sans", Arial, sans-serif; color: #1a1a1a; margin: 0 auto;
  max-width: 186mm; -webkit-print-color-adjust: exact; print-color-adjust: exact }
@media screen { body { padding: 8mm 4mm } section { margin-bottom: 14mm } }
h1 { font-size: 20pt; line-height: 1.15; margin: 0 0 2mm } h2 { font-size: 13pt; margin: 5mm 0 1.5mm }
h3 { font-size: 10.5pt; margin: 3.5mm 0 1mm } p { margin: 0 0 1.5mm } .quiet { color: #555; font-size: 8pt }
.verdict { border-left: 1.5mm solid #08519c; background: #f2f6fb; padding: 2.5mm 4mm; font-size: 11pt; margin: 3mm 0 }
.verdict p { margin: 0 0 1.2mm } .verdict p:last-child { margin: 0 }
.row { display: grid; gap: 4mm; grid-template-columns: repeat(3, minmax(0, 1fr)) } figure { margin: 0; min-width: 0 }
figcaption { font-weight: 600; font-size: 9pt; margin-bottom: .8mm }
table { border-collapse: collapse; width: 100%; font-size: 7.6pt; font-variant-numeric: tabular-nums }
caption { text-align: left; color: #555; font-size: 8pt; caption-side: bottom; padding-top: 1mm }
th, td { text-align: right; padding: .7mm .9mm; border-bottom: .2mm solid #ccc; vertical-align: top }
thead th { vertical-align: bottom; border-bottom: .4mm solid #444; font-weight: 600 }
th:first-child, td:first-child, .text { text-align: left } tbody th { font-weight: 600 }
td:not(.text):not(.hash) { white-space: pre } svg { width: 100%; height: auto; max-height: 78mm; display: block }
.small svg { max-height: 60mm } .board { font-size: 7pt } .board th:first-child { width: 16% }
tbody th.in { font-weight: 400; padding-left: 4mm; white-space: nowrap }
.key { display: flex; flex-wrap: wrap; gap: 0 3mm; font-size: 7.8pt; margin-top: 1mm }
.key i { display: inline-block; width: 3mm; height: 3mm; margin-right: 1mm; border: .2mm solid #777;
  vertical-align: -.4mm }
.letter { display: inline-block; background: #08519c; color: #fff; border-radius: 1mm; padding: 0 1.6mm;
  margin-right: 1mm }
.bar { background: linear-gradient(to right, #9ecae1 var(--p), transparent var(--p)) }
code { font-size: 7.4pt; word-break: break-all } .hash { font: 7pt monospace; word-break: break-all; text-align: left }
tr, svg, figure, .verdict { break-inside: avoid } h2, h3 { break-after: avoid }
@media print { section + section { break-before: page } section + section svg { max-height: 56mm }
  section + section :is(th, td) { padding: .3mm .9mm; font-size: 7.2pt } h3 { margin: 2.2mm 0 .6mm } }
@media (max-width: 640px) { .row { grid-template-columns: 1fr } table { display: block; overflow-x: auto } }
"""
_GROUPS_SHOWN = 8
_INNER = "\t"
"""Before the name of a row that belongs to the row above."""


def dossier(
    comparison: Comparison, *, language: Language = "en", hashes: Mapping[str, str] | None = None
) -> str:
    """
    Write the dossier of a comparison.

    Parameters
    ----------
    comparison
        Made by `pipelines.comparison.compare`.
    language
        Of the text.
    hashes
        SHA-256 of the files beside it, to be printed.

    Returns
    -------
    str
        A self-contained HTML page: no script, no outside request. Made for A4: a first page with the verdict, one
        page or two a proposal, and one on certainty, method and data.
    """
    words = Speech(language)
    city = escape(comparison.base.run.name)
    n = len(comparison.measured)
    title = words("title_one", city=city) if n == 1 else words("title", n=n, city=city)
    pages = [
        _first_page(comparison, words, title),
        *(_proposal_page(comparison, one, words) for one in comparison.measured),
        _last_page(comparison, words, hashes or {}),
    ]
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(f'<section>{p}</section>' for p in pages)}</main></body></html>\n"
    )


def _first_page(comparison: Comparison, words: Speech, title: str) -> str:
    result = comparison.result
    by = words(result["weighted_by"])
    said = "".join(f"<p>{escape(s)}</p>" for s in verdict(comparison, words))
    osm = result["run"]["osm"].get("timestamp")
    date = words("osm_date", date=str(osm)[:10]) if osm else ""
    none = "" if result["weighted_by"] == "residents" else f" {words('no_people')}"
    at_edge = int(comparison.base.cells["edge_affected"].sum())
    edge = f" {words('edge', n=words.number(at_edge))}" if at_edge else ""
    maps: list[str] = []
    bands: list[Band] = []
    for one in comparison.measured:
        drawn, bands = overview(comparison, one, words.known)
        maps.append(_figure(f"{one.letter}  {one.proposal.name}", drawn))
    note = words("table_note", by=by, min=words.number(comparison.criteria.threshold_min))
    lead = words("lead", cells=words.number(result["cells"]), sure=words("sure"))
    return (
        f"<h1>{title}</h1><p>{lead}{none}{edge} {date}</p>"
        f'<h2>{words("verdict")}</h2><div class="verdict">{said}</div>'
        f"<h2>{words('side_by_side')}</h2>{_scoreboard(comparison, words)}<p class='quiet'>{escape(note)}</p>"
        f"<h2>{words('where')}</h2><div class='row small'>{''.join(maps)}</div>{_key(bands)}"
        f"<p class='quiet'>{words('change_key')}</p>"
    )


def _scoreboard(comparison: Comparison, words: Speech) -> str:
    result = comparison.result
    several = len(comparison.measured) > 1
    costed = any(p["cost_eur"] is not None for p in result["proposals"])
    head = [
        words("proposal"), words("gain"), words("newly", min=words.number(comparison.criteria.threshold_min)),
        words("left"), words("winners"), words("losers"), words("worst"), words("gini"),
        *([words("cost"), words("per_newly")] if costed else []),
        *([words("first")] if several else []),
    ]  # fmt: skip
    rows = []
    for p in result["proposals"]:
        row = [
            f"{p['letter']}  {p['name']}",
            f"{words.number(p['gain'], 2, signed=True)}\n{_interval(p, 'gain', words, 2)}",
            f"{words.number(p['newly_within'])}\n{_interval(p, 'newly_within', words, 0)}",
            *(words.number(p[k]) for k in ("no_longer_within", "winners", "losers")),
            words.number(p["worst_decile_gain"], 2, signed=True),
            words.number(p["gini_change"], 4, signed=True),
        ]
        if costed:
            partly = "" if p["cost_complete"] or p["cost_eur"] is None else " *"
            row += [
                words.number(p["cost_eur"]) + partly,
                words.money(p["cost_per_newly_within"]),
            ]
        if several:
            row.append(words.percent(p["rank_probability"][0]))
        rows.append(row)
    starred = any(not p["cost_complete"] and p["cost_eur"] is not None for p in result["proposals"])
    return _table(head, rows, caption=f"* {words('cost_partly')}" if starred else "", kind="board")


def _interval(figures: Mapping[str, Any], name: str, words: Speech, digits: int) -> str:
    low, high = figures["intervals"][name]
    return f"[{words.number(low, digits)}; {words.number(high, digits)}]"


def _proposal_page(comparison: Comparison, one: Measured, words: Speech) -> str:
    p = one.figures
    mode, category = changed_most(comparison, one)
    by = f" {words('author', author=escape(one.proposal.author))}" if one.proposal.author else ""
    about = f"<p>{escape(one.proposal.description)}</p>" if one.proposal.description else ""
    maps, bands, change = three_maps(comparison, one, mode, category, words.known)
    figures = "".join(
        _figure(words(k), m) for k, m in zip(("before", "after", "difference"), maps, strict=True)
    )
    caption = words("maps_of", mode=words.known(mode), category=label_of(comparison, category, words))
    notes = [*p["notes"], *([words("ignored", names=", ".join(p["ignored"]))] if p["ignored"] else [])]
    notes_text = (
        f"<h3>{words('notes')}</h3><p class='quiet'>{escape('; '.join(words.deed(n) for n in notes))}</p>"
        if notes
        else ""
    )
    return (
        f'<h2><span class="letter">{one.letter}</span>{escape(one.proposal.name)}'
        f'<span class="quiet">{by}</span></h2>{about}'
        f"<h3>{words('built')}</h3>{_edits(comparison, p, words)}"
        f"<h3>{escape(caption)}</h3><div class='row'>{figures}</div>{_key(bands)}{_key(change)}"
        f"<p class='quiet'>{words('detail')}</p>"
        f"<h3>{words('by_mode')}</h3>{_by_mode(comparison, p, words)}"
        f"{_phases(p, words)}{_groups(comparison, p, words)}{notes_text}"
    )


def _edits(comparison: Comparison, p: Mapping[str, Any], words: Speech) -> str:
    edits = p["edits"]
    if not edits:
        return f"<p>{words('nobody')}</p>"
    phased = len({e["phase"] for e in edits}) > 1
    rows = [
        [
            f"{i}  {e['name'] or words.known(e['kind'])}",
            words.known(e["kind"]),
            _few([_deed(comparison, d, words) for d in e["does"]]),
            *([str(e["phase"])] if phased else []),
            words.number(e["cost_eur"]),
        ]
        for i, e in enumerate(edits[:40], start=1)
    ]
    if len(edits) > len(rows):
        rows.append([f"… {len(edits) - len(rows)}", *[""] * (4 if phased else 3)])
    head = ["", words("what"), words("does"), *([words("phase")] if phased else []), words("cost")]
    return _table(head, rows, text=(1, 2))


def _deed(comparison: Comparison, deed: str, words: Speech) -> str:
    """What an edit does, with the category's name for people."""
    place = re.fullmatch(r"a place of (\S+) added", deed)
    return words("place_added", what=label_of(comparison, place[1], words)) if place else words.deed(deed)


def _few(says: Sequence[str]) -> str:
    """What an edit does, shortened where it does very much."""
    return "; ".join(says) if len(says) <= 3 else f"{'; '.join(says[:2])}; … ({len(says)})"


def _by_mode(comparison: Comparison, p: Mapping[str, Any], words: Speech) -> str:
    head = [
        words("mode_category"), words("newly", min=words.number(comparison.criteria.threshold_min)), words("left"),
        words("winners"), words("losers"), words("mean"), words("p90"), words("worst_min"), words("gini_min"),
    ]  # fmt: skip
    rows = []
    for mode in comparison.criteria.modes:
        m = p["modes"][mode]
        if not any(c["winners"] or c["losers"] for c in m["categories"].values()):
            continue
        rows.append([
            words("score_of", mode=words.known(mode)), "", "", words.number(m["winners"]), words.number(m["losers"]),
            _change(m["score_before"], m["score_after"], words, 1), "",
            _change(m["worst_decile_before"], m["worst_decile_after"], words, 1),
            _change(m["gini_before"], m["gini_after"], words, 3),
        ])  # fmt: skip
        for category in comparison.criteria.categories:
            c = m["categories"][category]
            if not (c["winners"] or c["losers"] or c["newly_within"] or c["no_longer_within"]):
                continue
            rows.append([
                f"{_INNER}{label_of(comparison, category, words)}",
                *(words.number(c[k]) for k in ("newly_within", "no_longer_within", "winners", "losers")),
                _change(c["mean_minutes_before"], c["mean_minutes_after"], words, 2),
                _change(c["p90_minutes_before"], c["p90_minutes_after"], words, 1),
                _change(c["worst_decile_before"], c["worst_decile_after"], words, 1),
                _change(c["gini_before"], c["gini_after"], words, 3),
            ])  # fmt: skip
    return _table(head, rows)


def _change(before: float | None, after: float | None, words: Speech, digits: int) -> str:
    a, b = words.number(before, digits), words.number(after, digits)
    return a if a == b else f"{a} → {b}"


def _phases(p: Mapping[str, Any], words: Speech) -> str:
    if not p["phases"]:
        return ""
    rows = [
        [
            " ".join(filter(None, [words("after_phase", phase=s["phase"]), s["name"]])),
            words.number(s["gain"], 2, signed=True),
            *(words.number(s[k]) for k in ("newly_within", "winners", "losers", "cost_eur")),
        ]
        for s in [*p["phases"]]
    ]
    rows.append(
        [
            words("all_phases"),
            words.number(p["gain"], 2, signed=True),
            *(words.number(p[k]) for k in ("newly_within", "winners", "losers", "cost_eur")),
        ]
    )
    head = ["", words("gain"), words("newly", min=15), words("winners"), words("losers"), words("cost")]
    return f"<h3>{words('phases')}</h3>{_table(head, rows)}"


def _groups(comparison: Comparison, p: Mapping[str, Any], words: Speech) -> str:
    groups = [g for g in p["neighbourhoods"] if g["winners"] or g["losers"] or abs(g["gain"]) >= 0.005]
    if not groups:
        return ""
    most = sorted(groups, key=lambda g: (-abs(g["gain"]), g["group"]))[:_GROUPS_SHOWN]
    most.sort(key=lambda g: (-g["gain"], g["group"]))
    rows = [
        [
            words.known(g["group"]) if g["group"] in SECTORS else g["group"],
            words.number(g["weight"]),
            words.number(g["gain"], 2, signed=True),
            *(words.number(g[k]) for k in ("newly_within", "winners", "losers", "person_minutes")),
        ]
        for g in most
    ]
    by = words(comparison.result["weighted_by"])
    head = ["", by, words("points"), words("newly", min=words.number(comparison.criteria.threshold_min)),
            words("winners"), words("losers"), words("person_minutes")]  # fmt: skip
    left = len(p["neighbourhoods"]) - len(rows)
    caption = words("groups_more", n=left) if left else ""
    return f"<h3>{words('groups_' + p['grouped_by'])}</h3>{_table(head, rows, caption=caption)}"


def _last_page(comparison: Comparison, words: Speech, hashes: Mapping[str, str]) -> str:
    return (
        f"<h2>{words('sure')}</h2>{_ranks(comparison, words)}{_declared(comparison, words)}"
        f"{_weights(comparison, words)}{_method(comparison, words)}{_data(comparison, words, hashes)}"
    )


def _ranks(comparison: Comparison, words: Speech) -> str:
    rivals = comparison.result["proposals"]
    if len(rivals) < 2:
        return ""
    unknown = comparison.uncertainty
    head = ["", *(words("rank", k=k) for k in range(1, len(rivals) + 1))]
    parts = []
    for key, caption in (
        ("rank_probability", words("rank_note", draws=words.number(unknown.draws), seed=unknown.seed)),
        ("rank_probability_per_euro", words("rank_euro")),
    ):
        if rivals[0][key] is None:
            continue
        rows = [[f"{p['letter']}  {p['name']}", *(words.percent(v) for v in p[key])] for p in rivals]
        shares = [[None, *p[key]] for p in rivals]
        parts.append(_table(head, rows, caption=caption, bars=shares))
    return "".join(parts)


def _declared(comparison: Comparison, words: Speech) -> str:
    u = comparison.uncertainty
    items = [
        words("unknown_speed", value=words.percent(u.speed)),
        words("unknown_snap", value=words.number(u.snap_min, 1)),
        words("unknown_gone", value=words.percent(u.gone)),
        words("unknown_unmapped", value=words.percent(u.unmapped), spread=words.number(u.spread_m)),
    ]
    return f"<h3>{words('unknown')}</h3><ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>"


def _weights(comparison: Comparison, words: Speech) -> str:
    rivals, sensitivity = comparison.result["proposals"], comparison.result["sensitivity"]
    if len(rivals) < 2:
        return ""
    rows = [
        [f"{p['letter']}  {p['name']}", words.percent(p["first_in_weightings"]),
         words.number(p["mean_rank_in_weightings"], 2)]
        for p in rivals
    ]  # fmt: skip
    alone = {words.known(m): v for m, v in sensitivity["first_if_only_mode"].items()}
    alone |= {label_of(comparison, c, words): v for c, v in sensitivity["first_if_only_category"].items()}
    text = "; ".join(words("only", what=k, first=v or words("none")) for k, v in alone.items())
    table = _table(["", words("weighting_first"), words("mean_rank")], rows)
    note = words("weights_note", n=words.number(sensitivity["weightings"]))
    return f"<h3>{words('weights')}</h3><p>{note}</p>{table}<p class='quiet'>{escape(text)}.</p>"


def _method(comparison: Comparison, words: Speech) -> str:
    d = comparison.criteria.decay
    decay = (
        words("decay_piecewise", full=words.number(d.full_min), half=words.number(d.half_min),
              zero=words.number(d.zero_min))
        if d.kind == "piecewise"
        else d.kind
    )  # fmt: skip
    weights = ", ".join(
        f"{label_of(comparison, c, words)} {words.number(comparison.criteria.weights.get(c, 0.0), 2)}"
        for c in comparison.criteria.categories
    )
    text = words("method_text", limit=words.number(comparison.criteria.limit_min), decay=decay)
    calm = f" {words('calm', calm=words(CALM))}" if CALM in comparison.criteria.modes else ""
    said = f"{text} {words('weights_are', weights=weights)}{calm}"
    return f"<h3>{words('method')}</h3><p>{escape(said)}</p>"


def _data(comparison: Comparison, words: Speech, hashes: Mapping[str, str]) -> str:
    run = comparison.result["run"]
    rows = [
        [
            f"{i.get('role', '')}: {str(i.get('address', '')).rsplit('/', 1)[-1]}",
            str(
                i.get("timestamp") or (run["osm"].get("timestamp") if i.get("role") == "osm" else None) or "–"
            )[:10],
            str(i.get("sha256") or ""),
        ]
        for i in run["inputs"]
    ]
    rows.append([words("run_cells"), "–", run["cells_sha256"]])
    rows += [[words("file_of", letter=m.letter), "–", m.proposal.digest] for m in comparison.measured]
    rows += [[name, "–", digest] for name, digest in hashes.items()]
    attribution = " · ".join(run["attribution"])
    command = "proche check DIR"
    return (
        f"<h3>{words('data')}</h3>{_table([words('input'), words('date'), words('sha')], rows, hashes=(2,))}"
        f"<p>{words('recompute', command=f'<code>{command}</code>')}</p>"
        f"<p class='quiet'>{words('made', version=__version__, digest=run['manifest_config_digest'][:12])} "
        f"{escape(attribution)}</p>"
    )


def label_of(comparison: Comparison, category: str, words: Speech) -> str:
    """Name of a category for people."""
    return comparison.base.settings.labels.get(category, {}).get(words.language) or category


def _figure(caption: str, drawn: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawn}</figure>"


def _key(bands: Sequence[Band]) -> str:
    items = "".join(f'<span><i style="background:{b.colour}"></i>{escape(b.label)}</span>' for b in bands)
    return f'<div class="key">{items}</div>'


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    text: Sequence[int] = (),
    hashes: Sequence[int] = (),
    bars: Sequence[Sequence[float | None]] | None = None,
    kind: str = "",
) -> str:
    """Write a table; every cell is escaped, the first column heads its row; bars are shares of a cell's width."""
    kinds = ["text" if k in text else "hash" if k in hashes else "" for k in range(len(head))]

    def cell(r: int, k: int, value: str) -> str:
        share = bars[r][k] if bars is not None else None
        shade = "" if share is None else f' style="--p:{100 * share:.0f}%"'
        shown = "bar" if share is not None else kinds[k]
        if k:
            return f'<td class="{shown}"{shade}>{escape(value)}</td>'
        inner = ' class="in"' if value.startswith(_INNER) else ""
        return f'<th scope="row"{inner}>{escape(value.removeprefix(_INNER))}</th>'

    top = "".join(f'<th scope="col" class="{kinds[k]}">{escape(h)}</th>' for k, h in enumerate(head))
    lines = "".join(
        f"<tr>{''.join(cell(r, k, str(v)) for k, v in enumerate(row))}</tr>" for r, row in enumerate(rows)
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<table class="{kind}">{said}<thead>' + f"<tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
