"""
A town of three by three junctions with rules of turning and passing, and a search that remembers the streets taken.

The search is an oracle: its states are a junction, the last streets that led there and whether the trip may still leave
streets that are open to their own traffic only. Nothing of it is shared with the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import networkx as nx
import numpy as np
import pandas as pd

from engine.network.build import build_network
from engine.network.profile import ModeProfile
from engine.network.street_network import StreetNetwork
from engine.osm_extract import OsmExtract
from tests.osm_town import plain_extract

GRID = {3 * y + x + 1: (2 + 0.001 * x, 48 + 0.0007 * y) for x in range(3) for y in range(3)}
BLOCKS = [(a, b) for a in GRID for b in GRID if b - a == 3 or (b - a == 1 and a % 3)]
Rule = tuple[str, tuple[int, ...]]
"""A kind of restriction and the streets along which it runs."""


class State(NamedTuple):
    """Where a trip stands: at a junction, by which streets, and in which phase (see `GridTown._moves`)."""

    node: int
    past: tuple[int, ...]
    phase: int


class Spot(NamedTuple):
    """A point of a street."""

    street: int
    fraction: float


class Trip(NamedTuple):
    """[ms] Times from a spot to states, and the states that trips may come into."""

    origin: Spot
    time_ms: dict[State, float]
    within: frozenset[State]


def joint(one: int, two: int) -> int:
    """The node at which two streets of the grid meet."""
    return next(iter(set(BLOCKS[one]) & set(BLOCKS[two])))


@dataclass(frozen=True)
class GridTown:
    """
    Streets and rules.

    Attributes
    ----------
    tags
        Of each street of `BLOCKS`.
    rules
        Restrictions along two to four streets.
    """

    tags: tuple[dict[str, str], ...]
    rules: tuple[Rule, ...] = ()
    only: frozenset[int] = field(default_factory=frozenset)
    """Streets that are open to their own traffic only, for the oracle."""
    no_return: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    """Streets and nodes at which nobody turns back into the street from which one comes."""

    @cached_property
    def extract(self) -> OsmExtract:
        """The town as it is read."""
        named = [{**own, "name": str(i)} for i, own in enumerate(self.tags)]  # none merges with its neighbour
        rows: list[tuple[str, int, int, tuple[int, ...], int]] = [
            (
                kind,
                first,
                joint(first, second) if not rest else 0,
                tuple(i + 1 for i in course[1:-1]),
                course[-1],
            )
            for kind, course in self.rules
            for first, second, *rest in [course]
        ]
        rows += [("no_u_turn", street, node, (), street) for street, node in sorted(self.no_return)]
        table = pd.DataFrame(rows, columns=["restriction", "from_way", "via_node", "via_ways", "to_way"])
        table[["from_way", "to_way"]] += 1
        plain = plain_extract(GRID, list(zip(BLOCKS, named, strict=True)))
        return replace(plain, restrictions=table.assign(**{"except": ""})) if rows else plain

    @cached_property
    def network(self) -> StreetNetwork:
        """The engine's network."""
        return build_network(self.extract, ModeProfile.default("street30"))

    @cached_property
    def rows(self) -> dict[int, int]:
        """Row of the network of each street that it keeps."""
        table = self.network.streets
        own = np.flatnonzero(~table["copy"].to_numpy(bool))
        return {int(table["osm_way"].iloc[row]) - 1: int(row) for row in own}

    @cached_property
    def time_ms(self) -> dict[int, tuple[int, int]]:
        """[ms] Along and against each street, -1 where closed: of the town without rules."""
        free = build_network(
            replace(self.extract, restrictions=plain_extract(GRID, [((1, 2), {})]).restrictions),
            ModeProfile.default("street30"),
        )
        return {
            int(row.osm_way) - 1: (int(row.forward_ms), int(row.backward_ms))
            for row in free.streets[~free.streets["copy"]].itertuples()
        }

    @cached_property
    def in_force(self) -> tuple[Rule, ...]:
        """Restrictions along streets that may be travelled that way; others are about nothing."""
        return tuple(rule for rule in self.rules if self._open(rule[1]))

    def _open(self, course: tuple[int, ...]) -> bool:
        if not set(course) <= set(self.time_ms):
            return False
        node = sum(BLOCKS[course[0]]) - joint(*course[:2])
        for street in course:
            if self.time_ms[street][BLOCKS[street][0] != node] < 0:
                return False
            node = sum(BLOCKS[street]) - node
        return True

    def _moves(self, state: State) -> Iterator[tuple[State, int]]:
        """
        Onward streets that the rules allow, each with its time.

        Phase 0: on the streets of its start that are open to their own traffic only; 1: on other streets; 2: on such
        streets again, which it may not leave any more.
        """
        for street, (ahead, back) in self.time_ms.items():
            for tail, head, ms in ((*BLOCKS[street], ahead), (*BLOCKS[street][::-1], back)):
                if tail != state.node or ms < 0 or not self._may_turn(state, street):
                    continue
                if street in self.only:
                    phase = 0 if state.phase == 0 else 2
                elif state.phase == 2:
                    continue
                else:
                    phase = 1
                yield State(head, self._remembered((*state.past, street)), phase), ms

    def _remembered(self, past: tuple[int, ...]) -> tuple[int, ...]:
        """The last street, and those before it as far as they begin a restriction."""
        begun = [k for _, course in self.in_force for k in range(2, len(course)) if past[-k:] == course[:k]]
        return past[-max([1, *begun]) :]

    def _may_turn(self, state: State, street: int) -> bool:
        past, node = state.past, state.node
        if past and street == past[-1]:
            return (street, node) not in self.no_return and not any(
                past[-k:] == course[:k] and node == joint(course[k - 1], course[k])
                for _, course in self.in_force
                if len(course) > 2
                for k in range(2, len(course))
            )  # on the via ways of a restriction nobody turns round
        for kind, course in self.in_force:
            begun = past[1 - len(course) :] == course[:-1] and node == joint(*course[-2:])
            if begun and (street == course[-1]) == kind.startswith("no"):
                return False
        return True

    def starts(self, spot: Spot) -> Iterator[tuple[State, float]]:
        """Ends of its street that a trip from a spot leaves by, each with the time to it."""
        (a, b), (ahead, back) = BLOCKS[spot.street], self.time_ms[spot.street]
        phase = 0 if spot.street in self.only else 1
        if ahead >= 0:
            yield State(b, (spot.street,), phase), ahead * (1 - spot.fraction)
        if back >= 0:
            yield State(a, (spot.street,), phase), back * spot.fraction

    @cached_property
    def states(self) -> nx.DiGraph:
        """All states that trips come into."""
        graph = nx.DiGraph()
        first = [s for street in self.time_ms for s, _ in self.starts(Spot(street, 0.5))]
        waiting, seen = list(first), set(first)
        while waiting:
            state = waiting.pop()
            graph.add_node(state)
            for after, ms in self._moves(state):
                graph.add_edge(state, after, ms=ms)
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return graph

    def trip(self, origin: Spot, within: frozenset[State] | None = None) -> Trip:
        """
        The times of a trip from a spot to every state.

        Parameters
        ----------
        origin
            Where it starts.
        within
            The states that trips may come into; None for all.
        """
        there = frozenset(self.states) if within is None else within
        graph = nx.DiGraph(self.states.subgraph(there))
        graph.add_node("origin")
        for state, ms in self.starts(origin):
            if state in there:
                graph.add_edge("origin", state, ms=ms)
        found = nx.single_source_dijkstra_path_length(graph, "origin", weight="ms")
        return Trip(origin, {s: t for s, t in found.items() if s != "origin"}, there)

    def time_to(self, trip: Trip, place: Spot) -> float:
        """[ms] Time to a place on a street, in the engine's whole milliseconds from the ends of the street."""
        (a, b), (ahead, back) = BLOCKS[place.street], self.time_ms[place.street]
        into = {
            b: round(ahead * place.fraction) if ahead >= 0 else None,
            a: back - round(back * place.fraction) if back >= 0 else None,
        }
        times = [float("inf"), *self._along(trip, place)]
        for state, ms in trip.time_ms.items():
            if place.fraction in (0.0, 1.0) and state.node == (a if place.fraction == 0.0 else b):
                times.append(ms)
            times += [
                ms + last
                for after, _ in self._moves(state)
                if after.past[-1] == place.street and after in trip.within
                for last in (into[after.node],)
                if last is not None
            ]
        return min(times)

    def _along(self, trip: Trip, place: Spot) -> Iterator[float]:
        """[ms] Times along the street on which both lie."""
        if place.street == trip.origin.street:
            step = place.fraction - trip.origin.fraction
            ends = BLOCKS[place.street][::-1]
            for state, _ in self.starts(trip.origin):
                sign = 1 if state.node == ends[0] else -1
                if state in trip.within and step * sign >= 0:
                    yield self.time_ms[place.street][0 if sign == 1 else 1] * abs(step)
