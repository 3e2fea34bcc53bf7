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


def why_served(
    *, kind: str, where: str, newly_served: float, unit: str, minutes: float, nearest_m: float, rests_on: str
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
    minutes
        [min] Cutoff.
    nearest_m
        [m] Straight distance to the nearest site that exists; inf where there is none.
    rests_on
        Data behind the figure.

    Examples
    --------
    >>> why_served(  # doctest: +NORMALIZE_WHITESPACE
    ...     kind="chargers", where="Rue Monge, left side", newly_served=1234.4, unit="residents",
    ...            minutes=5, nearest_m=840.0, rests_on="population by cell").split("; ")
    ['Charging station at Rue Monge, left side: 1,234 residents newly within 5 min',
     'the nearest today is 840 m away. Rests on population by cell.']
    """
    today = (
        "none exists in the area today"
        if not np.isfinite(nearest_m)
        else f"the nearest today is {nearest_m:,.0f} m away"
    )
    return (
        f"{NOUN.get(kind, kind).capitalize()} at {where}: {newly_served:,.0f} {unit} newly within "
        f"{minutes:g} min; {today}. Rests on {rests_on}."
    )


def why_tree(*, where: str, residents: float, within_m: float, already: int, ran_without: list[str]) -> str:
    r"""
    Sentence for a tree.

    Examples
    --------
    >>> print(why_tree(where="Rue Monge, left side", residents=210.2, within_m=100, already=0,
    ...                ran_without=["heat"]).replace("; ", "\n"))
    Tree at Rue Monge, left side: 210 residents within 100 m
    the street has none today. Rests on population by cell and streets
    without heat.
    """
    today = "the street has none today" if not already else f"the street has {already:,} today"
    without = f"; without {', '.join(ran_without)}" if ran_without else ""
    return (
        f"Tree at {where}: {residents:,.0f} residents within {within_m:g} m; {today}. "
        f"Rests on population by cell and streets{without}."
    )


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
