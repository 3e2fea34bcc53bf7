"""Re-scoring proposals in the background: one worker for all sessions, results shared by content."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import streamlit as st

from engine.scoring import city_summary
from pipelines.progress import Progress
from pipelines.proposals import Base, Rescored, apply, open_base
from ui.drafting import Draft
from ui.runs import Run
from ui.work import Job, StoppableProgress

_MOST_RESULTS = 40
_MOST_BASES = 4


@dataclass(frozen=True, eq=False)
class Outcome:
    """A draft's cells, the city's figures after it, and what was understood of its edits."""

    rescored: Rescored
    summary: dict[str, Any]


@dataclass
class Rescorer:
    """
    The only thing here that changes: jobs by content, the oldest dropped first.

    Attributes
    ----------
    pool
        One worker: re-scoring takes a whole processor.
    jobs
        By run and draft.
    loading
        By run: the loading of what its proposals are measured against, begun before there is a draft.
    """

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "rescoring"))
    jobs: OrderedDict[tuple[Any, ...], Job[Outcome]] = field(default_factory=OrderedDict)
    loading: dict[tuple[str, str], Job[Base]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def submit(self, run: Run, draft: Draft) -> Job[Outcome]:
        """The outcome of a draft, computed once; a job of the same content is handed out again."""
        key = (*run.key, draft.digest)
        with self.lock:
            if key not in self.jobs:
                self.jobs[key] = Job.begin(self.pool, outcome, run, draft)
                while len(self.jobs) > _MOST_RESULTS:
                    self.jobs.popitem(last=False)[1].stop()
            self.jobs.move_to_end(key)
            return self.jobs[key]

    def known(self, run: Run, draft: Draft) -> Outcome | None:
        """The outcome of a draft if it is there already; nothing is begun."""
        with self.lock:
            job = self.jobs.get((*run.key, draft.digest))
        if job is None or job.waiting or job.future.exception() is not None:
            return None
        return job.future.result()

    def prepare(self, run: Run) -> None:
        """Load what a run's proposals are measured against while people still look at the page."""
        with self.lock:
            if run.key not in self.loading:
                self.loading[run.key] = Job.begin(self.pool, base_of, run)

    def steps(self, run: Run, draft: Draft) -> int:
        """How many of `steps_of` are done for a draft; before its own work begins, those of loading the run."""
        with self.lock:
            jobs = [self.jobs.get((*run.key, draft.digest)), self.loading.get(run.key)]
        return max((job.progress.steps for job in jobs if job is not None), default=0)

    def stop(self, run: Run, draft: Draft) -> None:
        """
        Stop a draft's job and forget it: at once if it has not begun, else at its next step.

        The loading of the run ends with it, unless another draft waits for that.
        """
        with self.lock:
            job = self.jobs.pop((*run.key, draft.digest), None)
            wanted = any(key[:2] == run.key and other.waiting for key, other in self.jobs.items())
            loading = None if wanted else self.loading.pop(run.key, None)
        for stopped in (job, loading):
            if stopped is not None:
                stopped.stop()


@st.cache_resource(show_spinner=False)
def rescorer() -> Rescorer:
    """The rescorer of this server."""
    return Rescorer()


@st.cache_resource(show_spinner=False, max_entries=_MOST_BASES)
def _base(key: tuple[str, str], calm: bool, _run: Run, _progress: Progress) -> Base:
    return open_base(_run.directory, calm=calm, progress=_progress)


def loading_steps(run: Run) -> int:
    """How many steps `base_of` says."""
    return 2 * len(run.modes)


def steps_of(run: Run) -> int:
    """How many steps `outcome` says at most."""
    return loading_steps(run) + 2 * len(run.modes)


def base_of(run: Run, *, calm: bool = False, progress: StoppableProgress) -> Base:
    """
    A run with everything that proposals are measured against, loaded once for all sessions.

    With `calm`, low-stress cycling counts as a mode of its own. Loading that is stopped is kept by nobody.
    """
    base = _base(run.key, calm, run, progress)
    progress.skip_to(loading_steps(run))
    return base


def outcome(run: Run, draft: Draft, progress: StoppableProgress) -> Outcome:
    """
    Re-score a run under a draft: the steps of `base_of`, then two for each mode that an edit touches.

    Raises
    ------
    InputError
        An edit names what the run does not have.
    """
    base = base_of(run, progress=progress)
    rescored = apply(base, draft.proposal, progress=progress)
    modes = {mode: mode_figures(base, rescored, mode) for mode in run.modes}
    return Outcome(rescored, {"modes": modes})


def mode_figures(base: Base, rescored: Rescored, mode: str) -> dict[str, Any]:
    """A mode's figures as in the run's summary: without residents, over the cells with a street of that mode."""
    cells = rescored.cells
    summary = city_summary(
        cells.assign(no_network=cells[f"{mode}_score"].isna()),
        modes=[mode],
        categories=list(base.categories),
        counted=[name for name, weight in base.settings.weights.items() if weight > 0],
        threshold_min=base.settings.cutoff_min,
        limit_min=base.settings.limit_ms / 60_000,
    )
    return dict(summary["modes"][mode])
