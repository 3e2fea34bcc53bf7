"""The street network: one class that validates its tables once and hands out views of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.errors import SchemaError

if TYPE_CHECKING:
    import igraph as ig

NO_WAY = -1
"""Travel time of a direction that may not be travelled."""

_STREET_COLUMNS = ("u", "v", "length_m", "forward_ms", "backward_ms", "osm_way")


class Adjacency(NamedTuple):
    """Compressed sparse rows of a directed graph: arcs of vertex ``i`` are ``indptr[i]:indptr[i + 1]``."""

    indptr: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    weight_ms: npt.NDArray[np.int32]
    street: npt.NDArray[np.int32]
    """Street of each arc, row of ``StreetNetwork.streets``."""


@dataclass(frozen=True, eq=False)
class StreetNetwork:
    """
    A routable street network of one mode.

    A *street* is a piece of way between two kept nodes, stored once with a travel time for each direction;
    ``node_id`` is OpenStreetMap's, a *vertex* is a row number here and in igraph, and only this class
    converts. Nothing mutates a network: an edit makes a new one.

    Attributes
    ----------
    mode
        ``walk``, ``bike`` or ``street30``.
    node_id, lon, lat
        One entry a vertex; ids are unique (a copy of a node made for a turn restriction has a negative id).
    streets
        One row a street: ``u``, ``v`` (vertices), ``length_m``, ``forward_ms`` (u→v), ``backward_ms`` (v→u),
        both integer milliseconds or `NO_WAY`, ``osm_way``, and any further attribute (``highway``, ``name``,
        ``lts``, ``width_m``, ``bridge``, ``tunnel`` …).
    coords, offsets
        [deg] Geometry of street ``i``, drawn from ``u`` to ``v``: ``coords[offsets[i]:offsets[i + 1]]``.
    elevation_m
        Height of each vertex where known, else None.
    dropped
        What was left out of the network and why, for the manifest.
    centre
        [deg] Longitude and latitude of the centre of its metric plane, for a part that is to be measured as the
        whole is; None: the centre of the vertices.
    """

    mode: str
    node_id: npt.NDArray[np.int64]
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    streets: pd.DataFrame
    coords: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    elevation_m: npt.NDArray[np.float64] | None = None
    dropped: dict[str, Any] = field(default_factory=dict)
    centre: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        missing = [c for c in _STREET_COLUMNS if c not in self.streets.columns]
        if missing:
            msg = f"streets lack the columns {missing}; found {list(self.streets.columns)}"
            raise SchemaError(msg)
        n, m = len(self.node_id), len(self.streets)
        if not (len(self.lon) == len(self.lat) == n):
            msg = f"node_id has {n} entries, lon {len(self.lon)}, lat {len(self.lat)}: they must agree"
            raise SchemaError(msg)
        if len(self.offsets) != m + 1 or (m and self.offsets[-1] != len(self.coords)):
            msg = f"offsets must have {m + 1} entries and end at {len(self.coords)} (a run a street)"
            raise SchemaError(msg)
        ends = self.streets[["u", "v"]].to_numpy()
        if m and (ends.min() < 0 or ends.max() >= n):
            msg = f"streets name vertices {ends.min()}…{ends.max()}, but there are {n}: expected 0…{n - 1}"
            raise SchemaError(msg)

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.node_id)

    @cached_property
    def u(self) -> npt.NDArray[np.int32]:
        """Start vertex of each street."""
        return np.asarray(self.streets["u"], dtype=np.int32)

    @cached_property
    def v(self) -> npt.NDArray[np.int32]:
        """End vertex of each street."""
        return np.asarray(self.streets["v"], dtype=np.int32)

    @cached_property
    def length_m(self) -> npt.NDArray[np.float64]:
        """[m] Length of each street."""
        return np.asarray(self.streets["length_m"], dtype=np.float64)

    @cached_property
    def forward_ms(self) -> npt.NDArray[np.int32]:
        """[ms] Time from ``u`` to ``v``, or `NO_WAY`."""
        return np.asarray(self.streets["forward_ms"], dtype=np.int32)

    @cached_property
    def backward_ms(self) -> npt.NDArray[np.int32]:
        """[ms] Time from ``v`` to ``u``, or `NO_WAY`."""
        return np.asarray(self.streets["backward_ms"], dtype=np.int32)

    @cached_property
    def geometry(self) -> npt.NDArray[np.object_]:
        """[deg] One LineString a street, from ``u`` to ``v``, EPSG:4326."""
        if not len(self.streets):
            return np.empty(0, dtype=object)
        return np.asarray(
            shapely.from_ragged_array(shapely.GeometryType.LINESTRING, self.coords, (self.offsets,)),
            dtype=object,
        )

    @cached_property
    def arcs(self) -> pd.DataFrame:
        """One row an open direction: ``tail``, ``head``, ``travel_time_ms``, ``street``, ``backward``."""
        fwd, bwd = np.flatnonzero(self.forward_ms >= 0), np.flatnonzero(self.backward_ms >= 0)
        return pd.DataFrame(
            {
                "tail": np.concatenate([self.u[fwd], self.v[bwd]]),
                "head": np.concatenate([self.v[fwd], self.u[bwd]]),
                "travel_time_ms": np.concatenate([self.forward_ms[fwd], self.backward_ms[bwd]]),
                "street": np.concatenate([fwd, bwd]).astype(np.int32),
                "backward": np.repeat([False, True], [len(fwd), len(bwd)]),
            }
        )

    @cached_property
    def graph(self) -> ig.Graph:
        """The directed igraph graph; edge ``i`` is row ``i`` of `arcs` with its ``travel_time_ms``."""
        import igraph as ig  # 30 MB that networks without a graph do not need

        arcs = self.arcs
        graph = ig.Graph(n=self.n_vertices, edges=arcs[["tail", "head"]].to_numpy(), directed=True)
        graph.es["travel_time_ms"] = arcs["travel_time_ms"].tolist()
        return graph

    def adjacency(self, *, reverse: bool = False) -> Adjacency:
        """
        Compressed sparse rows of the graph.

        Parameters
        ----------
        reverse
            Rows are heads instead of tails: what a search towards places needs.
        """
        arcs = self.arcs
        row, col = (arcs["head"], arcs["tail"]) if reverse else (arcs["tail"], arcs["head"])
        order = np.lexsort((arcs["street"], col, row))
        counts = np.bincount(row, minlength=self.n_vertices)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return Adjacency(
            indptr,
            col.to_numpy(np.int32)[order],
            arcs["travel_time_ms"].to_numpy(np.int32)[order],
            arcs["street"].to_numpy(np.int32)[order],
        )
