"""Gaps: neighbouring cells that are too far from something, ranked by how much people lose there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.sparse.csgraph import connected_components

from engine.errors import SchemaError
from engine.places.category import inside_a_sentence
from engine.projection import WGS84, local_equal_area
from engine.scoring import LIMIT_MIN, THRESHOLD_MIN, categories_of, flag_of, minutes_of, residents_of

ALL = "all"
"""Name of the gaps in any category: the slowest of a cell's categories counts."""

VERBS = {"walk": "on foot", "bike": "by bike", "street30": "by car at 30 km/h"}
"""How each mode reads in a sentence."""

GAP_COLUMNS = (
    "gap",
    "rank",
    "mode",
    "category",
    "cells",
    "h3_cells",
    "neighbourhood",
    "area_km2",
    "residents",
    "mean_minutes",
    "minutes_over",
    "burden",
    "ranked_by",
    "missing",
    "unreachable_cells",
    "edge_cells",
    "why",
    "geometry",
)

WARD_CELLS = 20_000
"""A connected part of more cells than this (268 km² at resolution 10) is cut by groups of cells, not cell by cell."""

_Floats = npt.NDArray[np.float64]


def find_gaps(
    cells: gpd.GeoDataFrame,
    *,
    mode: str,
    categories: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    threshold_min: float = THRESHOLD_MIN,
    limit_min: float = LIMIT_MIN,
    max_area_km2: float = 2.0,
) -> gpd.GeoDataFrame:
    """
    Find the gaps of every category, and of all together, in one mode.

    A cell is in a gap if its mean nearest time is over the threshold and somebody lives there. Neighbouring
    cells form one gap; a gap larger than `max_area_km2` is cut into compact connected parts, because one new
    place could not serve it. Gaps are ranked by residents × minutes over the threshold; without any
    population, by cells × minutes over. A category that no cell reaches has its own gaps, but does not count in
    `ALL`: there it would put every cell in a gap, and hide where the others are missing.

    Parameters
    ----------
    cells
        The contract's columns: ``h3_cell``, geometry, ``M_C_minutes``; ``population``, ``neighbourhood``,
        ``no_network`` and ``edge_affected`` where known. Cells without streets are in no gap.
    mode
        ``walk``, ``bike`` or ``street30``.
    categories
        Categories to look at; by default all that have columns.
    labels
        What to call each category in the sentence that says why; its name by default.
    threshold_min
        [min] At most this far is served, inclusive.
    limit_min
        [min] What an unreachable place counts.
    max_area_km2
        [km²] Largest gap that is left whole.

    Returns
    -------
    geopandas.GeoDataFrame
        One row a gap (`GAP_COLUMNS`), by category, the categories in their order and `ALL` last, then by
        ``rank`` (1 is the worst). ``burden`` is residents (or cells) × minutes over, ``neighbourhood`` where most of
        its residents are; EPSG:4326.

    Raises
    ------
    SchemaError
        If a column is missing.

    Notes
    -----
    Neighbourhood is H3's; clusters are scikit-learn's DBSCAN on that graph with every cell a core, which are
    its connected parts, and Ward clustering on that graph for the cut. O(n log n).
    """
    names = list(categories if categories is not None else categories_of(cells, mode=mode))
    table = _table(cells, mode, names, dict(labels or {}), threshold=threshold_min, limit=limit_min)
    views = {name: (table, table.times[:, k]) for k, name in enumerate(names)}
    if len(names) > 1:
        together = _reached(table)
        views[ALL] = together, _slowest(together.times)
    rows: list[dict[str, Any]] = []
    known: dict[bytes, list[_Part]] = {}
    for name, (table, minutes) in views.items():
        over = _minutes_over(table, minutes)
        bad = over > 0
        if bad.tobytes() not in known:
            known[bad.tobytes()] = _parts(table, bad, max_area_km2)
        rows += _ranked([_gap(table, name, minutes, over, part) for part in known[bad.tobytes()]])
    frame = pd.DataFrame(rows, columns=list(GAP_COLUMNS))
    return gpd.GeoDataFrame(frame, geometry="geometry", crs=WGS84)


class _Table(NamedTuple):
    """What gaps are made of, one entry a cell."""

    mode: str
    names: list[str]
    labels: dict[str, str]
    threshold: float
    limit: float
    cell: npt.NDArray[np.object_]
    outline: npt.NDArray[np.object_]
    metres: npt.NDArray[np.object_]
    times: _Floats
    people: _Floats | None
    streets: npt.NDArray[np.bool_]
    edge: npt.NDArray[np.bool_]
    neighbourhood: npt.NDArray[np.object_] | None


def _table(
    cells: gpd.GeoDataFrame,
    mode: str,
    names: list[str],
    labels: dict[str, str],
    *,
    threshold: float,
    limit: float,
) -> _Table:
    missing = [c for c in ("h3_cell", "geometry") if c not in cells.columns]
    if missing:
        msg = f"cells lack the columns {missing}; found {list(cells.columns)[:12]} …"
        raise SchemaError(msg)
    return _Table(
        mode,
        names,
        labels,
        threshold,
        limit,
        cells["h3_cell"].to_numpy(dtype=object),
        cells.geometry.to_numpy(),
        cells.geometry.to_crs(local_equal_area(cells)).to_numpy(),
        minutes_of(cells, mode=mode, categories=names),
        residents_of(cells),
        ~flag_of(cells, "no_network"),
        flag_of(cells, "edge_affected"),
        cells["neighbourhood"].to_numpy(dtype=object) if "neighbourhood" in cells.columns else None,
    )


def _reached(table: _Table) -> _Table:
    """The categories that some cell reaches: one that none reaches cannot tell one cell from another."""
    some = np.asarray(~np.isnan(table.times).all(axis=0))
    if not some.any():
        return table
    names = [name for name, kept in zip(table.names, some, strict=True) if kept]
    return table._replace(names=names, times=table.times[:, some])


def _slowest(times: _Floats) -> _Floats:
    """[min] Time to the category that is farthest; NaN where one is unreachable."""
    return np.asarray(times.max(axis=1))


def _minutes_over(table: _Table, minutes: _Floats) -> _Floats:
    """[min] Time over the threshold; 0 where there is none, nobody lives, or there are no streets."""
    counted = np.where(np.isnan(minutes), max(table.limit, table.threshold), minutes)
    over = np.maximum(counted - table.threshold, 0.0)
    lived = table.streets if table.people is None else table.streets & (table.people > 0)
    return np.where(lived, over, 0.0)


def cell_graph(cell: npt.ArrayLike) -> csr_array:
    """
    Neighbourhood of H3 cells.

    Parameters
    ----------
    cell
        H3 indexes (hex strings), shape (cells,).

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, 1 where two cells share a side; shape (cells, cells).
    """
    names = [str(c) for c in np.asarray(cell, dtype=object)]
    row = {name: k for k, name in enumerate(names)}
    pairs = [
        (k, row[other]) for k, name in enumerate(names) for other in h3.grid_ring(name, 1) if other in row
    ]
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return coo_array((np.ones(len(left)), (left, right)), shape=(len(names), len(names))).tocsr()


class _Part(NamedTuple):
    """Neighbouring cells that form a gap."""

    rows: npt.NDArray[np.int64]
    outline: shapely.Geometry


def _parts(table: _Table, bad: npt.NDArray[np.bool_], max_area_km2: float) -> list[_Part]:
    """The gaps of some cells, by their first cell."""
    member = np.flatnonzero(bad)
    if not len(member):
        return []
    graph = cell_graph(table.cell[member])
    # Here and not above: scikit-learn takes longer to load than a page of the map that only reads gaps.
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import sort_graph_by_row_values

    near = csr_array(graph + eye_array(len(member)))  # scikit-learn stumbles over a graph without any entry
    distances = sort_graph_by_row_values(near, warn_when_not_sorted=False)
    parts = DBSCAN(eps=1.0, min_samples=1, metric="precomputed").fit_predict(distances)
    label = _cut(parts, graph, table.cell[member], table.metres[member], max_area_km2)
    rows = np.split(member[np.argsort(label, kind="stable")], np.cumsum(np.bincount(label))[:-1])
    return [_Part(own, shapely.union_all(table.outline[own])) for own in rows]


def _cut(
    parts: npt.NDArray[np.int64],
    graph: csr_array,
    cell: npt.NDArray[np.object_],
    metres: npt.NDArray[np.object_],
    max_area_km2: float,
) -> npt.NDArray[np.int64]:
    """Cut parts that are too large into compact connected ones; number them by their first cell."""
    area, xy = shapely.area(metres) / 1e6, shapely.get_coordinates(shapely.centroid(metres))
    fine = np.zeros(len(parts), dtype=np.int64)
    for part in range(int(parts.max()) + 1):
        rows = np.flatnonzero(parts == part)
        pieces = int(np.ceil(area[rows].sum() / max_area_km2))
        if pieces > 1 and len(rows) > 1:
            fine[rows] = _compact(graph[rows][:, rows], cell[rows], xy[rows], pieces)
    _, first, number = np.unique(parts * (len(parts) + 1) + fine, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number], dtype=np.int64)


def _compact(
    graph: csr_array, cell: npt.NDArray[np.object_], xy: _Floats, pieces: int
) -> npt.NDArray[np.int64]:
    """Cut a connected part into compact connected pieces by Ward's method, of joined cells where it is very large."""
    from sklearn.cluster import AgglomerativeClustering

    node = np.arange(len(cell))
    if len(cell) > WARD_CELLS:
        node = _joined(graph, cell, most=WARD_CELLS, least=4 * pieces)
    size = np.bincount(node)
    centre = np.column_stack([np.bincount(node, weights=along) / size for along in xy.T])
    pair = coo_array(graph)
    left, right = node[pair.row], node[pair.col]
    apart = left != right
    ends, shape = (left[apart], right[apart]), (len(size), len(size))
    between = coo_array((np.ones(int(apart.sum())), ends), shape=shape).tocsr()
    ward = AgglomerativeClustering(min(pieces, len(size)), connectivity=between)
    return np.asarray(ward.fit_predict(centre)[node], dtype=np.int64)


def _joined(
    graph: csr_array, cell: npt.NDArray[np.object_], *, most: int, least: int
) -> npt.NDArray[np.int64]:
    """Number of the group of each cell: neighbours with one H3 parent, the finest that leaves at most `most` groups."""
    pair = coo_array(graph)
    node = np.arange(len(cell))
    for resolution in range(h3.get_resolution(cell[0]) - 1, -1, -1):
        _, parent = np.unique([h3.cell_to_parent(c, resolution) for c in cell], return_inverse=True)
        same = parent[pair.row] == parent[pair.col]
        inner = coo_array((np.ones(int(same.sum())), (pair.row[same], pair.col[same])), shape=graph.shape)
        groups, label = connected_components(inner, directed=False)
        if groups < least:
            break
        node = label
        if groups <= most:
            break
    return np.asarray(node, dtype=np.int64)


def _gap(table: _Table, name: str, minutes: _Floats, over: _Floats, part: _Part) -> dict[str, Any]:
    """Figures of one gap."""
    rows = part.rows
    weight = np.ones(len(rows)) if table.people is None else table.people[rows]
    far = table.threshold + over[rows]
    counted = np.where(np.isnan(table.times[rows]), np.inf, table.times[rows])
    lacking = ((counted > table.threshold) * weight[:, None]).sum(axis=0) / weight.sum()
    order = np.argsort(-lacking, kind="stable")
    gap = {
        "mode": table.mode,
        "category": name,
        "cells": len(rows),
        "h3_cells": ";".join(sorted(table.cell[rows])),
        "neighbourhood": _where(table, weight, rows),
        "area_km2": float(shapely.area(table.metres[rows]).sum() / 1e6),
        "residents": None if table.people is None else float(weight.sum()),
        "mean_minutes": float((far * weight).sum() / weight.sum()),
        "minutes_over": float((over[rows] * weight).sum() / weight.sum()),
        "burden": float((over[rows] * weight).sum()),
        "ranked_by": "cells × minutes" if table.people is None else "residents × minutes",
        "missing": ";".join(table.names[k] for k in order if lacking[k] >= 0.5),
        "unreachable_cells": int(np.isnan(minutes[rows]).sum()),
        "edge_cells": int(table.edge[rows].sum()),
        "geometry": part.outline,
    }
    return gap | {"why": _why(gap, table)}


def _where(table: _Table, weight: _Floats, rows: npt.NDArray[np.int64]) -> str:
    """The neighbourhood in which most of a gap's residents (or cells) are; empty where none is known."""
    if table.neighbourhood is None:
        return ""
    named = pd.Series(weight, index=table.neighbourhood[rows]).groupby(level=0).sum()
    return "" if named.empty else str(named.sort_index().idxmax())


def _ranked(gaps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the gaps of one category from the largest burden down."""
    ordered = sorted(gaps, key=lambda g: (-g["burden"], g["h3_cells"]))
    return [
        gap | {"rank": k, "gap": f"{gap['mode']}-{gap['category']}-{k}"}
        for k, gap in enumerate(ordered, start=1)
    ]


def _why(gap: dict[str, Any], table: _Table) -> str:
    """Say in one sentence why this is a gap."""
    people = gap["residents"]
    where = _count(gap["cells"], "cell")
    who = where if people is None else f"{_count(round(people), 'resident')} in {where}"
    who = f"{gap['neighbourhood']}, {who}" if gap["neighbourhood"] else who
    what = inside_a_sentence(table.labels.get(gap["category"], gap["category"]))
    if gap["category"] == ALL:
        named = [inside_a_sentence(table.labels.get(n, n)) for n in gap["missing"].split(";") if n]
        what = "the slowest category" + (f" ({', '.join(named)})" if named else "")
    text = (
        f"{who}: {gap['mean_minutes']:.1f} min ({VERBS.get(table.mode, table.mode)}) to {what}, "
        f"{gap['minutes_over']:.1f} more than {table.threshold:g}"
    )
    if gap["unreachable_cells"]:
        text += f"; {_count(gap['unreachable_cells'], 'cell')} without any in reach, counted as {table.limit:g} min"
    if gap["edge_cells"]:
        how_many = "all" if gap["edge_cells"] == gap["cells"] else _count(gap["edge_cells"], "cell")
        text += f"; {how_many} at the edge of the data, perhaps better served than shown"
    return text + "."


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
