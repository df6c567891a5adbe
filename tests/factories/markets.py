"""A planted market that pays whoever knows its regime: calm rises, turbulent falls."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from django.core.management import call_command

from trading.domain.clock import ns_to_datetime
from trading.domain.regime.artefact import EncodedArtefact, encode
from trading.domain.regime.features import BarColumns, FeatureSpec

HOUR_NS = 3_600_000_000_000
T0_NS = 1_672_531_200_000_000_000  # 2023-01-01 00:00 UTC
CALM, TURBULENT = (0.0015, 0.004), (-0.004, 0.016)
STAYS = (0.97, 0.93)


def paying_closes(bars: int, seed: int = 5, *, edge: bool = True) -> np.ndarray:
    """Closes of the planted market, (bars,); without an edge both regimes have a mean of zero."""
    rng = np.random.default_rng(seed)
    state, closes, price = 0, [], 20_000.0
    for _ in range(bars):
        mean, deviation = (CALM, TURBULENT)[state]
        price = round(price * float(np.exp((mean if edge else 0.0) + deviation * rng.normal())), 2)
        closes.append(price)
        state = state if rng.random() < STAYS[state] else 1 - state
    return np.array(closes)


def paying_bars(closes: np.ndarray) -> BarColumns:
    """The same closes as training reads them."""
    opened = np.concatenate(([20_000.0], closes[:-1]))
    rows = len(closes)
    close_ns = T0_NS + HOUR_NS * (np.arange(rows, dtype=np.int64) + 1) - 1_000_000
    return BarColumns(
        close_ns,
        HOUR_NS,
        np.maximum(opened, closes) * 1.0005,
        np.minimum(opened, closes) * 0.9995,
        closes,
        np.full(rows, 25.0),
        np.empty(0),
    )


def store_bars(closes: np.ndarray, folder: Path, symbol: str = "BTCUSDT", market: str = "spot") -> None:
    """Bring the closes in as hourly bars."""
    lines, before = ["date,open,high,low,close,volume"], 20_000.0
    volumes = np.exp(np.random.default_rng(1).normal(3.0, 0.4, len(closes)))
    for n, close in enumerate(closes.tolist()):
        high, low = max(before, close) * 1.0005, min(before, close) * 0.9995
        at = ns_to_datetime(T0_NS + n * HOUR_NS)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{volumes[n]:.4f}")
        before = close
    path = folder / f"{symbol}.csv"
    path.write_text("\n".join(lines) + "\n")
    named = ("--symbol", symbol, "--interval", "1h", "--market", market)
    call_command("klines", "import", str(path), *named, stdout=io.StringIO())


def trained_on(bars: BarColumns, *, states: int, seed: int = 0) -> EncodedArtefact:
    """The encoded artefact of a model of returns trained on these bars."""
    from mlregistry.domain.recipes import DataSource, HmmRecipe
    from mlregistry.domain.study import train_hmm

    recipe = HmmRecipe(
        states=states,
        candidates=(states,),
        kind="diag",
        features=FeatureSpec(("log_return",)),
        restarts=1,
        seed=seed,
    )
    return encode(train_hmm(bars, recipe, DataSource("BTCUSDT", "spot", "1h", "0" * 64)).artefact)
