"""The order in which vertices are contracted: a permutation in which small cuts come last."""

from __future__ import annotations

import networkx as nx
import numpy as np
import numpy.typing as npt
import pytest

from engine.reach.dissection import dissection_order


def order_of(graph: nx.Graph, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    pairs = np.array(list(graph.edges), dtype=np.int64).reshape(-1, 2)
    return dissection_order(pairs[:, 0], pairs[:, 1], xy)


def fill_in(graph: nx.Graph, order: npt.NDArray[np.int32]) -> int:
    """Arcs of the graph once every vertex, in this order, has joined its later neighbours (George 1973)."""
    filled = graph.copy()
    rank = {int(v): i for i, v in enumerate(order)}
    for v in order.tolist():
        later = [w for w in filled.neighbors(v) if rank[w] > rank[v]]
        filled.add_edges_from((a, b) for i, a in enumerate(later) for b in later[i + 1 :])
    return filled.number_of_edges()


def grid(side: int) -> tuple[nx.Graph, npt.NDArray[np.float64]]:
    at = np.arange(side * side)
    lines = [(n, n + 1) for n in at if (n + 1) % side] + [(n, n + side) for n in at[:-side]]
    return nx.Graph([(int(a), int(b)) for a, b in lines]), np.column_stack([at % side, at // side]).astype(
        float
    )


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_points_without_streets_are_all_there(n: int) -> None:
    graph = nx.empty_graph(n)
    assert sorted(order_of(graph, np.random.default_rng(1).random((n, 2))).tolist()) == list(range(n))


@pytest.mark.parametrize("side", [2, 5, 12, 24])
def test_a_grid_fills_in_as_little_as_nested_dissection_promises(side: int) -> None:
    graph, xy = grid(side)
    order = order_of(graph, xy)
    assert sorted(order.tolist()) == list(range(side * side))
    n = side * side
    assert fill_in(graph, order) <= 31 / 4 * n * np.log2(n)  # George 1973: 31/4 n log2 n + O(n)
    if side > 12:
        by_rows = fill_in(graph, np.arange(n, dtype=np.int32))
        assert fill_in(graph, order) < 0.7 * by_rows


def test_the_bridge_between_two_towns_comes_last() -> None:
    town, xy = grid(12)
    both = nx.disjoint_union(town, town)
    both.add_edge(143, 144)
    places = np.concatenate([xy, xy + np.array([30.0, 0.0])])
    order = order_of(both, places)
    assert order[-1] in (143, 144)
    shifted = order_of(both, places * 2.0 + 1000.0)
    assert shifted.tolist() == order.tolist(), "where the town lies makes no difference"


def test_loops_and_repeated_streets_count_once() -> None:
    town, xy = grid(6)
    pairs = np.array(list(town.edges))
    more = np.concatenate([pairs, pairs[::-1, ::-1], [[3, 3], [7, 7]]])
    once = dissection_order(pairs[:, 0], pairs[:, 1], xy)
    assert dissection_order(more[:, 0], more[:, 1], xy).tolist() == once.tolist()
