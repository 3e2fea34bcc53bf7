"""Where streets and places come from: OpenStreetMap, tables, files and addresses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from pipelines.config.value import Md5, NonNegative, Positive, Sha256, Strict


class Source(Strict):
    """Where the streets and the OpenStreetMap features come from."""

    osm: Annotated[str, StringConstraints(min_length=1)]
    """A file (.osm.pbf, .osm, .osm.gz, .osm.bz2), a URL, `overpass`, `tables`, or `package:NAME/PATH` (a file that
    an installed package carries)."""
    sha256: Sha256 | None = None
    """Expected SHA-256 of the file or download."""
    md5: Md5 | None = None
    """Expected MD5 of the download."""
    size: Annotated[int, Field(gt=0)] | None = None
    """[bytes] Expected size of the file or download."""
    checksum_url: str | None = None
    """Address of the published checksum of the download."""
    licence: str = "ODbL 1.0, © OpenStreetMap contributors"
    """Licence and attribution, shown on every map."""
    timestamp: str | None = None
    """Date of the data, for a source whose header has none."""
    overpass_url: str = "https://overpass-api.de/api"
    """Address of the Overpass service."""
    overpass_timeout_s: Positive = 180
    """[s] How long Overpass may work on one query."""
    nodes: str | None = None
    """`tables` only: file of nodes (CSV or Parquet)."""
    edges: str | None = None
    """`tables` only: file of edges (CSV or Parquet)."""
    columns: dict[str, str] = {}
    """`tables` only: which of your columns holds what, for example `{ node_id = "id" }`."""
    buffer_m: NonNegative | None = None
    """[m] How far beyond the area data are read; default: the largest cutoff × speed of the modes in the run."""

    @model_validator(mode="after")
    def _tables_have_files(self) -> Source:
        if self.osm == "tables" and not (self.nodes and self.edges):
            msg = 'osm = "tables" needs both nodes and edges (CSV or Parquet files)'
            raise ValueError(msg)
        return self


class FileSource(Strict):
    """A file or an address of places, and how to read it."""

    file: str | None = None
    """File, relative to the configuration (CSV, GeoJSON, GeoPackage, Parquet; .gz allowed)."""
    url: str | None = None
    """Address, fetched once and kept in the cache."""
    sha256: Sha256 | None = None
    """Expected SHA-256."""
    licence: str = ""
    """Licence and attribution of the file."""
    format: Literal["csv", "geojson", "gpkg", "parquet"] | None = None
    """Format; default: by the content."""
    layer: str | None = None
    """Layer, where the file has several."""
    encoding: str | None = None
    """Text encoding; default: recognised."""
    separator: str | None = None
    """Separator of a CSV; default: recognised."""
    where: dict[str, tuple[str, ...]] = {}
    """Keep only rows whose column has one of these values."""
    group_by: tuple[str, ...] = ()
    """Rows that agree on these columns are one place."""
    crs: str | None = None
    """CRS of the coordinates; default: the file's own, else EPSG:4326."""
    id: str | None = None
    """Column that names each place; default: recognised, as are the next five."""
    name: str | None = None
    """Column with the name."""
    point: str | None = None
    """Column that holds both coordinates ("48.87, 2.32", WKT or GeoJSON)."""
    lon: str | None = None
    """Column with the longitude."""
    lat: str | None = None
    """Column with the latitude."""
    capacity: str | None = None
    """Column with the capacity of a row."""
    capacity_from: Literal["sum", "max", "rows"] = "sum"
    """Capacity of a place of several rows: their sum, the largest, or the number of rows."""
    streams: str | None = None
    """Column with the waste stream of each row, collected for each place."""
    keep: tuple[str, ...] = ()
    """Columns carried along."""

    @model_validator(mode="after")
    def _one_address(self) -> FileSource:
        if self.file and self.url:
            msg = f"give file or url, not both; found file = {self.file!r} and url = {self.url!r}"
            raise ValueError(msg)
        return self

    @property
    def address(self) -> str | None:
        """The file or the URL, None where neither is given."""
        return self.file or self.url

    @property
    def options(self) -> dict[str, Any]:
        """How to read it, as the reader takes it."""
        names = ("format", "layer", "encoding", "separator", "crs", "id", "name", "point", "lon", "lat", "capacity",
                 "capacity_from", "streams", "keep", "where", "group_by")  # fmt: skip
        return {k: getattr(self, k) for k in names if getattr(self, k) not in (None, (), {})}
