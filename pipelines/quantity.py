"""Quantities as people write them: 1.5 GB, 800MB."""

from __future__ import annotations

import math
import re

from pipelines.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
NONE = ("none", "off", "unlimited")


def bytes_of(text: str, *, what: str) -> int | None:
    """
    Read an amount of memory or disk.

    Parameters
    ----------
    text
        A number with a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; none is bytes), or ``none``.
    what
        The option or variable that it comes from, for the message.

    Returns
    -------
    int or None
        [bytes] None for no limit.

    Raises
    ------
    ConfigError
        It is neither.

    Examples
    --------
    >>> bytes_of("1.5 GB", what="--limit")
    1500000000
    >>> bytes_of("none", what="--limit") is None
    True
    """
    plain = text.strip()
    if plain.lower() in NONE:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)", plain)
    unit = _UNITS.get(found.group(2).upper()) if found else None
    if found is None or unit is None or not math.isfinite(float(found.group(1)) * unit):
        msg = f"{what} takes an amount such as 800MB, 1.5GB or 2GiB, or none; found {text!r}"
        raise ConfigError(msg)
    return round(float(found.group(1)) * unit)


def shown_bytes(amount: float) -> str:
    """
    Write an amount with the unit that suits it.

    Examples
    --------
    >>> shown_bytes(1_234_567)
    '1.2 MB'
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= size:
            return f"{amount / size:.1f} {unit}"
    return f"{amount:.0f} B"
