"""What is seen, as a file: the cells of the view with the column shown, for spreadsheets and QGIS."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd

from pipelines.tables_out import export_table
from ui.runs import Run
from ui.state import View

MIME = {"csv": "text/csv", "geojson": "application/geo+json", "gpkg": "application/geopackage+sqlite3"}
"""Formats on offer and their media types."""


@dataclass(frozen=True)
class Export:
    """A file to download."""

    name: str
    mime: str
    content: bytes


def cells_of_view(run: Run, view: View) -> gpd.GeoDataFrame:
    """
    The cells that are seen: those of the chosen neighbourhood, with what identifies them and the column shown.

    The figures are those of ``cells.parquet``, unrounded.
    """
    columns = ["h3_cell", "population", "neighbourhood", "edge_affected", "no_network", view.measure.column]
    present = [c for c in columns if c in run.cells.columns]
    table = run.cells[[*present, "geometry"]]
    inside = run.inside(view.district)
    return table if inside is None else table[inside]


def export_cells(run: Run, view: View, *, form: str) -> Export:
    """The cells that are seen in one of the formats of `MIME`."""
    return export_bytes(
        cells_of_view(run, view), form=form, stem=f"proche-{run.name}-{view.measure.column}", layer="cells"
    )


def export_bytes(table: gpd.GeoDataFrame, *, form: str, stem: str, layer: str) -> Export:
    """
    A table as the bytes of a file.

    Parameters
    ----------
    table
        EPSG:4326.
    form
        One of `MIME`.
    stem
        Name of the file without its ending; anything but letters, digits, ``-``, ``_`` and ``.`` becomes ``-``.
    layer
        Name of the layer inside a GeoPackage.
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in stem)
    with tempfile.TemporaryDirectory(prefix="proche-export-") as folder:
        path = Path(folder) / f"table.{form}"
        export_table(table, path, form=form, layer=layer)
        return Export(f"{safe}.{form}", MIME[form], path.read_bytes())
