"""Places and origins behind restricted turns, against a search that remembers the way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.network.copies import copies_of
from engine.reach import Destinations, nearest
from engine.reach.isochrone import reached_streets
from engine.route import nearest_at, route_to_place
from engine.snapping import Snaps, on_copies, snap
from tests.grid_town import BLOCKS, GridTown, Spot, State, joint
from tests.towns import exact_snaps

SETTINGS = settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
SPOTS = st.builds(Spot, st.integers(0, len(BLOCKS) - 1), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]))

ORIGINS = SPOTS.filter(lambda spot: 0.0 < spot.fraction < 1.0)
"""A trip begins on its street, which at a junction may be left by others; cells without streets see to that."""


@st.composite
def grid_towns(draw: st.DrawFn) -> GridTown:
    """Tags of the twelve streets of the grid, and restrictions along two to four of them."""
    tags = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "highway": st.just("residential"),
                    "maxspeed": st.sampled_from(["10", "20", "30"]),
                    "oneway": st.sampled_from(["no"] * 10 + ["yes", "-1"]),
                }
            ),
            min_size=len(BLOCKS),
            max_size=len(BLOCKS),
        )
    )
    rules = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(BLOCKS) - 1))
        node, course = draw(st.sampled_from(BLOCKS[first])), [first]
        for _ in range(draw(st.integers(1, 3))):
            onward = [i for i, ends in enumerate(BLOCKS) if node in ends and i not in course]
            if not onward:
                break
            course.append(draw(st.sampled_from(onward)))
            node = sum(BLOCKS[course[-1]]) - node
        if len(course) > 1:
            rules.append((draw(st.sampled_from(["no_left_turn", "only_straight_on"])), tuple(course)))
    return GridTown(tuple(tags), tuple(rules))


def known_to(town: GridTown, spots: list[Spot]) -> list[Spot]:
    """Spots on streets that the network keeps; not at a junction that nobody may pass: it falls apart."""
    network = town.network
    found = []
    for spot in (s for s in spots if s.street in town.rows):
        vertex = int((network.u if spot.fraction == 0.0 else network.v)[town.rows[spot.street]])
        same = (network.lon == network.lon[vertex]) & (network.lat == network.lat[vertex])
        if 0.0 < spot.fraction < 1.0 or same.sum() == 1 or vertex in copies_of(network).beside:
            found.append(spot)
    return found


def places_at(town: GridTown, spots: list[Spot]) -> Destinations:
    """Places at some spots, one category each, on every copy of their street."""
    rows = np.array([town.rows[s.street] for s in spots])
    snaps = exact_snaps(rows.tolist(), [s.fraction for s in spots])
    for i, spot in enumerate(spots):
        if spot.fraction in (0.0, 1.0):  # at a junction: on which of its streets is for the engine to say
            end = town.network.geometry[rows[i]].coords[0 if spot.fraction == 0.0 else -1]
            there = snap(town.network, np.array([end]), max_snap_m=1.0)
            snaps.street[i], snaps.fraction[i] = there.street[0], there.fraction[0]
    point, more = on_copies(town.network, snaps)
    names = ("street", "fraction", "access_m", "access_ms", "reason")
    both = Snaps(*(np.concatenate([getattr(snaps, n), getattr(more, n)]) for n in names))
    n = len(spots)
    return Destinations(
        snaps=both,
        place=np.concatenate([np.arange(n), point]).astype(np.int32),
        category=np.arange(n, dtype=np.int32),
        capacity=np.ones(n),
        n_categories=n,
    )


def free_origins(town: GridTown, spots: list[Spot]) -> list[Spot]:
    """Spots that the network keeps, but for streets that one comes to in the course of a restriction alone.

    On these the network binds those who start there like those who come.
    """
    main = main_states(town)
    return [s for s in spots if s.street in town.rows and all(state in main for state, _ in town.starts(s))]


def main_states(town: GridTown) -> frozenset[State]:
    """States from which one comes back, were every street open to all: the largest strong component."""
    plain = replace(town, only=frozenset())
    main = max(nx.strongly_connected_components(plain.states), key=len)
    return frozenset(State(node, past, phase) for node, past, _ in main for phase in range(3)) & frozenset(
        town.states
    )


@st.composite
def towns_with_own_traffic(draw: st.DrawFn) -> GridTown:
    """Towns in which some streets are open to their own traffic only, and what lies behind them is too."""
    town = draw(grid_towns())
    tagged = draw(st.sets(st.integers(0, len(BLOCKS) - 1), min_size=1, max_size=5))
    tags = [
        {**own, **({"motor_vehicle": "destination"} if i in tagged else {})}
        for i, own in enumerate(town.tags)
    ]
    town = GridTown(tuple(tags), draw(st.sampled_from([(), town.rules])), frozenset(tagged))
    town = GridTown(town.tags, town.rules, frozenset(tagged) | behind(town))
    assume(no_more_behind(town))
    return town


def no_more_behind(town: GridTown) -> bool:
    """Restrictions at tagged streets may leave more behind: a question of components, not of times."""
    rows = [town.rows[i] for i in town.only if "motor_vehicle" not in town.tags[i] and i in town.rows]
    km = town.network.dropped["own_traffic_only"]["km_behind"]
    return bool(km == pytest.approx(town.network.length_m[rows].sum() / 1000, abs=0.002))


def behind(town: GridTown) -> frozenset[int]:
    """Streets without the tag that are not in the main part of the town without the tagged ones."""
    free = GridTown(
        tuple(t if "motor_vehicle" not in t else {"highway": "steps"} for t in town.tags), town.rules
    )
    return frozenset(i for i, t in enumerate(town.tags) if "motor_vehicle" not in t and i not in free.rows)


@st.composite
def towns_without_turning_back(draw: st.DrawFn) -> GridTown:
    """Towns in which nobody turns back at the far ends of some streets that meet a restricted junction."""
    town = draw(grid_towns() | towns_with_own_traffic())
    near = sorted({joint(a, b) for _, course in town.rules for a, b in pairwise(course)})
    ends = [(i, sum(ends) - node) for i, ends in enumerate(BLOCKS) for node in near if node in ends]
    assume(ends)
    chosen = draw(st.sets(st.sampled_from(ends), min_size=1, max_size=len(ends)))
    free, town = town, replace(town, no_return=frozenset(chosen))
    assume(no_more_behind(town))
    assume(main_states(town) == main_states(free))  # none leads to where turning back is the only way out
    return town


@SETTINGS
@given(towns_without_turning_back())
def test_nobody_turns_back_where_that_is_forbidden(town) -> None:
    beginnings = [Spot(course[0], 0.5) for _, course in town.rules]
    origins = free_origins(town, beginnings)
    spots = known_to(town, [Spot(i, 0.5) for i in range(len(BLOCKS))])
    assume(origins and spots)
    places = places_at(town, spots)
    field = nearest(town.network, places)
    within = main_states(town)
    for origin in origins:
        known = town.trip(origin, within)
        row = town.rows[origin.street]
        for number, spot in enumerate(spots):
            found = nearest_at(town.network, places, field, category=number, street=row, fraction=0.5)
            expected = town.time_to(known, spot)
            assert (found[0][0] if found else np.inf) == pytest.approx(expected, abs=1e-6)


@SETTINGS
@given(grid_towns(), st.lists(ORIGINS, min_size=1, max_size=4), st.lists(SPOTS, min_size=1, max_size=4))
def test_places_behind_restricted_turns_are_as_far_as_the_way_allows(town, origins, spots) -> None:
    origins = free_origins(town, origins)
    spots = known_to(town, spots)
    assume(origins and spots)
    places = places_at(town, spots)
    field = nearest(town.network, places)
    within = main_states(town)
    for origin in origins:
        row, fraction = town.rows[origin.street], origin.fraction
        known = town.trip(origin, within)
        for number, spot in enumerate(spots):
            expected = town.time_to(known, spot)
            found = nearest_at(town.network, places, field, category=number, street=row, fraction=fraction)
            assert (found[0][0] if found else np.inf) == pytest.approx(expected, abs=1e-6)
            way = route_to_place(town.network, places, street=row, fraction=fraction, place=number)
            assert (way.time_ms if way else np.inf) == pytest.approx(expected, abs=0.51)


@SETTINGS
@given(towns_with_own_traffic(), ORIGINS, st.lists(SPOTS, min_size=1, max_size=3))
def test_nobody_passes_through_streets_that_are_open_to_their_own_traffic_only(town, origin, spots) -> None:
    assume(len(town.only) < len(town.time_ms) and free_origins(town, [origin]))
    spots = known_to(town, spots)
    assume(spots)
    places = places_at(town, spots)
    field = nearest(town.network, places)
    row, fraction = town.rows[origin.street], origin.fraction
    known = town.trip(origin, main_states(town))
    for number, spot in enumerate(spots):
        found = nearest_at(town.network, places, field, category=number, street=row, fraction=fraction)
        expected = town.time_to(known, spot)
        assert (found[0][0] if found else np.inf) == pytest.approx(expected, abs=1e-6)


@SETTINGS
@given(
    grid_towns() | towns_with_own_traffic() | towns_without_turning_back(),
    ORIGINS,
    st.sampled_from([15_000, 40_000, 70_000]),
)
def test_an_isochrone_reaches_what_the_way_allows_and_each_street_once(town, origin, limit_ms: int) -> None:
    assume(free_origins(town, [origin]))
    snap = exact_snaps([town.rows[origin.street]], [origin.fraction])
    reached = reached_streets(town.network, snap, limit_ms=limit_ms)
    known = town.trip(origin, main_states(town))
    assert not town.network.streets["copy"].to_numpy(bool)[reached.street[reached.stop > reached.start]].any()
    for street, row in town.rows.items():
        parts = [
            (a, b) for s, a, b in zip(reached.street, reached.start, reached.stop, strict=True) if s == row
        ]
        assert all(b < c for (_, b), (c, _) in pairwise(parts))
        for fraction in (0.1, 0.3, 0.55, 0.9):
            time = town.time_to(known, Spot(street, fraction))
            if abs(time - limit_ms) > 1:  # the place's milliseconds are rounded, the cut is not
                assert any(a <= fraction <= b for a, b in parts) == (time < limit_ms)
