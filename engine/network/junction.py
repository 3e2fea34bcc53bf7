"""Nodes that must be cut or multiplied before routing: barriers and turn restrictions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.network.conditional import conditional_value, parse_moment
from engine.network.simplify import Index, Segments
from engine.network.street_network import NO_WAY

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MOTOR = ("motorcar", "motor_vehicle", "vehicle")


@dataclass(frozen=True, eq=False)
class Nodes:
    """
    Nodes of a network in the making.

    Attributes
    ----------
    node_id
        OSM's id; copies of a node have negative ids of their own.
    origin
        Row of the node, or of the node it copies, in the extract.
    """

    node_id: IntArray
    origin: IntArray

    def with_copies(self, of: IntArray) -> Nodes:
        """The nodes followed by copies of some of them, numbered downwards below every id in use."""
        low = min(int(self.node_id.min()), 0) if len(self.node_id) else 0
        ids = low - 1 - np.arange(len(of), dtype=np.int64)
        return Nodes(np.concatenate([self.node_id, ids]), np.concatenate([self.origin, self.origin[of]]))


def cut_at(nodes: Nodes, segments: Segments, closed: BoolArray) -> tuple[Nodes, Segments]:
    """
    Separate the segments that meet at closed nodes: each end but the first gets a copy of the node for itself.

    The street up to a closed gate stays, and nobody passes it.

    Parameters
    ----------
    nodes, segments
        The network in the making.
    closed
        Nodes that cannot be passed, shape (nodes,).
    """
    m = len(segments.a)
    ends = np.concatenate([segments.a, segments.b])
    at = np.flatnonzero(closed[ends]) if m else np.empty(0, np.int64)
    order = at[np.lexsort((at, ends[at]))]
    repeated = (
        np.concatenate([[False], ends[order][1:] == ends[order][:-1]]) if len(order) else order.astype(bool)
    )
    again = order[repeated]
    moved = ends.copy()
    moved[again] = len(nodes.node_id) + np.arange(len(again), dtype=np.int32)
    return nodes.with_copies(ends[again]), segments._replace(a=moved[:m], b=moved[m:])


class Rule(NamedTuple):
    """One restriction in force at a node: ``no`` or ``only``, from one way to another (OSM ids)."""

    kind: str
    from_way: int
    to_way: int


@dataclass(frozen=True, eq=False)
class Restrictions:
    """Turn restrictions in force, by the row of their node in the extract, and what was left out and why."""

    at: Mapping[int, list[Rule]]
    report: Counter[str]


def restrictions_in_force(table: pd.DataFrame, *, node_id: IntArray, moment: str) -> Restrictions:
    """
    Turn restrictions that bind cars at a moment.

    Parameters
    ----------
    table
        ``OsmExtract.restrictions``.
    node_id
        Ids of the extract's nodes, sorted.
    moment
        When conditional restrictions are read.

    Notes
    -----
    Via ways and unknown values are counted and left out, as are restrictions that except cars.
    """
    when = parse_moment(moment)
    report: Counter[str] = Counter()
    found: dict[int, list[Rule]] = defaultdict(list)
    for row in table.to_dict("records"):
        text = str(row["restriction"])
        kind = (conditional_value(text, when) if "@" in text else text).split("_", 1)[0]
        place = int(np.searchsorted(node_id, row["via_node"]))
        if any(mode in str(row["except"]).replace(",", ";").split(";") for mode in _MOTOR):
            report["except_cars"] += 1
        elif kind not in {"no", "only"}:
            report["not_in_force_or_unknown"] += 1
        elif row["via_node"] == 0:
            report["via_way_unsupported"] += 1
        elif place == len(node_id) or node_id[place] != row["via_node"]:
            report["incomplete"] += 1
        else:
            found[place].append(Rule(kind, int(row["from_way"]), int(row["to_way"])))
    return Restrictions(dict(sorted(found.items())), report)


class Streets(NamedTuple):
    """
    Streets in the making.

    ``chain`` is the run of segments that gives a street its geometry, ``u`` and ``v`` are its end nodes,
    ``u_way`` and ``v_way`` the way rows at its ends; times are milliseconds or -1 where closed.
    """

    chain: Index
    kind: npt.NDArray[np.int8]
    u: Index
    v: Index
    u_way: Index
    v_way: Index
    length_m: npt.NDArray[np.float64]
    forward_ms: Index
    backward_ms: Index

    def take(self, rows: npt.NDArray[np.generic]) -> Streets:
        """The streets of some rows."""
        return Streets(*(column[rows] for column in self))


TURN = 2
"""Kind of the copies and connectors that turn restrictions need; 0 and 1 are streets and lines across areas."""


def restrict_turns(
    nodes: Nodes, streets: Streets, restrictions: Restrictions, *, way_id: IntArray
) -> tuple[Nodes, Streets, dict[str, int]]:
    """
    Forbid turns by copies of nodes.

    A street from which a turn is restricted ends at a copy of the node of its own. From the copy lead one-way
    copies of the streets that may be entered from it, each as far as its other end, and to it leads a connector
    of no length from the node, for those who enter the street. So every permitted path keeps its time, and a
    forbidden turn is possible only by turning round at the next junction.

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
        Nodes, streets, and the relations applied and left out, by reason.

    Notes
    -----
    U-turns are not restricted: a shortest path never needs one at a node.
    """
    report = Counter(restrictions.report)
    ends = _street_ends(streets, np.array(list(restrictions.at), dtype=np.int64))
    n = len(nodes.node_id)
    copied: list[int] = []
    moved: dict[tuple[int, int], int] = {}
    exits: list[tuple[int, list[tuple[int, int]]]] = []
    for node, rules in restrictions.at.items():
        here = ends.get(node, [])
        for source, targets in _allowed(here, rules, streets, way_id, report).items():
            moved[source] = n + len(copied)
            exits.append((n + len(copied), targets))
            copied.append(node)
    u, v = streets.u.copy(), streets.v.copy()
    for (street, end), copy in moved.items():
        (v if end else u)[street] = copy
    streets = streets._replace(u=u, v=v)
    rows = [_exit(streets, copy, target) for copy, targets in exits for target in targets]
    rows += [
        _entry(streets, copied[copy - n], copy, (street, end))
        for (street, end), copy in moved.items()
        if (streets.backward_ms if end else streets.forward_ms)[street] >= 0
    ]
    return nodes.with_copies(np.array(copied, dtype=np.int64)), _appended(streets, rows), dict(report)


def _street_ends(streets: Streets, at: IntArray) -> dict[int, list[tuple[int, int]]]:
    """Street ends (street, 0 start or 1 end) at some nodes, in the order of the streets."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    m = len(streets.u)
    ends = np.concatenate([streets.u, streets.v])
    for i in np.flatnonzero(np.isin(ends, at)):
        found[int(ends[i])].append((int(i % m), int(i >= m)))
    return {node: sorted(pairs) for node, pairs in found.items()}


def _allowed(
    here: list[tuple[int, int]],
    rules: list[Rule],
    streets: Streets,
    way_id: IntArray,
    report: Counter[str],
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Street ends from which some turn is restricted, and the ends that may be entered from each."""
    way = [int(way_id[(streets.v_way if end else streets.u_way)[street]]) for street, end in here]
    enters = [bool((streets.forward_ms if end else streets.backward_ms)[street] >= 0) for street, end in here]
    leaves = [bool((streets.backward_ms if end else streets.forward_ms)[street] >= 0) for street, end in here]
    banned: dict[int, set[int]] = {}
    for rule in rules:
        source = [i for i in range(len(here)) if way[i] == rule.from_way and enters[i]]
        target = [j for j in range(len(here)) if way[j] == rule.to_way and leaves[j]]
        if rule.from_way == rule.to_way:
            report["u_turn_without_effect"] += 1
        elif not source or not target:
            report["incomplete"] += 1
        elif len(source) > 1 or len(target) > 1:
            report["ambiguous"] += 1
        else:
            report[f"applied_{rule.kind}"] += 1
            others = set(range(len(here))) - set(target)
            banned.setdefault(source[0], set()).update(others if rule.kind == "only" else target)
    return {
        here[i]: [here[j] for j in range(len(here)) if j != i and leaves[j] and j not in banned[i]]
        for i in sorted(banned)
    }


def _exit(streets: Streets, copy: int, target: tuple[int, int]) -> tuple[float, ...]:
    """One-way copy of a street that leads away from a copy of its end."""
    street, end = target
    row = [float(column[street]) for column in streets]
    row[1] = TURN
    if end:
        row[3], row[7] = copy, NO_WAY
    else:
        row[2], row[8] = copy, NO_WAY
    return tuple(row)


def _entry(streets: Streets, node: int, copy: int, source: tuple[int, int]) -> tuple[float, ...]:
    """Connector from a node to the copy at which a street ends, for those who enter the street."""
    street, end = source
    way = float((streets.v_way if end else streets.u_way)[street])
    return (float(streets.chain[street]), TURN, node, copy, way, way, 0.0, 0, NO_WAY)


def _appended(streets: Streets, rows: list[tuple[float, ...]]) -> Streets:
    if not rows:
        return streets
    more = np.array(rows).T
    return Streets(
        *(
            np.concatenate([own, column.astype(np.asarray(own).dtype)])
            for own, column in zip(streets, more, strict=True)
        )
    )
