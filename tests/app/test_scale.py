"""Colours: classes that people with any kind of colour vision tell apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ui.layers.scale import (
    AMOUNT,
    BEYOND,
    NO_NETWORK_COLOUR,
    UNREACHABLE_COLOUR,
    WITHIN,
    Measure,
    scale_of,
    spread,
)

# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
JUST_NOTICEABLE = 2.3
"""CIE76 difference that a viewer just notices (Mahy, van Eycken & Oosterlinck 1994); classes must differ far more."""


def lab(colour: str, vision: str) -> np.ndarray:
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("palette", [(*WITHIN, *BEYOND), AMOUNT])
def test_all_classes_are_far_apart_for_every_eye(palette: tuple[str, ...], vision: str) -> None:
    seen = [lab(c, vision) for c in palette]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :])
    assert apart > 4 * JUST_NOTICEABLE


@pytest.mark.parametrize("vision", VISION)
def test_lightness_falls_in_one_direction_along_each_arm(vision: str) -> None:
    assert all(lab(a, vision)[0] < lab(b, vision)[0] - 5 for a, b in pairwise(WITHIN))
    assert all(lab(a, vision)[0] > lab(b, vision)[0] + 5 for a, b in pairwise(BEYOND))
    assert all(lab(a, vision)[0] > lab(b, vision)[0] + 5 for a, b in pairwise(AMOUNT))


@pytest.mark.parametrize("vision", VISION)
def test_cells_without_a_figure_look_like_no_class(vision: str) -> None:
    for nothing in (UNREACHABLE_COLOUR, NO_NETWORK_COLOUR):
        for colour in (*WITHIN, *BEYOND):
            assert np.linalg.norm(lab(nothing, vision) - lab(colour, vision)) > 4 * JUST_NOTICEABLE


@pytest.mark.parametrize(
    ("measure", "column", "unit"),
    [
        (Measure("walk", "minutes", "shops"), "walk_shops_minutes", "minutes"),
        (Measure("bike", "second", "green"), "bike_green_second_minutes", "minutes"),
        (Measure("walk", "p90", "shops"), "walk_shops_p90_minutes", "minutes"),
        (Measure("walk", "n15", "shops"), "walk_shops_n15", "places"),
        (Measure("street30", "score"), "street30_score", "points"),
        (Measure("walk", "within_15"), "walk_within_15", "categories"),
    ],
)
def test_a_measure_knows_its_column_and_unit(measure: Measure, column: str, unit: str) -> None:
    assert (measure.column, measure.unit) == (column, unit)


@pytest.mark.parametrize("kind", ["minutes", "score", "n15", "within_15"])
@pytest.mark.parametrize("count", [1, 2, 4, 6, 9])
def test_every_scale_has_one_colour_more_than_breaks(kind: str, count: int) -> None:
    scale = scale_of(Measure("walk", kind, "shops"), cutoff_min=15, n_categories=count)
    breaks = scale.get("breaks") or scale["ratios"]
    assert len(scale["colours"]) == len(breaks) + 1
    assert breaks == sorted(set(breaks))


def test_the_cutoff_parts_the_two_arms() -> None:
    scale = scale_of(Measure("walk", "minutes", "shops"), cutoff_min=12, n_categories=4)
    assert scale["cutoff"] == 12
    assert scale["ratios"][2] == 1
    assert scale["colours"][:3] == list(WITHIN)


def test_a_short_palette_keeps_its_ends() -> None:
    assert spread(AMOUNT, 2) == [AMOUNT[0], AMOUNT[-1]]
    assert spread(AMOUNT, 1) == [AMOUNT[-1]]
