"""A part of a network: the streets round a tile, out to where no path of a duration leaves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from engine.cells import cell_polygons
from engine.network.exchange import from_tables
from engine.network.street_network import StreetNetwork
from engine.reach.destinations import Destinations
from pipelines.config import Mode
from pipelines.store import Artifact

Cells = npt.NDArray[np.uint64]
_ROWS = 50_000
"""Rows of a table that are in memory at once while it is searched."""
_DEGREE_M = 110_500.0
"""[m] Least length of a degree of latitude on the WGS 84 ellipsoid (110,574 m at the equator), rounded down."""
_MARGIN = 1.01
"""Straight lines on the sphere, the ellipsoid and the plane differ by less than this."""


class Part(NamedTuple):
    """
    A part of a network.

    Attributes
    ----------
    network
        Its streets, in the order of the whole and measured in its plane.
    vertex
        Vertex of the whole of each vertex.
    street
        Street of the whole of each street, ascending.
    """

    network: StreetNetwork
    vertex: npt.NDArray[np.int64]
    street: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Halo:
    """
    How far a network reaches within a time.

    Attributes
    ----------
    metres_per_ms
        Fastest street.
    slack_m
        Length of all streets that take no time.
    """

    metres_per_ms: float
    slack_m: float

    @classmethod
    def of(cls, network: StreetNetwork) -> Halo:
        """The fastest street of a network; O(streets)."""
        length, fast, slack = network.length_m, 0.0, 0.0
        for time in (network.forward_ms, network.backward_ms):
            moving = time > 0
            fast = max(fast, float((length[moving] / time[moving]).max(initial=0.0)))
            slack = max(slack, float(length[time == 0].sum()))
        return cls(fast, slack)

    def distance_m(self, limit_ms: int) -> float:
        """[m] No path of this duration ends farther away, as the crow flies."""
        return (self.metres_per_ms * limit_ms + self.slack_m) * _MARGIN


def around(cells: Cells, distance_m: float) -> tuple[float, float, float, float] | None:
    """
    Box around some cells, widened by a distance.

    Returns
    -------
    tuple of float or None
        [deg] West, south, east, north; None (everywhere) where the box would meet a pole or the 180th meridian.
    """
    west, south, east, north = shapely.total_bounds(cell_polygons(cells)).tolist()
    up = distance_m / _DEGREE_M
    highest = max(abs(south - up), abs(north + up))
    if highest >= 89:
        return None
    aside = distance_m / (_DEGREE_M * float(np.cos(np.radians(highest))))
    box = (west - aside, south - up, east + aside, north + up)
    return box if box[0] > -180 and box[2] < 180 else None


def load_part(
    network: Artifact,
    mode: Mode,
    box: tuple[float, float, float, float] | None,
    *,
    centre: tuple[float, float],
) -> Part:
    """
    The streets of a network that touch a box, without having the whole of it in memory.

    Parameters
    ----------
    network
        The artifact of a network.
    mode
        Its mode.
    box
        [deg] West, south, east, north; None for all.
    centre
        [deg] Centre of the plane of the whole.
    """
    edges = _rows(network.file(f"network_{mode}_edges.parquet"), lambda table: _touching(table, box))
    ends = np.union1d(edges["from_node"].to_numpy(), edges["to_node"].to_numpy())
    nodes = _rows(
        network.file(f"network_{mode}_nodes.parquet"),
        lambda table: np.isin(table["node_id"].to_numpy(), ends),
    )
    vertex = nodes.pop("row").to_numpy(np.int64)
    street = np.unique(edges["street"].to_numpy(np.int64))
    part = from_tables(nodes, edges.drop(columns="row"), mode)
    return Part(replace(part, centre=centre), vertex, street)


def _rows(path: Path, wanted: Any) -> gpd.GeoDataFrame:
    """Wanted rows of a GeoParquet file, with their number in the file as ``row``."""
    kept: list[pa.Table] = []
    first = 0
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for batch in file.iter_batches(batch_size=_ROWS):
            table = pa.Table.from_batches([batch])
            rows = np.flatnonzero(wanted(table))
            if len(rows):
                kept.append(table.take(pa.array(rows)).append_column("row", pa.array(rows + first)))
            first += batch.num_rows
    whole = (
        pa.concat_tables(kept)
        if kept
        else schema.empty_table().append_column("row", pa.array([], pa.int64()))
    )
    frame = whole.to_pandas(ignore_metadata=False)
    geometry = gpd.GeoSeries.from_wkb(frame.pop("geometry"), crs="EPSG:4326")
    return gpd.GeoDataFrame(frame.reset_index(drop=True), geometry=geometry.reset_index(drop=True))


def _touching(table: pa.Table, box: tuple[float, float, float, float] | None) -> npt.NDArray[np.bool_]:
    """Streets whose own box meets a box."""
    if box is None:
        return np.ones(len(table), dtype=bool)
    return _meeting(shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))), box)


def destinations_of_part(places: Destinations, street: npt.NDArray[np.int64]) -> Destinations:
    """
    Places as a part of the network knows them: numbers of places stay, access points elsewhere are rejected.

    Parameters
    ----------
    places
        The places of the whole.
    street
        Street of the whole of each street of the part, ascending.
    """
    snaps = places.snaps
    here = np.searchsorted(street, snaps.street)
    here[here == len(street)] = 0
    known = (
        (snaps.street >= 0) & (street[here] == snaps.street)
        if len(street)
        else np.zeros(len(here), dtype=bool)
    )
    return replace(places, snaps=replace(snaps, street=np.where(known, here, -1).astype(np.int32)))


def places_in(
    places: Destinations, network: StreetNetwork, box: tuple[float, float, float, float] | None
) -> Destinations:
    """Places whose access points lie on streets that touch a box ([deg], None for all); the others are rejected."""
    if box is None or not len(network.streets):
        return places
    snaps, first = places.snaps, network.offsets[:-1]
    corners = [f.reduceat(network.coords, first) for f in (np.minimum, np.maximum)]
    touched = _meeting(np.hstack(corners), box)
    known = (snaps.street >= 0) & touched[snaps.street]
    return replace(places, snaps=replace(snaps, street=np.where(known, snaps.street, -1).astype(np.int32)))


def _meeting(
    bounds: npt.NDArray[np.float64], box: tuple[float, float, float, float]
) -> npt.NDArray[np.bool_]:
    west, south, east, north = box
    return np.asarray(
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )
