"""What colour a figure has: measures, class breaks, colour-blind-safe palettes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

# Two arms that part at the cutoff: blue within it (darker = nearer), orange beyond it (darker = farther).
# Blue and orange stay apart for protan, deutan and tritan viewers; tests/unit/test_ui_scale.py measures by
# how much.
WITHIN = ("#1766a6", "#5aa5d8", "#b5dcf0")
BEYOND = ("#fbd3a2", "#e8933a", "#a8490b")
# One arm, light (little) to dark (much), lightness falling in even steps.
AMOUNT = ("#f9edb4", "#b4d6ae", "#6fb5a6", "#3586a0", "#1c5583", "#0e2a57")
UNREACHABLE_COLOUR = "#6b5563"
NO_NETWORK_COLOUR = "#c9c5bd"
SAME_COLOUR = "#efece4"
"""A cell that a proposal leaves as it is."""

_RATIOS = (1 / 3, 2 / 3, 1.0, 1.5, 2.0)
"""Class breaks as multiples of the cutoff: 5, 10, 15 | 22.5, 30 minutes at a cutoff of 15."""

Kind = Literal["minutes", "second", "p90", "n5", "n10", "n15", "score", "within_15"]
CUTOFF_KINDS = ("minutes", "second", "p90")
COUNT_KINDS = ("n5", "n10", "n15")
CITY_KINDS = ("score", "within_15")
"""Measures of a mode over all categories together."""


@dataclass(frozen=True)
class Measure:
    """
    One column of ``cells.parquet`` as a layer of the map.

    Attributes
    ----------
    mode
        ``walk``, ``bike`` or ``street30``.
    kind
        What is measured; `CITY_KINDS` have no category.
    category
        Category of places, None for `CITY_KINDS`.
    """

    mode: str
    kind: Kind
    category: str | None = None

    @property
    def column(self) -> str:
        """Name of the column in ``cells.parquet``."""
        if self.kind in CITY_KINDS:
            return f"{self.mode}_{self.kind}"
        suffix = {"minutes": "minutes", "second": "second_minutes", "p90": "p90_minutes"}.get(
            self.kind, self.kind
        )
        return f"{self.mode}_{self.category}_{suffix}"

    @property
    def unit(self) -> str:
        """Key of the unit's text: ``minutes``, ``places``, ``points`` or ``categories``."""
        if self.kind in CUTOFF_KINDS:
            return "minutes"
        if self.kind in COUNT_KINDS:
            return "places"
        return "points" if self.kind == "score" else "categories"


def scale_of(measure: Measure, *, cutoff_min: int, n_categories: int) -> dict[str, Any]:
    """
    Class breaks and colours of a measure, as the browser reads them.

    A class holds values up to and including its upper break; for counts, points and categories it holds
    values from its lower break on.

    Parameters
    ----------
    measure
        What is shown.
    cutoff_min
        [min] Where the two arms of a time scale part.
    n_categories
        Number of categories of the run, for the measure ``within_15``.

    Returns
    -------
    dict
        ``kind`` (``cutoff`` or ``amount``), ``colours`` (one more than breaks), ``breaks`` or ``ratios``
        of the cutoff, the two colours without a figure, and ``whole`` (the largest value) where values are
        whole numbers.
    """
    common: dict[str, Any] = {
        "unreachable": UNREACHABLE_COLOUR,
        "noNetwork": NO_NETWORK_COLOUR,
    }
    if measure.kind in CUTOFF_KINDS:
        return {
            "kind": "cutoff",
            "ratios": list(_RATIOS),
            "cutoff": cutoff_min,
            "colours": [*WITHIN, *BEYOND],
            **common,
        }
    if measure.kind == "score":
        breaks: list[float] = [20, 40, 60, 80, 95]
    elif measure.kind == "within_15":
        breaks = _category_breaks(n_categories)
        common["whole"] = n_categories
    else:
        breaks = [1, 3, 6, 10, 20]
    return {"kind": "amount", "breaks": breaks, "colours": spread(AMOUNT, len(breaks) + 1), **common}


def change_scale(measure: Measure) -> dict[str, Any]:
    """
    Class breaks and colours of gains and losses: orange loses, grey stays, blue gains.

    A class holds values from its lower break on; the grey one holds what changes by less than the first step.
    """
    steps = {"minutes": (0.25, 2, 5), "points": (0.5, 5, 15), "categories": (0.5, 1.5, 2.5)}[measure.unit]
    breaks = [-steps[2], -steps[1], -steps[0], *steps]
    colours = [BEYOND[2], BEYOND[1], BEYOND[0], SAME_COLOUR, WITHIN[2], WITHIN[1], WITHIN[0]]
    return {
        "kind": "change",
        "breaks": breaks,
        "colours": colours,
        "unreachable": UNREACHABLE_COLOUR,
        "noNetwork": NO_NETWORK_COLOUR,
    }


def _category_breaks(n_categories: int) -> list[float]:
    """Whole numbers of categories that begin a class, at most five."""
    count = max(1, min(5, n_categories))
    return [float(round(1 + i * (n_categories - 1) / max(1, count - 1))) for i in range(count)]


def spread(palette: tuple[str, ...], count: int) -> list[str]:
    """`count` colours of a palette, first and last kept, the others as evenly as it goes."""
    if count == 1:
        return [palette[-1]]
    return [palette[round(i * (len(palette) - 1) / (count - 1))] for i in range(count)]
