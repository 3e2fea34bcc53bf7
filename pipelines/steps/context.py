"""What every step of a run shares: configuration, cache, progress and the inputs, each read at most once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from pipelines.budget import Budget
from pipelines.config import Config
from pipelines.cost import MOST_PLACES
from pipelines.progress import Progress
from pipelines.runlog import RunLog
from pipelines.sources.transfer import public_url
from pipelines.store import Artifact, Store, digest_of

_PACKAGES = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class InputFile:
    """An input of the run, as the manifest records it."""

    role: str
    address: str
    path: Path
    sha256: str
    size: int
    licence: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "role": self.role,
            "address": public_url(self.address) if "://" in self.address else self.address,
            "sha256": self.sha256,
            "size": self.size,
            "licence": self.licence,
            **self.details,
        }


@dataclass(eq=False)
class Context:
    """
    State of one run while it is computed.

    Attributes
    ----------
    config
        The resolved configuration.
    base
        Folder that relative paths in the configuration start from.
    cache
        The cache folder.
    out
        The run directory, where one will be written.
    tile_cells
        Cells of a tile at most, where the area is computed in tiles; the results are the same.
    places_at_once
        Places along kerbs that are judged together when sites are looked for; the results are the same.
    """

    config: Config
    base: Path
    cache: Path
    progress: Progress
    force: bool = False
    offline: bool = False
    out: Path = Path()
    tile_cells: int | None = None
    places_at_once: int = MOST_PLACES
    inputs: dict[str, InputFile] = field(default_factory=dict)
    timings: dict[str, dict[str, Any]] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    reports: dict[str, Any] = field(default_factory=dict)
    on_first_build: Callable[[], object] | None = None
    """Called once, before the first step that is not in the cache."""
    log: RunLog = field(default_factory=RunLog)
    budget: Budget = field(default_factory=Budget)

    @cached_property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.cache)

    def artifact(self, step: str, needs: object, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """
        The result of a step: from the cache, or built now.

        Parameters
        ----------
        step
            Name of the step, as people read it in progress and manifest.
        needs
            Everything that the result depends on (configuration keys, keys of other artifacts, hashes of inputs).
        build
            Writes the files into a folder and returns what is to be reported.
        """
        key = self._key(step, needs)
        start = time.perf_counter()
        found = None if self.force else self.store.find(step, key)
        for fault in self.store.faults:
            self.progress.say(f"  ! {fault}")
            self.log.write("fault", step=step, what=fault)
        self.store.faults.clear()
        if found is not None:
            self.progress.cached(step)
        else:
            if not self.built and self.on_first_build is not None:
                self.on_first_build()
            with self.progress.step(step):
                found, mine = self.store.make(step, key, build, force=self.force)
            if mine:  # else another process made it while this one waited
                self.built.append(step)
            self.budget.release()
        self.timings[step] = {
            "seconds": round(time.perf_counter() - start, 3),
            "cached": step not in self.built,
            "computing_seconds": found.cost.get("seconds"),
            "peak_memory_mb": found.cost.get("peak_mb"),
        }
        self.log.write("step", step=step, key=found.key, **self.timings[step])
        self.reports[step] = found.info
        return found

    def cells_at_once(self, cells: int) -> int | None:
        """Cells of a tile at most for an area of so many, None where it is measured at once."""
        return self.tile_cells if self.tile_cells is not None and cells > self.tile_cells else None

    def known(self, step: str, needs: object) -> bool:
        """Whether the result of a step is in the cache."""
        return self.store.find(step, self._key(step, needs)) is not None

    @staticmethod
    def _key(step: str, needs: object) -> str:
        return digest_of([step, needs, code_digest()])


@cache
def code_digest() -> str:
    """
    Hash of the code that computes results: a new version of the product never takes an old version's results.

    Libraries whose version can change a result's bytes are part of it.
    """
    total = sha256()
    for package in ("engine", "pipelines"):
        for file in sorted((_PACKAGES / package).rglob("*.py")):
            total.update(file.relative_to(_PACKAGES).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    total.update("\0".join(f"{k}={v}" for k, v in library_versions().items()).encode())
    return total.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a result rests on, for the manifest and for cache keys."""
    from importlib.metadata import version

    names = ("geopandas", "h3", "igraph", "networkx", "numba", "numpy", "osmium", "osmnx", "pandas", "pyarrow",
             "pyogrio", "pyproj", "rasterio", "scikit-learn", "scipy", "shapely")  # fmt: skip
    return {name: version(name) for name in names}


def plain(value: Any) -> Any:
    """A value as JSON holds it, the same in every process: sets sorted, dataclasses as tables, shapes as WKT."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(v) for v in value)
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value.wkt if isinstance(value, BaseGeometry) else value
