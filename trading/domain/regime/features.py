"""Features of closed bars: what they are, and how a whole series of them is computed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.regime import feature_steps as steps
from trading.domain.regime.arrays import FloatArray, IntArray
from trading.domain.regime.compiled import fastest
from trading.domain.regime.errors import FeaturesRefused

FEATURES: Final = MappingProxyType(
    {
        "log_return": steps.LOG_RETURN,
        "volatility": steps.VOLATILITY,
        "volume": steps.VOLUME,
        "range": steps.RANGE,
        "imbalance": steps.IMBALANCE,
        "funding": steps.FUNDING,
    }
)
"""Names and codes. log_return: ln(C_t / C_t-1). volatility: ln(sqrt(mean of the last w squared returns) + epsilon).
volume: (ln V_t - its mean over the window) / its standard deviation there, both over the window that ends at t.
range: ln(H / L). imbalance: 2 taker buys / volume - 1. funding: the funding rate in force at the close."""

PROBLEMS: Final = MappingProxyType(
    {
        steps.BAD_PRICE: "expected 0 < low <= close <= high, all finite",
        steps.BAD_VOLUME: "expected a volume of zero or more, finite",
        steps.NO_VOLUME: "nothing was traded in it: expected a positive volume",
        steps.FLAT_VOLUME: "every volume of the window is equal, so it has no z-score",
        steps.BAD_FLOW: "expected taker volume between 0 and the volume",
        steps.BAD_FUNDING: "no funding rate was in force, or none between -1 and 1",
    }
)
_LONGEST_WINDOW = 10_000
_SILENT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Which features, in which order, over which windows.

    Attributes
    ----------
    names : of `FEATURES`, each at most once.
    volatility_window, volume_window : bars.  epsilon : added to the volatility before its logarithm.
    """

    names: tuple[str, ...] = ("log_return", "volatility", "volume")
    volatility_window: int = 10
    volume_window: int = 48
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError(f"expected different feature names, at least one, was {self.names}")
        for name in self.names:
            if name not in FEATURES:
                raise ValueError(f"unknown feature {name!r}; expected some of {', '.join(FEATURES)}")
        for what, window in (("volatility", self.volatility_window), ("volume", self.volume_window)):
            if not 2 <= window <= _LONGEST_WINDOW:
                raise ValueError(f"expected a {what} window of 2 to {_LONGEST_WINDOW} bars, was {window}")
        if not 0 < self.epsilon < 1:
            raise ValueError(f"expected an epsilon between 0 and 1, was {self.epsilon}")

    @property
    def width(self) -> int:
        """How many features."""
        return len(self.names)

    @property
    def warmup(self) -> int:
        """How many bars it takes until the first row."""
        lengths = {"log_return": 2, "volatility": self.volatility_window + 1, "volume": self.volume_window}
        return max(lengths.get(name, 1) for name in self.names)

    def members(self) -> dict[str, object]:
        """Return what identifies it, as JSON members."""
        return {
            "epsilon": self.epsilon,
            "names": list(self.names),
            "volatility_window": self.volatility_window,
            "volume_window": self.volume_window,
        }

    def digest(self) -> str:
        """Return the SHA-256 of the specification; models record it, and serving compares it."""
        text = json.dumps(self.members(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Closed bars as columns, ascending.

    Attributes
    ----------
    close_ns : (T,) int64 market time of each close.  interval_ns : the length of a bar.
    high, low, close : (T,) quote currency.  volume, taker_base : (T,) base.
    funding : (T,) the funding rate in force at each close, a fraction; NaN where none is known.
        Columns that are absent are empty; a feature that needs one is then refused.
    """

    close_ns: IntArray
    interval_ns: int
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    taker_base: FloatArray = field(default_factory=lambda: np.empty(0))
    funding: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if len(self.close_ns) > 1 and (np.diff(self.close_ns) <= 0).any():
            raise FeaturesRefused("expected bars in ascending order of their close")
        for name in ("high", "low", "close", "volume"):
            if len(getattr(self, name)) != len(self):
                raise FeaturesRefused(f"{name}: expected {len(self)} values, was {len(getattr(self, name))}")
        for name in ("taker_base", "funding"):
            if len(getattr(self, name)) not in (0, len(self)):
                raise FeaturesRefused(f"{name}: expected {len(self)} values or none")

    def __len__(self) -> int:
        return int(self.close_ns.shape[0])

    def prefix(self, bars: int) -> BarColumns:
        """Return the first `bars` bars."""
        cut = slice(0, bars)
        return BarColumns(
            self.close_ns[cut], self.interval_ns, self.high[cut], self.low[cut], self.close[cut],
            self.volume[cut], self.taker_base[cut], self.funding[cut],
        )  # fmt: skip

    def restarts(self) -> FloatArray:
        """Return (T,) ones where a bar does not follow its predecessor, the first bar included."""
        jumps = np.ones(len(self))
        if len(self) > 1:
            jumps[1:] = np.diff(self.close_ns) != self.interval_ns
        return jumps


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMatrix:
    """Features of a series.

    Attributes
    ----------
    x : (N, D).  close_ns : (N,) the bar each row belongs to.
    lengths : rows of each unbroken stretch, in order; a gap in the bars ends one, and the next begins once the
        windows have filled again.
    """

    x: FloatArray
    close_ns: IntArray
    lengths: tuple[int, ...]

    def rows(self, start: int, stop: int) -> FeatureMatrix:
        """Return rows start to stop, stretches cut accordingly."""
        ends = np.cumsum(self.lengths)
        kept = [
            min(int(end), stop) - max(int(end) - length, start)
            for end, length in zip(ends, self.lengths, strict=True)
        ]
        return FeatureMatrix(
            self.x[start:stop], self.close_ns[start:stop], tuple(length for length in kept if length > 0)
        )


def pack_spec(spec: FeatureSpec) -> FloatArray:
    """Return the specification as the kernels read it."""
    head = [spec.volatility_window, spec.volume_window, spec.epsilon, spec.width]
    return np.array([*head, *(FEATURES[name] for name in spec.names)], dtype=np.float64)


def initial_feature_state(spec: FeatureSpec) -> FloatArray:
    """Return the packed state before the first bar."""
    return np.zeros(steps.STATE_HEADER + spec.volatility_window + spec.volume_window)


def feature_matrix(bars: BarColumns, spec: FeatureSpec, *, machine_code: bool = False) -> FeatureMatrix:
    """Compute the features of a series, through the same kernel a live bar passes.

    Bars without volume are holes for a feature that needs it (the venue makes them while it is closed) and end
    a stretch like missing ones, as long as they are no more than 1 % of the series. So are bars whose funding rate is
    not known, for the feature that is that rate.

    Parameters
    ----------
    machine_code : compile the loop where numba is installed; the numbers are the same.

    Raises
    ------
    FeaturesRefused : a bar is unusable (which, and why), a column is missing, or nothing is left after warm-up.
    """
    x, status = feature_rows(bars, spec, machine_code=machine_code)
    silent = (status == steps.NO_VOLUME) | (status == steps.BAD_FUNDING)
    tolerated = silent.mean() <= _SILENT_SHARE if len(bars) else False
    wrong = np.flatnonzero((status > steps.WARMING) & ~(silent & tolerated))
    if wrong.size:
        first = int(wrong[0])
        raise FeaturesRefused(
            f"bar {first} of {len(bars)} (close {int(bars.close_ns[first])} ns): {PROBLEMS[int(status[first])]}"
            + (f"; {wrong.size} bars are unusable in all" if wrong.size > 1 else "")
        )
    ready = status == steps.READY
    if not ready.any():
        raise FeaturesRefused(
            f"{len(bars)} bars are too few: {'+'.join(spec.names)} need {spec.warmup} unbroken ones for a first row"
        )
    # A stretch begins at a ready row whose predecessor is not ready, or belongs to the bars before a gap.
    begins = ready & ~(np.concatenate(([False], ready[:-1])) & (bars.restarts() == 0))
    starts = np.flatnonzero(begins[ready])
    lengths = np.diff(np.append(starts, int(ready.sum())))
    return FeatureMatrix(
        np.ascontiguousarray(x[ready]), bars.close_ns[ready], tuple(int(length) for length in lengths)
    )


def feature_rows(
    bars: BarColumns, spec: FeatureSpec, *, machine_code: bool = False
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return (T, D) features and (T,) status codes of every bar; rows that are not READY hold zeros.

    Raises
    ------
    FeaturesRefused : a column that a feature needs is missing.
    """
    for name, column in (("imbalance", bars.taker_base), ("funding", bars.funding)):
        if name in spec.names and len(column) != len(bars):
            raise FeaturesRefused(f"feature {name} needs a column the bars do not have")
    x, status = np.zeros((len(bars), spec.width)), np.zeros(len(bars))
    absent = np.zeros(len(bars))
    run = fastest(steps.feature_rows) if machine_code else steps.feature_rows
    run(
        pack_spec(spec),
        initial_feature_state(spec),
        _column(bars.high),
        _column(bars.low),
        _column(bars.close),
        _column(bars.volume),
        _column(bars.taker_base) if len(bars.taker_base) else absent,
        _column(bars.funding) if len(bars.funding) else absent,
        bars.restarts(),
        x,
        status,
    )
    x[status != steps.READY] = 0.0
    return x, status.astype(np.int64)


def _column(values: FloatArray) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float64)
