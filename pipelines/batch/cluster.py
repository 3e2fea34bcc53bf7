"""Where units are computed: processes of this machine, or a cluster that is already there."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.batch.drive import UNREACHED, SchedulerLostError
from pipelines.errors import ConfigError, PipelineError
from pipelines.memory import free_mb

LEAST_MB = 700.0
"""[MB] A worker with the engine loaded and a small city; measured in docs/batch.md."""
WORKER_MB = 80.0
"""[MB] What a worker process holds beside the run that it computes."""
_SHARE = 0.8
"""Part of the free memory that a batch takes where no budget is given."""


@dataclass(frozen=True)
class Workers:
    """
    How many processes, and what each may take.

    Attributes
    ----------
    number
        Processes.
    memory_mb
        [MB] Limit of each: a process that goes beyond is ended and its city tried again elsewhere.
    """

    number: int
    memory_mb: float


def size_workers(
    *,
    cores: int,
    need_mb: float,
    tiled_mb: float | None = None,
    budget_mb: float | None = None,
    number: int | None = None,
    units: int = 1,
) -> Workers:
    """
    Fit processes to the cores and the memory of a machine.

    Parameters
    ----------
    cores
        Processors that may be used.
    need_mb
        [MB] What the largest city is expected to take.
    tiled_mb
        [MB] What it is expected to take in the smallest tiles. A city that not even the whole budget holds at once is
        in tiles anyway: then as many processes share them as hold one each.
    budget_mb
        [MB] Memory for all processes together; None: 80 % of what is free now.
    number
        As many processes as this, whatever the cores; None: as many as fit.
    units
        No more processes than there are cities.

    Raises
    ------
    ConfigError
        The numbers are not positive, or the budget does not hold one worker.

    Examples
    --------
    >>> size_workers(cores=8, need_mb=3000, budget_mb=10_000, units=100)
    Workers(number=3, memory_mb=3333.0)
    >>> size_workers(cores=8, need_mb=9000, tiled_mb=2500, budget_mb=8000)
    Workers(number=3, memory_mb=2666.0)
    """
    if (number is not None and number < 1) or (budget_mb is not None and budget_mb <= 0):
        msg = f"workers is {number} and the memory {budget_mb} MB; expected at least 1, and more than 0"
        raise ConfigError(msg)
    budget = _SHARE * free_mb() if budget_mb is None else budget_mb
    if budget < LEAST_MB:
        msg = (
            f"{budget:.0f} MB do not hold one worker: it takes {LEAST_MB:.0f} MB; give more with --memory-gb"
        )
        raise ConfigError(msg)
    if tiled_mb is not None and need_mb > budget:
        need_mb, units = tiled_mb, max(units, number or cores)
    most = max(1, int(budget // max(need_mb, LEAST_MB)))
    fit = min(cores, most) if number is None else min(number, int(budget // LEAST_MB))
    count = max(1, min(fit, units))
    return Workers(count, float(math.floor(budget / count)))


def memory_mb(client: Any) -> float | None:
    """[MB] Memory limit of the smallest worker; None where none of them has a limit."""
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    except UNREACHED:
        return None  # whoever hands out the units will say that the scheduler is gone
    limits = [w["memory_limit"] for w in workers if w.get("memory_limit")]
    return min(limits) / 1e6 if limits else None


def cores() -> int:
    """Processors that this process may use, the container's limit included."""
    require_dask()
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def require_dask() -> None:
    """
    Say what to install where ``dask.distributed`` is missing.

    Raises
    ------
    ConfigError
        It is.
    """
    if find_spec("distributed") is None:
        msg = 'proche batch needs dask.distributed; run: pip install "proche[batch]"'
        raise ConfigError(msg)


@contextmanager
def connected(scheduler: str | None, workers: Workers) -> Iterator[Any]:
    """
    A client of a cluster: an existing one, or processes that end with the context.

    Parameters
    ----------
    scheduler
        Address, for example ``tcp://10.0.0.1:8786``; None for processes of this machine.
    workers
        Number and memory of the local processes.

    Raises
    ------
    ConfigError
        ``dask.distributed`` is not installed.
    PipelineError
        The scheduler does not answer, or has no worker.
    """
    require_dask()
    import dask
    from distributed import Client

    with _quiet(), dask.config.set(_SETTINGS):
        if scheduler is not None:
            with _existing(scheduler, Client) as client:
                yield client
            return
        with TemporaryDirectory(prefix="proche-batch-") as scratch, _local(workers, scratch) as client:
            yield client


@contextmanager
def _local(workers: Workers, scratch: str) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    try:
        cluster = LocalCluster(
            n_workers=workers.number,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=int(workers.memory_mb * 1e6),
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
        )
    except (RuntimeError, OSError) as error:
        msg = f"{workers.number} processes could not be started ({error}): try again with fewer --workers"
        raise PipelineError(msg) from None
    with cluster, Client(cluster) as client:
        yield client


_SETTINGS = {
    # a city's memory is freed at its end, not by spilling; a worker is ended only at its limit
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    # compiled code holds the interpreter for minutes in a large city: a silent worker is not a dead one
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.allowed-failures": 2,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.limit": "1h",
}


_SCHEDULER_S = 15
"""[s] How long a scheduler may take to answer: one on a busy machine takes seconds."""
_WORKER_S = 30
"""[s] How long to wait for the first worker of a cluster."""


@contextmanager
def _existing(address: str, client_class: Any) -> Iterator[Any]:
    try:
        client = client_class(address, timeout=f"{_SCHEDULER_S}s")
    except (OSError, ValueError) as error:
        msg = (
            f"no scheduler answers at {address} ({error}): start one with `dask scheduler`, and workers with "
            f"`dask worker {address} --nthreads 1`"
        )
        raise PipelineError(msg) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKER_S)
        except TimeoutError:
            start = f"`dask worker {address} --nthreads 1`"
            msg = f"the scheduler {address} has had no worker for {_WORKER_S} s: start some with {start}"
            raise PipelineError(msg) from None
        except UNREACHED as error:
            msg = f"the scheduler {address} went away ({error}): start it, then run the same command again"
            raise SchedulerLostError(msg) from None
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask's own log off the terminal: what matters of it stands in the status table."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
