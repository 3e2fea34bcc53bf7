"""Laws of edits: what is brought up to date equals a full recomputation, bit for bit, forwards and backwards."""

from __future__ import annotations

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cells import StreetPieces, street_pieces
from engine.network.street_network import NO_WAY, StreetNetwork
from engine.proposals import live_mode
from engine.proposals.counting import Counting
from engine.proposals.live import Cutoffs, Live
from engine.proposals.operation import (
    Build,
    Operation,
    Origin,
    PlaceAdded,
    PlaceRemoved,
    PlaceResized,
    Retime,
    Segment,
)
from engine.proposals.scenario import ModeTables, with_operations
from engine.proposals.standing import StreetView
from engine.proposals.streets_laid import close_streets
from engine.reach import Destinations, nearest
from engine.reach.cell_counts import count_units
from engine.reach.cell_times import cell_times
from tests.strategies import FRACTIONS, Street, destinations_on, network_of, pieces_on, street_networks
from tests.towns import exact_snaps, town

laws = settings(deadline=None, max_examples=25)
CUTOFFS = Cutoffs(limit_ms=900_000, counts_ms=(8, 300_000, 900_000))


@st.composite
def city(draw: st.DrawFn) -> dict[str, ModeTables]:
    """One or two modes, each with its own streets and cells."""
    categories = draw(st.integers(1, 3))
    tables = {}
    for mode in ("walk", "bike")[: draw(st.integers(1, 2))]:
        network = draw(street_networks())
        places = draw(destinations_on(network, n_categories=categories))
        tables[mode] = ModeTables(network, draw(pieces_on(network)), places)
    return tables


@st.composite
def operation_on(draw: st.DrawFn, tables: ModeTables, *, kinds: tuple[str, ...]) -> Operation | None:
    """An operation that the tables as they stand allow; None where the drawn kind is not possible."""
    network, places = tables.network, tables.destinations
    kind = draw(st.sampled_from(kinds))
    m = len(network.streets)
    if kind == "add" and m:
        return _place(draw, tables)
    if kind == "remove" and places.n_places:
        return PlaceRemoved(draw(st.integers(0, places.n_places - 1)))
    if kind == "resize" and places.n_places:
        return PlaceResized(draw(st.integers(0, places.n_places - 1)), draw(st.floats(0.5, 9.0)))
    open_ = np.flatnonzero((network.forward_ms >= 0) | (network.backward_ms >= 0))
    if kind in ("retime", "faster", "slower") and len(open_):
        return _retime(draw, network, open_, kind)
    if kind in ("cut", "close") and len(open_):
        return _build(draw, tables, open_, closed=kind == "close")
    return None


def _place(draw: st.DrawFn, tables: ModeTables) -> PlaceAdded:
    n = draw(st.integers(1, 3))
    streets = st.integers(0, len(tables.network.streets) - 1)
    snaps = exact_snaps(
        [draw(streets) for _ in range(n)],
        [draw(FRACTIONS) for _ in range(n)],
        [draw(st.integers(0, 3) | st.integers(0, 72_000)) for _ in range(n)],
    )
    return PlaceAdded(
        draw(st.integers(0, tables.destinations.n_categories - 1)), draw(st.floats(0.5, 9.0)), snaps
    )


def _retime(draw: st.DrawFn, network: StreetNetwork, open_: np.ndarray, kind: str) -> Retime:
    chosen = draw(st.lists(st.sampled_from(open_.tolist()), min_size=1, max_size=5, unique=True))
    street = np.array(chosen, dtype=np.int64)
    times = []
    for old in (network.forward_ms[street], network.backward_ms[street]):
        row = []
        for t in old.tolist():
            drawn = draw(st.integers(0, 12) | st.integers(0, 1_000_000))
            if kind == "faster":
                row.append(min(t, drawn) if t >= 0 else t)
            elif kind == "slower":
                row.append(NO_WAY if t < 0 or draw(st.integers(0, 4)) == 0 else t + drawn)
            else:
                row.append(draw(st.just(NO_WAY)) if draw(st.integers(0, 5)) == 0 else drawn)
        times.append(np.array(row, dtype=np.int32))
    return Retime(street, times[0], times[1])


def _build(draw: st.DrawFn, tables: ModeTables, open_: np.ndarray, *, closed: bool) -> Build:
    """A street cut in two, with a new street from the joint; or streets closed at their middle."""
    network = tables.network
    old = int(draw(st.sampled_from(open_.tolist())))
    at = 0.5 if closed else draw(st.sampled_from([0.25, 1 / 3, 0.5, 0.9]))
    n, u, v = network.n_vertices, int(network.u[old]), int(network.v[old])
    times = [int(network.forward_ms[old]), int(network.backward_ms[old])]
    rounded = np.ceil if closed else np.floor
    shares = [[NO_WAY if t < 0 else int(rounded(t * s)) for t in times] for s in (at, 1 - at)]
    length = float(network.length_m[old])
    far = n + 1 if closed else n
    rows = [(u, n, *shares[0], length * at), (far, v, *shares[1], length * (1 - at))]
    if not closed:
        back = draw(st.sampled_from([NO_WAY, 0, 7, 40_000]))
        rows.append((n, draw(st.integers(0, n - 1)), draw(st.integers(0, 60_000)), back, 80.0))
    columns = list(zip(*rows, strict=True))
    without = np.flatnonzero(tables.pieces.no_network)
    origins = ()
    if not closed and len(without) and draw(st.booleans()):
        origins = (Origin(int(without[0]), 2, draw(st.floats(0.01, 0.99)), draw(st.integers(0, 100_000))),)
    middle = (float(network.lon.mean()), float(network.lat.mean()))
    extra = 2 if closed else 1
    lon, lat = np.full(extra, middle[0] + 1e-5 * n), np.full(extra, middle[1])
    all_lon, all_lat = np.append(network.lon, lon), np.append(network.lat, lat)
    coords = tuple(np.array([(all_lon[r[0]], all_lat[r[0]]), (all_lon[r[1]], all_lat[r[1]])]) for r in rows)
    return Build(
        lon=lon, lat=lat, u=np.array(columns[0], np.int32), v=np.array(columns[1], np.int32),
        forward_ms=np.array(columns[2], np.int32), backward_ms=np.array(columns[3], np.int32),
        length_m=np.array(columns[4], float), coords=coords,
        parent=np.array([old, old, -1][: len(rows)], np.int64), copy=np.zeros(len(rows), bool),
        replaced={old: (Segment(0, 0.0, at), Segment(1, at, 1.0))}, origins=origins,
    )  # fmt: skip


def full(tables: ModeTables, cutoffs: Cutoffs = CUTOFFS) -> dict[str, np.ndarray]:
    """Everything that `LiveMode` holds of the cells, computed anew."""
    field = nearest(tables.network, tables.destinations, k=2, limit_ms=cutoffs.limit_ms)
    times = cell_times(tables.network, tables.pieces, field, tables.destinations)
    three = np.stack([times.mean_ms[:, :, 0], times.p90_ms[:, :, 0], times.mean_ms[:, :, 1]], axis=2)
    units = count_units(tables.network, tables.pieces, tables.destinations, list(cutoffs.counts_ms))
    return {
        "labels": np.sort(field.label.reshape(len(field.label), -1), axis=1),
        "times": np.round(three / 60_000, cutoffs.decimals),
        "place": times.place,
        "sums": units.sums,
        "counts": np.round(units.mean(), cutoffs.decimals),
    }


def held(live: Live, mode: str) -> dict[str, np.ndarray]:
    one = live.modes[mode]
    return {
        "labels": np.sort(one.labels[:, : one.layout.n_slots].reshape(one.n_categories, -1), axis=1),
        "times": one.times.copy(),
        "place": one.nearest.copy(),
        "sums": one.sums.copy(),
        "counts": one.counts(),
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


ALL = ("add", "remove", "resize", "retime", "faster", "slower", "cut", "close")


@laws
@given(city(), st.data())
def test_any_sequence_of_edits_and_undos_equals_a_full_recomputation(
    start: dict[str, ModeTables], data: st.DataObject
) -> None:
    live = Live(start, CUTOFFS)
    history = [start]
    for _ in range(data.draw(st.integers(1, 6))):
        if len(history) > 1 and data.draw(st.integers(0, 3)) == 0:
            live.undo()
            history.pop()
            continue
        now = history[-1]
        step = {}
        for mode in data.draw(st.sets(st.sampled_from(sorted(now)), min_size=1)):
            operation = data.draw(operation_on(now[mode], kinds=ALL))
            if operation is not None:
                step[mode] = operation
        live.do(step, counts=data.draw(st.booleans()))
        history.append({m: with_operations(t, [step[m]] if m in step else []) for m, t in now.items()})
    live.settle()
    for mode, tables in history[-1].items():
        assert_same(held(live, mode), full(tables))
    while live.depth:
        live.undo()
    live.settle()
    for mode, tables in start.items():
        assert_same(held(live, mode), full(tables))


@laws
@given(city(), st.data())
def test_undo_gives_back_the_very_bytes(start: dict[str, ModeTables], data: st.DataObject) -> None:
    live = Live(start, CUTOFFS)
    before = {mode: held(live, mode) for mode in start}
    operation = data.draw(operation_on(start["walk"], kinds=ALL))
    if operation is None:
        return
    live.do({"walk": operation})
    live.undo()
    assert {m: {k: v.tobytes() for k, v in held(live, m).items()} for m in start} == {
        m: {k: v.tobytes() for k, v in b.items()} for m, b in before.items()
    }


@laws
@given(city(), st.data())
def test_a_no_op_changes_no_byte(start: dict[str, ModeTables], data: st.DataObject) -> None:
    tables = start["walk"]
    m = len(tables.network.streets)
    some = np.array(
        sorted(data.draw(st.sets(st.integers(0, m - 1), max_size=4))) if m else [], dtype=np.int64
    )
    same = Retime(some, tables.network.forward_ms[some], tables.network.backward_ms[some])
    live = Live(start, CUTOFFS)
    before = {k: v.tobytes() for k, v in held(live, "walk").items()}
    live.do({})
    live.do({"walk": same})
    assert {k: v.tobytes() for k, v in held(live, "walk").items()} == before


def _minutes(live: Live) -> np.ndarray:
    return np.nan_to_num(live.modes["walk"].times, nan=np.inf)


def _counts(live: Live) -> np.ndarray:
    return np.nan_to_num(live.modes["walk"].counts())


_A_MS = 1 / 60_000 + 1.000001e-6
"""[min] Places stand at whole milliseconds of a street: where its time changes, they may move by one. Both times are
rounded to six decimals of a minute."""


@laws
@given(city(), st.data())
def test_a_place_more_never_worsens_and_one_fewer_never_improves(
    start: dict[str, ModeTables], data: st.DataObject
) -> None:
    live = Live(start, CUTOFFS)
    minutes, counts = _minutes(live), _counts(live)
    operation = data.draw(operation_on(start["walk"], kinds=("add", "remove")))
    if operation is None:
        return
    live.do({"walk": operation})
    better, worse = (live, None) if isinstance(operation, PlaceAdded) else (None, live)
    if better:
        assert (_minutes(better) <= minutes).all()
        assert (_counts(better) >= counts).all()
    if worse:
        assert (_minutes(worse) >= minutes).all()
        assert (_counts(worse) <= counts).all()


@laws
@given(city(), st.data())
def test_a_faster_street_never_worsens_and_a_slower_or_closed_one_never_improves(
    start: dict[str, ModeTables], data: st.DataObject
) -> None:
    live = Live(start, CUTOFFS)
    minutes, times = _minutes(live), live.modes["walk"].labels >> 32
    kind = data.draw(st.sampled_from(["faster", "slower"]))
    operation = data.draw(operation_on(start["walk"], kinds=(kind,)))
    if operation is None:
        return
    live.do({"walk": operation})
    now = live.modes["walk"].labels >> 32
    if kind == "faster":
        assert (now <= times).all()
        assert (_minutes(live) <= minutes + _A_MS).all()
    else:
        assert (now >= times).all()
        assert (_minutes(live) >= minutes - _A_MS).all()


def test_edits_of_a_grid_equal_a_full_recomputation() -> None:
    """Large enough for branches, separators and several sweeps."""
    rng = np.random.default_rng(7)
    side = 24
    at = np.arange(side * side)
    lon, lat = 24.9 + 8e-4 * (at % side), 60.1 + 4e-4 * (at // side)
    pairs = [(n, n + 1) for n in at if (n + 1) % side] + [(n, n + side) for n in at[:-side]]
    streets = [
        Street(int(u), int(v), 45.0, int(rng.integers(8_000, 60_000)), int(rng.integers(8_000, 60_000)))
        for u, v in pairs
    ]
    shut = rng.choice(["-", "-", "-", "f", "b"], len(streets)).tolist()
    network = network_of(streets, shut, symmetric=False, lon=lon, lat=lat)
    m, n_places = len(streets), 60
    places = Destinations(
        snaps=exact_snaps(rng.integers(0, m, 80).tolist(), rng.choice([0.0, 0.3, 1.0], 80).tolist()),
        place=np.concatenate([np.arange(n_places), rng.integers(0, n_places, 20)]).astype(np.int32),
        category=rng.integers(0, 2, n_places).astype(np.int32),
        capacity=np.ones(n_places),
        n_categories=2,
    )
    numbers = np.unique([int(h3.latlng_to_cell(y, x, 10), 16) for x, y in zip(lon, lat, strict=True)])
    tables = ModeTables(network, street_pieces(network, numbers.astype(np.uint64), max_snap_m=250), places)
    live = Live({"walk": tables}, CUTOFFS)
    done: list[Operation] = []
    for _ in range(6):
        street = np.sort(rng.choice(m, 3, replace=False))
        now = with_operations(tables, done).network
        times = [t[street] for t in (now.forward_ms, now.backward_ms)]
        new = [np.where(t < 0, t, np.rint(t * rng.choice([0.3, 0.9, 1.4, 3.0], 3))) for t in times]
        done.append(Retime(street, new[0].astype(np.int32), new[1].astype(np.int32)))
        live.do({"walk": done[-1]})
        assert_same(held(live, "walk"), full(with_operations(tables, done)))
    done.append(close_streets(StreetView.of(with_operations(tables, done).network), [int(m // 2)]))
    live.do({"walk": done[-1]})
    done.append(Retime(np.array([m // 3]), np.array([9_000], np.int32), np.array([9_000], np.int32)))
    live.do({"walk": done[-1]})
    assert_same(held(live, "walk"), full(with_operations(tables, done)))


BLOCKS = """
A--s--B-----C
|     |     |
g     |     s
|     |     |
D--->-E--g--F
|     |     |
|     s     |
|     |     |
G-----H--<--I
"""


def test_every_change_of_every_street_of_a_small_town() -> None:
    """Each street faster, slower or closed, either way or both, on and off the streets where the places are."""
    t = town(BLOCKS, step_ms=20_000)
    network, m = t.network, len(t.network.streets)
    tables = ModeTables(network, _one_cell_a_street(network), t.destinations("s", "g"))
    cutoffs = Cutoffs(limit_ms=900_000, counts_ms=(60_000, 120_000, 240_000, 900_000))
    live = Live({"walk": tables}, cutoffs)
    before = {name: value.tobytes() for name, value in held(live, "walk").items()}
    for street in range(m):
        old = np.array([network.forward_ms[street], network.backward_ms[street]])
        for factor in (0.25, 3.0, None):
            new = np.full(2, NO_WAY) if factor is None else np.where(old < 0, old, old * factor)
            for way in ([True, False], [False, True], [True, True]):
                ahead, back = np.where(way, new, old).astype(np.int32)
                edit = Retime(np.array([street]), np.array([ahead]), np.array([back]))
                live.do({"walk": edit})
                assert_same(held(live, "walk"), full(with_operations(tables, [edit]), cutoffs))
                live.undo()
    live.settle()
    assert {name: value.tobytes() for name, value in held(live, "walk").items()} == before


def test_a_street_that_changes_after_another_was_cut() -> None:
    """Places on a street that is closed at its middle go with its parts: what changes next finds them there."""
    t = town(BLOCKS, step_ms=20_000)
    network, m = t.network, len(t.network.streets)
    tables = ModeTables(network, _one_cell_a_street(network), t.destinations("s", "g"))
    cutoffs = Cutoffs(limit_ms=900_000, counts_ms=(60_000, 120_000, 240_000, 900_000))
    live = Live({"walk": tables}, cutoffs)
    for street in range(m):
        cut = close_streets(StreetView.of(network), [street])
        live.do({"walk": cut})
        for other in {(street + 1) % m, (street + 5) % m, m, m + 1} - {street}:
            now = with_operations(tables, [cut]).network
            if other >= len(now.streets):
                continue
            times = [np.where(x < 0, x, 3 * x)[[other]] for x in (now.forward_ms, now.backward_ms)]
            slower = Retime(np.array([other]), *(x.astype(np.int32) for x in times))
            live.do({"walk": slower})
            assert_same(held(live, "walk"), full(with_operations(tables, [cut, slower]), cutoffs))
            live.undo()
        live.undo()


def _one_cell_a_street(network: StreetNetwork, *, unserved: int = 0) -> StreetPieces:
    """Every street is a cell of its own; some further cells have no network."""
    m = len(network.streets)
    numbers = np.arange(m, dtype=np.int32)
    return StreetPieces(
        cells=np.arange(1, m + unserved + 1, dtype=np.uint64), cell=numbers, street=numbers, start=np.zeros(m),
        stop=np.ones(m), length_m=network.length_m, access_ms=np.zeros(m, np.int64),
        no_network=np.arange(m + unserved) >= m,
    )  # fmt: skip


def test_a_cell_that_starts_from_a_link_between_two_junctions_counts_once() -> None:
    """The link has no vertex of its own; what changes next must not count it twice."""
    t = town(BLOCKS, step_ms=20_000)
    network, m = t.network, len(t.network.streets)
    tables = ModeTables(network, _one_cell_a_street(network, unserved=1), t.destinations("s", "g"))
    cutoffs = Cutoffs(limit_ms=900_000, counts_ms=(60_000, 120_000, 240_000, 900_000))
    a, i = t.vertex["A"], t.vertex["I"]
    link = Build(
        lon=np.empty(0), lat=np.empty(0), u=np.array([a], np.int32), v=np.array([i], np.int32),
        forward_ms=np.array([50_000], np.int32), backward_ms=np.array([50_000], np.int32),
        length_m=np.array([90.0]), coords=(np.column_stack([network.lon[[a, i]], network.lat[[a, i]]]),),
        parent=np.array([-1]), copy=np.zeros(1, bool), origins=(Origin(m, 0, 0.4, 3_000),),
    )  # fmt: skip
    live = Live({"walk": tables}, cutoffs)
    live.do({"walk": link})
    assert_same(held(live, "walk"), full(with_operations(tables, [link]), cutoffs))
    for street in range(m):
        times = [np.where(x < 0, x, 3 * x)[[street]] for x in (network.forward_ms, network.backward_ms)]
        slower = Retime(np.array([street]), *(x.astype(np.int32) for x in times))
        live.do({"walk": slower})
        assert_same(held(live, "walk"), full(with_operations(tables, [link, slower]), cutoffs))
        live.undo()


def test_where_many_streets_change_counts_are_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    t = town(BLOCKS, step_ms=20_000)
    network, m = t.network, len(t.network.streets)
    tables = ModeTables(network, _one_cell_a_street(network), t.destinations("s", "g"))
    cutoffs = Cutoffs(limit_ms=900_000, counts_ms=(60_000, 120_000, 240_000, 900_000))
    live = Live({"walk": tables}, cutoffs)
    before = {name: value.tobytes() for name, value in held(live, "walk").items()}
    times = [np.where(x < 0, x, 2 * x) for x in (network.forward_ms, network.backward_ms)]
    zone = Retime(np.arange(m), *(x.astype(np.int32) for x in times))
    monkeypatch.setattr(live_mode, "MANY_STREETS", m - 1)
    with monkeypatch.context() as without:
        without.setattr(Counting, "difference", None)
        live.do({"walk": zone})
    assert_same(held(live, "walk"), full(with_operations(tables, [zone]), cutoffs))
    faster = Retime(np.array([3]), *(x[[3]] for x in (network.forward_ms, network.backward_ms)))
    live.do({"walk": faster})  # step by step again
    assert_same(held(live, "walk"), full(with_operations(tables, [zone, faster]), cutoffs))
    live.undo()
    live.undo()
    assert {name: value.tobytes() for name, value in held(live, "walk").items()} == before
