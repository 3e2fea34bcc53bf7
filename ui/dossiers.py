"""Dossiers of drafts, made in the background: what `proche compare` writes, from the map."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

import streamlit as st

from engine.proposals.edit import Proposal
from pipelines.comparison import compare, needs_calm
from pipelines.comparison_files import comparison_csv
from pipelines.dossier import dossier
from ui.drafting import Draft
from ui.rescoring import base_of, loading_steps
from ui.runs import Run
from ui.work import Job, StoppableProgress

Language = Literal["en", "fr"]
_MOST_DOSSIERS = 12


@dataclass(frozen=True)
class Dossier:
    """A comparison as files: a page that prints well, and its figures."""

    html: bytes
    csv: bytes


@dataclass
class Dossiers:
    """Jobs by content, the oldest dropped first; one at a time, beside the re-scoring."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dossier"))
    jobs: OrderedDict[tuple[Any, ...], Job[Dossier]] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def submit(self, run: Run, drafts: Mapping[str, Draft], language: Language) -> Job[Dossier]:
        """The dossier of the drafts that hold edits; a job of the same content is handed out again."""
        key = key_of(run, drafts, language)
        with self.lock:
            if key not in self.jobs:
                self.jobs[key] = Job.begin(self.pool, make, run, proposals_of(drafts), language)
                while len(self.jobs) > _MOST_DOSSIERS:
                    self.jobs.popitem(last=False)[1].stop()
            self.jobs.move_to_end(key)
            return self.jobs[key]

    def stop(self, key: tuple[Any, ...]) -> None:
        """Stop a job: at once if it has not begun, else at its next step."""
        with self.lock:
            job = self.jobs.pop(key, None)
        if job is not None:
            job.stop()


@st.cache_resource(show_spinner=False)
def dossiers() -> Dossiers:
    """The dossiers of this server."""
    return Dossiers()


def key_of(run: Run, drafts: Mapping[str, Draft], language: Language) -> tuple[Any, ...]:
    """What tells two dossiers apart."""
    return (*run.key, language, tuple((x, d.name, d.digest) for x, d in drafts.items() if d.features))


def proposals_of(drafts: Mapping[str, Draft]) -> list[Proposal]:
    """The drafts that hold edits, called by their letters and, where a file gave one, their names."""
    return [
        d.named(letter if d.name == letter else f"{letter} · {d.name}").proposal
        for letter, d in drafts.items()
        if d.features
    ]


def steps_of(run: Run, drafts: Mapping[str, Draft]) -> int:
    """How many steps `make` says at least: loading, each mode, the city as it is, each draft, tenths of the draws."""
    return loading_steps(run) + len(run.modes) + 1 + sum(1 for d in drafts.values() if d.features) + 10


def make(run: Run, proposals: list[Proposal], language: Language, progress: StoppableProgress) -> Dossier:
    """
    Compare proposals on a run and write the dossier.

    Raises
    ------
    InputError, PipelineError
        A proposal cannot be computed on this run.
    """
    base = base_of(run, calm=needs_calm(proposals), progress=progress)
    made = compare(base, proposals, progress=progress)
    html = dossier(made, language=language)
    return Dossier(html.encode(), ("\ufeff" + comparison_csv(made)).encode())
