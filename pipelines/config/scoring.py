"""What is measured, and how it becomes a score."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pipelines.config.value import CategoryName, DecayName, NonNegative, Positive, Strict


class Scoring(Strict):
    """What is measured and how it becomes a score."""

    taxonomy: Annotated[str, StringConstraints(min_length=1)] = "card"
    """Which categories: `card`, `moreno`, `proximity9`, or a TOML file of your own."""
    cutoff_min: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 15
    """[min] What counts as within reach: `within_15`, gaps and residents served."""
    decay: Literal["piecewise", "step", "linear", "logistic", "exponential", "gaussian", "power"] = (
        "piecewise"
    )
    """How a nearest time becomes a share of the score."""
    decay_full_min: NonNegative = 5
    """[min] Up to here a place counts in full."""
    decay_half_min: Positive = 15
    """[min] Here it counts half."""
    decay_zero_min: Positive = 30
    """[min] From here on it counts nothing."""
    weights: dict[CategoryName, NonNegative] = {}
    """Weight of each category in the score; default: the taxonomy's."""
    max_snap_m: NonNegative = 100
    """[m] A place farther than this from any street of the mode is rejected."""
    max_origin_snap_m: NonNegative = 250
    """[m] A cell without streets takes the nearest street within this."""
    search_limit_min: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 120
    """[min] Beyond this a place counts as not reachable."""
    nearest_mean_of: Annotated[int, Field(ge=0, le=20)] = 3
    """How many nearest places the column `{mode}_{category}_mean3_minutes` is the mean of; 0 leaves it out."""
    gravity: tuple[DecayName, ...] = ("linear",)
    """Decays of the columns `{mode}_{category}_gravity_{decay}`; empty leaves them out."""
    gravity_half_min: Positive = 5
    """[min] Where a place counts half, by every decay but `step` and `linear`."""
    gravity_limit_min: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 15
    """[min] Farther places count nothing."""
    catchment_min: Annotated[float, Field(ge=0, le=120, allow_inf_nan=False)] = 15
    """[min] Catchment of the columns `{mode}_{category}_supply_per_1000` (two-step floating catchment area), for
    categories with known capacities in runs with a population; 0 leaves them out."""
    resolutions: tuple[Annotated[int, Field(ge=5, le=12)], ...] = (9, 10, 11)
    """H3 resolutions at which the city's figures are given beside each other, for the first mode of the run (those
    with more than 100,000 cells are left out); empty leaves the panel out."""
    catchment_decay: DecayName = "step"
    """How the catchment fades; other than `step` it is the enhanced method, with its half at half the catchment."""
