"""Published figures of a city beside ours, with the reasons why the two may differ: bands, not gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from engine.places.category import inside_a_sentence


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
    definition_fr, differs_fr
        The same in French.
    """

    city: str
    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    definition: str
    definition_fr: str
    source: str
    differs: str
    differs_fr: str


CITY_KM2 = {"Paris": 105.4}
"""[km²] Area of each city with published figures."""
_WHOLE = 0.8
"""A run that covers less than this share of the city is not the city."""

_NINE = (
    "There, a mean over the twenty nearest places of nine kinds; here, the nearest of each category of the run. "
    "The city's outline and the date of the data differ too."
)
_NINE_FR = (
    "Là-bas, la moyenne des vingt lieux les plus proches de neuf catégories ; ici, le plus proche de chaque catégorie "
    "du calcul. Le contour de la ville et la date des données diffèrent aussi."
)

PUBLISHED = (
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "categories", "bakery", "share_5"),
        low=0.92,
        high=0.97,
        unit="share",
        definition="residents with a bakery within a five-minute walk",
        definition_fr="habitants ayant une boulangerie à cinq minutes à pied",
        source="Apur",
        differs="Apur surveys every shop in the street; OpenStreetMap and lists of shops lack some and keep others "
        "that have closed.",
        differs_fr="L'Apur relève chaque commerce dans la rue ; OpenStreetMap et les listes en oublient et en gardent "
        "de fermés.",
    ),
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "mean_minutes"),
        low=8.0,
        high=8.0,
        unit="min",
        definition="mean walk to daily amenities",
        definition_fr="marche moyenne vers les services du quotidien",
        source="Bruno et al. (2024), Nature Cities 1, 633-641 (via press)",
        differs=_NINE,
        differs_fr=_NINE_FR,
    ),
    PublishedBand(
        city="Paris",
        path=("modes", "walk", "mean_within_share"),
        low=0.93,
        high=0.93,
        unit="share",
        definition="residents whose mean walk to daily amenities is at most 15 minutes",
        definition_fr="habitants dont la marche moyenne vers ces services est d'au plus 15 minutes",
        source="Bruno et al. (2024), Nature Cities 1, 633-641 (via press)",
        differs=_NINE,
        differs_fr=_NINE_FR,
    ),
    PublishedBand(
        city="Paris",
        path=("green_ladder", "green_01ha_300m", "share"),
        low=0.60,
        high=0.60,
        unit="share",
        definition="residents with a public green space of at least 0.1 ha within 300 m",
        definition_fr="habitants ayant un espace vert public d'au moins 0,1 ha à 300 m",
        source="INSEE (2025)",
        differs="Which green is public, where it is entered, and whether 300 m are on streets or as the crow flies.",
        differs_fr="Quels espaces sont publics, où l'on y entre, et si les 300 m suivent les rues ou le vol d'oiseau.",
    ),
)


def beside_published(
    summary: Mapping[str, Any], *, city: str, labels: Mapping[str, tuple[str, str]] | None = None
) -> pd.DataFrame:
    """
    Set our figures beside the published ones of a city.

    Parameters
    ----------
    summary
        Result of `engine.scoring.city_summary`; where known, with the green ladder under ``green_ladder``, the
        area under ``area_km2``, and the number of places found under ``places``.
    city
        Name of the area; figures are shown if it begins with the name of a published city.
    labels
        What to call each category, in English and French; its name by default.

    Returns
    -------
    pandas.DataFrame
        One row a published figure that the run has too: ``definition``, ``unit``, ``published_low``,
        ``published_high``, ``ours``, ``source``, ``differs``; ``definition_fr`` and ``differs_fr`` in French.
    """
    rows = []
    for band in PUBLISHED:
        ours = _at(summary, band.path)
        if ours is None or not city.casefold().startswith(band.city.casefold()):
            continue
        reasons = [(band.differs, band.differs_fr), *_of_this_run(summary, band, labels or {})]
        differs, differs_fr = (" ".join(parts) for parts in zip(*reasons, strict=True))
        names, own = (
            (band.definition, band.definition_fr),
            (band.unit, band.low, band.high, ours, band.source),
        )
        rows.append((*names, *own, differs, differs_fr))
    columns = ["definition", "definition_fr", "unit", "published_low", "published_high", "ours", "source",
               "differs", "differs_fr"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _of_this_run(
    summary: Mapping[str, Any], band: PublishedBand, labels: Mapping[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    """Reasons that lie in the run itself, in English and French: its weights, its area, its places."""
    reasons = []
    if summary["weighted_by"] != "residents":
        reasons.append(
            (
                "Ours is a share of cells: the run knows no residents.",
                "La nôtre est une part des mailles : le calcul ne connaît pas les habitants.",
            )
        )
    area, city = summary.get("area_km2"), CITY_KM2[band.city]
    if area is not None and area < _WHOLE * city:
        reasons.append(
            (
                f"Ours covers {area:.1f} of the city's {city:.0f} km².",
                f"La nôtre couvre {area:.1f} des {city:.0f} km² de la ville.".replace(".", ",", 1),
            )
        )
    if band.path[-1] in ("mean_minutes", "mean_within_share"):
        times = summary["modes"]["walk"]["categories"]
        counted = summary.get("categories_counted", times)
        means = [
            (labels.get(n, (n, n)), _minutes(f["mean_minutes"])) for n, f in times.items() if n in counted
        ]
        english = ", ".join(f"{inside_a_sentence(name)} {mean}" for (name, _), mean in means)
        french = ", ".join(f"{inside_a_sentence(name)} {mean.replace('.', ',')}" for (_, name), mean in means)
        reasons.append((f"Categories here: {english}.", f"Catégories ici : {french}."))
    found = summary.get("places", {}).get(band.path[-2], {}).get("found")
    if found is not None:
        reasons.append((f"This run knows {found} places of the kind.", f"Ce calcul en connaît {found}."))
    return reasons


def _minutes(mean: float | None) -> str:
    return "–" if mean is None else f"{mean:.1f} min"


def _at(summary: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = summary
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else float(found)
