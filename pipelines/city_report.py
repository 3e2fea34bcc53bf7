"""Two pages on a city that print well: what matters in sentences, maps, curves, figures, gaps, method, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np

from engine.places.category import inside_a_sentence
from engine.scoring import weight_of
from pipelines.city_backdrop import backdrop_of, drawn
from pipelines.city_drawing import BANDS, SCORES, Band, curves_svg, legend_html, map_svg
from pipelines.city_words import Language, Words
from pipelines.explain import labels_of
from pipelines.rundir import RunDirectory

_GAPS_SHOWN, _BEST_SHOWN, _WORST_SHOWN = 5, 3, 5
_LADDER = (
    ("green_01ha_300m", 0.1, 300),
    ("green_05ha_300m", 0.5, 300),
    ("green_1ha_300m", 1.0, 300),
    ("green_15ha_500m", 1.5, 500),
)
_STYLE = """
@page { size: A4; margin: 9mm 12mm }
* { box-sizing: border-box }
body { font: 8.4pt/1.22 system-ui, "Liberation Sans", Arial, sans-serif; color: #1a1a1a; margin: 0 auto;
  max-width: 186mm; -webkit-print-color-adjust: exact; print-color-adjust: exact }
h1 { font-size: 18pt; margin: 0 0 .5mm } h2 { font-size: 10.5pt; margin: 2.4mm 0 .8mm }
p { margin: 0 0 1mm } .quiet { color: #555; font-size: 7.6pt } ul { margin: 0; padding-left: 4mm } li { margin: .4mm 0 }
.row { display: flex; gap: 6mm } .row > * { flex: 1; min-width: 0 } figure { margin: 0 }
.tiles { display: flex; gap: 3mm; margin: 2mm 0 1mm }
.tiles div { flex: 1; border-top: 1mm solid #21918c; padding: 1mm 0 }
.tiles b { display: block; font-size: 16pt; line-height: 1.1 }
table { border-collapse: collapse; width: 100%; font-size: 7.8pt } caption { text-align: left; color: #555 }
th, td { text-align: right; padding: .45mm 1.1mm; border-bottom: .2mm solid #ccc; vertical-align: top }
th { font-weight: 600 } td { white-space: nowrap }
th:first-child, td:first-child, .text { text-align: left; white-space: normal }
.tight th:first-child { white-space: nowrap } .wide th:first-child { width: 50mm }
thead th[colspan] { text-align: center; border-left: .2mm solid #ccc }
svg { width: 100%; height: auto; display: block }
.warn { border-left: 1mm solid #b35900; padding-left: 2mm } .page { break-after: page }
tr, svg, figure { break-inside: avoid } h2 { break-after: avoid }
"""


def city_report(run: RunDirectory, *, language: Language = "en") -> str:
    """
    Write the report of a run.

    Parameters
    ----------
    run
        A finished run.
    language
        ``en`` or ``fr``.

    Returns
    -------
    str
        A self-contained HTML page: no script, no outside request; two A4 pages when printed. The maps and curves are of
        the first mode of the run.

    Raises
    ------
    ArtifactError
        The run lacks a file.
    ConfigError
        The language is unknown.
    """
    told = _Report(run, Words(language))
    name = escape(run.name)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: {told.words('title')}</title><style>{_STYLE}</style></head><body><main>"
        f'<section class="page">{told.first_page()}</section><section>{told.second_page()}</section>'
        "</main></body></html>\n"
    )


class _Report:
    """The parts of the report, each a piece of HTML."""

    def __init__(self, run: RunDirectory, words: Words) -> None:
        self.run, self.words, self.summary = run, words, run.summary
        self.mode = run.modes[0]
        self.figures: dict[str, Any] = self.summary["modes"][self.mode]
        self.labels = labels_of(run, language=words.language)
        self.by = words(self.summary["weighted_by"])
        self.within = f"{self.summary['threshold_min']:g}"
        self.known = [c for c in run.categories if c not in run.absent] or run.categories
        counted = [c for c in self.known if c in self.summary["categories_counted"]] or self.known
        shares = {c: self.figures["categories"][c]["share"] or 0.0 for c in counted}
        self.farthest = min(counted, key=lambda c: (shares[c], counted.index(c)))
        gaps = run.gaps
        own = gaps[(gaps["mode"] == self.mode) & gaps["category"].isin(self.known)]
        self.gaps = own.sort_values(["burden", "gap"], ascending=[False, True], kind="stable")

    def first_page(self) -> str:
        side = f'<div class="row">{self._sizes()}{self._neighbourhoods()}</div>'
        return f"{self._head()}{self._short()}{self._maps()}{self._reach()}{side}"

    def second_page(self) -> str:
        w, curves = self.words, self._curves()
        return (
            f'<div class="row"><div><h2>{w("curves", by=self.by)}</h2>{curves}</div>'
            f"<div>{self._ladder()}{self._types()}</div></div>"
            f"{self._gaps()}{self._equity()}{self._published()}{self._method()}"
        )

    def _head(self) -> str:
        w, run, people = self.words, self.run, self.summary["population"]
        cells = self.summary["cells"] - self.summary["cells_no_network"]
        tiles = [
            (w.percent(self.figures["all_share"]), w("tile_all", by=self.by, within=self.within)),
            (w.number(self.figures["score_mean"]), w("tile_score")),
            (w.number(self.figures["mean_minutes"], 1), w("tile_minutes")),
            (w.number(people or cells), w("tile_people" if people else "tile_cells")),
        ]
        lead = w(
            "lead",
            within=self.within,
            mode=w.mode(self.mode),
            created=run.manifest["created"][:10],
            version=run.manifest["version"],
            data=self._data_day(),
        )
        shown = "".join(f"<div><b>{escape(v)}</b>{escape(t)}</div>" for v, t in tiles)
        return f'<h1>{escape(run.name)}</h1><p>{escape(lead)}</p><div class="tiles">{shown}</div>'

    def _data_day(self) -> str:
        """Day of the map data, else of their newest edit."""
        osm = self.run.manifest["osm"]
        if newest := _day(osm.get("newest_edit")):
            newest = self.words("newest_edit", date=newest)
        return _day(osm.get("timestamp")) or newest or self.words("unknown_date")

    def _short(self) -> str:
        """The findings, in sentences, and what to be careful about."""
        w, far = self.words, self.figures["categories"][self.farthest]
        said = [
            w(
                "short_farthest",
                what=self._in_sentence(self.farthest),
                share=w.percent(far["share"]),
                by=self.by,
                within=self.within,
                mean=w.number(far["mean_minutes"], 1),
                worst=w.number(far["equity"].get("worst_decile"), 1),
            )
        ]
        if len(self.gaps):
            gap = next(self.gaps.itertuples())
            said.append(
                w(
                    "short_gap",
                    what=self._in_sentence(gap.category),
                    who=self._who(gap),
                    minutes=w.number(gap.mean_minutes, 1),
                    over=w.number(gap.minutes_over, 1),
                    within=self.within,
                )
                + (" " + w("on_the_map", rank=gap.rank) if gap.category == self.farthest else "")
            )
        said += [*self._of_income(), *self._firm()]
        items = "".join(f"<li>{escape(s)}</li>" for s in said)
        warnings = "".join(f'<p class="warn">{escape(s)}</p>' for s in self._careful())
        return f"<h2>{w('short')}</h2><ul>{items}</ul>{warnings}"

    def _careful(self) -> Iterable[str]:
        """What the figures cannot know."""
        w, edge = self.words, self.summary["cells_edge_affected"]
        if self.run.absent:
            yield w("absent", what=", ".join(self.labels[c] for c in self.run.absent))
        if edge:
            yield w("edge", edge=w.number(edge), cells=w.number(self.summary["cells"]))

    def _of_income(self) -> list[str]:
        index = self.figures.get("equity", {}).get("concentration")
        if index is None:
            return []
        reading = self.words("poor_more" if index < 0 else "rich_more")
        return [self.words("short_income", index=self.words.number(index, 2), reading=reading)]

    def _firm(self) -> list[str]:
        told, panel = self.figures.get("sensitivity"), self.summary["resolution_panel"]
        score = next((row for row in panel if row["figure"] == "score_mean"), None)
        if not told or score is None or told["weights"]["spearman_lowest"] is None:
            return []
        sizes = sorted(int(k[1:]) for k in score if k[:1] == "r" and k[1:].isdigit())
        w = self.words
        return [
            w(
                "short_firm",
                coarse=sizes[0],
                fine=sizes[-1],
                spread=w.number(score["spread"], 1),
                weights=w.number(told["weights"]["spearman_lowest"], 2),
                firm=told["worst_tenth_firm"],
                worst=told["worst_tenth"],
            )
        ]

    def _maps(self) -> str:
        w, cells, name = self.words, self.run.cells, self.run.name
        what, backdrop = self._in_sentence(self.farthest), backdrop_of(self.run)
        own = self.gaps[self.gaps["category"] == self.farthest].head(_GAPS_SHOWN)
        bands = _score_bands(w)
        title = w("map_score", name=name)
        score = map_svg(
            cells, cells[f"{self.mode}_score"], bands, title=title, backdrop=partial(drawn, backdrop)
        )
        times = _minute_bands(w)
        minutes = map_svg(
            cells,
            -cells[f"{self.mode}_{self.farthest}_minutes"],
            times,
            title=w("map_minutes", name=name, what=what),
            outlines=list(zip(own["rank"].astype(str), own.geometry, strict=True)),
            backdrop=partial(drawn, backdrop._replace(names=())),
        )
        return (
            f'<div class="row"><figure><h2>{w("score")}</h2>{score}{legend_html(bands)}</figure>'
            f"<figure><h2>{escape(w('farthest', what=what))}</h2>{minutes}{legend_html(times)}</figure></div>"
            f'<p class="quiet">{w("map_note")}</p>'
        )

    def _reach(self) -> str:
        w, modes = self.words, self.run.modes
        rows = []
        for category in self.run.categories:
            row = [self.labels[category]]
            for mode in modes:
                f = self.summary["modes"][mode]["categories"][category]
                known = [*(w.percent(f[k]) for k in ("share_5", "share")), w.number(f["mean_minutes"], 1)]
                row += known if category not in self.run.absent else ["–"] * len(known)
            rows.append([*row, w.number(self.figures["categories"][category].get("confidence_mean"), 2)])
        groups = [("", 1), *((w.mode(m), 3) for m in modes), ("", 1)]
        limits = [f"≤\u00a0{m}\u00a0min" for m in (5, self.within)]
        head = ["", *([*limits, w("mean_min")] * len(modes)), w("confidence")]
        caption = w("reach_note", by=self.by)
        return f"<h2>{w('reach')}</h2>{_table(head, rows, caption=caption, groups=groups)}"

    def _curves(self) -> str:
        cells = self.run.cells
        weight, _ = weight_of(cells.assign(no_network=cells[f"{self.mode}_score"].isna()))
        times = {self.labels[c]: cells[f"{self.mode}_{c}_minutes"].to_numpy(np.float64) for c in self.known}
        return curves_svg(times, weight, title=self.words("curves", by=self.by))

    def _ladder(self) -> str:
        w, ladder = self.words, self.summary.get("green_ladder") or {}
        rows = [
            [
                w("ladder", ha=w.number(ha, 1 if ha % 1 else 0), m=m),
                w.percent(ladder[k]["share"]),
                w.number(ladder[k]["mean_m"]),
                str(ladder[k]["reference"]).split(",")[0],
            ]
            for k, ha, m in _LADDER
            if k in ladder
        ]
        head = ["", w("share"), w("mean_m"), w("after")]
        return f"<h2>{w('green')}</h2>{_table(head, rows, text=(3,))}" if rows else ""

    def _types(self) -> str:
        w, types = self.words, self.figures.get("cell_types") or []
        counted = "cells" if self.summary["population"] is None else "residents"
        rows = [[t[f"name_{w.language}"], w.number(t[counted])] for t in types]
        return f"<h2>{w('kinds')}</h2>{_table(['', w(counted)], rows)}" if rows else ""

    def _gaps(self) -> str:
        w, title = self.words, f"<h2>{self.words('gaps', by=self.by)}</h2>"
        if not len(self.gaps):
            return f"{title}<p>{w('no_gap')}</p>"
        rows = [
            [
                ", ".join(
                    filter(None, (f"{self.labels[g.category]} {g.rank}", getattr(g, "neighbourhood", "")))
                ),
                self._who(g),
                w.number(g.mean_minutes, 1),
                w.number(g.minutes_over, 1),
                self._reserve(g),
            ]
            for g in self.gaps.head(_GAPS_SHOWN).itertuples()
        ]
        return title + _table(
            [w("gap"), w("who"), w("away"), w("over"), w("caution")], rows, text=(4,), kind="tight"
        )

    def _reserve(self, gap: Any) -> str:
        parts = [
            f"{self.words.count(n, 'cells')} {self.words(key)}"
            for n, key in ((gap.unreachable_cells, "unreachable"), (gap.edge_cells, "at_edge"))
            if n
        ]
        return "; ".join(parts)

    def _who(self, gap: Any) -> str:
        w, residents = self.words, gap.residents
        cells = w.count(gap.cells, "cells")
        known = residents is not None and np.isfinite(residents)
        return f"{w.count(residents, 'residents')}, {cells}" if known else cells

    def _equity(self) -> str:
        w = self.words
        blocks = [(w("score"), self.figures.get("equity") or {})]
        blocks += [
            (w("minutes_to", what=self._in_sentence(c)), self.figures["categories"][c]["equity"])
            for c in self.known
        ]
        known = {"gini": "Gini", "theil": "Theil", "palma": "Palma"}
        for key in ("palma_income", "concentration", "worst_decile", "fgt0", "fgt1"):
            if any(block.get(key) is not None for _, block in blocks):
                known[key] = w(key)
        rows = [
            [text, *(w.number(block.get(k), 1 if k == "worst_decile" else 2) for k in known)]
            for text, block in blocks
        ]
        caption = w("behind_note", within=self.within)
        return f"<h2>{w('behind')}</h2>{_table(['', *known.values()], rows, caption=caption)}"

    def _sizes(self) -> str:
        """The score, the share of all and the farthest category at each size of cells."""
        w, panel = self.words, self.summary["resolution_panel"]
        wanted = {
            ("", "score_mean"): w("score"),
            ("", "all_share"): w("all_share", within=self.within),
            (self.farthest, "mean_minutes"): w("mean_of", what=self._in_sentence(self.farthest)),
        }
        rows = [r for r in panel if (r["category"], r["figure"]) in wanted]
        if not rows:
            return ""
        sizes = sorted((k for k in rows[0] if k[:1] == "r" and k[1:].isdigit()), key=lambda k: int(k[1:]))
        lines = [
            [
                wanted[r["category"], r["figure"]],
                *(
                    w.percent(r[k]) if "share" in r["figure"] else w.number(r[k], 1)
                    for k in (*sizes, "spread")
                ),
            ]
            for r in rows
        ]
        head = ["", *(w("resolution", r=k[1:]) for k in sizes), w("spread")]
        return f"<div><h2>{w('sizes')}</h2>{_table(head, lines)}</div>"

    def _neighbourhoods(self) -> str:
        """The first and the last neighbourhoods by score, each with the band of its rank."""
        w = self.words
        units = [u for u in (self.figures.get("sensitivity") or {}).get("neighbourhoods", []) if u["unit"]]
        if len(units) < 2:
            return ""
        few = len(units) <= _BEST_SHOWN + _WORST_SHOWN
        shown = units if few else units[:_BEST_SHOWN] + units[-_WORST_SHOWN:]
        rows = [
            [
                u["unit"],
                w.number(u["score"], 0),
                f"{w.number(u['rank'])} ({w.number(u['rank_low'])}–{w.number(u['rank_high'])})",
            ]
            for u in shown
        ]
        head = ["", w("score"), w("rank_band")]
        return f"<div><h2>{w('neighbourhoods')} ({len(units)})</h2>{_table(head, rows)}</div>"

    def _published(self) -> str:
        w, ending = self.words, "_fr" if self.words.language == "fr" else ""
        rows, before = [], ""
        for b in self.summary.get("published") or []:
            why = f"{b['source']}. {b[f'differs{ending}']}"
            names = [b[f"definition{ending}"], self._band(b), self._of_unit(b["ours"], b["unit"])]
            rows.append([*names, w("as_above") if why == before else why])
            before = why
        head = ["", w("published_head"), w("here"), w("why")]
        return f"<h2>{w('published')}</h2>{_table(head, rows, text=(3,), kind='wide')}" if rows else ""

    def _band(self, row: Mapping[str, Any]) -> str:
        low, high = (self._of_unit(row[k], row["unit"]) for k in ("published_low", "published_high"))
        return low if low == high else self.words("to", low=low, high=high)

    def _of_unit(self, value: float, unit: str) -> str:
        return self.words.percent(value) if unit == "share" else f"{self.words.number(value, 1)} {unit}"

    def _method(self) -> str:
        w, run = self.words, self.run
        config = run.manifest["config_resolved"]
        inputs = ", ".join(
            dict.fromkeys(str(i["address"]).rsplit("/", 1)[-1] for i in run.manifest["inputs"])
        )
        parks = len(self.summary["parks_without_entrance"])
        data = w(
            "data",
            inputs=inputs,
            digest=run.manifest["config_digest"][:12],
            attribution="; ".join(run.manifest["attribution"]),
        )
        method = w("method", resolution=config["area"]["resolution"], decay=w(config["scoring"]["decay"]))
        counted = w("counted", places=", ".join(self._places()))
        lacking = w("no_entrance", n=parks) if parks else ""
        return (
            f'<h2>{w("measured")}</h2><div class="quiet"><p>{escape(method)}</p>'
            f"<p>{escape(counted)} {escape(lacking)}</p><p>{escape(data)}</p></div>"
        )

    def _places(self) -> Iterable[str]:
        for name, places in self.summary["places"].items():
            far = places["rejected"][self.mode]
            more = f" ({self.words('too_far', n=self.words.number(far))})" if far else ""
            yield f"{self._in_sentence(name)} {self.words.number(places['found'])}{more}"

    def _in_sentence(self, category: str) -> str:
        return inside_a_sentence(self.labels[category])


def _day(timestamp: str | None) -> str:
    """The day of a time as the header of an extract writes it."""
    return (timestamp or "").partition("T")[0]


def _score_bands(words: Words) -> list[Band]:
    """The classes of scores in the language of the report."""
    first, *between, last = SCORES
    labels = [words("and_more", low=f"{first.low:g}")]
    labels += [words("from_to", low=f"{b.low:g}", high=f"{b.low + 20:g}") for b in between]
    labels.append(words("below", high=f"{between[-1].low:g}"))
    return [b._replace(label=label) for b, label in zip((first, *between, last), labels, strict=True)]


def _minute_bands(words: Words) -> list[Band]:
    """The classes of minutes in the language of the report."""
    return [*BANDS[:-1], BANDS[-1]._replace(label=words("over_min", low=f"{-BANDS[-2].low:g}"))]


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    text: Sequence[int] = (),
    groups: Sequence[tuple[str, int]] = (),
    kind: str = "",
) -> str:
    """
    Write a table; every cell is escaped, the first column heads its row, `text` columns are set to the left.

    `groups` are headings over the head, each over so many columns; `kind` is a class of the style sheet.
    """
    aligned = ['class="text"' if k in text else "" for k in range(max(len(head), 1))]

    def cell(k: int, value: str) -> str:
        tag, scope = ("td", "") if k else ("th", 'scope="row"')
        return f"<{tag} {scope} {aligned[k]}>{escape(value)}</{tag}>"

    top = "".join(f'<th scope="col" {aligned[k]}>{escape(h)}</th>' for k, h in enumerate(head))
    over = "".join(
        f'<th scope="colgroup" colspan="{n}">{escape(g)}</th>' if n > 1 else "<td></td>" for g, n in groups
    )
    lines = "".join(f"<tr>{''.join(cell(k, str(v)) for k, v in enumerate(row))}</tr>" for row in rows)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    first = f"<tr>{over}</tr>" if over else ""
    top = f"<thead>{first}<tr>{top}</tr></thead>"
    return f'<table class="{kind}">{said}{top}<tbody>{lines}</tbody></table>'
