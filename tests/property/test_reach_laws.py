"""Laws that every travel-time field keeps, on random directed networks with islands, loops and zero times."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cells import StreetPieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.reach import Decay, Destinations, cell_counts, cell_times, coverage, nearest, sweeps, threads
from engine.reach import places_to_cells as kernels
from engine.reach.graph import seeds
from engine.reach.places_to_cells import cell_units
from engine.reach.update import improve
from tests.strategies import destinations_on, pieces_on, street_networks
from tests.towns import exact_snaps

laws = settings(deadline=None, max_examples=60)
Case = tuple[StreetNetwork, Destinations, StreetPieces]
CUTOFFS = [0, 5, 300_000, 900_000]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    network = draw(street_networks())
    return network, draw(destinations_on(network)), draw(pieces_on(network))


def only(destinations: Destinations, places: list[int]) -> Destinations:
    """Some of the places, renumbered in their order."""
    number = np.full(destinations.n_places, -1)
    number[places] = np.arange(len(places))
    points = np.isin(destinations.place, places)
    snaps = destinations.snaps
    return Destinations(
        snaps=exact_snaps(
            snaps.street[points].tolist(), snaps.fraction[points].tolist(), snaps.access_ms[points].tolist()
        ),
        place=number[destinations.place[points]].astype(np.int32),
        category=destinations.category[places],
        capacity=destinations.capacity[places],
        n_categories=destinations.n_categories,
    )


@laws
@given(cases())
def test_counts_grow_with_the_cutoff_and_end_at_all_places(case: Case) -> None:
    network, destinations, pieces = case
    counts = np.nan_to_num(cell_counts(network, pieces, destinations, CUTOFFS))
    assert (np.diff(counts, axis=2) >= 0).all()
    assert (counts <= np.bincount(destinations.category, minlength=destinations.n_categories)[:, None]).all()


@laws
@given(cases())
def test_time_to_a_place_keeps_the_triangle_inequality(case: Case) -> None:
    network, destinations, _ = case
    time = nearest(network, destinations).time_ms[:, :, 0].astype(np.int64)
    arcs = network.arcs
    tail, head = arcs["tail"].to_numpy(), arcs["head"].to_numpy()
    assert (time[:, tail] <= time[:, head] + arcs["travel_time_ms"].to_numpy(np.int64)).all()


@laws
@given(cases(), st.data())
def test_one_more_place_never_worsens(case: Case, data: st.DataObject) -> None:
    network, destinations, pieces = case
    if not destinations.n_places:
        return
    without = data.draw(st.integers(0, destinations.n_places - 1))
    fewer = only(destinations, [p for p in range(destinations.n_places) if p != without])
    more_label, less_label = nearest(network, destinations, k=2).time_ms, nearest(network, fewer, k=2).time_ms
    assert (more_label <= less_label).all()
    more = np.nan_to_num(cell_counts(network, pieces, destinations, CUTOFFS))
    assert (more >= np.nan_to_num(cell_counts(network, pieces, fewer, CUTOFFS))).all()


@laws
@given(cases(), st.data())
def test_one_way_fewer_never_improves(case: Case, data: st.DataObject) -> None:
    network, destinations, pieces = case
    if not len(network.streets):
        return
    closed = data.draw(st.integers(0, len(network.streets) - 1))
    column = data.draw(st.sampled_from(["forward_ms", "backward_ms"]))
    streets = network.streets.copy()
    streets.loc[closed, column] = NO_WAY
    worse = dataclasses.replace(network, streets=streets)
    assert (nearest(worse, destinations, k=2).time_ms >= nearest(network, destinations, k=2).time_ms).all()
    before = cell_units(network, pieces, destinations, [Decay.step(c) for c in CUTOFFS]).sums
    after = cell_units(worse, pieces, destinations, [Decay.step(c) for c in CUTOFFS]).sums
    assert (after <= before + 1).all()  # one unit is 60 nm: the lines that meet are other lines, rounded anew


@laws
@given(cases(), st.randoms())
def test_names_of_vertices_and_streets_change_nothing(case: Case, random) -> None:
    network, destinations, pieces = case
    n, m = network.n_vertices, len(network.streets)
    vertex, street = list(range(n)), list(range(m))
    random.shuffle(vertex)
    random.shuffle(street)
    vertex_to, street_to = np.array(vertex), np.array(street, dtype=np.int64)
    table = network.streets.assign(u=vertex_to[network.u], v=vertex_to[network.v])
    back = np.argsort(street_to)
    lengths = np.diff(network.offsets)[back]
    runs = [network.coords[network.offsets[s] : network.offsets[s + 1]] for s in back]
    renamed = StreetNetwork(
        mode="walk",
        node_id=network.node_id[np.argsort(vertex_to)],
        lon=network.lon[np.argsort(vertex_to)] + 1.0,
        lat=network.lat[np.argsort(vertex_to)],
        streets=table.iloc[back].reset_index(drop=True).astype({"u": np.int32, "v": np.int32}),
        coords=np.concatenate(runs) if runs else np.empty((0, 2)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )
    snaps = destinations.snaps
    moved_to = np.append(street_to, -1)[snaps.street]
    moved = dataclasses.replace(
        destinations, snaps=dataclasses.replace(snaps, street=moved_to.astype(np.int32))
    )
    moved_pieces = dataclasses.replace(pieces, street=street_to[pieces.street].astype(np.int32))
    one, other = nearest(network, destinations, k=2).label, nearest(renamed, moved, k=2).label
    assert np.array_equal(one, other[:, vertex_to])
    units = [Decay.step(300_000), Decay.linear(900_000)]
    assert np.array_equal(
        cell_units(network, pieces, destinations, units).sums,
        cell_units(renamed, moved_pieces, moved, units).sums,
    )


@laws
@given(cases(), st.sampled_from(["searches", "sweeps"]))
def test_sums_over_parts_add_up_to_the_whole(case: Case, engine) -> None:
    network, destinations, pieces = case
    decays = [Decay.step(300_000), Decay.exponential(100_000)]
    whole = cell_units(network, pieces, destinations, decays, engine=engine).sums
    half = np.arange(0, destinations.n_places, 2)
    rest = np.arange(1, destinations.n_places, 2)
    parts = [
        cell_units(network, pieces, destinations, decays, places=p, engine=engine).sums for p in (half, rest)
    ]
    assert np.array_equal(whole, parts[0] + parts[1])


@laws
@given(cases(), st.integers(1, 5))
def test_threads_and_chunks_change_nothing(case: Case, n: int) -> None:
    network, destinations, pieces = case

    def everything() -> list[np.ndarray]:
        field = nearest(network, destinations, k=2)
        times = cell_times(network, pieces, field, destinations)
        covered = coverage(network, pieces, destinations, cutoff_ms=300_000)
        sums = [
            cell_units(network, pieces, destinations, [Decay.linear(900_000)], engine=e).sums
            for e in ("searches", "sweeps")
        ]
        return [field.label, times.mean_ms, times.p90_ms, times.place, covered.cell, covered.share, *sums]

    before = everything()
    workers, chunk = threads.workers, kernels._ROW_CHUNK
    try:
        threads.workers = kernels.workers = sweeps.workers = lambda: n
        kernels._ROW_CHUNK = n
        after = everything()
    finally:
        threads.workers = kernels.workers = sweeps.workers = workers
        kernels._ROW_CHUNK = chunk
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, after, strict=True))


@laws
@given(cases(), st.integers(1, 3), st.none() | st.integers(0, 500_000))
def test_improving_by_a_place_equals_computing_anew(case: Case, k: int, limit: int | None) -> None:
    network, destinations, _ = case
    if not destinations.n_places:
        return
    last = destinations.n_places - 1
    fewer = only(destinations, list(range(last)))
    field = nearest(network, fewer, k=k, limit_ms=limit)
    change = improve(
        network,
        field,
        seeds(network, destinations),
        row=last,
        place=last,
        category=int(destinations.category[last]),
    )
    improved = change.applied(field)
    assert np.array_equal(improved.label, nearest(network, destinations, k=k, limit_ms=limit).label)
