"""What the headline warns of: a figure that the data cannot carry is said to be so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.report import warnings
from pipelines.rundir import RunDirectory


def run_of(
    *,
    km_dropped: float = 0.0,
    rejected: int = 0,
    schools: int = 1,
    blind: int = 0,
    parks: tuple[str, ...] = (),
    empty: int = 0,
    people: dict[str, Any] | None = None,
) -> RunDirectory:
    reports: dict[str, Any] = {
        "opportunities": {
            "places": {"shops": 10, "schools": schools},
            "rejected": {"walk": rejected},
            "dropped": {"shops": {"duplicate": 3} | ({"capacity of 0": empty} if empty else {})},
        },
        "network_walk": {"dropped": {"components": {"km_kept": 90.0, "km_dropped": km_dropped}}},
    }
    if people is not None:
        reports["population"] = people
    summary = {"cells": 100, "cells_no_network": blind, "parks_without_entrance": list(parks)}
    found = RunDirectory(Path("unwritten"))
    manifest = {"modes": ["walk"], "categories": ["shops", "schools"], "reports": reports}
    found.__dict__.update(manifest=manifest, summary=summary)
    return found


def test_sound_data_need_no_warning() -> None:
    assert warnings(run_of(km_dropped=10.0, rejected=1, schools=1)) == []


def test_lacking_places_islands_and_rejected_places_are_said() -> None:
    absent, islands, rejected = warnings(run_of(km_dropped=20.0, rejected=9, schools=0))
    assert absent == "no schools in the data: unknown, not 0 %; nobody can have all of them"
    assert islands.startswith("on foot: 20 of 110 km of streets are cut off")
    assert rejected.startswith("on foot: 9 of 10 places are too far from a street")


def test_a_category_of_which_all_places_are_left_out_says_why() -> None:
    run = run_of(schools=0)
    run.manifest["reports"]["opportunities"]["dropped"]["schools"] = {"private": 1, "other school level": 3}
    (said,) = warnings(run)
    assert said.startswith("no schools remain, all were left out (other school level 3, private 1): ")


def test_a_network_of_tables_that_counts_no_parts_is_taken_as_whole() -> None:
    run = run_of(km_dropped=0.0, rejected=0, schools=1)
    run.manifest["reports"]["network_walk"]["dropped"] = {}
    assert warnings(run) == []


def test_cells_without_streets_and_parks_without_entrance_are_said() -> None:
    assert warnings(run_of(blind=20)) == []
    blind, parks = warnings(run_of(blind=21, parks=("way/1", "way/2")))
    assert blind.startswith("21 of 100 cells have no street near")
    assert parks.startswith("parks without any entrance that could be found: 2")


def test_places_that_take_nobody_are_said() -> None:
    (one,) = warnings(run_of(empty=1))
    assert one.startswith("shops: 1 place of which the source states a capacity of 0: not counted")
    (two,) = warnings(run_of(empty=2))
    assert two.startswith("shops: 2 places")


def test_residents_that_figures_leave_out_are_said() -> None:
    people = {"inside": 2000.0, "without_income": 0.2, "source": {"residents_without_place": 0}}
    assert warnings(run_of(people=people)) == []
    people = {"inside": 2000.0, "without_income": 150.0, "source": {"residents_without_place": 7}}
    income, nowhere = warnings(run_of(people=people))
    assert income.startswith("150 of 2,000 residents live where no income is known")
    assert nowhere.startswith("7 residents stand in rows of the file")
