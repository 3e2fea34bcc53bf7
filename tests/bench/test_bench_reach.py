"""Speed of the reach core against peers in one run, and against its own bars; ratios, not absolute times."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.peers_table import agrees, run, sample_of, seconds, starts

pytestmark = [pytest.mark.bench, pytest.mark.slow, pytest.mark.timeout(900)]
PEERS_PYTHON = os.environ.get("PROCHE_PEERS_PYTHON", sys.executable)
"""An interpreter that has the peers; those that it lacks are left out."""


@pytest.fixture(scope="session")
def bench(shared_data: Path) -> str:
    return str(shared_data / "bench" / "paris_synth.npz")


def measured(engine: str, workload: str, bench: str) -> dict[str, Any]:
    ours = engine.startswith("proche")
    result = run(sys.executable if ours else PEERS_PYTHON, engine, workload, bench, timeout=400)
    if result is None and not ours:
        pytest.skip(f"{engine} is not installed for {PEERS_PYTHON}")
    assert result is not None
    return result


def test_nearest_is_as_fast_as_scipy(bench: str) -> None:
    ours, scipy = measured("proche", "W1", bench), measured("scipy", "W1", bench)
    assert agrees(scipy, ours) == "equal"
    assert seconds(ours) <= seconds(scipy)


def test_nearest_beats_routingkit_with_its_preparation(bench: str) -> None:
    ours, rk = measured("proche", "W1", bench), measured("routingkit", "W1", bench)
    assert agrees(rk, ours) == "equal"
    assert seconds(ours) + ours["prepare"][0] <= seconds(rk) + rk["prepare"][0]


@pytest.mark.parametrize(("workload", "times"), [("W2walk", 8), ("W2bike", 10)])
def test_counts_are_many_times_faster(bench: str, workload: str, times: float) -> None:
    ours = measured("proche", workload, bench)
    for peer in ("scipy", "routingkit"):
        other = measured(peer, workload, bench)
        assert agrees(other, ours) == "equal"
        assert seconds(other) >= times * seconds(ours)


@pytest.mark.parametrize("mode", ["walk", "bike"])
def test_seven_times_the_origins_cost_less_than_eight_times(bench: str, mode: str) -> None:
    few, many = measured("proche", f"W2{mode}", bench), measured("proche", f"W2{mode}11", bench)
    assert seconds(many) <= 8 * seconds(few)


@pytest.mark.parametrize(("workload", "most_ms"), [("W3", 0.5), ("W3polygon", 5.0), ("W4", 0.2)])
def test_single_answers_are_immediate(bench: str, workload: str, most_ms: float) -> None:
    assert seconds(measured("proche", workload, bench)) * 1000 <= most_ms


def test_the_first_start_compiles_and_the_second_does_not(bench: str) -> None:
    first, second = starts(bench)
    assert first["work"][0] <= 15.0
    assert second["work"][0] <= 1.0


@pytest.mark.parametrize(("peer", "most"), [("pandana", 0.0005), ("cityseer", 0.02)])
def test_peers_that_keep_other_times_count_nearly_the_same(bench: str, peer: str, most: float) -> None:
    """pandana rounds times to 32-bit floats; cityseer measures its own and assigns places to the nearest streets."""
    ours, other = measured("proche", "W2walk", bench), measured(peer, "W2walk", bench)
    mine = ours["check"] if other["share"] == 1.0 else sample_of(other, ours)
    assert mine is not None
    assert abs(other["check"] - mine) <= most * mine
