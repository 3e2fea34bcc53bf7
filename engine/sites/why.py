"""Say in one sentence why a site was chosen: who gains, what it stands in for, which data it rests on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

FloatArray = npt.NDArray[np.float64]

NOUN = {"chargers": "charging station", "sorting": "sorting point", "trees": "tree"}
"""What one site of a kind is called."""


def place_name(*, street: str, side: str, highway: str) -> str:
    """
    Where a site is, as one would tell a colleague.

    Examples
    --------
    >>> place_name(street="Rue de Rivoli", side="left", highway="primary")
    'Rue de Rivoli, left side'
    >>> place_name(street="", side="right", highway="residential")
    'unnamed residential street, right side'
    """
    known = street or f"unnamed {highway} street".replace("  ", " ")
    return f"{known}, {side} side" if side else known


PLACES = {"chargers": "about three parking places", "sorting": "about two parking places"}
"""What a site stands on instead."""


def why_served(
    *, kind: str, where: str, newly_served: float, unit: str, trip: str, nearest_m: float, rests_on: str
) -> str:
    """
    Sentence for a site that serves people within a walk or a drive.

    Parameters
    ----------
    kind
        Key of `NOUN`.
    where
        From `place_name`.
    newly_served
        People (or `unit`) that no other site served when this one was added.
    unit
        Who is counted: ``residents``, ``cars`` …
    trip
        Cutoff in words: ``a 5 min walk``.
    nearest_m
        [m] Straight distance to the nearest site that exists; inf where there is none.
    rests_on
        Data behind the figure.

    Examples
    --------
    >>> why_served(  # doctest: +NORMALIZE_WHITESPACE
    ...     kind="chargers", where="Rue Monge, left side", newly_served=1234.4, unit="residents",
    ...            trip="a 5 min walk", nearest_m=840.0, rests_on="population by cell").split("; ")
    ['Charging station at Rue Monge, left side: 1,234 residents newly within a 5 min walk',
     'the nearest today is 840 m away. Replaces about three parking places. Rests on population by cell.']
    """
    today = (
        "none exists in the area today"
        if not np.isfinite(nearest_m)
        else f"the nearest today is {nearest_m:,.0f} m away"
    )
    return (
        f"{NOUN.get(kind, kind).capitalize()} at {where}: {newly_served:,.0f} {unit} newly within "
        f"{trip}; {today}. Replaces {PLACES.get(kind, 'a part of the kerb')}. Rests on {rests_on}."
    )


def why_tree(
    *,
    where: str,
    people: float,
    unit: str,
    within_m: float,
    without_sight: float,
    already: int,
    walkers: float | None,
    rests_on: str,
) -> str:
    r"""
    Sentence for a tree.

    Parameters
    ----------
    where
        From `place_name`.
    people, unit, within_m
        Who lives within a straight distance [m], and what they are counted in.
    without_sight
        Those of them who see fewer than three trees from home today.
    already
        Trees of the street today.
    walkers
        People who pass on foot on the way to their nearest places; None where that is not known.
    rests_on
        Data behind the figures.

    Examples
    --------
    >>> print(why_tree(where="Rue Monge, left side", people=210.2, unit="residents", within_m=100, without_sight=80.0,
    ...                already=0, walkers=None, rests_on="population by cell; without heat").replace("; ", "\n"))
    Tree at Rue Monge, left side: 210 residents within 100 m, 80 of them near it see fewer than three trees from home
    the street has none today. Stands on the pavement and replaces nothing. Rests on population by cell
    without heat.
    """
    today = "the street has none today" if not already else f"the street has {already:,} today"
    passing = "" if walkers is None else f"{walkers:,.0f} pass on foot to their nearest places; "
    return (
        f"Tree at {where}: {people:,.0f} {unit} within {within_m:g} m, {without_sight:,.0f} of them near it see "
        f"fewer than three trees from home; {passing}{today}. Stands on the pavement and replaces nothing. "
        f"Rests on {rests_on}."
    )


def demand_data(unit: str) -> str:
    """
    Name the data behind a number of `unit`.

    Examples
    --------
    >>> demand_data("cells")
    'cells counted alike, because no population was given'
    """
    named = {
        "residents": "population by cell",
        "cells": "cells counted alike, because no population was given",
        "vehicles": "vehicles of the fleets by cell",
    }
    return named.get(unit, f"{unit} by cell")


def rests_on(*, demand: str, width_known: bool, parking: str) -> str:
    """
    Name the data behind a street-side site.

    Examples
    --------
    >>> rests_on(demand="population by cell", width_known=False, parking="unknown")
    'population by cell; street width assumed from its class; parking not tagged, to be checked on the spot'
    """
    width = "street width as tagged" if width_known else "street width assumed from its class"
    stands = {
        "yes": "parking as tagged",
        "no": "no parking tagged on this side",
        "unknown": "parking not tagged, to be checked on the spot",
    }[parking]
    return f"{demand}; {width}; {stands}"


def nearest_m(xy: FloatArray, others: FloatArray) -> FloatArray:
    """[m] Straight distance from each point to the nearest of others; inf where there are none."""
    if not len(others) or not len(xy):
        return np.full(len(xy), np.inf)
    return np.asarray(cKDTree(others).query(xy)[0], np.float64)
