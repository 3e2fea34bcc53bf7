"""Duplicates: the node and the outline of one shop are one place."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.places.category import MergeRule

_NOT_A_LETTER = re.compile(r"[\W_]+")


def same_place(
    name: pd.Series,
    kind: pd.Series,
    geometry_m: npt.NDArray[np.object_],
    *,
    radius_m: float,
    merge: MergeRule,
) -> npt.NDArray[np.int64]:
    """
    Group the rows that describe one place.

    Two rows are one place if they lie within `radius_m` of each other (inclusive, outline to outline) and
    bear the same name, accents, case and punctuation aside; or if a point lies inside an outline, has the
    same `kind`, and one of the two has no name. With `merge` ``nearby``, everything within the radius is one
    place. The relation is closed under chains.

    Parameters
    ----------
    name, kind
        Name (empty where unknown) and tag of each row.
    geometry_m
        [m] Points and polygons in a projected system, shape (rows,).
    radius_m
        [m] Largest distance between two rows of one place.
    merge
        ``name`` or ``nearby``.

    Returns
    -------
    ndarray of int
        Group of each row; groups are numbered in order of their first row.

    Notes
    -----
    O(n log n + pairs) with an STR tree.
    """
    n = len(geometry_m)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    tree = shapely.STRtree(geometry_m)
    left, right = tree.query(geometry_m, predicate="dwithin", distance=radius_m)
    keep = left < right
    left, right = left[keep], right[keep]
    if merge == "name":
        keys = np.array([name_key(x) for x in name], dtype=object)
        same_name = (keys[left] == keys[right]) & (keys[left] != "")
        inside = _node_in_outline(geometry_m, left, right)
        kinds = kind.to_numpy(dtype=object)
        unnamed = (keys[left] == "") | (keys[right] == "")
        keep = same_name | (inside & unnamed & (kinds[left] == kinds[right]))
        left, right = left[keep], right[keep]
    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, label = connected_components(links, directed=False)
    _, first, group = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group].astype(np.int64)


def name_key(name: object) -> str:
    """
    Reduce a name to what makes it the same name: letters and digits, no accents, no case.

    Examples
    --------
    >>> name_key("Boulangerie  L'Épi") == name_key("boulangerie l’epi")
    True
    """
    if not isinstance(name, str):
        return ""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return _NOT_A_LETTER.sub("", bare.casefold())


def _node_in_outline(
    geometry: npt.NDArray[np.object_], left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell for each pair whether one is a point and the other an outline that holds it."""
    dimension = shapely.get_dimensions(geometry)
    mixed = (dimension[left] == 0) != (dimension[right] == 0)
    inside = np.zeros(len(left), dtype=bool)
    inside[mixed] = shapely.intersects(geometry[left[mixed]], geometry[right[mixed]])
    return inside
