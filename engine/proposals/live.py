"""
A city that answers at once: labels, counts and cells of every mode, brought up to date edit by edit, and back.

What `Live` holds after any sequence of operations equals a full recomputation of the edited tables
(`engine.proposals.scenario`), bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import InputError
from engine.proposals.live_mode import Before, CellChange, Counted, Cutoffs, LiveMode
from engine.proposals.operation import Operation
from engine.proposals.scenario import ModeTables

__all__ = ["CellChange", "Cutoffs", "Live", "LiveMode"]


@dataclass(frozen=True, eq=False)
class _Done:
    """One step, to take it back."""

    modes: Mapping[str, Before]
    counts: dict[str, Counted]


class Live:
    """
    A city under edits, every mode brought up to date at once.

    Parameters
    ----------
    tables
        Tables of each mode.
    cutoffs
        What is measured.
    ready
        Called with each mode once it is measured. What it raises ends the work there.

    Notes
    -----
    Making one costs as much as the base run's reach; it is not shared between threads.

    Examples
    --------
    >>> live = Live(base.tables, cutoffs)  # doctest: +SKIP
    >>> live.do(step.operations)  # doctest: +SKIP
    >>> live.modes["walk"].times[:, 0, 0]  # minutes to the nearest place of category 0  # doctest: +SKIP
    >>> live.undo()  # doctest: +SKIP
    """

    def __init__(
        self,
        tables: Mapping[str, ModeTables],
        cutoffs: Cutoffs,
        *,
        ready: Callable[[str], object] = lambda _mode: None,
    ) -> None:
        self.modes: dict[str, LiveMode] = {}
        for mode, table in tables.items():
            self.modes[mode] = LiveMode.of(table, cutoffs, mode=mode)
            ready(mode)
        self._done: list[_Done] = []

    def do(self, operations: Mapping[str, Operation], *, counts: bool = True) -> None:
        """
        Do one operation in each of some modes.

        Parameters
        ----------
        operations
            By mode.
        counts
            Bring the counts up to date as well; else they wait for `settle`.
        """
        before = {mode: self.modes[mode].do(operation) for mode, operation in operations.items()}
        done = _Done(before, {})
        self._done.append(done)
        if counts:
            for mode in self.modes:
                was_behind = mode in operations and self.modes[mode].counted is not before[mode].layout
                counted = self.modes[mode].count()
                if mode in operations and not was_behind:
                    done.counts[mode] = counted

    def undo(self) -> None:
        """
        Take the latest operation back.

        Raises
        ------
        InputError
            Nothing was done.
        """
        if not self._done:
            msg = "there is nothing to undo"
            raise InputError(msg)
        done = self._done.pop()
        for mode, before in done.modes.items():
            live = self.modes[mode]
            in_step = live.is_counted
            live.undo(before)
            if in_step and mode in done.counts:
                live.take_back(done.counts[mode])
            elif in_step:  # counted together with others: numbers of streets may be given anew from here on
                live.count()

    def settle(self) -> None:
        """Bring every count up to date."""
        for live in self.modes.values():
            live.count()

    def latest(self) -> dict[str, CellChange]:
        """What the latest operation changed in each mode that it was done in."""
        return {
            mode: CellChange(b.cells, b.times[:, :, 0], self.modes[mode].times[b.cells][:, :, 0])
            for mode, b in self._done[-1].modes.items()
        }

    @property
    def depth(self) -> int:
        """Number of operations done and not taken back."""
        return len(self._done)
