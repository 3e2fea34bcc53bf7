"""Read a configuration: TOML, the manifest of a run, or tables; with single keys changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.config.fault import explain
from pipelines.config.whole import Config
from pipelines.errors import ConfigError


def load_config(path: Path, *, overrides: Sequence[str] = ()) -> Config:
    """
    Read a configuration, or the one that a manifest holds.

    Parameters
    ----------
    path
        A TOML file, or the ``manifest.json`` of a run.
    overrides
        ``section.key=value`` with a TOML value (a bare word is a string): what ``--set`` takes.

    Raises
    ------
    ConfigError
        The file is absent or not TOML, or a key is unknown (the nearest known one is named) or has a wrong value.
    """
    tables = _read_tables(path)
    for override in overrides:
        _apply_override(tables, override)
    return parse_config(tables, origin=str(path))


def parse_config(tables: Mapping[str, Any], *, origin: str = "configuration") -> Config:
    """Validate the tables of a configuration."""
    try:
        return Config.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError(explain(error, origin)) from None


def _read_tables(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = f"cannot read the configuration {path}: {error.strerror}; give the path of a TOML file"
        raise ConfigError(msg) from None
    try:
        if path.suffix == ".json":
            manifest = json.loads(raw)
            return {**manifest["config"]}
        return tomllib.loads(raw.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not valid TOML: {error}"
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
    except RecursionError:
        msg = f"{path} is not a configuration: its values are nested too deeply"
    except (json.JSONDecodeError, KeyError, TypeError):
        msg = f"{path} is not the manifest of a run: it has no readable member 'config'"
    raise ConfigError(msg)


def _apply_override(tables: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    parts = key.strip().split(".")
    if not sign or len(parts) < 2 or not all(parts):
        msg = f"--set takes section.key=value; found {override!r}"
        raise ConfigError(msg)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    here = tables
    for part in parts[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            msg = f"--set {key}: {part} is a value, not a section"
            raise ConfigError(msg)
    here[parts[-1]] = value
