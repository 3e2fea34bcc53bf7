"""Chargers for cars: the households' cars, where the population tells them, and not the residents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.cells import StreetPieces
from engine.sites.ask import StationAsk
from engine.sites.stations import site_stations
from pipelines.errors import ConfigError
from pipelines.steps.site_inputs import People
from tests.towns import town


@pytest.mark.parametrize(
    ("column", "served", "unit"), [("population", 900.0, "residents"), ("cars", 70.0, "cars")]
)
def test_a_charger_goes_where_the_cars_are(column: str, served: float, unit: str) -> None:
    # One street of 1 km: 900 residents with 20 cars in its west, 100 with 70 in its east, farther than 5 min apart.
    drawn = town("A" + "-" * 99 + "B", step_ms=14_400)
    network = replace(drawn.network, streets=drawn.network.streets.assign(highway="residential"))
    pieces = StreetPieces(
        cells=np.arange(2, dtype=np.uint64),
        cell=np.arange(2, dtype=np.int32),
        street=np.zeros(2, np.int32),
        start=np.array([0.0, 0.8]),
        stop=np.array([0.2, 1.0]),
        length_m=np.full(2, 0.2) * network.length_m[0],
        access_ms=np.zeros(2, np.int64),
        no_network=np.zeros(2, bool),
    )
    households = pd.DataFrame({"population": [900.0, 100.0], "cars": [20.0, 70.0], "code": ["a", "b"]})
    people = People(households, None, 2)
    demand, counted = people.demand(column, np.ones(2, bool), key="sites.chargers.demand")
    assert counted == unit
    plan = site_stations(network, network, pieces, demand, StationAsk("chargers", 1, unit=counted))
    assert plan.sites["newly_served"].tolist() == [served]
    assert f"{served:.0f} {unit} newly" in plan.sites["why"].iloc[0]


def test_cars_that_are_not_known_count_as_none_and_words_are_no_demand() -> None:
    people = People(pd.DataFrame({"cars": [np.nan, 7.0], "code": ["a", "b"]}), None, 2)
    assert people.demand("cars", np.ones(2, bool), key="sites.chargers.demand")[0].tolist() == [0.0, 7.0]
    with pytest.raises(ConfigError, match="demand is 'code', and the population has cars"):
        people.demand("code", np.ones(2, bool), key="sites.chargers.demand")
