"""Shared inputs read once: a large extract is cut for all of its areas in one reading, before they are computed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from pipelines.batch.drive import finished
from pipelines.batch.unit import Order
from pipelines.config import Config, parse_config
from pipelines.errors import PipelineError
from pipelines.store import Store

SPLIT_MB = 30.0
"""[MB] Reading less than this again and again costs less than a cut on the disk."""
_DIRECT = ("tables", "overpass")


@dataclass(frozen=True)
class Split:
    """
    Units that read one file.

    Attributes
    ----------
    address
        The file or its URL.
    orders
        The units.
    """

    address: str
    orders: tuple[Order, ...]


def splits(orders: Iterable[Order], *, least_mb: float = SPLIT_MB) -> list[Split]:
    """
    Files that several areas share and that are large enough to be cut once.

    Parameters
    ----------
    orders
        The units.
    least_mb
        [MB] Cut where this much would be read again.
    """
    groups: dict[str, list[Order]] = {}
    for order in orders:
        config = parse_config(order.tables)
        if config.source.osm not in _DIRECT and _bounded(config):
            groups.setdefault(_address(config, order), []).append(order)
    return [
        Split(address, tuple(group))
        for address, group in groups.items()
        if (len({_area(o) for o in group}) - 1) * _size_mb(address) >= least_mb
    ]


def _bounded(config: Config) -> bool:
    return any(x is not None for x in (config.area.boundary, config.area.bbox, config.area.place))


def _address(config: Config, order: Order) -> str:
    osm = config.source.osm
    remote = osm.startswith(("http://", "https://", "package:"))
    return osm if remote else str(Path(order.base, Path(osm).expanduser()))


def _area(order: Order) -> str:
    """What tells one area from another, for counting."""
    return str(
        sorted(parse_config(order.tables).area.model_dump(mode="json", exclude={"resolution"}).items())
    )


def _size_mb(address: str) -> float:
    """[MB] Size of a file; of a download it is not known yet and taken for large."""
    if address.startswith(("http://", "https://")):
        return SPLIT_MB
    path = Path(address)
    return path.stat().st_size / 1e6 if path.is_file() else 0.0


def make_cuts(split: Split) -> dict[str, str]:
    """
    Read a file once and keep what each area needs of it.

    Parameters
    ----------
    split
        The file and its areas. An area that cannot be cut (its boundary is missing, say) is left out: its own unit
        says why.

    Returns
    -------
    dict
        Key of the cut of each unit, by the unit's id.
    """
    from pipelines.sources.osm_cut import CUT_FILE, Cutter, write_cut
    from pipelines.sources.osm_file import read_raw

    sources: dict[str, Any] = {}
    for order in split.orders:
        try:
            sources[order.id] = _source(order)
        except (PipelineError, EngineError, OSError):
            continue
    keys = {unit: source.cut_key for unit, source in sources.items()}
    store = Store(Path(split.orders[0].cache))
    missing = {key for key in keys.values() if store.find("cut", key) is None}
    cutter = None
    for unit, source in sources.items():
        if keys[unit] not in missing:
            continue
        if cutter is None:
            try:
                cutter = Cutter.of(read_raw(source.file.path))
            except (PipelineError, MemoryError, OSError):
                return {}
        missing.discard(keys[unit])
        cut = cutter.cut(source.bounds, keep=source.keep)

        def build(folder: Path, cut: Any = cut) -> Mapping[str, Any]:
            write_cut(cut, folder / CUT_FILE)
            return {"nodes": len(cut.node_id), "ways": len(cut.way_id), "relations": len(cut.relation_id)}

        store.make("cut", keys[unit], build)
    return keys


def _source(order: Order) -> Any:
    """The source of a unit, with the box that its run will ask for."""
    from pipelines.progress import Progress
    from pipelines.steps.area import buffered_bounds, given_boundary, reach_m
    from pipelines.steps.context import Context
    from pipelines.steps.opportunities import read_categories
    from pipelines.steps.streets import OsmSource, keep_filter, profile_of

    config = parse_config(order.tables)
    ctx = Context(config, Path(order.base), Path(order.cache), Progress(), offline=order.offline)
    reaches = [reach_m(ctx, profile_of(ctx, mode).speed_kmh) for mode in config.modes]
    wide = config.source.buffer_m if config.source.buffer_m is not None else max(reaches, default=0.0)
    boundary = given_boundary(ctx)
    bounds = None if boundary is None else buffered_bounds(boundary, wide)
    return OsmSource(ctx, keep_filter(read_categories(ctx)), bounds)


class Cuts:
    """
    The cuts of a batch: each is deleted when the last unit that reads it is finished.

    Parameters
    ----------
    cache
        The cache folder.
    """

    def __init__(self, cache: Path) -> None:
        self._store = Store(cache)
        self._units: dict[str, set[str]] = {}

    def add(self, keys: Mapping[str, str]) -> None:
        """Remember which units read which cut."""
        for unit, key in keys.items():
            self._units.setdefault(key, set()).add(unit)

    def release(self, unit: str) -> None:
        """Delete the cut that nobody else will read."""
        for key, units in list(self._units.items()):
            units.discard(unit)
            if not units:
                del self._units[key]
                shutil.rmtree(self._store.folder("cut", key), ignore_errors=True)

    def clear(self) -> None:
        """Delete all that are left."""
        for key in self._units:
            shutil.rmtree(self._store.folder("cut", key), ignore_errors=True)
        self._units.clear()


def cut_first(client: Any, orders: Sequence[Order], cuts: Cuts, *, least_mb: float = SPLIT_MB) -> list[str]:
    """
    Have shared files cut by the workers.

    Returns
    -------
    list of str
        The files that were cut, for the progress. One that could not be is read by each unit itself.
    """
    running = {
        client.submit(make_cuts, split, pure=False): split for split in splits(orders, least_mb=least_mb)
    }
    done = []
    while running:
        for end, split in finished(client, running):
            if end.error is None:
                cuts.add(end.value)
                done.append(split.address)
    return sorted(done)
