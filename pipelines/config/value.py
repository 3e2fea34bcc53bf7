"""What values of a configuration may be, and the table that refuses every other key."""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Mode = Literal["walk", "bike", "street30"]
MODES: tuple[Mode, ...] = get_args(Mode)
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
CategoryName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
DecayName = Literal["step", "linear", "logistic", "exponential", "gaussian", "power"]
TagValues = dict[str, Literal[True] | str | tuple[str, ...]]


class Strict(BaseModel):
    """A table of the configuration: an unknown key is an error, values are not coerced out of shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def slug(name: str) -> str:
    """A name that is safe as a folder: letters, digits and hyphens."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:60]
    return text or "area-" + sha256(name.encode()).hexdigest()[:8]
