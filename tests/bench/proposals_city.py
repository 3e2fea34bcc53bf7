"""A city of Paris's size under edits, in a process of its own: seconds and memory of each kind of edit, as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd

from engine.cells import street_pieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.proposals.live import Cutoffs, Live
from engine.proposals.operation import Operation, PlaceAdded, PlaceRemoved, Retime
from engine.proposals.scenario import ModeTables
from engine.proposals.standing import StreetView
from engine.proposals.streets_laid import close_streets, joints, lay_street
from engine.reach import Destinations, nearest
from engine.reach.cell_counts import cell_counts
from engine.reach.cell_times import cell_times
from tests.towns import exact_snaps

SPEED_M_S = {"walk": 1.25, "bike": 4.0, "street30": 8.33}
CUTOFFS = Cutoffs(limit_ms=30 * 60_000, counts_ms=(300_000, 600_000, 900_000))
RUNS = 8


def city(path: Path) -> dict[str, ModeTables]:
    """Networks, cells and places of three modes on the reference graph."""
    data = np.load(path)
    lon, lat = 2.35 + data["xy"][:, 0] / 73_200.0, 48.86 + data["xy"][:, 1] / 111_195.0
    lon, lat = lon - lon.mean() + 2.35, lat - lat.mean() + 48.86
    u, v, length = data["u"].astype(np.int32), data["v"].astype(np.int32), data["length"].astype(float)
    ends = np.column_stack([u, v]).ravel()
    numbers = np.unique([int(h3.latlng_to_cell(lat[n], lon[n], 10), 16) for n in data["origins"]])
    places = [data[f"opp_{c}"] for c in ("shops", "schools", "green", "sorting")]
    tables = {}
    for mode, speed in SPEED_M_S.items():
        ms = np.rint(length / speed * 1000).astype(np.int32)
        columns = {"u": u, "v": v, "length_m": length, "forward_ms": ms, "backward_ms": ms}
        network = StreetNetwork(
            mode=mode,
            node_id=np.arange(len(lon)),
            lon=lon,
            lat=lat,
            streets=pd.DataFrame(columns | {"osm_way": np.arange(len(u))}),
            coords=np.column_stack([lon[ends], lat[ends]]),
            offsets=np.arange(0, len(ends) + 1, 2),
        )
        street, fraction = _beside(network, np.concatenate(places))
        of = Destinations(
            snaps=exact_snaps(street.tolist(), fraction.tolist()),
            place=np.arange(len(street), dtype=np.int32),
            category=np.repeat(np.arange(4), [len(p) for p in places]).astype(np.int32),
            capacity=np.ones(len(street)),
            n_categories=4,
        )
        tables[mode] = ModeTables(
            network, street_pieces(network, numbers.astype(np.uint64), max_snap_m=250), of
        )
    return tables


def _beside(network: StreetNetwork, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A street that ends at each node, and the fraction at which it does."""
    first = np.full(network.n_vertices, -1)
    first[network.v] = np.arange(len(network.v))
    first[network.u] = np.arange(len(network.u))
    street = first[nodes]
    return street, np.where(network.u[street] == nodes, 0.0, 1.0)


def edits(tables: dict[str, ModeTables]) -> dict[str, list[dict[str, Operation]]]:
    """Edits of each kind, spread over the city, each in every mode that it concerns."""
    network = tables["walk"].network
    rng = np.random.default_rng(15)
    some = rng.choice(len(network.streets), RUNS, replace=False)
    views = {m: StreetView.of(t.network) for m, t in tables.items()}
    nobody = (np.empty(0, dtype=np.int64), np.empty((0, 2)))

    def place(i: int) -> dict[str, Operation]:
        return dict.fromkeys(tables, PlaceAdded(i % 4, 1.0, exact_snaps([int(some[i])], [0.4])))

    def gone(i: int) -> dict[str, Operation]:
        return dict.fromkeys(tables, PlaceRemoved(int(rng.integers(tables["walk"].destinations.n_places))))

    def slower(i: int) -> dict[str, Operation]:
        street = some[i : i + 1].astype(np.int64)
        now = {m: 2 * t.network.forward_ms[street] for m, t in tables.items()}
        return {m: Retime(street, t, t) for m, t in now.items()}

    def closed(i: int) -> dict[str, Operation]:
        return {m: close_streets(views[m], [int(some[i])]) for m in tables}

    def link(i: int) -> dict[str, Operation]:
        at = int(network.u[some[i]])
        line = np.array(
            [(network.lon[at], network.lat[at]), (network.lon[at] + 0.003, network.lat[at] + 0.002)]
        )
        made = {}
        for mode in ("walk", "bike"):
            ends = joints(views[mode], line, connect="ends", join_m=100.0)
            made[mode] = lay_street(
                views[mode], line, ends, ms_per_m=1000 / SPEED_M_S[mode], oneway=False, attributes={},
                unserved=nobody, max_origin_snap_m=250.0,
            )  # fmt: skip
        return made

    def zone(i: int) -> dict[str, Operation]:
        """Streets of an arrondissement's size, 5 km², no faster than two thirds of today's speed."""
        x, y = network.lon * 73_200.0, network.lat * 111_195.0
        at = int(network.u[some[i]])
        inside = (abs(x - x[at]) < 1118) & (abs(y - y[at]) < 1118)
        street = np.flatnonzero(inside[network.u] & inside[network.v])
        now = np.rint(tables["street30"].network.forward_ms[street] * 1.5).astype(np.int32)
        return {"street30": Retime(street, now, now)}

    kinds: dict[str, Callable[[int], dict[str, Operation]]] = {
        "amenity added": place, "amenity removed": gone, "street slower": slower, "street closed": closed,
        "street added": link, "zone": zone,
    }  # fmt: skip
    return {kind: [make(i) for i in range(6 if kind == "zone" else RUNS)] for kind, make in kinds.items()}


def full(tables: dict[str, ModeTables]) -> None:
    """Every mode computed anew, as a run does."""
    for t in tables.values():
        field = nearest(t.network, t.destinations, k=2, limit_ms=CUTOFFS.limit_ms)
        cell_times(t.network, t.pieces, field, t.destinations)
        cell_counts(t.network, t.pieces, t.destinations, list(CUTOFFS.counts_ms))


def measured(live: Live, steps: list[dict[str, Operation]], *, counts: bool) -> Iterator[float]:
    """[s] CPU time of each edit, which is undone."""
    for step in steps:
        start = time.process_time()
        live.do(step, counts=counts)
        yield time.process_time() - start
        live.undo()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(path: str) -> dict[str, Any]:
    tables = city(Path(path))
    full(tables)
    start = time.process_time()
    full(tables)
    out: dict[str, Any] = {"cells": tables["walk"].pieces.n_cells, "full": time.process_time() - start}
    out["base_mb"] = peak_mb()
    live = Live(tables, CUTOFFS)
    for kind, steps in edits(tables).items():
        list(measured(live, steps[:2], counts=True))
        out[f"{kind}, times"] = float(np.median(list(measured(live, steps, counts=False))))
        out[kind] = float(np.median(list(measured(live, steps, counts=True))))
    out["edited_mb"] = peak_mb()
    return out


assert NO_WAY == -1
if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1]), indent=1) + "\n")
