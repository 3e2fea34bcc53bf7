"""What a sweep knows of a street before it looks at it: the greatest time anywhere on it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.reach.contribution import PieceRows
from engine.reach.sweeps import SweepRows

TIMES = [
    (300, 500),
    (500, 300),
    (400, 400),
    (0, 200),
    (200, 0),
    (0, 0),
    (-1, 300),
    (300, -1),
    (-1, -1),
    (-1, 0),
]
"""[ms] What each street takes from u to v and from v to u; -1 where it is closed."""


def rows_of(n: int, access: int) -> PieceRows:
    """One piece on each street."""
    table = np.column_stack([np.zeros(n), np.ones(n), np.ones(n), np.arange(n)])
    return PieceRows(
        of_street=np.arange(n + 1), street=np.arange(n, dtype=np.int32), access_ms=np.full(n, access, np.int64),
        offsets=np.arange(n + 1), table=table, whole=np.ones(n, np.int64),
    )  # fmt: skip


@pytest.mark.parametrize("access", [0, 70])
def test_the_peak_is_the_greatest_time_on_the_street(access: int) -> None:
    """A trip leaves by u, against the direction u→v, or by v; the later it can choose, the longer it takes."""
    streets = np.array([(0, 1, *times) for times in TIMES], np.int32)
    found = SweepRows.of(streets, rows_of(len(TIMES), access), 2)
    x = np.linspace(0, 1, 5001)
    for (forward, backward), (share, extra) in zip(TIMES, found.peak.tolist(), strict=True):
        for at_u, lead in ((1000.0, 0.3), (1000.0, -0.4), (1000.0, 1.0), (1000.0, -1.0), (50.0, 0.0)):
            # no end is further than through the street from the other
            at_v = at_u + lead * (max(backward, 0) if lead > 0 else max(forward, 0))
            by_u = at_u + backward * x if backward >= 0 else np.full(len(x), np.inf)
            by_v = at_v + forward * (1 - x) if forward >= 0 else np.full(len(x), np.inf)
            expected = np.minimum(by_u, by_v).max() + access
            assert share * at_u + (1 - share) * at_v + extra == pytest.approx(expected, abs=0.2)
