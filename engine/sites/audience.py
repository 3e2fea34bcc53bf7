"""Whom trees serve: streets that they shade and homes that see them, each worth less the more trees it has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from engine.network.street_network import StreetNetwork
from engine.sites.candidates import PLACES_AT_ONCE
from engine.sites.carriageway import real_streets
from engine.sites.kerb import text
from engine.sites.nearby import pairs
from engine.sites.selection import FloatArray, IntArray

LINED_M = 8.0
"""[m] Between the trees of a side of a street that is fully lined."""
SIGHT_M = 50.0
"""[m] A tree within this distance is in sight of a home: about the length of a block front."""
TREES_IN_SIGHT = 3
"""The 3 of 3-30-300."""


class Audiences(NamedTuple):
    """One group of audiences, as `engine.sites.concave.concave_covering` takes them."""

    dose: sp.csr_array
    """What each place gives, shape (places, audiences)."""
    worth: FloatArray
    scale: FloatArray
    standing: FloatArray


def shaded(
    network: StreetNetwork, street: IntArray, exposed: FloatArray, trees: FloatArray, *, within_m: float
) -> Audiences:
    """
    Whole streets (`whole_streets`): a tree on either side is worth less the more trees the street has.

    A person gains from the street within `within_m` to both sides, so a street is worth those exposed on average at its
    places, once each 2 · `within_m` of its length; trees every `LINED_M` on both sides are worth 86 % of it. So the
    first tree of a street is worth 4 % (at 100 m) of those exposed at its place, however long the street is and however
    it is cut into edges.

    Parameters
    ----------
    network
        Streets along which trees may stand.
    street
        Street of each place, shape (places,).
    exposed
        [people] Who gains from a tree at each place, shape (places,).
    trees
        Trees today along each street, shape (streets,).
    within_m
        [m] How far a tree's shade counts.
    """
    whole = whole_streets(network)
    n = int(whole.max()) + 1 if len(whole) else 0
    length_m = np.bincount(whole, weights=network.length_m * real_streets(network), minlength=n)
    at = whole[street]
    places = np.bincount(at, minlength=n)
    sums = np.bincount(at, weights=exposed, minlength=n)
    mean = np.divide(sums, places, out=np.zeros(n), where=places > 0)
    dose = np.divide(exposed, mean[at], out=np.zeros(len(at)), where=mean[at] > 0)
    return Audiences(
        sp.csr_array((dose, (np.arange(len(at)), at)), shape=(len(at), n)),
        mean * length_m / (2 * within_m),
        np.maximum(length_m / LINED_M, 1e-9),
        np.bincount(whole, weights=trees, minlength=n).astype(np.float64),
    )


def in_sight(
    xy: FloatArray,
    homes: FloatArray,
    people: FloatArray,
    stand: FloatArray,
    *,
    at_once: int = PLACES_AT_ONCE,
) -> Audiences:
    """
    Homes: of three trees within `SIGHT_M` of the middle of a piece of street, the first counts most.

    Parameters
    ----------
    xy, homes, stand
        [m] Places, homes and trees today, in one plane, shape (…, 2).
    people
        Worth of each home.
    at_once
        Places and trees whose surroundings are looked at together: changes memory, never results.
    """
    near, seen = (pairs(where, homes, SIGHT_M, at_once=at_once) for where in (xy, stand))
    standing = np.asarray(seen.sum(axis=0), np.float64).ravel() if len(stand) else np.zeros(len(homes))
    return Audiences(near, people, np.full(len(homes), TREES_IN_SIGHT / 2), standing)


def whole_streets(network: StreetNetwork) -> IntArray:
    """
    Number the streets as people know them: edges of one name that follow each other, without a name those of one way.

    An edge of which neither is known is a street of its own.

    Returns
    -------
    numpy.ndarray
        0 … k − 1 for each street of the network, shape (streets,), rising by first appearance. Two streets of the same
        name that do not touch are two.
    """
    m = len(network.streets)
    name, way = (
        text(network.streets, "name").astype(str),
        network.streets["osm_way"].astype(str).to_numpy(str),
    )
    unnamed = np.where(network.streets["osm_way"] < 0, np.arange(m).astype(str), np.char.add("way ", way))
    key = pd.factorize(np.where(name == "", unnamed, np.char.add("name ", name)))[0]
    ends = np.concatenate([network.u, network.v])
    # by coordinates, for the copies of a junction that turns need lie on one spot
    corner = pd.DataFrame({"lon": network.lon[ends], "lat": network.lat[ends], "key": np.tile(key, 2)})
    number = corner.groupby(["lon", "lat", "key"], sort=False).ngroup().to_numpy()
    size = m + (int(number.max()) + 1 if m else 0)
    touch = sp.csr_array((np.ones(2 * m), (np.tile(np.arange(m), 2), m + number)), shape=(size, size))
    label = connected_components(touch, directed=False)[1][:m]
    return np.asarray(pd.factorize(label)[0], np.int64)
