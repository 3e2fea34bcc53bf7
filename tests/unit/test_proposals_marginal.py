"""Marginal gains by hand: worth of changed cells, groups of neighbours, lazy greedy choices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.proposals.effect import Criteria, by_group, dominated, effect
from engine.proposals.live import CellChange
from engine.proposals.marginal import clusters, lazy_greedy, worth_of
from engine.proposals.uncertainty import Draws, Times, Uncertainty, simulate, weight_sensitivity

CRITERIA = Criteria(("walk",), ("shops", "parks"), {"shops": 1.0, "parks": 1.0}, limit_min=60.0)


def table(shops: list[float], parks: list[float], people: list[float]) -> pd.DataFrame:
    from engine.scoring import score_cells

    cells = pd.DataFrame({"walk_shops_minutes": shops, "walk_parks_minutes": parks, "population": people})
    cells["no_network"] = False
    return pd.concat([cells, score_cells(cells, weights=CRITERIA.weights, modes=["walk"])], axis=1)


BEFORE = table([20.0, 5.0, np.nan], [10.0, 10.0, 10.0], [100.0, 50.0, 10.0])
AFTER = table([15.0, 5.0, 30.0], [10.0, 16.0, 10.0], [100.0, 50.0, 10.0])


def test_an_effect_is_what_one_counts_by_hand() -> None:
    found = effect(BEFORE, AFTER, CRITERIA)
    # decay of the default: 20 min is worth 1/3, 15 min 1/2, 10 min 3/4, 16 min 7/15, 30 min 0
    gain = 100 * (100 * (1 / 2 - 1 / 3) / 2 + 50 * (7 / 15 - 3 / 4) / 2) / 160
    assert found["gain"] == pytest.approx(gain)
    assert (found["newly_within"], found["no_longer_within"]) == (100, 50)
    assert (found["winners"], found["losers"]) == (100, 50)
    shops = found["modes"]["walk"]["categories"]["shops"]
    assert shops["person_minutes"] == 100 * 5 + 10 * (60 - 30)
    assert shops["within_after"] - shops["within_before"] == 100
    assert shops["mean_minutes_before"] == pytest.approx((20 * 100 + 5 * 50 + 60 * 10) / 160)
    assert found["modes"]["walk"]["categories"]["parks"]["person_minutes"] == -50 * 6
    lost = effect(AFTER, BEFORE, CRITERIA)
    assert lost["gain"] == pytest.approx(-gain)
    assert lost["modes"]["walk"]["categories"]["shops"]["cut_off"] == 10


def test_the_worth_of_changed_cells_is_the_effect_on_the_city() -> None:
    columns = ["walk_shops_minutes", "walk_parks_minutes"]
    change = CellChange(np.arange(3), BEFORE[columns].to_numpy(), AFTER[columns].to_numpy())
    worth = worth_of({"walk": change}, BEFORE["population"].to_numpy(), CRITERIA)
    whole = effect(BEFORE, AFTER, CRITERIA)
    for name in ("gain", "newly_within", "no_longer_within", "person_minutes"):
        assert getattr(worth, name) == pytest.approx(whole[name]), name


def test_neighbourhoods_add_up_to_the_city() -> None:
    parts = by_group(BEFORE, AFTER, ["North", "South", None], CRITERIA)
    assert parts["group"].tolist() == ["North", "South"]
    assert parts["newly_within"].tolist() == [100, 0]
    assert parts["losers"].tolist() == [0, 50]


def test_one_dominates_only_what_it_beats_nowhere_and_somewhere() -> None:
    a, b, c = {"gain": 2.0, "thrift": -5.0}, {"gain": 1.0, "thrift": -5.0}, {"gain": 3.0, "thrift": -9.0}
    assert dominated([a, b, c]) == [[], [0], []]
    assert dominated([a, a]) == [[], []]
    unknown: dict[str, float | None] = {"gain": 1.0, "thrift": None}
    assert dominated([a, unknown]) == [[], []], "it may be cheap"
    assert dominated([a | {"thrift": None}, unknown]) == [[], [0]]


def test_neighbours_of_one_kind_are_one_and_groups_stay_narrow() -> None:
    line = np.column_stack([np.arange(6) * 80.0, np.zeros(6)])
    group = clusters(line, "aaaaaa", within_m=100.0)
    for g in set(group.tolist()):
        assert np.ptp(line[group == g, 0]) <= 100
    assert clusters(np.zeros((2, 2)), "ab", within_m=100.0).tolist() == [0, 1]
    assert clusters(np.empty((0, 2)), "", within_m=100.0).tolist() == []


@given(st.lists(st.sets(st.integers(0, 12), max_size=5), max_size=8), st.integers(1, 8))
def test_lazy_choices_are_those_of_plain_greedy(sets: list[set[int]], most: int) -> None:
    taken: set[int] = set()
    picks = lazy_greedy(
        [len(s) for s in sets], lambda i: len(sets[i] - taken), lambda i: taken.update(sets[i]), most=most
    )
    have: set[int] = set()
    left = list(range(len(sets)))
    for pick in picks:
        best = max(left, key=lambda i: (len(sets[i] - have), -i))
        assert pick.value == len(sets[best] - have) == len(sets[pick.item] - have)
        have |= sets[pick.item]
        left.remove(pick.item)
    assert len(picks) == min(most, len(sets))


def test_a_budget_is_kept_and_nothing_worthless_is_bought() -> None:
    picks = lazy_greedy(
        [9.0, 4.0, 0.0], lambda i: [9.0, 4.0, 0.0][i], lambda i: None, cost=[3.0, 1.0, 1.0], budget=3
    )
    assert [p.item for p in picks] == [1]
    picks = lazy_greedy(
        [9.0, 4.0, 0.0], lambda i: [9.0, 4.0, 0.0][i], lambda i: None, cost=[3.0, 1.0, 1.0], budget=9
    )
    assert [p.item for p in picks] == [1, 0]


def _times(shops: list[float], second: list[float], place: list[int]) -> Times:
    shape = (1, len(shops), 1)
    return Times(
        np.array(shops).reshape(shape), np.array(second).reshape(shape), np.array(place, dtype=np.int32).reshape(shape),
        np.full(shape, -1, dtype=np.int32),
    )  # fmt: skip


def _simulated(proposals: list[Times], **unknown: float) -> Draws:
    base = _times([20.0, np.nan, 12.0], [30.0, np.nan, 14.0], [0, -1, 0])
    sure = {"speed": 0.0, "snap_min": 0.0, "gone": 0.0, "unmapped": 0.0, "draws": 40} | unknown
    return simulate(
        base,
        proposals,
        weight=np.array([10.0, 10.0, 80.0]),
        xy_m=np.array([[0.0, 0.0], [4000.0, 0.0], [500.0, 0.0]]),
        places_m=np.array([[1200.0, 0.0]]),
        category_of=np.array([0]),
        speed_m_min=[80.0],
        criteria=Criteria(("walk",), ("shops",), {"shops": 1.0}),
        uncertainty=Uncertainty(**sure),
    )


BETTER = _times([10.0, 8.0, 12.0], [20.0, np.nan, 14.0], [1, 1, 0])
SAME = _times([20.0, np.nan, 12.0], [30.0, np.nan, 14.0], [0, -1, 0])


def test_without_anything_unknown_every_draw_is_the_figure() -> None:
    draws = _simulated([BETTER, SAME])
    gain = 100 * (10 * (0.75 - 1 / 3) + 10 * 0.85) / 100
    assert draws.gain == pytest.approx(np.tile([gain, 0.0], (40, 1)))
    assert (draws.newly_within == [20.0, 0.0]).all()
    assert draws.rank_probability().tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("unknown", [{"speed": 0.3}, {"snap_min": 2.0}, {"gone": 0.5}, {"unmapped": 0.9}])
def test_each_unknown_moves_the_draws_and_a_seed_gives_them_back(unknown: dict[str, float]) -> None:
    more = {"unmapped": 0.9, "spread_m": 2000.0} if "unmapped" in unknown else unknown
    draws, again = _simulated([BETTER], **more), _simulated([BETTER], **more)
    assert np.ptp(draws.gain) > 0
    assert draws.gain.tobytes() == again.gain.tobytes()


def test_a_place_on_no_map_does_not_cross_a_closed_bridge() -> None:
    cut = _times([np.nan, np.nan, 12.0], [np.nan, np.nan, 14.0], [-1, -1, 0])
    draws = _simulated([cut], unmapped=0.9, spread_m=100.0)
    assert (draws.gain < 0).all()


def test_weights_decide_where_proposals_serve_different_things() -> None:
    gains = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    found = weight_sensitivity(gains, draws=400, seed=3)
    assert found["alone_category"] == [0, 1]
    assert found["alone_mode"] == [0]
    assert 0.4 < found["first"][0] < 0.6
    assert sum(found["first"]) == pytest.approx(1)


def test_a_tenth_of_a_point_or_of_a_minute_is_a_change_and_less_is_none() -> None:
    """Six cells of 1, 2, 4 … residents: up and down by a tenth, by less, and not at all."""
    rise, people = [0.1, -0.1, 0.0999, -0.0999, 0.0, 0.3], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    old = [max(-r, 0.0) for r in rise]
    new = [max(r, 0.0) for r in rise]

    def cells(values: list[float]) -> pd.DataFrame:
        names = ["walk_score", "walk_shops_minutes", "walk_parks_minutes"]
        return pd.DataFrame({"population": people, "no_network": False, **dict.fromkeys(names, values)})

    found = effect(cells(old), cells(new), CRITERIA)
    assert (found["winners"], found["losers"]) == (33.0, 2.0)
    mode = found["modes"]["walk"]
    assert (mode["winners"], mode["losers"]) == (33.0, 2.0)
    for category in mode["categories"].values():  # more minutes are worse
        assert (category["winners"], category["losers"]) == (2.0, 33.0)


def test_just_the_threshold_is_within_it() -> None:
    far = [CRITERIA.threshold_min + 0.01] * 3
    before = table(far, [1.0] * 3, [1.0, 2.0, 4.0])
    after = table([CRITERIA.threshold_min, *far[1:]], [1.0] * 3, [1.0, 2.0, 4.0])
    for found in (
        effect(before, after, CRITERIA),
        effect(before, after, CRITERIA)["modes"]["walk"]["categories"]["shops"],
    ):
        assert (found["newly_within"], found["no_longer_within"]) == (1.0, 0.0)
    back = effect(after, before, CRITERIA)
    assert (back["newly_within"], back["no_longer_within"]) == (0.0, 1.0)
    assert (
        back["modes"]["walk"]["no_longer_all"]
        == effect(before, after, CRITERIA)["modes"]["walk"]["newly_all"]
        == 1.0
    )
