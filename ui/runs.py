"""Run directories as the map reads them: found, opened read-only, never changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from engine.gaps import ALL
from engine.network.street_network import StreetNetwork
from engine.scoring import flag_of, residents_of, weight_of
from pipelines.rundir import MANIFEST, RunDirectory
from ui.layers.frame import Frame

RUNS_VARIABLE = "PROCHE_RUNS"
"""Environment variable with run directories, separated like ``PATH``."""
_BASE_MODES = ("walk", "bike", "street30")
_DISTRICT = "neighbourhood"


def find_runs(arguments: Sequence[str], *, default: Path) -> dict[str, Path]:
    """
    Run directories by the name under which the map offers them.

    Parameters
    ----------
    arguments
        Directories given on the command line; where there is none, those of `RUNS_VARIABLE`, else every run
        in `default`.
    default
        Folder whose subfolders are runs.

    Returns
    -------
    dict
        Name → directory, sorted by name where found in `default`. A second directory of the same name is
        called ``name (2)``. Folders that hold no finished run are left out.
    """
    given = [Path(a) for a in arguments] or [
        Path(a) for a in os.environ.get(RUNS_VARIABLE, "").split(os.pathsep) if a
    ]
    if not given and default.is_dir():
        given = sorted(p for p in default.iterdir() if p.is_dir())
    found: dict[str, Path] = {}
    for path in given:
        if not (path / MANIFEST).is_file():
            continue
        name, count = path.resolve().name, 2
        while name in found:
            name, count = f"{path.resolve().name} ({count})", count + 1
        found[name] = path.resolve()
    return found


def fingerprint(path: Path) -> str:
    """What changes when a run is computed anew: size and time of its manifest, which is written last."""
    stat = (path / MANIFEST).stat()
    return f"{stat.st_size}.{stat.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class Run:
    """
    One run directory, opened for reading. Tables are read when first asked for, and shared by every session.

    Attributes
    ----------
    name
        Under which the map offers it.
    directory
        The run directory.
    mark
        Its `fingerprint` when it was opened.
    """

    name: str
    directory: RunDirectory
    mark: str = ""
    _networks: dict[str, StreetNetwork] = field(default_factory=dict, repr=False)
    _sites: dict[str, gpd.GeoDataFrame] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, name: str, path: Path) -> Run:
        """
        Open a run.

        Raises
        ------
        ArtifactError
            The folder holds no finished run.
        """
        return cls(name, RunDirectory.open(path), fingerprint(path))

    @property
    def key(self) -> tuple[str, str]:
        """What tells this run, as computed now, from every other one."""
        return str(self.directory.path), self.mark

    @property
    def title(self) -> str:
        """The area's name."""
        return self.directory.name

    @property
    def manifest(self) -> dict[str, Any]:
        """``manifest.json``."""
        return self.directory.manifest

    @property
    def summary(self) -> dict[str, Any]:
        """``summary.json``."""
        return self.directory.summary

    @property
    def cells(self) -> gpd.GeoDataFrame:
        """``cells.parquet``."""
        return self.directory.cells

    @cached_property
    def modes(self) -> tuple[str, ...]:
        """Modes of the run."""
        return tuple(self.directory.modes)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of the run."""
        return tuple(self.directory.categories)

    @cached_property
    def absent(self) -> tuple[str, ...]:
        """Categories without any place in the data."""
        return tuple(self.directory.absent)

    @property
    def cutoff_min(self) -> float:
        """[min] What the run itself calls served."""
        return float(self.summary.get("threshold_min", 15))

    def label(self, category: str, language: str) -> str | None:
        """What the run's configuration calls a category in a language, None where it does not say."""
        wanted = self.manifest.get("config_resolved", {}).get("opportunities", {})
        label = (wanted.get(category) or {}).get(f"label_{language}")
        return str(label) if label else None

    @cached_property
    def residents(self) -> npt.NDArray[np.float64] | None:
        """Residents of each cell, None where the run has no population."""
        return residents_of(self.cells)

    @cached_property
    def weight(self) -> npt.NDArray[np.float64]:
        """What a cell counts in the run's shares and means: residents, else 1 if it has streets, else 0."""
        return weight_of(self.cells)[0]

    def streetless(self, mode: str) -> npt.NDArray[np.bool_]:
        """Cells without a street of a mode: their score is null."""
        column = f"{mode}_score"
        missing = (
            self.cells[column].isna() if column in self.cells.columns else flag_of(self.cells, "no_network")
        )
        return np.asarray(missing, dtype=bool)

    @cached_property
    def districts(self) -> tuple[str, ...]:
        """Names of the neighbourhoods, sorted; empty where the run has none."""
        if _DISTRICT not in self.cells.columns:
            return ()
        return tuple(sorted(self.cells[_DISTRICT].dropna().astype(str).unique()))

    def inside(self, district: str | None) -> npt.NDArray[np.bool_] | None:
        """Which cells lie in a neighbourhood; None for everywhere."""
        if district is None or district not in self.districts:
            return None
        return (self.cells[_DISTRICT].astype("string") == district).fillna(value=False).to_numpy(bool)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each cell by its H3 index."""
        return {cell: row for row, cell in enumerate(self.cells["h3_cell"])}

    @cached_property
    def frame(self) -> Frame:
        """The square that the map's coordinates are counted in: cells and streets."""
        points = np.concatenate(
            [shapely.get_coordinates(t.geometry) for t in (self.cells, self.base_streets)]
        )
        return Frame.around(points[:, 0], points[:, 1])

    @cached_property
    def base_streets(self) -> gpd.GeoDataFrame:
        """The streets that the map is drawn on: those of the mode that goes nearly everywhere first."""
        for mode in _BASE_MODES:
            if mode in self.modes:
                return self.edges(mode)
        return gpd.GeoDataFrame({"from_node": [], "to_node": [], "length_m": []}, geometry=[], crs=4326)

    def edges(self, mode: str) -> gpd.GeoDataFrame:
        """``network_{mode}_edges.parquet``, read anew each time; `mode` is one of `modes`."""
        return gpd.read_parquet(self.directory.path / f"network_{mode}_edges.parquet")

    def network(self, mode: str) -> StreetNetwork:
        """The street network of a mode, kept once read."""
        if mode not in self._networks:
            self._networks[mode] = self.directory.network(mode)
        return self._networks[mode]

    @property
    def opportunities(self) -> gpd.GeoDataFrame:
        """``opportunities.parquet``."""
        return self.directory.opportunities

    @property
    def features(self) -> gpd.GeoDataFrame | None:
        """``features.parquet``: read anew each time (it may be large); None where there is none."""
        name = "features.parquet"
        return gpd.read_parquet(self.directory.path / name) if self.directory.has(name) else None

    @cached_property
    def gap_names(self) -> frozenset[str]:
        """Names of the gaps."""
        return frozenset(self.directory.gaps["gap"].astype(str))

    def gaps(self, mode: str, category: str | None) -> gpd.GeoDataFrame:
        """
        The run's gaps in a mode, by rank.

        Parameters
        ----------
        mode
            One of `modes`.
        category
            One of `categories`; None: the gaps in any category.
        """
        table = self.directory.gaps
        mine = (table["mode"] == mode) & (table["category"] == (category or ALL))
        return table[mine].sort_values("rank", kind="stable").reset_index(drop=True)

    @cached_property
    def site_kinds(self) -> tuple[str, ...]:
        """Kinds of sites that the run proposes."""
        names = self.manifest["outputs"]
        return tuple(
            sorted(
                n.removeprefix("sites_").removesuffix(".parquet")
                for n in names
                if n.startswith("sites_") and n.endswith(".parquet")
            )
        )

    def sites(self, kind: str) -> gpd.GeoDataFrame:
        """``sites_{kind}.parquet``; `kind` is one of `site_kinds`."""
        if kind not in self._sites:
            self._sites[kind] = self.directory.sites(kind)
        return self._sites[kind]

    def site_facts(self, kind: str) -> dict[str, Any]:
        """``sites_{kind}.json``: objective, bound, gap and curve; empty where the run has none."""
        name = f"sites_{kind}.json"
        if not self.directory.has(name):
            return {}
        return dict(json.loads((self.directory.path / name).read_text("utf-8")))

    @property
    def site_budget(self) -> dict[str, Any]:
        """``sites_budget.json``: how one sum is divided between kinds; empty where the run has none."""
        if not self.directory.has("sites_budget.json"):
            return {}
        return dict(json.loads((self.directory.path / "sites_budget.json").read_text("utf-8")))

    @cached_property
    def further_counts(self) -> tuple[str, ...]:
        """Counts of people that the run carries besides residents: poor households, ages and the like."""
        known = {
            "h3_cell",
            "population",
            "street_length_m",
            "edge_affected",
            "no_network",
            "neighbourhood",
            "income",
        }
        return tuple(
            c
            for c in self.cells.columns
            if c not in known
            and not c.startswith(tuple(f"{m}_" for m in self.modes))
            and pd.api.types.is_numeric_dtype(self.cells[c])
        )

    def values(self, column: str) -> npt.NDArray[np.float64]:
        """One column of the cells as floats, NaN where null."""
        return pd.to_numeric(self.cells[column]).to_numpy(np.float64, na_value=np.nan)
