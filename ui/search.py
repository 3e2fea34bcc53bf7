"""Searching for a street or a place by its name, from the run's own names."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

MOST_HITS = 8
_LONGEST_QUERY = 100


@dataclass(frozen=True)
class Hit:
    """Something found: what it is called, what it is, and where."""

    name: str
    kind: str
    """``street`` or the category of the place."""
    bounds: tuple[float, float, float, float]
    """[deg] West, south, east, north."""


@dataclass(frozen=True, eq=False)
class SearchIndex:
    """Names of a run, folded for comparison, streets before places, in the order of the alphabet."""

    folded: npt.NDArray[np.str_]
    hits: tuple[Hit, ...]

    def find(self, query: str, *, most: int = MOST_HITS) -> list[Hit]:
        """
        What a query finds.

        Letters are compared without case, accents and punctuation. Names that begin with the query come
        first, then those with a word that does, then those that contain it anywhere. An empty query finds
        nothing.
        """
        wanted = fold(query[:_LONGEST_QUERY])
        if not wanted:
            return []
        begins = np.char.startswith(self.folded, wanted)
        word = np.char.find(self.folded, f" {wanted}") >= 0
        anywhere = np.char.find(self.folded, wanted) >= 0
        rank = np.where(begins, 0, np.where(word, 1, 2))
        rows = np.flatnonzero(anywhere)
        return [self.hits[i] for i in rows[np.argsort(rank[rows], kind="stable")][:most]]


def fold(text: str) -> str:
    """
    Lower-case letters and digits without accents, words apart by one space.

    Examples
    --------
    >>> fold("Rue de l'Évangile")
    'rue de l evangile'
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(kept.split())


def build_index(streets: gpd.GeoDataFrame, places: gpd.GeoDataFrame) -> SearchIndex:
    """
    Gather the names of a run.

    Parameters
    ----------
    streets
        Edges; ``name`` where known. Pieces of one name become one entry.
    places
        ``name``, ``category``, geometry.
    """
    hits = _street_hits(streets) + _place_hits(places)
    hits.sort(key=lambda h: (h.kind != "street", fold(h.name), h.kind, h.bounds))
    hits = [h for h in hits if fold(h.name)]
    width = max((len(fold(h.name)) for h in hits), default=1)
    return SearchIndex(np.array([fold(h.name) for h in hits], dtype=f"<U{width}"), tuple(hits))


def _street_hits(streets: gpd.GeoDataFrame) -> list[Hit]:
    if "name" not in streets.columns or streets.empty:
        return []
    named = streets["name"].astype("string")
    rows = (named.notna() & (named.str.strip() != "")).to_numpy(bool)
    box = streets.geometry[rows].bounds.assign(name=named[rows].to_numpy(object))
    grouped = box.groupby("name", sort=True).agg({"minx": "min", "miny": "min", "maxx": "max", "maxy": "max"})
    return _hits(grouped.index.tolist(), ["street"] * len(grouped), grouped)


def _place_hits(places: gpd.GeoDataFrame) -> list[Hit]:
    if "name" not in places.columns or places.empty:
        return []
    named = places["name"].astype("string")
    rows = (named.notna() & (named.str.strip() != "")).to_numpy(bool)
    return _hits(
        named[rows].tolist(), places["category"][rows].astype(str).tolist(), places.geometry[rows].bounds
    )


def _hits(names: Sequence[str], kinds: Sequence[str], boxes: pd.DataFrame) -> list[Hit]:
    corners = boxes.to_numpy(float)
    return [
        Hit(str(name), kind, (float(b[0]), float(b[1]), float(b[2]), float(b[3])))
        for name, kind, b in zip(names, kinds, corners, strict=True)
    ]
