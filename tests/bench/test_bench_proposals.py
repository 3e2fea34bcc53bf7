"""Speed of edits on a city of Paris's size, every cell, three modes, four categories: against computing it anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.slow, pytest.mark.timeout(1800)]
STREETS = ("street slower", "street closed", "street added")


@pytest.fixture(scope="module")
def figures(shared_data: Path) -> dict[str, Any]:
    graph = shared_data / "bench" / "paris_synth.npz"
    command = [sys.executable, "-m", "tests.bench.proposals_city", str(graph)]
    out: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return out


def test_times_and_scores_follow_an_edit_at_once(figures: dict[str, Any]) -> None:
    assert figures["amenity added, times"] <= figures["full"] / 700
    assert max(figures[f"{kind}, times"] for kind in STREETS) <= figures["full"] / 100
    assert figures["zone, times"] <= figures["full"] / 20


def test_counts_follow_an_edit_many_times_faster_than_anew(figures: dict[str, Any]) -> None:
    assert figures["amenity added"] <= figures["full"] / 100
    assert max(figures[kind] for kind in STREETS) <= figures["full"] / 20
    assert figures["zone"] <= figures["full"]


def test_edits_take_less_than_twice_the_memory_of_the_base_run(figures: dict[str, Any]) -> None:
    assert figures["edited_mb"] < 2 * figures["base_mb"]
