"""What is wrong with a configuration, in words: the key, what was found, the nearest known one."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pipelines.config.whole import Config


def explain(error: ValidationError, origin: str) -> str:
    """All faults of a configuration in one message, which begins with where it comes from."""
    lines = []
    for fault in error.errors():
        where = ".".join(str(p) for p in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {where}{_nearest(fault['loc'])}")
        elif fault["type"] == "missing":
            lines.append(f"{where} is missing: it is required")
        else:
            found = repr(fault["input"])
            found = found if len(found) <= 80 else f"{found[:77]}…"
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(
                f"{where}: {message}; found {found}"
                if fault["type"] != "value_error"
                else f"{where}: {message}"
            )
    return f"{origin}: " + "\n  ".join(lines)


def _nearest(loc: tuple[str | int, ...]) -> str:
    model: Any = Config
    for part in loc[:-1]:
        model = _child(model, str(part))
        if model is None:
            return ""
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.0)
    return (
        f"; the nearest known key is {close[0]!r}, and the section takes {', '.join(known)}" if close else ""
    )


def _child(model: Any, part: str) -> Any:
    fields = getattr(model, "model_fields", None)
    if fields is None or part not in fields:
        return model if fields is not None else None
    annotation = fields[part].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
