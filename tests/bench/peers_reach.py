"""
One engine, one workload, one process: the reference workloads of reach on us and on every peer that is installed.

Run as a script by `tests.bench.peers_table` and by the benchmark tests::

    python tests/bench/peers_reach.py ENGINE WORKLOAD BENCH.npz

It prints one line of JSON: CPU and wall seconds of the preparation and of the work, the engine's version, and two
figures of the result (what is counted, or the sum of the times), so that all can be seen to compute the same thing.
Peers are imported inside their functions: the script runs under an interpreter that has only some of them. Where a
whole workload would take a peer minutes, it does a sample of the origins, spread over all, and says so.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CATEGORIES = ("shops", "schools", "green", "sorting")
CUTOFFS_MS = (300_000, 600_000, 900_000)
SPEED_M_S = {"walk": 1.25, "bike": 4.0}
_FARTHEST_MS = (320_000, 670_000, 830_000, 1_510_000)
_SINGLE = ("W3", "W3polygon", "W4")


class Bench(NamedTuple):
    """The arrays of one workload."""

    xy: np.ndarray
    u: np.ndarray
    v: np.ndarray
    length: np.ndarray
    ms: np.ndarray
    places: list[np.ndarray]
    origins: np.ndarray

    @property
    def n(self) -> int:
        return len(self.xy)

    @property
    def arcs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both directions: tail, head, time; the least of parallel arcs, none of them zero."""
        tail, head = np.concatenate([self.u, self.v]), np.concatenate([self.v, self.u])
        both = np.tile(self.ms, 2)
        order = np.lexsort((both, head, tail))
        tail, head, both = tail[order], head[order], both[order]
        first = np.append(True, (np.diff(tail) != 0) | (np.diff(head) != 0)) & (tail != head)
        return tail[first], head[first], both[first]


class Result(NamedTuple):
    """
    Figures of one run.

    Seconds of CPU and wall, a checksum, the share of the work that was done, how often it was done, and the checksums
    of smaller samples (by their size), for comparison with engines that do only those.
    """

    prepare: tuple[float, float]
    work: tuple[float, float]
    check: float
    share: float = 1.0
    runs: int = 1
    samples: dict[int, float] | None = None


def load(path: Path, workload: str) -> Bench:
    """Read a bench file for one workload."""
    z = np.load(path)
    mode = "bike" if "bike" in workload else "walk"
    ms = np.maximum(np.rint(z["length"] / SPEED_M_S[mode] * 1000), 1).astype(np.int32)
    origins = z["origins11" if workload.endswith("11") else "origins"]
    return Bench(z["xy"], z["u"], z["v"], z["length"], ms, [z[f"opp_{c}"] for c in CATEGORIES], origins)


class Clock:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self.began = time.process_time(), time.perf_counter()

    @property
    def seconds(self) -> tuple[float, float]:
        return time.process_time() - self.began[0], time.perf_counter() - self.began[1]


def spread_over(total: int, n: int) -> np.ndarray:
    """Rows of a sample that is spread over all."""
    return np.linspace(0, total - 1, min(n, total)).astype(int)


def sampled(bench: Bench, n: int) -> np.ndarray:
    """Some origins, spread over all."""
    return bench.origins[spread_over(len(bench.origins), n)]


def counted(row: np.ndarray, bench: Bench) -> int:
    """Places within all cutoffs, of the times of one origin to every vertex."""
    return sum(int((row[places] <= c).sum()) for places in bench.places for c in CUTOFFS_MS)


# --- us -------------------------------------------------------------------------------------------------------------


def proche(bench: Bench, workload: str) -> Result:
    """Proche: sweeps for the counts, with the hierarchy as their preparation."""
    return _proche(bench, workload, _proche_sweeps)


def start(bench: Bench, workload: str) -> Result:
    """Ready for every workload: the imports as preparation, then all kernels, compiled or loaded."""
    clock = Clock()
    import engine.reach.outline
    import engine.reach.update  # noqa: F401
    import tests.towns  # noqa: F401

    prepare, clock = clock.seconds, Clock()
    for one in ("W2walk", *_OURS):
        warm_up(one)
    return Result(prepare, clock.seconds, 0.0)


def proche_searches(bench: Bench, workload: str) -> Result:
    """Proche without a hierarchy: one bounded search a place."""
    if not workload.startswith("W2"):
        raise SystemExit("proche-searches: see proche")
    return _proche(bench, workload, _proche_searches)


def _proche(bench: Bench, workload: str, counts: Callable[..., Result]) -> Result:
    """Run one of our engines, its kernels loaded and warm: what the first start pays is measured apart."""
    import pandas as pd

    from engine.network.street_network import StreetNetwork
    from engine.reach import Destinations
    from engine.reach.graph import reach_graph

    lon, lat = degrees(bench)
    ends = np.column_stack([bench.u, bench.v]).ravel()
    columns = {
        "u": bench.u,
        "v": bench.v,
        "length_m": bench.length,
        "forward_ms": bench.ms,
        "backward_ms": bench.ms,
    }
    network = StreetNetwork(
        mode="walk",
        node_id=np.arange(bench.n),
        lon=lon,
        lat=lat,
        streets=pd.DataFrame(columns | {"osm_way": np.arange(len(bench.u))}),
        coords=np.column_stack([lon[ends], lat[ends]]),
        offsets=np.arange(0, len(ends) + 1, 2),
    )
    nodes = np.concatenate(bench.places)
    destinations = Destinations(
        snaps=at_nodes(network, nodes),
        place=np.arange(len(nodes), dtype=np.int32),
        category=np.repeat(np.arange(4), [len(p) for p in bench.places]).astype(np.int32),
        capacity=np.ones(len(nodes)),
        n_categories=4,
    )
    warm_up(workload)
    clock = Clock()
    reach_graph(network)
    return _OURS.get(workload, counts)(bench, network, destinations, clock)


def degrees(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of planar coordinates, round about Porto."""
    x, y = (bench.xy - bench.xy.mean(axis=0)).T
    return -8.6 + x / (111_195 * np.cos(np.radians(41.15))), 41.15 + y / 111_195


def at_nodes(network: Any, nodes: np.ndarray) -> Any:
    """Snaps exactly at vertices."""
    from engine.snapping import Snaps

    street, end = np.full(network.n_vertices, -1, dtype=np.int32), np.zeros(network.n_vertices)
    every = np.arange(len(network.streets), dtype=np.int32)
    street[network.v], end[network.v] = every, 1.0
    street[network.u], end[network.u] = every, 0.0
    n = len(nodes)
    reason = np.full(n, "", dtype=object)
    return Snaps(street[nodes], end[nodes], np.zeros(n), np.zeros(n, dtype=np.int64), reason)


def warm_up(workload: str) -> None:
    """Load or compile what the workload runs, on a town of two streets."""
    from tests.towns import exact_snaps, town

    t = town("A--s--B--s--C")
    bench = Bench(*[np.empty(0)] * 5, [], np.empty(0))
    if workload in _OURS:
        _OURS[workload](bench._replace(origins=np.array([0])), t.network, t.destinations("s"), Clock())
        return
    from engine.reach import cumulative

    for engine in ("searches", "sweeps"):
        cumulative(t.network, exact_snaps([0], [0.5]), t.destinations("s"), [1000], engine=engine)


def _proche_nearest(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    from engine.reach import nearest

    prepare, clock = clock.seconds, Clock()
    times = nearest(network, destinations).time_ms[:, bench.origins, 0]
    return Result(prepare, clock.seconds, float(times.sum(dtype=np.int64)))


def _proche_sweeps(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    from engine.reach.hierarchy import hierarchy

    hierarchy(network)
    return _proche_counts(bench, network, destinations, clock, "sweeps")


def _proche_searches(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    return _proche_counts(bench, network, destinations, clock, "searches")


def _proche_counts(bench: Bench, network: Any, destinations: Any, clock: Clock, engine: Any) -> Result:
    from engine.reach import cumulative

    origins = at_nodes(network, bench.origins)
    prepare, clock = clock.seconds, Clock()
    counts = cumulative(network, origins, destinations, CUTOFFS_MS, engine=engine)
    work = clock.seconds
    samples = {n: float(counts[spread_over(len(counts), n)].sum()) for n in (20, 100, 350)}
    return Result(prepare, work, float(counts.sum()), samples=samples)


def _proche_isochrone(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    from engine.reach.graph import UNREACHABLE, reach_graph
    from engine.reach.search import ball

    graph, limit = reach_graph(network), CUTOFFS_MS[-1]
    origins, zero = graph.slot[sampled(bench, 200)], np.zeros(1, dtype=np.int32)
    prepare, total = clock.seconds, 0
    with graph.borrow(limit) as scratch:
        clock = Clock()
        for i in range(len(origins)):
            found = ball(*graph.out_of, origins[i : i + 1], zero, limit, graph.shift, tuple(scratch))
            scratch.time_ms[scratch.found[:found]] = UNREACHABLE
            total += found
        work = clock.seconds
    return Result(prepare, work, float(total), runs=len(origins))


def _proche_polygon(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    """From the point to the outline in degrees: search, cuts and polygon."""
    from engine.reach.isochrone import reached_streets
    from engine.reach.outline import isochrone_outline

    nodes, total = sampled(bench, 100), 0.0
    points = [at_nodes(network, nodes[i : i + 1]) for i in range(len(nodes))]
    isochrone_outline(network, reached_streets(network, points[0], limit_ms=CUTOFFS_MS[-1]))
    prepare, clock = clock.seconds, Clock()
    for point in points:
        total += isochrone_outline(network, reached_streets(network, point, limit_ms=CUTOFFS_MS[-1])).area
    return Result(prepare, clock.seconds, total, runs=len(points))


def _proche_place(bench: Bench, network: Any, destinations: Any, clock: Clock) -> Result:
    from engine.reach import Destinations, nearest
    from engine.reach.graph import seeds
    from engine.reach.update import improve

    field = nearest(network, destinations)
    added = sampled(bench, 200)
    new = Destinations(
        snaps=at_nodes(network, added),
        place=np.arange(len(added), dtype=np.int32),
        category=np.zeros(len(added), dtype=np.int32),
        capacity=np.ones(len(added)),
        n_categories=1,
    )
    starts, total = seeds(network, new), 0
    prepare, clock = clock.seconds, Clock()
    for i in range(len(added)):
        total += len(improve(network, field, starts, row=i, place=destinations.n_places, category=0).vertex)
    return Result(prepare, clock.seconds, float(total), runs=len(added))


_OURS: dict[str, Callable[..., Result]] = {
    "W1": _proche_nearest,
    "W3": _proche_isochrone,
    "W3polygon": _proche_polygon,
    "W4": _proche_place,
}


# --- peers ----------------------------------------------------------------------------------------------------------


def scipy(bench: Bench, workload: str) -> Result:
    """SciPy's Dijkstra: one call with many sources for the nearest, rows of limited searches for the counts."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    if workload == "W3polygon":
        raise SystemExit("scipy: no polygons")
    clock = Clock()
    tail, head, ms = bench.arcs
    graph = csr_array((ms.astype(float), (head, tail)), shape=(bench.n, bench.n))
    prepare, clock = clock.seconds, Clock()
    if workload == "W1":
        rows = [dijkstra(graph, indices=np.unique(p), min_only=True) for p in bench.places]
        return Result(prepare, clock.seconds, float(sum(r[bench.origins].sum() for r in rows)))
    if workload == "W3":
        some = sampled(bench, 20)
        total = sum(int(np.isfinite(dijkstra(graph, indices=o, limit=CUTOFFS_MS[-1])).sum()) for o in some)
        return Result(prepare, clock.seconds, float(total), runs=len(some))
    if workload == "W4":
        for _ in range(3):
            dijkstra(graph, indices=np.unique(bench.places[0]), min_only=True)
        return Result(prepare, clock.seconds, 0.0, runs=3)
    some, total = sampled(bench, 350), 0
    for first in range(0, len(some), 64):
        for row in dijkstra(graph, indices=some[first : first + 64], limit=CUTOFFS_MS[-1]):
            total += counted(row, bench)
    return Result(prepare, clock.seconds, float(total), len(some) / len(bench.origins))


def igraph(bench: Bench, workload: str) -> Result:
    """igraph alone: it has no limit, so every count is a search of the whole graph."""
    import igraph as ig

    clock = Clock()
    tail, head, ms = bench.arcs
    sources = np.repeat(np.arange(4), [len(p) for p in bench.places]) + bench.n
    places = np.concatenate(bench.places)
    edges = np.column_stack([np.append(head, sources), np.append(tail, places)])
    graph = ig.Graph(n=bench.n + 4, edges=edges, directed=True)
    graph.es["ms"] = np.append(ms, np.zeros(len(places), dtype=int)).tolist()
    prepare, clock = clock.seconds, Clock()
    if workload == "W1":
        found = graph.distances(
            source=range(bench.n, bench.n + 4), target=bench.origins.tolist(), weights="ms"
        )
        return Result(prepare, clock.seconds, float(np.sum(found)))
    some, total = sampled(bench, 20), 0
    if workload in _SINGLE:
        raise SystemExit("igraph: no limited search, no update")
    for row in graph.distances(source=some.tolist(), target=range(bench.n), weights="ms"):
        total += counted(np.array(row), bench)
    return Result(prepare, clock.seconds, float(total), len(some) / len(bench.origins))


def networkit(bench: Bench, workload: str) -> Result:
    """NetworKit: single-source Dijkstra, from an added vertex for the nearest; no limit either."""
    import networkit as nk

    if workload in _SINGLE:
        raise SystemExit("networkit: no limited search, no update")
    nk.setNumberOfThreads(2)
    clock = Clock()
    tail, head, ms = bench.arcs
    graph = nk.graph.Graph(bench.n + 4, weighted=True, directed=True)
    for a, b, w in zip(head.tolist(), tail.tolist(), ms.tolist(), strict=True):
        graph.addEdge(a, b, w)
    for c, places in enumerate(bench.places):
        for p in np.unique(places).tolist():
            graph.addEdge(bench.n + c, p, 0.0)
    prepare, clock = clock.seconds, Clock()
    if workload == "W1":
        rows = [
            np.array(nk.distance.Dijkstra(graph, bench.n + c, storePaths=False).run().getDistances())
            for c in range(4)
        ]
        return Result(prepare, clock.seconds, float(sum(r[bench.origins].sum() for r in rows)))
    some, total = sampled(bench, 20), 0
    for o in some.tolist():
        row = nk.distance.Dijkstra(graph, o, storePaths=False).run().getDistances()
        total += counted(np.array(row), bench)
    return Result(prepare, clock.seconds, float(total), len(some) / len(bench.origins))


def routingkit(bench: Bench, workload: str) -> Result:
    """RoutingKit's customizable contraction hierarchy with pinned targets, or pinned origins for the nearest."""
    import routingkit_cch as rk

    if workload in _SINGLE:
        raise SystemExit("routingkit: no limited search, no update")
    clock = Clock()
    tail, head, ms = (a.tolist() for a in bench.arcs)
    lon, lat = degrees(bench)
    order = rk.compute_order_inertial(bench.n, tail, head, lat.tolist(), lon.tolist())
    metric = rk.CCHMetric(rk.CCH(order, tail, head, False), ms)
    if workload == "W1":
        pinned = rk.CCHManyToOne(metric, bench.origins.tolist())
        sources = [[(int(p), 0) for p in np.unique(places)] for places in bench.places]
        prepare, clock = clock.seconds, Clock()
        total = sum(sum(pinned.distances_to_multi(s)) for s in sources)
        return Result(prepare, clock.seconds, float(total))
    places = np.concatenate(bench.places)
    pinned = rk.CCHOneToMany(metric, places.tolist())
    prepare, clock = clock.seconds, Clock()
    some, total = sampled(bench, 350), 0
    for o in some.tolist():
        row = np.array([d if d is not None else 2**31 for d in pinned.distances_from(o)])
        total += sum(int((row <= c).sum()) for c in CUTOFFS_MS)
    return Result(prepare, clock.seconds, float(total), len(some) / len(bench.origins))


def pandana(bench: Bench, workload: str) -> Result:
    """
    pandana: counts around every vertex, whichever the origins are.

    It has no nearest without a limit: `_FARTHEST_MS` is just beyond the farthest place. By bicycle it would keep the 15
    minutes around each of 80,000 vertices in memory at once, so that is left out.
    """
    import pandana
    import pandas as pd

    if workload == "W3polygon":
        raise SystemExit("pandana: no polygons")
    if "bike" in workload:
        raise SystemExit("pandana: see its docstring")
    clock = Clock()
    weights = pd.DataFrame({"ms": bench.ms.astype(float)})
    net = pandana.Network(*(pd.Series(a) for a in (*bench.xy.T, bench.u, bench.v)), weights)
    limit = CUTOFFS_MS[-1]
    if workload == "W3":
        some = sampled(bench, 20)
        prepare, clock = clock.seconds, Clock()
        return Result(prepare, clock.seconds, float(len(net.nodes_in_range(some, limit))), runs=len(some))
    if workload in ("W1", "W4"):
        prepare, clock = clock.seconds, Clock()
        total, rows = 0.0, list(zip(CATEGORIES, bench.places, _FARTHEST_MS, strict=True))
        for name, places, most in rows[: 1 if workload == "W4" else 4]:
            net.set_pois(name, most, 1, pd.Series(bench.xy[places, 0]), pd.Series(bench.xy[places, 1]))
            total += float(net.nearest_pois(most, name, num_pois=1)[1].iloc[bench.origins].sum())
        return Result(prepare, clock.seconds, total)
    net.precompute(limit)
    prepare, clock = clock.seconds, Clock()
    total = 0.0
    for name, places in zip(CATEGORIES, bench.places, strict=True):
        net.set(pd.Series(places), name=name)
        for cutoff in CUTOFFS_MS:
            total += float(net.aggregate(cutoff, type="count", name=name).iloc[bench.origins].sum())
    return Result(prepare, clock.seconds, total)


def cityseer(bench: Bench, workload: str) -> Result:
    """cityseer: places assigned to street edges, times in 32-bit floats; a sample of the origins is live."""
    from cityseer import rustalgos

    if not workload.startswith("W2"):
        raise SystemExit("cityseer: counts and distances come together; see W2")
    clock = Clock()
    some = sampled(bench, 20 if "bike" in workload else 100)
    live = np.isin(np.arange(bench.n), some)
    net = rustalgos.graph.NetworkStructure()
    for i, (x, y) in enumerate(bench.xy.tolist()):
        net.add_street_node(i, x, y, bool(live[i]), 1.0)
    straight = np.maximum(np.hypot(*(bench.xy[bench.u] - bench.xy[bench.v]).T), 1e-3)
    factor = (bench.length / straight).tolist()
    for e, (a, b) in enumerate(zip(bench.u.tolist(), bench.v.tolist(), strict=True)):
        for p, q in ((a, b), (b, a)):
            (x0, y0), (x1, y1) = bench.xy[p], bench.xy[q]
            net.add_street_edge(p, q, e, p, q, f"LINESTRING ({x0} {y0}, {x1} {y1})", factor[e])
    net.validate()
    net.build_edge_rtree()
    data = rustalgos.data.DataMap()
    names: dict[Any, str] = {}
    for name, places in zip(CATEGORIES, bench.places, strict=True):
        for i, (x, y) in enumerate(bench.xy[places].tolist()):
            names[f"{name}{i}"] = name
            data.insert(f"{name}{i}", f"POINT ({x} {y})")
    data.assign_data_to_network(net, 50.0, 4)
    speed = SPEED_M_S["bike" if "bike" in workload else "walk"]
    prepare, clock = clock.seconds, Clock()
    found = data.accessibility(
        net, names, list(CATEGORIES), minutes=[5.0, 10.0, 15.0], speed_m_s=speed, pbar_disabled=True
    )
    work = clock.seconds
    total = sum(float(np.nansum(a)) for use in found.result.values() for a in use.count.values())
    return Result(prepare, work, total, len(some) / len(bench.origins))


ENGINES: dict[str, tuple[Callable[[Bench, str], Result], str]] = {
    "proche": (proche, "proche"),
    "start": (start, "proche"),
    "proche-searches": (proche_searches, "proche"),
    "scipy": (scipy, "scipy"),
    "igraph": (igraph, "igraph"),
    "networkit": (networkit, "networkit"),
    "routingkit": (routingkit, "routingkit_cch"),
    "pandana": (pandana, "pandana"),
    "cityseer": (cityseer, "cityseer"),
}


def main(engine: str, workload: str, path: str) -> None:
    run, package = ENGINES[engine]
    bench = load(Path(path), workload)
    result = run(bench, workload)
    told = result._asdict() | {"engine": engine, "workload": workload, "version": version(package)}
    print(json.dumps(told))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main(*sys.argv[1:])
