"""Decays: how much a place counts by the time it takes to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, log, log1p, pi, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.reach.compiled import inner

Kind = Literal["step", "linear", "logistic", "exponential", "gaussian", "power", "time"]
STEP, LINEAR, LOGISTIC, EXPONENTIAL, GAUSSIAN, POWER, TIME = range(7)
_CODE: dict[str, int] = {
    "step": STEP,
    "linear": LINEAR,
    "logistic": LOGISTIC,
    "exponential": EXPONENTIAL,
    "gaussian": GAUSSIAN,
    "power": POWER,
    "time": TIME,
}
NEGLIGIBLE = 0.001
"""A decay without an end of its own is cut where the weight falls to this."""
_FLAT_MS = 1e-3


@dataclass(frozen=True)
class Decay:
    """
    Weight of a place by its travel time, 1 at no time at all; zero beyond `limit_ms`, which itself still counts.

    Make one with `step`, `linear`, `logistic`, `exponential`, `gaussian` or `power`. (`time` weighs by the time
    itself: what a mean time within a limit is made of.)

    Attributes
    ----------
    kind
        The family.
    limit_ms
        [ms] Greatest time that counts.
    scale_ms
        [ms] Scale of the family.
    shape
        Shape of the family: midpoint [ms] of a logistic, exponent of a power.

    References
    ----------
    Hansen, W. G. (1959). How accessibility shapes land use. J. American Institute of Planners 25(2), 73–76.
    Kwan, M.-P. (1998). Space-time and integral measures of individual accessibility. Geographical Analysis
    30(3), 191–216 (exponential, Gaussian and inverse power in comparison).
    """

    kind: Kind
    limit_ms: int
    scale_ms: float = 1.0
    shape: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _CODE:
            msg = f"unknown decay {self.kind!r}; expected one of {', '.join(_CODE)}"
            raise InputError(msg)
        if not (0 <= self.limit_ms < np.iinfo(np.int32).max and self.scale_ms > 0 and self.shape >= 0):
            msg = f"{self}: expected a limit of at least 0, a positive scale and a shape of at least 0"
            raise InputError(msg)

    @classmethod
    def step(cls, cutoff_ms: int) -> Decay:
        """Count in full up to a cutoff, boundary included."""
        return cls("step", cutoff_ms)

    @classmethod
    def linear(cls, cutoff_ms: int) -> Decay:
        """Fall evenly from 1 at once to 0 at the cutoff."""
        return cls("linear", cutoff_ms, float(max(cutoff_ms, 1)))

    @classmethod
    def logistic(cls, midpoint_ms: int, scale_ms: float, *, limit_ms: int | None = None) -> Decay:
        """Soften a threshold: ½ at the midpoint, steeper for a smaller scale."""
        end = int(midpoint_ms - scale_ms * log(NEGLIGIBLE)) if limit_ms is None else limit_ms
        return cls("logistic", end, scale_ms, float(midpoint_ms))

    @classmethod
    def exponential(cls, scale_ms: float, *, limit_ms: int | None = None) -> Decay:
        """Fall as exp(−t / scale)."""
        return cls(
            "exponential", int(-scale_ms * log(NEGLIGIBLE)) if limit_ms is None else limit_ms, scale_ms
        )

    @classmethod
    def gaussian(cls, sigma_ms: float, *, limit_ms: int | None = None) -> Decay:
        """Fall as exp(−t² / 2σ²)."""
        end = int(sigma_ms * (-2.0 * log(NEGLIGIBLE)) ** 0.5) if limit_ms is None else limit_ms
        return cls("gaussian", end, sigma_ms)

    @classmethod
    def power(cls, exponent: float, *, limit_ms: int, full_ms: float = 60_000.0) -> Decay:
        """Fall as (t / full)^−exponent, and count in full up to `full_ms` (a power is infinite at 0)."""
        return cls("power", limit_ms, full_ms, exponent)

    def weight(self, time_ms: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """
        Evaluate the decay.

        Parameters
        ----------
        time_ms
            [ms] Travel times ≥ 0, any shape; infinite where unreachable.

        Returns
        -------
        numpy.ndarray
            Weights, 0 beyond the limit.
        """
        t = np.asarray(time_ms, dtype=np.float64)
        known = np.where(t <= self.limit_ms, t, 0.0)
        return np.where(t <= self.limit_ms, self._at(known), 0.0)

    def _at(self, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.kind == "linear":
            return np.maximum(1.0 - t / self.scale_ms, 0.0)
        if self.kind == "logistic":
            return np.asarray(1.0 / (1.0 + np.exp((t - self.shape) / self.scale_ms)))
        if self.kind == "exponential":
            return np.asarray(np.exp(-t / self.scale_ms))
        if self.kind == "gaussian":
            return np.asarray(np.exp(-0.5 * (t / self.scale_ms) ** 2))
        if self.kind == "power":
            return np.asarray((np.maximum(t, self.scale_ms) / self.scale_ms) ** -self.shape)
        return t if self.kind == "time" else np.ones_like(t)

    @property
    def row(self) -> tuple[float, float, float, float]:
        """What compiled code needs: kind, limit, scale, shape."""
        return (float(_CODE[self.kind]), float(self.limit_ms), self.scale_ms, self.shape)


@inner
def mean_weight(decay, low, high):  # type: ignore[no-untyped-def]
    """Average a decay (its `Decay.row`) between two times [ms], low ≤ high: what a straight stretch counts for."""
    limit = decay[1]
    if low > limit:
        return 0.0
    if high - low < _FLAT_MS:
        middle = 0.5 * (low + high)
        return _weight(decay, middle) if middle <= limit else 0.0
    return (_area(decay, min(high, limit)) - _area(decay, low)) / (high - low)


@inner
def _weight(decay, t):  # type: ignore[no-untyped-def]
    """Weight at a time."""
    kind, scale, shape = int(decay[0]), decay[2], decay[3]
    if kind == LINEAR:
        return max(1.0 - t / scale, 0.0)
    if kind == LOGISTIC:
        return 1.0 / (1.0 + exp((t - shape) / scale))
    if kind == EXPONENTIAL:
        return exp(-t / scale)
    if kind == GAUSSIAN:
        return exp(-0.5 * (t / scale) ** 2)
    if kind == POWER:
        return (max(t, scale) / scale) ** -shape
    return t if kind == TIME else 1.0


@inner
def _area(decay, t):  # type: ignore[no-untyped-def]
    """Antiderivative of the weight."""
    kind, scale, shape = int(decay[0]), decay[2], decay[3]
    if kind == LINEAR:
        return t - 0.5 * t * t / scale
    if kind == LOGISTIC:
        z = (t - shape) / scale  # shape - scale · log(1 + exp(-z)) + constant, without overflow
        return -scale * log1p(exp(-z)) if z > 0.0 else t - shape - scale * log1p(exp(z))
    if kind == EXPONENTIAL:
        return -scale * exp(-t / scale)
    if kind == GAUSSIAN:
        return scale * sqrt(0.5 * pi) * erf(t / (scale * sqrt(2.0)))
    if kind == POWER:
        if t <= scale:
            return t
        return scale + (
            scale * log(t / scale)
            if shape == 1.0
            else scale * ((t / scale) ** (1.0 - shape) - 1.0) / (1.0 - shape)
        )
    return 0.5 * t * t if kind == TIME else t
