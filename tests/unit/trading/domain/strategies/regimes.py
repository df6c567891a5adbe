"""Regime models made by hand and written as artefacts, and bars to feed them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trading.domain.clock import interval_ns
from trading.domain.regime.artefact import Artefact, encode
from trading.domain.regime.drift import ScoreReference
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock import TwoClockChain, TwoClockHmm
from trading.domain.regime.two_clock_filter import TwoClockModel
from trading.domain.strategies import Bar, Desired, Observation, Strategy

HOUR_NS = interval_ns("1h")
DAY_NS = interval_ns("1d")
T0_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
"""A midnight; models made here were trained up to just before it."""


def write(folder: Path, artefact: Artefact) -> str:
    """Write an artefact as the registry does; return its digest."""
    encoded = encode(artefact)
    target = folder / encoded.digest
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.json").write_bytes(encoded.document)
    (target / "arrays.npz").write_bytes(encoded.arrays)
    return encoded.digest


def flat_model(
    *,
    means: Sequence[float] = (0.001, -0.002),
    deviations: Sequence[float] = (0.004, 0.02),
    transition: Sequence[Sequence[float]] = ((0.97, 0.03), (0.06, 0.94)),
    labels: Sequence[str] = ("calm", "turbulent"),
    features: tuple[str, ...] = ("log_return",),
    interval: str = "1h",
) -> RegimeModel:
    """A model of returns in their own units: the scaler divides by 1 %."""
    unit, width = 0.01, len(features)
    count = len(means)
    mean = np.zeros((count, width))
    mean[:, 0] = np.array(means) / unit
    covariances = np.stack([np.diag([(sd / unit) ** 2, *[1.0] * (width - 1)]) for sd in deviations])
    emission = GaussianEmission("diag", mean, covariances)
    hmm = GaussianHmm(np.full(count, 1.0 / count), np.array(transition, dtype=float), emission)
    scaler = Scaler(np.zeros(width), np.array([unit, *[1.0] * (width - 1)]), 8.0)
    return RegimeModel(hmm, scaler, FeatureSpec(features, 5, 10), tuple(labels), interval_ns(interval))


def artefact(
    model: Any, *, floor: float = -40.0, visits: Sequence[float] | None = None, **lineage: Any
) -> Artefact:
    """Wrap a model with what serving needs; trained up to the bar before T0."""
    states = model.states if isinstance(model, RegimeModel) else model.hmm.chain.macros
    counted = list(visits or [1_000.0] * states)
    told = {"train_end_ns": T0_NS - 1_000_000, "visits": counted, **lineage}
    return Artefact(model, ScoreReference(0.0, 1.0, floor, 0.5, 10.0), {}, told)


def two_clock_model(*, interval_ns: int = HOUR_NS, slow_interval_ns: int = DAY_NS) -> TwoClockModel:
    """Daily calm or turbulent, hourly calm or turbulent, on returns in units of 1 % (days: 3 %)."""
    chain = TwoClockChain(
        np.array([0.5, 0.5]),
        np.array([[0.95, 0.05], [0.1, 0.9]]),
        np.array([0.5, 0.5]),
        np.array([[[0.97, 0.03], [0.4, 0.6]], [[0.6, 0.4], [0.03, 0.97]]]),
    )
    fast = GaussianEmission("diag", np.zeros((2, 1)), np.array([[[0.16]], [[4.0]]]))
    slow = GaussianEmission("diag", np.array([[0.3], [-0.3]]), np.array([[[0.3]], [[4.0]]]))
    spec = FeatureSpec(("log_return",), 5, 10)
    scaler, slow_scaler = (Scaler(np.zeros(1), np.array([unit]), 8.0) for unit in (0.01, 0.03))
    return TwoClockModel(
        TwoClockHmm(chain, fast, slow, 0.5), scaler, spec, slow_scaler, spec,
        ("calm", "turbulent"), ("micro_calm", "micro_turbulent"), interval_ns, slow_interval_ns,
    )  # fmt: skip


def bars_of(
    returns: Sequence[float], *, start: float = 100.0, first: int = 0, step_ns: int = HOUR_NS
) -> list[Bar]:
    """Bars that close at the compounded returns; the venue's close stamp, one millisecond before the end."""
    rng = np.random.default_rng(len(returns))
    closes = start * np.exp(np.cumsum(np.asarray(returns, dtype=float)))
    bars = []
    previous = start
    for i, close in enumerate(closes.tolist()):
        open_ns = T0_NS + (first + i) * step_ns
        high, low = max(previous, close) * 1.0005, min(previous, close) * 0.9995
        volume = float(rng.gamma(4.0, 25.0))
        bars.append(
            Bar(
                open_ns,
                open_ns + step_ns - 1_000_000,
                previous,
                high,
                low,
                close,
                volume,
                taker_base=volume * float(rng.random()),
            )
        )
        previous = close
    return bars


def calm_then_wild(calm: int, wild: int, seed: int = 0) -> list[float]:
    """Returns of a quiet market, then of a rough one."""
    rng = np.random.default_rng(seed)
    return [*(0.001 + 0.003 * rng.normal(size=calm)), *(0.02 * rng.normal(size=wild))]


def run(
    strategy: Strategy,
    params: Any,
    bars: Sequence[Bar],
    *,
    interval: str = "1h",
    reload: bool = False,
    state: Any = None,
) -> tuple[list[Desired | None], Any]:
    """Step over bars; `reload` writes the state down and reads it back before every one."""
    state = strategy.initial(params) if state is None else state
    said = []
    for bar in bars:
        if reload:
            state = strategy.load(strategy.dump(state))
        seen = Observation("BTCUSDT", interval, bar, bar.close_ns, bid=bar.close, ask=bar.close)
        state, desired = strategy.step(params, state, seen)
        said.append(desired)
    return said, state


def targets(said: Sequence[Desired | None]) -> list[float | None]:
    return [None if one is None else one.target for one in said]


def reasons(said: Sequence[Desired | None]) -> list[str | None]:
    return [None if one is None else one.reason for one in said]
