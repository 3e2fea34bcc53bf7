"""The run directory: what a run leaves for people and programs, read and verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq

from engine.network.exchange import from_tables
from engine.network.street_network import StreetNetwork
from pipelines.errors import ArtifactError, ConfigError
from pipelines.store import is_plain_name, sha256_of

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class RunDirectory:
    """
    A finished run, read lazily.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """
        A run directory that holds a readable manifest.

        Raises
        ------
        ArtifactError
            There is none: the run was not made, or was interrupted before its end.
        """
        run = cls.finished(path)
        if run.manifest.get("kind"):
            msg = f"{path} is a {run.manifest['kind']}, not a run; give the run directory that `proche run` made"
            raise ArtifactError(msg)
        return run

    @classmethod
    def finished(cls, path: Path) -> RunDirectory:
        """
        A folder that a readable manifest closes: a run, or a comparison of proposals on one.

        Raises
        ------
        ArtifactError
            There is none.
        """
        run = cls(Path(path))
        if not (run.path / MANIFEST).is_file():
            msg = f"{path} is not a finished run: it has no {MANIFEST}; make it with `proche run CONFIG --out {path}`"
            raise ArtifactError(msg)
        _ = run.manifest
        return run

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        try:
            manifest = json.loads((self.path / MANIFEST).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            msg = f"{self.path / MANIFEST} cannot be read ({error}); run the configuration again"
            raise ArtifactError(msg) from None
        fault = _fault(manifest)
        if fault:
            msg = f"{self.path / MANIFEST} is not the manifest of a run: it {fault}; run the configuration again"
            raise ArtifactError(msg)
        return dict(manifest)

    @property
    def name(self) -> str:
        """The area's name."""
        return str(self.manifest["config"]["area"]["name"])

    @property
    def modes(self) -> list[str]:
        """Modes of the run."""
        return list(self.manifest["modes"])

    @property
    def categories(self) -> list[str]:
        """Categories of the run."""
        return list(self.manifest["categories"])

    @property
    def absent(self) -> list[str]:
        """Categories without any place: their figures tell of the data, not of the city."""
        places = self.manifest["reports"]["opportunities"]["places"]
        return [name for name in self.categories if not places.get(name)]

    @cached_property
    def cells(self) -> gpd.GeoDataFrame:
        """``cells.parquet``."""
        return gpd.read_parquet(self._file("cells.parquet"))

    @cached_property
    def opportunities(self) -> gpd.GeoDataFrame:
        """``opportunities.parquet``."""
        return gpd.read_parquet(self._file("opportunities.parquet"))

    @cached_property
    def access_points(self) -> gpd.GeoDataFrame:
        """``access_points.parquet``: doors and gates, one row each."""
        return gpd.read_parquet(self._file("access_points.parquet"))

    @cached_property
    def gaps(self) -> gpd.GeoDataFrame:
        """``gaps.parquet``."""
        return gpd.read_parquet(self._file("gaps.parquet"))

    @cached_property
    def portrait(self) -> pd.DataFrame:
        """``portrait.parquet``: type, confidence, rank and green distances of each cell, in the order of `cells`."""
        return pd.read_parquet(self._file("portrait.parquet"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``."""
        return dict(json.loads(self._file("summary.json").read_text("utf-8")))

    def table(self, name: str) -> gpd.GeoDataFrame:
        """
        Any table of the run by its name; one of cells that holds no outlines gets theirs.

        Raises
        ------
        ArtifactError
            The run has no such table.
        """
        file = self._file(f"{name}.parquet")
        if b"geo" in (pq.read_schema(file).metadata or {}):
            return gpd.read_parquet(file)
        plain = pd.read_parquet(file)
        return self.cells[["h3_cell", "geometry"]].merge(plain, on="h3_cell", how="right", validate="1:1")

    def sites(self, kind: str) -> gpd.GeoDataFrame:
        """``sites_{kind}.parquet``."""
        return gpd.read_parquet(self._file(f"sites_{kind}.parquet"))

    def network(self, mode: str) -> StreetNetwork:
        """
        The street network of a mode, identical to the one that was computed on.

        Raises
        ------
        ConfigError
            The run has no such mode.
        """
        if mode not in self.modes:
            msg = f"{self.path} has no mode {mode!r}; it has {', '.join(self.modes)}"
            raise ConfigError(msg)
        nodes = gpd.read_parquet(self._file(f"network_{mode}_nodes.parquet"))
        edges = gpd.read_parquet(self._file(f"network_{mode}_edges.parquet"))
        return from_tables(nodes, edges, mode)

    def has(self, name: str) -> bool:
        """Whether the manifest names this file."""
        return name in self.manifest["outputs"]

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not self.has(name) or not path.is_file():
            msg = (
                f"{self.path} has no {name}; its manifest names {', '.join(sorted(self.manifest['outputs']))}"
            )
            raise ArtifactError(msg)
        return path


def _fault(manifest: object) -> str | None:
    """What a manifest lacks of what its readers rely on; names of files must not lead out of the folder."""
    if not isinstance(manifest, dict) or not isinstance(manifest.get("outputs"), dict):
        return "names no outputs"
    for name, output in manifest["outputs"].items():
        if not is_plain_name(name) or name == MANIFEST:
            return f"names an output {name!r}, which is no file in this folder"
        if not isinstance(output, dict) or not isinstance(output.get("sha256"), str):
            return f"has no hash of {name!r}"
    area = manifest["config"].get("area") if isinstance(manifest.get("config"), dict) else None
    if not isinstance(area, dict) or not isinstance(area.get("name"), str):
        return "has no configuration with the name of an area"
    for key in ("modes", "categories"):
        names = manifest.get(key)
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            return f"has no list of {key}"
    return None


def check(path: Path) -> pd.DataFrame:
    """
    Recompute every hash that the manifest names.

    Returns
    -------
    pandas.DataFrame
        One row an output: ``file``, ``state`` (``ok``, ``changed``, ``missing``), ``expected``, ``found``.
    """
    run = RunDirectory.finished(path)
    rows = []
    for name, output in sorted(run.manifest["outputs"].items()):
        file = run.path / name
        found = sha256_of(file) if file.is_file() else None
        state = "missing" if found is None else "ok" if found == output["sha256"] else "changed"
        rows.append({"file": name, "state": state, "expected": output["sha256"], "found": found})
    return pd.DataFrame(rows, columns=["file", "state", "expected", "found"])
