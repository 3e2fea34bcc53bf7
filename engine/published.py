"""Published figures of a city beside ours, with the reasons why the two may differ: bands, not gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class PublishedBand:
    """
    A published figure and where ours is found.

    Attributes
    ----------
    city
        Name of the city, as a run's area may begin.
    path
        Keys that lead to our figure in the summary.
    low, high
        The published band.
    unit
        ``share`` or ``min``.
    definition, source, differs
        What was measured, by whom, and why ours may differ.
    """

    city: str
    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    definition: str
    source: str
    differs: str


_NINE = (
    "There, a mean over the twenty nearest places of nine kinds; here, the nearest of each category of the run. "
    "The city's outline and the date of the data differ too."
)

PUBLISHED = (
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "categories", "bakery", "share_5"),
        low=0.92,
        high=0.97,
        unit="share",
        definition="residents with a bakery within a five-minute walk",
        source="Apur",
        differs="Apur surveys shops in the street; OpenStreetMap may lack some and keep others that have closed.",
    ),
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "mean_minutes"),
        low=8.0,
        high=8.0,
        unit="min",
        definition="mean walk to daily amenities",
        source="Bruno et al. (2024), Nature Cities 1, 633-641, as reported in the press",
        differs=_NINE,
    ),
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "mean_within_share"),
        low=0.93,
        high=0.93,
        unit="share",
        definition="residents whose mean walk to daily amenities is at most 15 minutes",
        source="Bruno et al. (2024), Nature Cities 1, 633-641, as reported in the press",
        differs=_NINE,
    ),
    PublishedBand(
        city="Paris",
        path=("green_ladder", "green_01ha_300m", "share"),
        low=0.60,
        high=0.60,
        unit="share",
        definition="residents with a public green space of at least 0.1 ha within 300 m",
        source="INSEE (2025)",
        differs="Which green is public, where it is entered, and whether 300 m are on streets or as the crow flies.",
    ),
)


def beside_published(summary: Mapping[str, Any], *, city: str) -> pd.DataFrame:
    """
    Set our figures beside the published ones of a city.

    Parameters
    ----------
    summary
        Result of `engine.scoring.city_summary`; with the green ladder under ``green_ladder``, where measured.
    city
        Name of the area; figures are shown if it begins with the name of a published city.

    Returns
    -------
    pandas.DataFrame
        One row a published figure that the run has too: ``definition``, ``unit``, ``published_low``,
        ``published_high``, ``ours``, ``source``, ``differs``.
    """
    rows = []
    for band in PUBLISHED:
        ours = _at(summary, band.path)
        if ours is not None and city.casefold().startswith(band.city.casefold()):
            rows.append((band.definition, band.unit, band.low, band.high, ours, band.source, band.differs))
    columns = ["definition", "unit", "published_low", "published_high", "ours", "source", "differs"]
    return pd.DataFrame(rows, columns=columns)


def _at(summary: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = summary
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else float(found)
