"""What a person looks at: one frozen view, read from the address bar and written back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ui.language import LANGUAGES
from ui.layers.scale import CITY_KINDS, Kind, Measure
from ui.runs import Run

SHORTEST_MIN, LONGEST_MIN, DEFAULT_MIN = 5, 30, 15
KINDS: tuple[Kind, ...] = get_args(Kind)
OVERLAYS = ("places", "gaps", "sites", "isochrones")
_LONGEST_QUERY_VALUE = 200


@dataclass(frozen=True)
class View:
    """
    One view of one run. Every field has a default, and every value has been checked against the run.

    Attributes
    ----------
    mode, kind, category
        What is shown; `category` counts only where `kind` has one.
    cutoff_min
        [min] The cutoff, 5–30.
    cell
        The chosen cell (H3 index), None where none is.
    overlays
        Layers on top of the cells, a subset of `OVERLAYS`.
    district
        The neighbourhood that the figures are restricted to.
    gap
        The chosen gap, by its name in ``gaps.parquet``.
    site_kind
        The kind of sites on the page Sites.
    sites
        How many new sites are shown, None for all.
    lacking
        The category that the gaps are restricted to, None for the gaps in any.
    second
        The layer beside the first where two are compared, else None.
    """

    mode: str
    kind: Kind = "minutes"
    category: str | None = None
    cutoff_min: int = DEFAULT_MIN
    cell: str | None = None
    overlays: tuple[str, ...] = ()
    district: str | None = None
    gap: str | None = None
    site_kind: str | None = None
    sites: int | None = None
    lacking: str | None = None
    second: Measure | None = None

    @property
    def measure(self) -> Measure:
        """The column that the map shows."""
        return Measure(self.mode, self.kind, None if self.kind in CITY_KINDS else self.category)

    def to_query(self) -> dict[str, str]:
        """The view as short query parameters; what has its default or is empty is left out."""
        query = {
            "mode": self.mode,
            "show": self.kind,
            "category": "" if self.kind in CITY_KINDS else (self.category or ""),
            "cutoff": str(self.cutoff_min) if self.cutoff_min != DEFAULT_MIN else "",
            "cell": self.cell or "",
            "layers": " ".join(self.overlays),
            "district": self.district or "",
            "gap": self.gap or "",
            "kind": self.site_kind or "",
            "sites": "" if self.sites is None else str(self.sites),
            "lacking": self.lacking or "",
            "beside": ""
            if (m := self.second) is None
            else " ".join((m.mode, m.kind, m.category or "")).strip(),
        }
        return {key: value for key, value in query.items() if value}


def view_from_query(query: Mapping[str, str], run: Run) -> View:
    """
    The view that an address asks for, as far as the run has it.

    A value that the run does not have (another run's cell, a category that is gone, nonsense) is ignored: the
    address comes from outside, and the default is always a good view. Values only ever select among names
    that the run itself holds.
    """
    safe = {k: v for k, v in query.items() if len(v) <= _LONGEST_QUERY_VALUE}
    view = View(
        mode=_one_of(safe.get("mode"), run.modes),
        kind=_kind(safe.get("show")),
        category=_one_of(safe.get("category"), run.categories) if run.categories else None,
        cutoff_min=_cutoff(safe.get("cutoff")),
        cell=safe["cell"] if safe.get("cell") in run.row_of else None,
        overlays=tuple(o for o in OVERLAYS if o in safe.get("layers", "").split()),
        district=safe["district"] if safe.get("district") in run.districts else None,
        gap=safe["gap"] if safe.get("gap") in run.gap_names else None,
        site_kind=safe["kind"] if safe.get("kind") in run.site_kinds else None,
        sites=_whole(safe.get("sites")),
        lacking=safe["lacking"] if safe.get("lacking") in run.categories else None,
        second=_measure(safe.get("beside", ""), run),
    )
    return fit(view, run)


def fit(view: View, run: Run) -> View:
    """A view that the run has a column for: minutes of the same mode where the wanted measure is missing."""
    if view.measure.column in run.cells.columns:
        return view
    for kind in KINDS:
        candidate = replace(view, kind=kind)
        if candidate.measure.column in run.cells.columns:
            return candidate
    return view


def language_from_query(query: Mapping[str, str], accepted: Sequence[str]) -> str:
    """The language of an address, else the first one that the browser accepts, else English."""
    wanted = query.get("lang", "")
    if wanted in LANGUAGES:
        return wanted
    return next((a[:2] for a in accepted if a[:2] in LANGUAGES), "en")


def _one_of(value: str | None, allowed: Sequence[str]) -> str:
    if value is not None and value in allowed:
        return value
    return allowed[0] if allowed else ""


def _measure(value: str, run: Run) -> Measure | None:
    mode, kind, category = (*value.split(), "", "", "")[:3]
    if mode not in run.modes or kind not in KINDS or (kind in CITY_KINDS) != (category == ""):
        return None
    measure = Measure(mode, _kind(kind), category or None)
    return measure if measure.column in run.cells.columns else None


def _kind(value: str | None) -> Kind:
    return next((k for k in KINDS if k == value), "minutes")


def _cutoff(value: str | None) -> int:
    number = _whole(value)
    return DEFAULT_MIN if number is None else min(max(number, SHORTEST_MIN), LONGEST_MIN)


def _whole(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return int(value)
