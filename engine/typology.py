"""Types of cells: which mixes of access a city has, with names that a person understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn, has no stubs

from engine.errors import InputError
from engine.scoring import Decay, categories_of, flag_of, minutes_of, residents_of

_Floats = npt.NDArray[np.float64]
CLOSE = 0.75
"""Mean worth of a place from which a type is close to it: 10 minutes with the default decay."""
WITHIN = 0.5
"""Mean worth from which a type has it within reach: 15 minutes with the default decay."""
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
        (median, NaN where half of its cells cannot reach one).
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
    count: int = 7,
) -> CellTypes:
    """
    Group cells by what they have within reach, and name the groups by rule.

    Cells are clustered (k-means, weighted by residents) by the worth of their nearest place of each category.
    A type is close to a category if its mean worth is at least ¾, and has it within reach from ½ on. Groups
    of one name are one type, so a city has at most `count` types and each name tells them apart.

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
    means = [
        np.average(worth[group == g], axis=0, weights=weight[group == g]) for g in range(group.max() + 1)
    ]
    titles = [_name([english.get(n, n) for n in names], m, french=False) for m in means]
    order = _by_name(titles, means)
    number = np.array([order.index(t) for t in titles], dtype=np.int64)
    final = np.where(group >= 0, number[group] if len(number) else -1, -1)
    french_of = {
        t: _name([french.get(n, n) for n in names], m, french=True)
        for t, m in zip(titles, means, strict=True)
    }
    rows = [
        _row(k, (t, french_of[t]), names, final == k, worth, times, weight, people)
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


def _name(labels: list[str], mean: _Floats, *, french: bool) -> str:
    """Name a type by what it has and what it lacks."""
    lacks = [x for x, m in zip(labels, mean, strict=True) if m < WITHIN]
    has = [x for x, m in zip(labels, mean, strict=True) if m >= WITHIN]
    if not lacks:
        close = bool((mean >= CLOSE).all())
        if french:
            return "Tout à deux pas" if close else "Tout à un quart d'heure"
        return "Everything close by" if close else "Everything within a quarter of an hour"
    if not has:
        return "Loin de tout" if french else "Far from everything"
    words = has if len(has) < len(lacks) else lacks
    text = _list([_inside_a_sentence(x) for x in words], french=french)
    if len(has) < len(lacks):
        return f"Seulement : {text}" if french else f"Only {text} in reach"
    return f"Il manque : {text}" if french else f"All but {text}"


def _inside_a_sentence(label: str) -> str:
    """A label without its capital, unless the capital belongs to a name such as TRILIB."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _list(words: list[str], *, french: bool) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {'et' if french else 'and'} {words[-1]}"


def _row(
    k: int,
    title: tuple[str, str],
    names: list[str],
    member: npt.NDArray[np.bool_],
    worth: _Floats,
    times: _Floats,
    weight: _Floats,
    people: _Floats | None,
) -> list[object]:
    row: list[object] = [
        k,
        *title,
        int(member.sum()),
        float("nan") if people is None else float(people[member].sum()),
    ]
    reached = np.where(np.isnan(times[member]), np.inf, times[member])
    median = np.median(reached, axis=0)
    for j in range(len(names)):
        row += [float(np.average(worth[member, j], weights=weight[member])), _finite(median[j])]
    return row


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")
