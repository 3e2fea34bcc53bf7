"""What a batch computes: files of areas and settings become units, one a city and setting."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import shapely

from pipelines.config import Config, load_config, parse_config, slug
from pipelines.errors import ConfigError
from pipelines.sources.delimited import read_delimited
from pipelines.sources.vector import read_vector

Tables = dict[str, Any]

SHORT = {
    "name": ("area", "name"),
    "boundary": ("area", "boundary"),
    "bbox": ("area", "bbox"),
    "place": ("area", "place"),
    "osm": ("source", "osm"),
}
"""Keys that an area may give without naming their section."""
_SIDES = ("west", "south", "east", "north")
_FILE_KEYS = ("batch", "defaults", "grid", "settings", "areas", "areas_from")
_SPLIT_KEYS = ("file", "column", "layer")


@dataclass(frozen=True)
class Unit:
    """
    One city and setting.

    Attributes
    ----------
    id
        Name of its folder and of its record, distinct within the batch.
    city
        Name of the area.
    setting
        What distinguishes it from the batch's other settings: configuration key → value; empty without a grid.
    label
        The setting in words, empty without.
    tables
        Configuration tables.
    base
        Folder that relative paths start from.
    fault
        Why the configuration cannot be honoured, empty where it can.
    outline
        GeoJSON of the area, where a file of areas was split; it is written beside the results.
    """

    id: str
    city: str
    setting: Mapping[str, Any]
    label: str
    tables: Tables
    base: Path
    fault: str = ""
    outline: str | None = None

    def config(self) -> Config:
        """
        The configuration.

        Raises
        ------
        ConfigError
            It cannot be honoured.
        """
        return parse_config(self.tables, origin=self.city)


@dataclass(frozen=True)
class BatchPlan:
    """
    All units of a batch, in the order of the files.

    Attributes
    ----------
    name
        Name of the batch: of its folder.
    units
        Cities and settings, ids distinct.
    """

    name: str
    units: tuple[Unit, ...]

    @property
    def keys(self) -> list[str]:
        """Configuration keys that settings vary, in the order of the files."""
        return list(dict.fromkeys(key for unit in self.units for key in unit.setting))


@dataclass(frozen=True)
class _Entry:
    """One area before settings are applied."""

    tables: Tables
    base: Path
    outline: str | None = None
    fault: str = ""


@dataclass(frozen=True)
class _Setting:
    label: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def read_batch(paths: Sequence[Path], *, overrides: Sequence[str] = (), name: str | None = None) -> BatchPlan:
    """
    Read files of areas.

    Parameters
    ----------
    paths
        Batch files (TOML with ``[[areas]]``), tables of areas (CSV), or plain configurations (an ``[area]``).
    overrides
        ``section.key=value`` for every unit.
    name
        Name of the batch; default: the first file's.

    Returns
    -------
    BatchPlan
        A unit whose configuration cannot be honoured says so in `Unit.fault`; the others are not affected.

    Raises
    ------
    ConfigError
        A file cannot be read or is no batch file, holds no area, or not one unit can be honoured.
    """
    if not paths:
        msg = "a batch needs at least one file of areas (TOML or CSV)"
        raise ConfigError(msg)
    units: list[Unit] = []
    for path in paths:
        units += _units(Path(path), overrides)
    if not units:
        msg = f"{', '.join(map(str, paths))}: no area is given; add [[areas]] with a name and a bbox or boundary"
        raise ConfigError(msg)
    checked = [_checked(unit) for unit in _distinct(units)]
    if all(unit.fault for unit in checked):
        raise ConfigError(checked[0].fault)
    title = name or _named(Path(paths[0])) or Path(paths[0]).stem
    return BatchPlan(slug(title), tuple(checked))


def _units(path: Path, overrides: Sequence[str]) -> list[Unit]:
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        entries, settings = _csv_entries(path), [_Setting()]
    else:
        tables = _toml(path)
        if "area" in tables or path.suffix == ".json":
            entries, settings = [_config_entry(path)], [_Setting()]
        else:
            _known(tables, _FILE_KEYS, str(path))
            entries, settings = list(_toml_entries(tables, path)), _settings(tables, path)
    return [_unit(entry, setting, overrides) for entry in entries for setting in settings]


def _toml(path: Path) -> Tables:
    try:
        if path.suffix == ".json":
            return {"area": {}}
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        msg = f"cannot read the batch file {path}: {error.strerror}; give the path of a TOML or CSV file"
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not valid TOML: {error}"
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
    raise ConfigError(msg)


def _known(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            msg = f"{where}: unknown key {key!r}; the nearest known key is {near!r} (of {', '.join(known)})"
            raise ConfigError(msg)


def _named(path: Path) -> str | None:
    if path.suffix.lower() != ".toml":
        return None
    named = _toml(path).get("batch", {})
    _known(named, ("name",), f"{path}: [batch]")
    return str(named["name"]) if "name" in named else None


def _config_entry(path: Path) -> _Entry:
    config = load_config(path)
    base = path.resolve().parent
    if path.suffix == ".json":
        base = Path(json.loads(path.read_text("utf-8")).get("base", base))
    return _Entry(config.model_dump(mode="json", exclude_unset=True), base)


def _toml_entries(tables: Tables, path: Path) -> Iterator[_Entry]:
    defaults = _spread(tables.get("defaults", {}))
    for entry in _list(tables, "areas", path):
        yield _entry(entry, defaults, path)
    for entry in _list(tables, "areas_from", path):
        yield from _split(entry, defaults, path)


def _list(tables: Tables, key: str, path: Path) -> list[Tables]:
    found = tables.get(key, [])
    if not isinstance(found, list) or not all(isinstance(e, dict) for e in found):
        msg = f"{path}: {key} is a list of tables; write [[{key}]] before each"
        raise ConfigError(msg)
    return found


def _entry(entry: Tables, defaults: Tables, path: Path) -> _Entry:
    """One area: the file that it names, or the defaults, changed by its own keys."""
    own = _spread({k: v for k, v in entry.items() if k != "config"})
    if "config" not in entry:
        return _Entry(merged(defaults, own), path.resolve().parent)
    file = path.resolve().parent / str(entry["config"])
    try:
        named = _config_entry(file)
    except ConfigError as error:
        return _Entry(merged({"area": {"name": file.stem}}, own), file.parent, fault=str(error))
    return replace(named, tables=merged(named.tables, own))


def _split(entry: Tables, defaults: Tables, path: Path) -> Iterator[_Entry]:
    """One area for each distinct value of a column of a file with polygons."""
    for key in ("file", "column"):
        if not isinstance(entry.get(key), str):
            msg = f"{path}: [[areas_from]] needs {key!r}: the file of polygons, and the column that names each area"
            raise ConfigError(msg)
    base = path.resolve().parent
    polygons = read_vector(base / entry["file"], layer=entry.get("layer"))
    if entry["column"] not in polygons.columns:
        has = ", ".join(map(str, polygons.columns))
        msg = f"{base / entry['file']} has no column {entry['column']!r}; it has {has}"
        raise ConfigError(msg)
    own = _spread({k: v for k, v in entry.items() if k not in _SPLIT_KEYS})
    names = polygons[entry["column"]].astype("str")
    for name in sorted(names.dropna().unique()):
        shapes = [g for g in polygons.geometry[names == name] if g is not None]
        features = [
            {"type": "Feature", "properties": {"name": name}, "geometry": shapely.geometry.mapping(g)}
            for g in shapes
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
        yield _Entry(merged(merged(defaults, own), {"area": {"name": name}}), base, outline=text)


def _csv_entries(path: Path) -> list[_Entry]:
    table = read_delimited(path)
    if "name" not in table.columns:
        msg = f"{path} has no column 'name'; it has {', '.join(table.columns)}"
        raise ConfigError(msg)
    rows = table.to_dict("records")
    return [_entry(_csv_row(row), {}, path) for row in rows]


def _csv_row(row: Mapping[str, Any]) -> Tables:
    """One row: names and paths as they stand, numbers and lists as TOML reads them."""
    given = {str(k): str(v) for k, v in row.items() if not pd.isna(v)}
    entry: Tables = {}
    sides = [given.pop(side, None) for side in _SIDES]
    if any(side is not None for side in sides):
        given["bbox"] = ",".join(side or "nan" for side in sides)
    for key, text in given.items():
        if key == "bbox":
            entry[key] = toml_value(f"[{text.strip('[]')}]")
        else:
            set_key(entry, key, text if key in (*SHORT, "config") else toml_value(text))
    return entry


def _spread(entry: Mapping[str, Any]) -> Tables:
    """Short keys and dotted keys in their sections."""
    out: Tables = {}
    for key, value in entry.items():
        if key in SHORT:
            section, name = SHORT[key]
            out = merged(out, {section: {name: value}})
        elif "." in key:
            table: Tables = {}
            set_key(table, key, value)
            out = merged(out, table)
        else:
            out = merged(out, {key: value})
    return out


def _settings(tables: Tables, path: Path) -> list[_Setting]:
    """Named settings × the grid; one empty setting where there is neither."""
    named = [_named_setting(entry, path) for entry in _list(tables, "settings", path)] or [_Setting()]
    grid = tables.get("grid", {})
    if not isinstance(grid, dict):
        msg = f'{path}: grid is a table of keys and lists, for example "network.walk.speed_kmh" = [4, 5]'
        raise ConfigError(msg)
    axes: dict[str, list[Any]] = dict(_leaves(grid))
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            msg = f"{path}: [grid] {key} takes a list of values; found {values!r}"
            raise ConfigError(msg)
    out = []
    for setting in named:
        for chosen in product(*axes.values()):
            point = dict(zip(axes, chosen, strict=True))
            words = [setting.label] if setting.label else []
            words += [f"{key.rsplit('.', 1)[-1]}={_plain(value)}" for key, value in point.items()]
            out.append(_Setting(", ".join(words), {**setting.changes, **point}))
    return out


def _named_setting(entry: Tables, path: Path) -> _Setting:
    if not isinstance(entry.get("name"), str):
        msg = f"{path}: [[settings]] needs a name: what the catalogue calls it"
        raise ConfigError(msg)
    return _Setting(entry["name"], dict(_leaves({k: v for k, v in entry.items() if k != "name"})))


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested tables."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _unit(entry: _Entry, setting: _Setting, overrides: Sequence[str]) -> Unit:
    tables = deepcopy(entry.tables)
    for key, value in setting.changes.items():
        set_key(tables, key, value)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or "." not in key:
            msg = f"--set takes section.key=value; found {override!r}"
            raise ConfigError(msg)
        set_key(tables, key.strip(), toml_value(text))
    area = tables.get("area")
    city = str(area.get("name", "")) if isinstance(area, Mapping) else ""
    return Unit(
        id="",
        city=city,
        setting=dict(setting.changes),
        label=setting.label,
        tables=tables,
        base=entry.base,
        fault=entry.fault,
        outline=entry.outline,
    )


def _distinct(units: Sequence[Unit]) -> list[Unit]:
    """Units with distinct ids; where two would share one, a digest of the configuration tells them apart."""
    proposed = [slug(u.city) + (f"--{slug(u.label)}" if u.label else "") for u in units]
    times = Counter(proposed)
    out: list[Unit] = []
    seen: set[str] = set()
    for unit, name in zip(units, proposed, strict=True):
        own = name if times[name] == 1 else f"{name}-{_digest(unit)}"
        if own not in seen:  # the same city and setting twice is one unit
            seen.add(own)
            out.append(replace(unit, id=own))
    return out


def _digest(unit: Unit) -> str:
    text = json.dumps([unit.tables, unit.outline, str(unit.base)], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:8]


def _checked(unit: Unit) -> Unit:
    if unit.fault:
        return unit
    try:
        unit.config()
    except ConfigError as error:
        return replace(unit, fault=str(error))
    return unit


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> Tables:
    """Nested tables with the leaves of others put over them; neither argument is changed."""
    out = deepcopy(dict(base))
    for key, value in change.items():
        here = out.get(key)
        both = isinstance(here, Mapping) and isinstance(value, Mapping)
        out[key] = merged(here, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return out


def set_key(tables: Tables, key: str, value: Any) -> None:
    """Set ``section.key`` of nested tables in place."""
    *path, last = key.split(".")
    here = tables
    for part in path:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            msg = f"{key}: {part} is a value, not a section"
            raise ConfigError(msg)
    here[last] = value


def toml_value(text: str) -> Any:
    """
    A value as TOML reads it; a bare word is a string.

    Examples
    --------
    >>> toml_value("4.5"), toml_value("[1, 2]"), toml_value("older")
    (4.5, [1, 2], 'older')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
