"""Turn restrictions: which turns are forbidden at a moment, and the copies of nodes that forbid them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.network.conditional import Moment, conditional_value, parse_moment
from engine.network.junction import OPEN_TURN, TURN, Nodes, Streets, connectors, joined
from engine.network.simplify import STREET
from engine.network.street_network import NO_WAY
from engine.osm_extract import OsmExtract

IntArray = npt.NDArray[np.int64]
Place = tuple[int, int]
"""A street and one of its ends (0 start, 1 end): where a traveller arrives, or from where one leaves."""

MAX_VIA_WAYS = 6
"""Relations with more via ways are counted as incomplete; OSM holds hardly any."""

_MOTOR = ("motorcar", "motor_vehicle", "vehicle")


class Rule(NamedTuple):
    """One restriction in force at a node: ``no`` or ``only``, from one way to another (OSM ids)."""

    kind: str
    from_way: int
    to_way: int


class PathRule(NamedTuple):
    """One restriction in force along via ways; ``path`` are the rows of their nodes, in travelling order."""

    kind: str
    from_way: int
    via_ways: tuple[int, ...]
    path: tuple[int, ...]
    to_way: int


@dataclass(frozen=True, eq=False)
class Restrictions:
    """Turn restrictions in force, and what was left out and why."""

    at: Mapping[int, list[Rule]] = field(default_factory=dict)
    """By the row of their node in the extract."""
    along: Sequence[PathRule] = ()
    report: Counter[str] = field(default_factory=Counter)

    @property
    def nodes(self) -> list[int]:
        """Rows of the nodes that must stay ends of streets."""
        return sorted({*self.at, *(end for rule in self.along for end in (rule.path[0], rule.path[-1]))})


def restrictions_in_force(extract: OsmExtract, *, moment: str) -> Restrictions:
    """
    Turn restrictions that bind cars at a moment.

    Parameters
    ----------
    extract
        Its ``restrictions``, and its ways, of which the via ways are put end to end.
    moment
        When conditional restrictions are read.

    Notes
    -----
    Unknown values are counted and left out, as are restrictions that except cars or that the extract cuts.
    """
    when = parse_moment(moment)
    report: Counter[str] = Counter()
    at: dict[int, list[Rule]] = defaultdict(list)
    along: list[PathRule] = []
    lines = _Lines(extract)
    node_id = extract.node_id
    for row in extract.restrictions.to_dict("records"):
        kind = _kind(row, when)
        place = int(np.searchsorted(node_id, row["via_node"]))
        if any(mode in str(row["except"]).replace(",", ";").split(";") for mode in _MOTOR):
            report["except_cars"] += 1
        elif kind not in {"no", "only"}:
            report["not_in_force_or_unknown"] += 1
        elif row["via_ways"]:
            path = lines.path(row["from_way"], row["via_ways"], row["to_way"])
            if isinstance(path, str):
                report[path] += 1
            else:
                along.append(PathRule(kind, row["from_way"], tuple(row["via_ways"]), path, row["to_way"]))
        elif place == len(node_id) or node_id[place] != row["via_node"]:
            report["incomplete"] += 1
        else:
            at[place].append(Rule(kind, int(row["from_way"]), int(row["to_way"])))
    return Restrictions(dict(sorted(at.items())), along, report)


def _kind(row: Mapping[Any, Any], when: Moment) -> str:
    text = str(row["restriction"])
    return (conditional_value(text, when) if "@" in text else text).split("_", 1)[0]


class _Lines:
    """Nodes of single ways, looked up by their id."""

    def __init__(self, extract: OsmExtract) -> None:
        self._extract = extract
        self._way_id = extract.ways["way_id"].to_numpy(np.int64)
        self._order: IntArray | None = None

    def nodes(self, way_id: int) -> tuple[int, ...]:
        """Node rows of a way; nothing where the extract lacks it, or a part of it."""
        if self._order is None:
            self._order = np.argsort(self._way_id, kind="stable")
        low, high = (
            np.searchsorted(self._way_id, way_id, side=side, sorter=self._order) for side in ("left", "right")
        )
        if high - low != 1:
            return ()
        row = self._order[low]
        offsets = self._extract.way_offsets
        return tuple(self._extract.way_refs[offsets[row] : offsets[row + 1]].tolist())

    def path(self, from_way: int, via_ways: Sequence[int], to_way: int) -> tuple[int, ...] | str:
        """Nodes of the via ways put end to end, from the way that they leave to the one they lead to; or why not."""
        start, stop = self.nodes(from_way), self.nodes(to_way)
        via = [self.nodes(way) for way in via_ways]
        if not (start and stop and all(via)) or len(via) > MAX_VIA_WAYS:
            return "incomplete"
        ends = {end for line in via for end in (line[0], line[-1])}
        found = {path for node in ends & set(start) for path in _chained(node, via, frozenset(stop))}
        plain = [path for path in found if len(set(path)) == len(path)]
        return plain[0] if len(plain) == 1 else "ambiguous" if plain else "incomplete"


def _chained(node: int, lines: list[tuple[int, ...]], stop: frozenset[int]) -> Iterable[tuple[int, ...]]:
    """Every way to put all lines end to end, beginning at a node and ending at one of some others."""
    if not lines:
        if node in stop:
            yield (node,)
        return
    for i, line in enumerate(lines):
        for drawn in (line, line[::-1]):
            if drawn[0] == node:
                for rest in _chained(drawn[-1], lines[:i] + lines[i + 1 :], stop):
                    yield drawn[:-1] + rest


def restrict_turns(
    nodes: Nodes, streets: Streets, restrictions: Restrictions, *, way_id: IntArray
) -> tuple[Nodes, Streets, Streets, dict[str, int]]:
    """
    Forbid turns by copies of nodes.

    A street from which a turn is restricted ends at a copy of the node of its own. From the copy lead one-way
    copies of the streets that may be entered from it, each as far as its other end, and to it leads a connector
    of no length from the node, for those who enter the street. Where a restriction runs along via ways, the
    copies of these lead to copies of the nodes on the way, which remember where the traveller came from. So
    every permitted path keeps its time, and a forbidden turn is possible only by turning round at the next
    junction.

    Parameters
    ----------
    nodes, streets
        The network in the making; restricted nodes are ends of streets.
    restrictions
        What holds where.
    way_id
        OSM way of each way row.

    Returns
    -------
    tuple
        Nodes, streets, the streets from which nobody turns back at an end (for `begin_trips`), and the relations
        applied and left out, by reason.

    Notes
    -----
    To turn back at an end X of a street pays only where its other end W is restricted: who comes to W, drives on to
    X, turns back and leaves W by a third street saves the detour unless that turn is forbidden at W, or its course
    remembered there. So ``no_u_turn`` back into the same way is without effect everywhere else, and is counted. Where
    it has an effect, one-way rows from node to node stand for the two directions of the street. An ``only`` along via
    ways binds those who take the via ways; at their beginning other turns stay free.
    """
    report = Counter(restrictions.report)
    wanted = {*restrictions.at, *(node for rule in restrictions.along for node in rule.path)}
    plan = _Plan(streets, way_id, _street_ends(streets, np.array(sorted(wanted), dtype=np.int64)))
    for node, rules in restrictions.at.items():
        plan.restrict_at(node, rules, report)
    for rule in restrictions.along:
        plan.restrict_along(rule, report)
    plan.restrict_returns(report)
    copied, moved, leads = plan.copies(first=len(nodes.node_id))
    u, v = streets.u.copy(), streets.v.copy()
    for (street, end), copy in moved.items():
        (v if end else u)[street] = copy
    streets = streets._replace(u=u, v=v)
    rows = [_exit(streets, *lead) for lead in leads]
    one_way = sorted({street for street, _ in plan.no_return})
    for place, copy in moved.items():
        node = copied[copy - len(nodes.node_id)]
        if plan.leaves(place) and place[0] not in one_way:
            rows.append(_entry(streets, node, copy, place, open_=plan.open_at((place, frozenset()))))
        elif place[0] in one_way and place not in plan.no_return:
            rows.append(_exit(streets, copy, place, None, False))  # here one may turn back
    starts = streets.take(np.array(one_way, dtype=np.int64))
    streets, back = _in_two(streets, plan.streets, np.array(one_way, dtype=np.int64))
    streets = joined([streets, back, _table(rows, streets)])
    return nodes.with_copies(np.array(copied, dtype=np.int64)), streets, starts, dict(+report)


def _in_two(streets: Streets, whole: Streets, rows: IntArray) -> tuple[Streets, Streets]:
    """
    One-way rows for the two directions of some streets: each from the node itself to where those who arrive come to.

    `whole` are the streets before their ends moved to copies.
    """
    u, backward = streets.u.copy(), streets.backward_ms.copy()
    back = streets.take(rows)._replace(
        v=whole.v[rows],
        kind=np.full(len(rows), TURN, dtype=streets.kind.dtype),
        forward_ms=np.full(len(rows), NO_WAY, dtype=streets.forward_ms.dtype),
    )
    u[rows], backward[rows] = whole.u[rows], NO_WAY
    return streets._replace(u=u, backward_ms=backward), back


def begin_trips(nodes: Nodes, streets: Streets, starts: Streets) -> tuple[Nodes, Streets]:
    """
    Streets on which trips begin in either direction, where nobody who drives along may turn back at an end.

    The one-way rows of each such street become copies. Beside them stands the street itself, which nobody enters:
    whoever starts on it leaves by connectors to where those who drive along arrive.

    Parameters
    ----------
    nodes, streets
        A strongly connected network in the making.
    starts
        The streets, between the nodes at which those who drive along arrive.
    """
    there = np.zeros(len(nodes.node_id), dtype=bool)
    there[streets.u] = there[streets.v] = True
    starts = starts._replace(
        forward_ms=np.where(there[starts.v], starts.forward_ms, np.int32(NO_WAY)),
        backward_ms=np.where(there[starts.u], starts.backward_ms, np.int32(NO_WAY)),
    )
    kept = np.isin(starts.chain, streets.chain[streets.kind == STREET])
    starts = starts.take(kept & ((starts.forward_ms >= 0) | (starts.backward_ms >= 0)))
    passed = (streets.kind == STREET) & np.isin(streets.chain, starts.chain)
    streets = streets._replace(kind=np.where(passed, np.int8(TURN), streets.kind))
    first, k = len(nodes.node_id), len(starts.u)
    own = np.arange(first, first + 2 * k, dtype=np.int32).reshape(2, k)
    out = [
        connectors(tail[goes], head[goes], starts.u_way[goes], starts.chain[goes])
        for tail, head, goes in (
            (own[0], starts.u, starts.backward_ms >= 0),
            (own[1], starts.v, starts.forward_ms >= 0),
        )
    ]
    nodes = nodes.with_copies(np.concatenate([starts.u, starts.v]).astype(np.int64))
    return nodes, joined([streets, starts._replace(u=own[0], v=own[1]), *out])


def _street_ends(streets: Streets, at: IntArray) -> dict[int, list[Place]]:
    """Street ends at some nodes, in the order of the streets."""
    found: dict[int, list[Place]] = defaultdict(list)
    m = len(streets.u)
    ends = np.concatenate([streets.u, streets.v])
    for i in np.flatnonzero(np.isin(ends, at)):
        found[int(ends[i])].append((int(i % m), int(i >= m)))
    return {node: sorted(pairs) for node, pairs in found.items()}


class _Course(NamedTuple):
    """A restriction along streets: leave each of ``via`` in turn, and then take ``to``, or do not."""

    kind: str
    via: tuple[Place, ...]
    to: Place


State = tuple[Place, frozenset[tuple[int, int]]]
"""Where a traveller arrives, and which courses have been followed so far, each to which of its streets."""


class _Plan:
    """What is forbidden where, by streets; and from it the copies of nodes and streets."""

    def __init__(self, streets: Streets, way_id: IntArray, ends: dict[int, list[Place]]) -> None:
        self.streets, self.way_id, self.ends = streets, way_id, ends
        self.banned: dict[Place, set[Place]] = {}
        self.courses: list[_Course] = []
        self.begins: dict[Place, list[int]] = defaultdict(list)
        self.order: dict[Place, int] = {}
        """Restricted arrivals and their nodes."""
        self.obliged: set[Place] = set()
        """Arrivals from which one street alone may be taken."""
        self.no_return: dict[Place, int] = {}
        """Arrivals from which nobody turns back, and their nodes."""

    def restrict_at(self, node: int, rules: list[Rule], report: Counter[str]) -> None:
        """Take in the restrictions at one node."""
        here = self.ends.get(node, [])
        found: list[Place] = []
        for rule in rules:
            sources, targets = self.arriving(node, rule.from_way), self.leaving(node, rule.to_way)
            if not sources or not targets:
                report["incomplete"] += 1
            elif len(sources) > 1 or len(targets) > 1:
                report["ambiguous"] += 1
            elif sources == targets and rule.kind == "no":
                self.no_return[sources[0]] = node
            else:
                report[f"applied_{rule.kind}"] += 1
                others = set(here) - set(targets)
                self.banned.setdefault(sources[0], set()).update(others if rule.kind == "only" else targets)
                if rule.kind == "only":
                    self.obliged.add(sources[0])
                found.append(sources[0])
        self.order.update(dict.fromkeys(sorted(found), node))

    def restrict_along(self, rule: PathRule, report: Counter[str]) -> None:
        """Take in one restriction along via ways."""
        sources = self.arriving(rule.path[0], rule.from_way)
        targets = self.leaving(rule.path[-1], rule.to_way)
        via = self.along(rule)
        sources = [place for place in sources if not via or place[0] != via[0][0]]
        targets = [place for place in targets if not via or place[0] != via[-1][0]]
        if not sources or not targets or not via:
            report["incomplete"] += 1
        elif len(sources) > 1 or len(targets) > 1:
            report["ambiguous"] += 1
        else:
            report[f"applied_{rule.kind}_via_way"] += 1
            self.begins[sources[0]].append(len(self.courses))
            self.courses.append(_Course(rule.kind, tuple(via), targets[0]))
            self.order.setdefault(sources[0], rule.path[0])

    def restrict_returns(self, report: Counter[str]) -> None:
        """Keep the arrivals from which nobody turns back where that has an effect: see `restrict_turns`."""
        bound = set(self.order.values()) | {
            self.far(place) for course in self.courses for place in course.via
        }
        idle, useful = self.no_return, dict[Place, int]()
        while more := {place: node for place, node in idle.items() if self.far(place) in bound}:
            useful |= more
            bound |= set(more.values())
            idle = {place: node for place, node in idle.items() if place not in more}
        report["applied_no_u_turn"] += len(useful)
        report["u_turn_without_effect"] += len(idle)
        self.no_return = useful
        for place, node in sorted(useful.items()):
            self.order.setdefault(place, node)

    def along(self, rule: PathRule) -> list[Place]:
        """Streets of the via ways in travelling order, by the ends that they are entered at; none if closed."""
        position = {node: i for i, node in enumerate(rule.path)}
        node, found = rule.path[0], []
        while node != rule.path[-1]:
            onward = [
                (position[self.far(place)], place)
                for way in rule.via_ways
                for place in self.leaving(node, way)
                if position.get(self.far(place), -1) > position[node]
            ]
            if not onward:
                return []
            found.append(min(onward)[1])
            node = self.far(found[-1])
        return found

    def far(self, place: Place) -> int:
        """Node at the other end of a street."""
        street, end = place
        return int((self.streets.u if end else self.streets.v)[street])

    def way(self, place: Place) -> int:
        street, end = place
        return int(self.way_id[(self.streets.v_way if end else self.streets.u_way)[street]])

    def enters(self, place: Place) -> bool:
        """Whether the street may be travelled towards this end."""
        street, end = place
        return bool((self.streets.forward_ms if end else self.streets.backward_ms)[street] >= 0)

    def leaves(self, place: Place) -> bool:
        """Whether the street may be travelled from this end."""
        street, end = place
        return bool((self.streets.backward_ms if end else self.streets.forward_ms)[street] >= 0)

    def arriving(self, node: int, way: int) -> list[Place]:
        """Ends at a node at which one arrives by a way."""
        return [p for p in self.ends.get(node, []) if self.way(p) == way and self.enters(p)]

    def leaving(self, node: int, way: int) -> list[Place]:
        """Ends at a node from which one leaves by a way."""
        return [p for p in self.ends.get(node, []) if self.way(p) == way and self.leaves(p)]

    def open_at(self, state: State) -> bool:
        """Whether a street that is not there yet might be taken as well: nothing says which one is to be taken."""
        arrival, followed = state
        return arrival not in self.obliged and not any(
            self.courses[k].kind == "only" and step + 1 == len(self.courses[k].via) for k, step in followed
        )

    def onward(self, node: int, state: State) -> list[tuple[Place, State | None]]:
        """Street ends that may be left from, each with the state at its other end where one must be remembered."""
        arrival, followed = state
        closed = set(self.banned.get(arrival, ())) | {arrival}
        free = [place for place in self.ends.get(node, []) if place not in closed and self.leaves(place)]
        for k, step in followed:
            course = self.courses[k]
            if step + 1 == len(course.via):
                free = [place for place in free if (place == course.to) == (course.kind == "only")]
        steps = [(k, 0) for k in self.begins.get(arrival, ())] + [(k, step + 1) for k, step in followed]
        found: list[tuple[Place, State | None]] = []
        for street, end in free:
            next_ = frozenset(
                (k, step) for k, step in steps if self.courses[k].via[step : step + 1] == ((street, end),)
            )
            found.append(((street, end), ((street, 1 - end), next_) if next_ else None))
        return found

    def copies(
        self, *, first: int
    ) -> tuple[list[int], dict[Place, int], list[tuple[int, Place, int | None, bool]]]:
        """
        Nodes to copy, arrivals that move to a copy, and the one-way streets that lead away from the copies.

        Parameters
        ----------
        first
            Number of the first copy.
        """
        number: dict[State, int] = {}
        copied: list[int] = []
        left: deque[tuple[State, int]] = deque()
        leads: list[tuple[int, Place, int | None, bool]] = []

        def copy_of(state: State, node: int) -> int:
            if state not in number:
                number[state] = first + len(copied)
                copied.append(node)
                left.append((state, node))
            return number[state]

        moved = {arrival: copy_of((arrival, frozenset()), node) for arrival, node in self.order.items()}
        while left:
            state, node = left.popleft()
            for place, after in self.onward(node, state):
                stop = None if after is None else copy_of(after, self.far(place))
                leads.append((number[state], place, stop, self.open_at(state)))
        return copied, moved, leads


def _exit(streets: Streets, copy: int, target: Place, stop: int | None, open_: bool) -> tuple[float, ...]:
    """One-way copy of a street that leads away from a copy of its end, to its other end or to a copy of that."""
    street, end = target
    row = [float(column[street]) for column in streets]
    row[1] = OPEN_TURN if open_ else TURN
    here, there, against = (3, 2, 7) if end else (2, 3, 8)
    row[here], row[against] = copy, NO_WAY
    if stop is not None:
        row[there] = stop
    return tuple(row)


def _entry(streets: Streets, node: int, copy: int, source: Place, *, open_: bool) -> tuple[float, ...]:
    """Connector from a node to the copy at which a street ends, for those who enter the street."""
    street, end = source
    way = float((streets.v_way if end else streets.u_way)[street])
    kind = OPEN_TURN if open_ else TURN
    return (float(streets.chain[street]), kind, node, copy, way, way, 0.0, 0, NO_WAY)


def _table(rows: list[tuple[float, ...]], like: Streets) -> Streets:
    """Rows of streets as columns, of the types that others have."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, len(Streets._fields)).T
    return Streets(*(new.astype(np.asarray(own).dtype) for new, own in zip(columns, like, strict=True)))
