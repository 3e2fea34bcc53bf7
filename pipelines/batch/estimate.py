"""What a batch will take before it is begun: ``proche batch --estimate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import shapely

from pipelines.batch.cluster import Workers
from pipelines.batch.size import Counts, size_of
from pipelines.batch.split import splits
from pipelines.batch.unit import Order, Outcome
from pipelines.cost import CORE_S, Cost, Size, cost_of

_TELL = 0.15
"""A pace within this of the reference is not worth a line."""
_START_S = 8.0
"""[s] Until the processes of a batch are up: reading the program, once each."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    What a batch will take.

    Attributes
    ----------
    table
        One row a unit: ``unit``, ``city``, ``setting``, ``cells``, ``nodes``, ``core_s``, ``peak_mb``, ``disk_mb``, and
        ``basis``: ``measured`` (an earlier run of the batch), ``count`` (the crossings in its extract), ``file`` (the
        size of its extract), ``area`` (as a dense city), ``unknown`` (nothing but the constant is counted).
    shared_s
        [s] Core seconds for files that are read once for several areas, by address.
    workers
        Processes.
    pace
        Core seconds of this machine for each of the machine that the rates stand for (`pipelines.pace`).
    """

    table: pd.DataFrame
    shared_s: Mapping[str, float]
    workers: Workers
    pace: float = 1.0

    @property
    def core_s(self) -> float:
        """[s] Time of one processor, all units and shared files."""
        return float(self.table["core_s"].sum()) + sum(self.shared_s.values())

    @property
    def wall_s(self) -> float:
        """[s] From the start to the end: the work spread over the processes, or the longest piece if that is longer."""
        longest = float(self.table["core_s"].max()) if len(self.table) else 0.0
        shared = max(self.shared_s.values(), default=0.0)
        return _START_S + max(self.core_s / self.workers.number, shared + longest)

    def summary(self) -> str:
        """The totals in words, a line each."""
        peak = float(self.table["peak_mb"].max()) if len(self.table) else 0.0
        lines = [
            f"{len(self.table)} cities and settings: about {duration(self.core_s)} of one core; "
            f"{duration(self.wall_s)} on {self.workers.number} processes",
            f"memory: up to {peak / 1000:.1f} GB for one city, {self.workers.memory_mb / 1000:.1f} GB for each process",
            f"disk: about {float(self.table['disk_mb'].sum()) / 1000:.1f} GB",
        ]
        lines += [
            f"{address}: read once for all of its areas, {duration(s)}"
            for address, s in sorted(self.shared_s.items())
        ]
        if abs(self.pace - 1) > _TELL:
            lines.append(
                f"a core of this machine, as busy as it is now, takes {self.pace:.1f} times the reference"
            )
        unknown = int((self.table["basis"] == "unknown").sum())
        if unknown:
            lines.append(f"{unknown} of unknown size (a place to be looked up, a missing file): not counted")
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """
    A time as people say it.

    Examples
    --------
    >>> duration(45), duration(600), duration(7_200), duration(400_000)
    ('45 s', '10 min', '2.0 h', '4.6 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def sizes_of(
    orders: Sequence[Order], outlines: Mapping[str, str | None], *, count_from_mb: float = 0.0
) -> dict[str, Size]:
    """
    How large each unit will be.

    Parameters
    ----------
    orders
        The units.
    outlines
        GeoJSON of units whose areas come from a split file.
    count_from_mb
        [MB] The crossings of smaller extracts are not counted.
    """
    known: dict[str, Size] = {}
    counts = Counts(least_mb=count_from_mb)
    for order in orders:
        text = outlines.get(order.id)
        shape = None if text is None else shapely.union_all(shapely.get_parts(shapely.from_geojson(text)))
        known[order.id] = size_of(
            order.tables, base=Path(order.base), cache=Path(order.cache), boundary=shape, counts=counts
        )
    return known


def estimate(
    orders: Sequence[Order],
    sizes: Mapping[str, Size],
    records: Mapping[str, Outcome],
    *,
    workers: Workers,
    split_mb: float,
    pace: float = 1.0,
) -> Estimate:
    """
    Add up what units will take.

    Parameters
    ----------
    orders
        The units.
    sizes
        How large each will be.
    records
        What an earlier batch measured, where it computed this very configuration.
    workers
        Processes.
    split_mb
        As in `run_batch`.
    pace
        As in `Estimate`; what was measured is taken as it was.
    """
    shared: dict[str, float] = {}
    sizes = dict(sizes)
    for split in splits(orders, least_mb=split_mb):
        shared[split.address] = pace * CORE_S.read_mb * max(sizes[o.id].read_mb for o in split.orders)
        for order in split.orders:
            size = sizes[order.id]
            sizes[order.id] = replace(size, read_mb=size.content_mb)
    rows = []
    for order in orders:
        size, record = sizes[order.id], records.get(order.id)
        cost = cost_of(size)
        cost = replace(cost, core_s=cost.core_s * pace)
        if record is not None:
            cost = Cost(record.seconds, record.peak_mb, cost.disk_mb)
        rows.append(
            {
                "unit": order.id,
                "city": order.city,
                "setting": order.label,
                "cells": round(size.cells),
                "nodes": round(size.nodes),
                "core_s": round(cost.core_s, 1),
                "peak_mb": round(cost.peak_mb),
                "disk_mb": round(cost.disk_mb, 1),
                "basis": size.basis if record is None else "measured",
            }
        )
    columns = ["unit", "city", "setting", "cells", "nodes", "core_s", "peak_mb", "disk_mb", "basis"]
    return Estimate(pd.DataFrame(rows, columns=columns), shared, workers, pace)
