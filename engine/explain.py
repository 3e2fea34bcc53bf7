"""Why a cell has its number: the place, the way there, the runner-up, the slack, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from engine.fix import Fix, FixRules, find_fixes
from engine.surroundings import Surroundings


@dataclass(frozen=True)
class Reached:
    """A place and how far it is."""

    id: str
    name: str
    kind: str
    minutes: float


@dataclass(frozen=True)
class CategoryExplanation:
    """
    Why a cell has its time to one category.

    Attributes
    ----------
    category, label
        The category.
    minutes
        [min] Mean over the cell's streets, the number on the map; None where unreachable.
    threshold_min, slack_min
        [min] The threshold, and how much time is left to it (negative: over it); None where unreachable.
    speed_needed_kmh
        [km/h] Speed at which the cell would be just within; None where it is, or nothing is reachable.
    nearest, runner_up
        The place that the number rests on, and the next one.
    route
        Way to the nearest place from the point of the cell where the time is its median, EPSG:4326.
    fixes
        Changes that would bring the cell within, least effort first; empty where it is.
    """

    category: str
    label: str
    minutes: float | None
    threshold_min: float
    slack_min: float | None
    speed_needed_kmh: float | None
    nearest: Reached | None
    runner_up: Reached | None
    route: shapely.LineString | None
    fixes: tuple[Fix, ...]

    @property
    def served(self) -> bool:
        """True where the threshold is kept, inclusive."""
        return self.slack_min is not None and self.slack_min >= 0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; lines are GeoJSON geometries."""
        return {
            "category": self.category,
            "label": self.label,
            "minutes": self.minutes,
            "served": self.served,
            "threshold_min": self.threshold_min,
            "slack_min": None if self.slack_min is None else round(self.slack_min, 6),
            "speed_needed_kmh": self.speed_needed_kmh,
            "nearest": None if self.nearest is None else vars(self.nearest).copy(),
            "runner_up": None if self.runner_up is None else vars(self.runner_up).copy(),
            "route": _geometry(self.route),
            "cheapest_fix": _fix_dict(self.fixes[0]) if self.fixes else None,
            "fixes": [_fix_dict(fix) for fix in self.fixes],
        }


def explain_category(
    category: str,
    *,
    label: str,
    minutes: float,
    nearest: Reached | None,
    runner_up: Reached | None,
    route: shapely.LineString | None = None,
    surroundings: Surroundings | None = None,
    speed_kmh: float | None = None,
    rules: FixRules | None = None,
) -> CategoryExplanation:
    """
    Explain the time of one cell to one category.

    Parameters
    ----------
    category, label
        The category and what people call it.
    minutes
        [min] The cell's mean nearest time; NaN where unreachable.
    nearest, runner_up
        Nearest and second nearest place; None where there is none.
    route
        Way to the nearest place.
    surroundings
        Where changes are looked for; None looks for none.
    speed_kmh
        [km/h] Speed of the mode on the flat.
    rules
        Which changes; `FixRules` by default.
    """
    rules = rules or FixRules()
    reached = bool(np.isfinite(minutes))
    slack = rules.threshold_min - minutes if reached else None
    late = slack is not None and slack < 0
    fixes: tuple[Fix, ...] = ()
    if surroundings is not None and (late or not reached):
        fixes = find_fixes(surroundings, minutes=minutes, label=label, rules=rules)
    return CategoryExplanation(
        category=category,
        label=label,
        minutes=float(minutes) if reached else None,
        threshold_min=rules.threshold_min,
        slack_min=None if slack is None else float(slack),
        speed_needed_kmh=speed_kmh * minutes / rules.threshold_min
        if late and speed_kmh is not None
        else None,
        nearest=nearest,
        runner_up=runner_up,
        route=route,
        fixes=fixes,
    )


def _fix_dict(fix: Fix) -> dict[str, Any]:
    """A change as the run's files write numbers: minutes to 10⁻⁶, degrees to a centimetre."""
    rounded = {"minutes": round(fix.minutes, 6), "lon": round(fix.lon, 7), "lat": round(fix.lat, 7)}
    return {**vars(fix), **rounded, "length_m": round(fix.length_m, 1), "line": _geometry(fix.line)}


def _geometry(line: shapely.LineString | None) -> Mapping[str, Any] | None:
    if line is None:
        return None
    coordinates: Sequence[Sequence[float]] = shapely.get_coordinates(line).round(7).tolist()
    return {"type": "LineString", "coordinates": coordinates}
