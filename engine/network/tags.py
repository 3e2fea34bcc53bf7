"""Tags of ways as columns: which keys some rule reads, and vectorised look-ups on categorical columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

WAY_KEYS = (
    *(
        "highway",
        "route",
        "railway",
        "public_transport",
        "man_made",
        "service",
        "area",
        "indoor",
        "conveying",
    ),
    *("access", "foot", "vehicle", "bicycle", "motor_vehicle", "motorcar", "wheelchair", "motorroad"),
    *("access:conditional", "foot:conditional", "vehicle:conditional", "bicycle:conditional"),
    *("motor_vehicle:conditional", "motorcar:conditional", "oneway:conditional", "maxspeed:conditional"),
    *("oneway", "oneway:bicycle", "oneway:foot", "oneway:motor_vehicle", "junction"),
    *("cycleway", "cycleway:left", "cycleway:right", "cycleway:both"),
    *("cycleway:left:oneway", "cycleway:right:oneway"),
    *("cycleway:width", "cycleway:left:width", "cycleway:right:width", "cycleway:both:width"),
    *("cycleway:left:separation", "cycleway:right:separation", "cycleway:both:separation"),
    *("bicycle_road", "cyclestreet", "bus", "busway", "busway:left", "busway:right"),
    *(
        "maxspeed",
        "maxspeed:forward",
        "maxspeed:backward",
        "maxspeed:type",
        "source:maxspeed",
        "zone:maxspeed",
    ),
    *(
        "zone:traffic",
        "living_street",
        "surface",
        "smoothness",
        "tracktype",
        "width",
        "est_width",
        "step_count",
    ),
    *("lanes", "lanes:forward", "lanes:backward", "lane_markings", "incline", "bridge", "tunnel", "covered"),
    *("layer", "level", "sidewalk", "sidewalk:left", "sidewalk:right", "sidewalk:both", "segregated"),
    *("footway", "crossing", "crossing:signals", "ramp", "ramp:bicycle", "ramp:wheelchair", "kerb"),
    *("parking:left", "parking:right", "parking:both", "parking:lane:left", "parking:lane:right"),
    *("parking:lane:both", "parking:condition:left", "parking:condition:right", "parking:condition:both"),
    *("name", "ref", "duration", "barrier", "disused", "lit"),
)
"""Keys of ways that some rule of the networks reads; each is a categorical column of ``OsmExtract.ways``."""

NODE_KEYS = (
    *("highway", "barrier", "crossing", "crossing:signals", "kerb", "railway", "entrance", "noexit", "ford"),
    *("access", "foot", "vehicle", "bicycle", "motor_vehicle", "motorcar", "wheelchair", "locked"),
    *("access:conditional", "foot:conditional", "vehicle:conditional", "bicycle:conditional"),
    *("motor_vehicle:conditional", "maxwidth:physical", "bus", "traffic_signals"),
)
"""Keys of nodes that some rule reads; each is a categorical column of ``OsmExtract.node_tags``."""

NODE_TRIGGERS = (
    "highway",
    "barrier",
    "crossing",
    "kerb",
    "railway",
    "access",
    "entrance",
    "ford",
    "traffic_signals",
)
"""A node of a routable way is kept in ``OsmExtract.node_tags`` when it carries one of these keys."""


ROUTABLE_WITHOUT_HIGHWAY: Mapping[str, Collection[str]] = {
    "route": ("ferry",),
    "railway": ("platform",),
    "public_transport": ("platform",),
    "man_made": ("pier",),
}
"""Ways that people walk or ride along although they are not tagged as a highway."""


class TagColumns:
    """
    Vectorised reading of the tags in a table of ways or nodes.

    A rule is evaluated once a distinct value, never once a row: columns are categorical, and a value is
    trimmed and lower-cased first (``name`` and ``ref`` are read raw, by `raw`).
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self._cache: dict[str, tuple[npt.NDArray[np.int64], list[str]] | None] = {}

    def __len__(self) -> int:
        return len(self._table)

    def codes(self, key: str) -> tuple[npt.NDArray[np.int64], list[str]] | None:
        """
        Codes and distinct values of a key; None where no row carries it.

        Code -1 means that the row lacks the key.
        """
        if key not in self._cache:
            self._cache[key] = self._read(key)
        return self._cache[key]

    def _read(self, key: str) -> tuple[npt.NDArray[np.int64], list[str]] | None:
        if key not in self._table.columns:
            return None
        column = self._table[key]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype("category")
        codes = column.cat.codes.to_numpy(np.int64)
        if not len(codes) or codes.max() < 0:
            return None
        return codes, [str(value).strip().lower() for value in column.cat.categories]

    def has(self, key: str) -> npt.NDArray[np.bool_]:
        """Rows that carry the key, whatever its value."""
        found = self.codes(key)
        return np.zeros(len(self), dtype=bool) if found is None else found[0] >= 0

    def isin(self, key: str, values: Collection[str]) -> npt.NDArray[np.bool_]:
        """Rows whose value, or one of its values separated by semicolons, is among `values`."""
        wanted = frozenset(values)
        return self.map(
            key, lambda text: any(part.strip() in wanted for part in text.split(";")), default=False
        ).astype(bool)

    def map(
        self, key: str, rule: Callable[[str], object], *, default: object
    ) -> npt.NDArray[np.bool_] | npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        """
        Apply a rule to every row's value; rows without the key get `default`.

        The result's dtype follows the type of `default`.
        """
        found = self.codes(key)
        dtype = np.asarray(default).dtype
        if found is None:
            return np.full(len(self), default, dtype=dtype)
        codes, values = found
        table = np.array([*(rule(value) for value in values), default], dtype=dtype)
        return table[codes]

    def raw(self, key: str) -> pd.Series:
        """The column as it was read, all missing where the table lacks it."""
        if key in self._table.columns:
            return self._table[key]
        missing = pd.Categorical.from_codes(np.full(len(self), -1), categories=pd.Index([], dtype="str"))
        return pd.Series(missing, index=self._table.index)
