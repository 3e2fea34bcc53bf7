"""Files that ship with the product: in a checkout beside the packages, in a wheel inside them."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import ConfigError

_HERE = Path(__file__).resolve().parent


def configs_folder() -> Path:
    """
    The folder ``configs``.

    Raises
    ------
    ConfigError
        The installation lacks it.
    """
    for folder in (_HERE / "_configs", _HERE.parent / "configs"):
        if (folder / "demo.toml").is_file():
            return folder
    msg = f"the installation at {_HERE.parent} lacks configs/demo.toml; install proche again"
    raise ConfigError(msg)
