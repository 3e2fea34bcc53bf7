"""How many hostile inputs and kills the tests have tried: counted in each process, told at the end of the session."""

from __future__ import annotations

from collections import Counter

TRIED: Counter[str] = Counter()
"""By what was tried, in words."""


def note(what: str, n: int = 1) -> None:
    """Count what has just been tried."""
    TRIED[what] += n
