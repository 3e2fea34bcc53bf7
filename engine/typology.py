"""Types of cells: which mixes of access a city has, with names that a person understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn, has no stubs

from engine.equity import weighted_quantile
from engine.errors import InputError
from engine.places.category import inside_a_sentence
from engine.scoring import THRESHOLD_MIN, Decay, categories_of, flag_of, minutes_of, residents_of

_Floats = npt.NDArray[np.float64]
CLOSE = 2 / 3
"""Share of the threshold up to which a place is close by: 10 of 15 minutes."""
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class CellTypes:
    """
    The types of access that the cells of a city have.

    Attributes
    ----------
    cells
        ``type`` of each cell (row of `types`, -1 without streets), index of the cells.
    types
        One row a type, from the best access down: ``type``, ``name_en``, ``name_fr``, ``cells``,
        ``residents`` (NaN without people), ``C_worth`` (mean worth 0…1 of each category) and ``C_minutes``
        (median over residents, the name follows it; NaN where half of them cannot reach one).
    """

    cells: pd.Series
    types: pd.DataFrame


def cell_types(
    cells: pd.DataFrame,
    *,
    mode: str,
    categories: Sequence[str] | None = None,
    labels_en: Mapping[str, str] | None = None,
    labels_fr: Mapping[str, str] | None = None,
    decay: Decay | None = None,
    threshold_min: float = THRESHOLD_MIN,
    count: int = 7,
) -> CellTypes:
    """
    Group cells by what they have within reach, and name the groups by rule.

    Cells are clustered (k-means, weighted by residents) by the worth of their nearest place of each category.
    A type has a category within reach if half of its residents do, by the threshold, and close by up to two
    thirds of that. Groups of one name are one type, so a city has at most `count` types and each name tells them
    apart.

    Parameters
    ----------
    cells
        Columns ``M_C_minutes``, ``population`` where known.
    mode
        Mode to look at.
    categories
        Categories to look at; by default all.
    labels_en, labels_fr
        Words for the names; by default the categories' names.
    decay
        What a place is worth at a distance; the default of the score.
    threshold_min
        [min] What is within reach, inclusive.
    count
        Largest number of types.

    Returns
    -------
    CellTypes

    Raises
    ------
    InputError
        If `count` is not positive or there is no category.

    Notes
    -----
    Deterministic: the first centres are chosen by distance, not by chance, and the clustering runs on one
    thread.
    """
    names = list(categories if categories is not None else categories_of(cells, mode=mode))
    if count < 1 or not names:
        msg = f"count is {count} and the categories are {names}; expected at least one of each"
        raise InputError(msg)
    times = minutes_of(cells, mode=mode, categories=names)
    streets = np.flatnonzero(~flag_of(cells, "no_network"))
    people = residents_of(cells)
    weight = np.ones(len(cells)) if people is None else people + 1e-3
    worth = np.round((decay or Decay()).weight(times), _DIGITS)
    group = np.full(len(cells), -1, dtype=np.int64)
    group[streets] = _cluster(worth[streets], weight[streets], count)
    english, french = dict(labels_en or {}), dict(labels_fr or {})
    reached = np.where(np.isnan(times), np.inf, times)
    members = [group == g for g in range(group.max() + 1)]
    means = [np.average(worth[m], axis=0, weights=weight[m]) for m in members]
    medians = [_medians(reached[m], weight[m]) for m in members]
    titles, french_titles = (
        [_name([words.get(n, n) for n in names], m, threshold_min, french=fr) for m in medians]
        for words, fr in ((english, False), (french, True))
    )
    order = _by_name(titles, means)
    number = np.array([order.index(t) for t in titles], dtype=np.int64)
    final = np.where(group >= 0, number[group] if len(number) else -1, -1)
    french_of = dict(zip(titles, french_titles, strict=True))
    rows = [
        _row(k, (t, french_of[t]), names, final == k, worth, reached, weight, people)
        for k, t in enumerate(order)
    ]
    columns = [
        "type",
        "name_en",
        "name_fr",
        "cells",
        "residents",
        *(f"{n}_{x}" for n in names for x in ("worth", "minutes")),
    ]
    return CellTypes(pd.Series(final, index=cells.index, name="type"), pd.DataFrame(rows, columns=columns))


def _cluster(worth: _Floats, weight: _Floats, count: int) -> npt.NDArray[np.int64]:
    """Group rows around at most `count` centres, the first of which are far apart."""
    if not len(worth):
        return np.empty(0, dtype=np.int64)
    pattern, inverse = np.unique(worth, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    total = np.asarray(np.bincount(inverse, weights=weight), dtype=np.float64)
    k = min(count, len(pattern))
    with threadpool_limits(1):
        model = KMeans(k, init=_far_apart(pattern, total, k), n_init=1, algorithm="lloyd", max_iter=500)
        label = model.fit(pattern, sample_weight=total).labels_
    _, label = np.unique(label, return_inverse=True)
    return np.asarray(label[inverse], dtype=np.int64)


def _far_apart(pattern: _Floats, weight: _Floats, k: int) -> _Floats:
    """Choose the heaviest pattern, then again and again the one of largest weight × squared distance."""
    chosen = [int(np.argmax(weight))]
    distance = ((pattern - pattern[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < k:
        chosen.append(int(np.argmax(np.round(distance * weight, _DIGITS))))
        distance = np.minimum(distance, ((pattern - pattern[chosen[-1]]) ** 2).sum(axis=1))
    return pattern[chosen]


def _by_name(titles: list[str], means: list[_Floats]) -> list[str]:
    """Names once each, from the best access down."""
    best: dict[str, float] = {}
    for title, mean in zip(titles, means, strict=True):
        best[title] = max(best.get(title, 0.0), float(mean.mean()))
    return sorted(best, key=lambda t: (-best[t], t))


def _medians(times: _Floats, weight: _Floats) -> _Floats:
    """[min] Weighted median of each column; infinite where half cannot reach."""
    return np.array([weighted_quantile(column, weight, 0.5) for column in times.T])


def _name(labels: list[str], median: _Floats, threshold: float, *, french: bool) -> str:
    """Name a type by what it has and what it lacks."""
    lacks = [x for x, m in zip(labels, median, strict=True) if m > threshold]
    has = [x for x, m in zip(labels, median, strict=True) if m <= threshold]
    if not lacks:
        if (median <= CLOSE * threshold).all():
            return "Tout à deux pas" if french else "Everything close by"
        quarter = threshold == THRESHOLD_MIN
        if french:
            return "Tout à un quart d'heure" if quarter else f"Tout à {threshold:g} minutes"
        return f"Everything within {'a quarter of an hour' if quarter else f'{threshold:g} minutes'}"
    if not has:
        return "Loin de tout" if french else "Far from everything"
    words = has if len(has) < len(lacks) else lacks
    text = _list([inside_a_sentence(x) for x in words], "et" if french else "and")
    if len(has) < len(lacks):
        return f"Seulement : {text}" if french else f"Only {text} in reach"
    return f"Il manque : {text}" if french else f"All but {text}"


def _list(words: list[str], last: str) -> str:
    """Words in a row; where one of them holds an "and" of its own, semicolons tell them apart."""
    if len(words) == 1:
        return words[0]
    if any(f" {last} " in word for word in words):
        return ("\u00a0; " if last == "et" else "; ").join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _row(
    k: int,
    title: tuple[str, str],
    names: list[str],
    member: npt.NDArray[np.bool_],
    worth: _Floats,
    reached: _Floats,
    weight: _Floats,
    people: _Floats | None,
) -> list[object]:
    row: list[object] = [
        k,
        *title,
        int(member.sum()),
        float("nan") if people is None else float(people[member].sum()),
    ]
    median = _medians(reached[member], weight[member])
    for j in range(len(names)):
        row += [float(np.average(worth[member, j], weights=weight[member])), _finite(median[j])]
    return row


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")
