"""The reference runs of docs/strategies: built-in strategies on recorded candles and streams, ablations included.

    python -m tests.unit.trading.domain.strategies.reference_run trend_follow
    python -m tests.unit.trading.domain.strategies.reference_run hmm_policy ma_hmm_ensemble

Spot, 10 bps a side, fills at the next open, 100,000 USDT. Models are trained on the first year of the bars, by the code
of `manage.py train`; only later bars are traded.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlregistry.domain.recipes import DataSource, HierarchicalRecipe, HmmRecipe
from mlregistry.domain.study import train_hmm
from mlregistry.domain.two_clock_study import train_hierarchical
from tests.fakes.instruments import spot
from tests.unit.trading.domain.strategies.regimes import write
from trading.domain.backtest import Assignment, BacktestResult, BarSeries, Inputs, Settings
from trading.domain.backtest import run as backtest
from trading.domain.backtest.replay import ReplaySettings, sensitivity
from trading.domain.clock import datetime_to_ns, interval_ns
from trading.domain.regime.features import BarColumns
from trading.domain.report.from_backtest import summary_of
from trading.domain.strategies import Observation, parse_params, registry
from trading.domain.strategies.base import Bar
from trading.domain.strategies.ensemble_calibration import calibrate_pool
from trading.domain.strategies.ma_hmm_ensemble import EnsembleParams
from trading.domain.values import Instrument

DATA = Path(__file__).resolve().parents[5].parent / "shared" / "data"
HOURS_A_YEAR = 365 * 24
MODELS = Path(tempfile.gettempdir()) / "nautilus-reference-models"


def candles(symbol: str, folder: str = "klines_spot_1h", interval: str = "1h") -> BarSeries:
    """Read recorded candles; the recording has no taker volume."""
    path = DATA / folder / f"{symbol}_{interval}.csv.gz"
    with gzip.open(path, "rt") as stream:
        rows = list(csv.DictReader(stream))
    instrument = spot(symbol, PRICE_FILTER__tickSize="0.0001", LOT_SIZE__stepSize="0.00001")
    return _series(instrument, interval, rows)


def _series(instrument: Instrument, interval: str, rows: list[dict[str, str]]) -> BarSeries:
    opens = np.array(
        [datetime_to_ns(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)) for row in rows],
        dtype=np.int64,
    )
    prices = [
        np.array([round(Decimal(row[name]) / instrument.tick_size) for row in rows], dtype=np.int64)
        for name in ("open", "high", "low", "close")
    ]
    volume = np.array([float(row["volume"]) for row in rows])
    zeros = np.zeros(len(rows))
    return BarSeries(
        instrument, interval, opens, opens + interval_ns(interval) - 1_000_000, *prices, volume,
        zeros, np.zeros(len(rows), np.int64), zeros,
    )  # fmt: skip


def four_hours(series: BarSeries) -> BarSeries:
    """Return whole 4h bars of hourly ones."""
    group = series.open_ns // interval_ns("4h")
    _, first, count = np.unique(group, return_index=True, return_counts=True)
    first = first[count == 4]
    rows = first[:, None] + np.arange(4)[None, :]
    last = rows[:, -1]
    zeros = np.zeros(len(first))
    return BarSeries(
        series.instrument, "4h", series.open_ns[first], series.close_ns[last], series.open[first],
        series.high[rows].max(axis=1), series.low[rows].min(axis=1), series.close[last],
        series.volume[rows].sum(axis=1), zeros, np.zeros(len(first), np.int64), zeros,
    )  # fmt: skip


def columns(series: BarSeries) -> BarColumns:
    """Return a series as models are trained on it."""
    _, high, low, close = series.prices
    return BarColumns(series.close_ns, interval_ns(series.interval), high, low, close, series.volume)


@cache
def flat_digest(symbol: str, bars: int, states: int) -> str:
    """Train a flat model on the first bars of a symbol; return the path of its folder."""
    source = DataSource(symbol, "spot", "1h", "")
    trained = train_hmm(columns(candles(symbol)).prefix(bars), HmmRecipe(states=states), source)
    return str(MODELS / write(MODELS, trained.artefact))


@cache
def two_clock_digest(symbol: str, bars: int) -> tuple[str, float]:
    """Train a two-clock model; return the path of its folder and its gain over the flat one."""
    source = DataSource(symbol, "spot", "1h", "")
    trained = train_hierarchical(columns(candles(symbol)).prefix(bars), HierarchicalRecipe(), source)
    path = str(MODELS / write(MODELS, trained.artefact))
    return path, float(trained.artefact.lineage["held_out"]["gain"])


def traded(name: str, series: BarSeries, values: Mapping[str, Any]) -> BacktestResult:
    """Run one strategy with these parameters."""
    kind = registry()[name]
    assignment = Assignment(series.symbol, kind(), parse_params(kind.Params, values))
    return backtest(Inputs([series], [assignment], Settings()))


def row(label: str, result: BacktestResult) -> str:
    """Return one line of a page's table."""
    found = summary_of(result)
    sharpe = found.sharpe.value
    shown = "-" if sharpe is None else f"{sharpe:.2f}"
    return (
        f"| {label} | {100 * found.total_return:+.1f} % | {shown} | {100 * found.max_drawdown:.1f} % "
        f"| {len(result.ledger.column('fills', 'bar'))} | {found.fees:,.0f} |"
    )


HEAD = "| run | return | Sharpe | worst drawdown | fills | fees, USDT |\n|---|---|---|---|---|---|"


def hold(series: BarSeries) -> str:
    """Return the line of buying at the first close and holding."""
    _, _, _, close = series.prices
    peak = np.maximum.accumulate(close)
    daily = close[:: int(interval_ns("1d") // interval_ns(series.interval))]
    returns = np.diff(np.log(daily))
    sharpe = math.sqrt(365) * returns.mean() / returns.std(ddof=1)
    return (
        f"| {series.symbol}, buy and hold | {100 * (close[-1] / close[0] - 1):+.1f} % | {sharpe:.2f} "
        f"| {100 * (1 - close / peak).max():.1f} % | 1 | - |"
    )


def moving_average() -> list[str]:
    """The crossing as it comes, and slower."""
    lines = [HEAD]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for label, values in (("9 and 21", {}), ("50 and 200", {"fast": 50, "slow": 200})):
            lines.append(row(f"{symbol}, {label}", traded("moving_average", candles(symbol), values)))
        lines.append(hold(candles(symbol)))
    return lines


def trend_follow() -> list[str]:
    """Trend following on 4h bars, with each part left out in turn."""
    lines = [HEAD]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        series = four_hours(candles(symbol))
        for label, values in (
            ("blend", {}),
            ("channel alone", {"channel_weight": 1.0}),
            ("momentum alone", {"channel_weight": 0.0}),
            ("blend without stop", {"stop_atr": 0.0}),
        ):
            lines.append(row(f"{symbol}, {label}", traded("trend_follow", series, values)))
        lines.append(hold(series))
    return lines


def hmm_policy() -> list[str]:
    """The regime policy with its table, with Kelly, and without gate and hysteresis."""
    lines = [HEAD]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        model = {"model": flat_digest(symbol, HOURS_A_YEAR, 3), "refit_days": 0.0}
        series = candles(symbol).first(10**9, HOURS_A_YEAR - 200)
        for label, values in (
            ("positions by regime", {}),
            ("no hysteresis, band or gate", {"enter": 0.5, "band": 0.0, "confidence_floor": 0.0}),
            ("Kelly", {"method": "kelly"}),
        ):
            lines.append(row(f"{symbol}, {label}", traded("hmm_policy", series, model | values)))
        lines.append(hold(candles(symbol).first(10**9, HOURS_A_YEAR)))
    return lines


def ensemble_parameters(symbol: str) -> dict[str, Any]:
    """Calibrate the pool on the last third of the first year, with a model of the first two thirds."""
    early = HOURS_A_YEAR * 2 // 3
    series = candles(symbol).first(HOURS_A_YEAR)
    kind = registry()["ma_hmm_ensemble"]
    values = {"model": flat_digest(symbol, early, 3), "refit_days": 0.0, "confidence_floor": 0.0}
    params = parse_params(kind.Params, values)
    strategy, scores, outcomes = kind(), [], []
    state = strategy.initial(params)
    _, _, _, close = series.prices
    for at in range(early - 200, len(series)):
        state, desired = strategy.step(params, state, _seen(series, at))
        if desired is not None and "p_hmm" in desired.features and at + 1 < len(series):
            p = desired.features["p_hmm"]
            scores.append((desired.features["gap"], math.log(p / (1 - p))))
            outcomes.append(float(close[at + 1] > close[at]))
    found = calibrate_pool(np.array(scores), np.array(outcomes))
    return {"model": flat_digest(symbol, HOURS_A_YEAR, 3), "refit_days": 0.0, **found.values()}


def _seen(series: BarSeries, at: int) -> Observation:
    prices = [float(column[at]) for column in series.prices]
    bar = Bar(int(series.open_ns[at]), int(series.close_ns[at]), *prices, float(series.volume[at]))
    return Observation(series.symbol, series.interval, bar, bar.close_ns)


def ma_hmm_ensemble() -> list[str]:
    """The ensemble as it comes and calibrated, and each member alone."""
    lines = [HEAD]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        series = candles(symbol).first(10**9, HOURS_A_YEAR - 200)
        fitted = ensemble_parameters(symbol)
        plain = {"model": fitted["model"], "refit_days": 0.0}
        shown = {name: round(value, 3) for name, value in fitted.items() if name in _FITTED}
        for label, values in (
            ("both, defaults", plain),
            ("averages alone, defaults", plain | {"members": "ma"}),
            ("regimes alone, defaults", plain | {"members": "hmm"}),
            ("both, calibrated", fitted),
            ("both, calibrated, acting from 0.52", fitted | {"enter": 0.52}),
        ):
            lines.append(row(f"{symbol}, {label}", traded("ma_hmm_ensemble", series, values)))
        lines.append(hold(candles(symbol).first(10**9, HOURS_A_YEAR)))
        lines.append(f"<!-- {symbol} fitted: {shown} -->")
    return lines


_FITTED = frozenset(EnsembleParams.__dataclass_fields__) - {"model", "refit_days"}


def hierarchical_hmm() -> list[str]:
    """The two-clock strategy, and the same without its fast clock."""
    lines = [HEAD]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        path, gain = two_clock_digest(symbol, HOURS_A_YEAR)
        base = {"model": path, "refit_days": 0.0, "require_gain": gain > 0.0}
        series = candles(symbol).first(10**9, HOURS_A_YEAR - 600)
        for label, values in (
            ("both clocks", {}),
            ("both clocks, micro regime of now", {"horizon": 0}),
            ("slow clock alone", {"micro_scales": "micro_calm:1, micro_turbulent:1"}),
            ("fast clock alone", {"macro_positions": "calm:1, turbulent:1"}),
        ):
            lines.append(row(f"{symbol}, {label}", traded("hierarchical_hmm", series, base | values)))
        lines.append(hold(candles(symbol).first(10**9, HOURS_A_YEAR)))
        lines.append(f"<!-- {symbol} held-out gain {gain:+.2f} nats per 1000 bars -->")
    return lines


def market_maker() -> list[str]:
    """Six minutes of recorded BTCUSDT, under the three beliefs about fills."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.test")
    django.setup()  # the reader of recordings is a service
    from trading.services.backtests.tapes import tape_read

    tape = tape_read(DATA / "streams" / "hftbacktest_spot_btcusdt_20240808.gz", spot())
    kind = registry()["market_maker"]
    lines = [
        "| run | fills believed | fills | earned by quoting, USDT | of it fees "
        "| mid 1 s, 10 s, 60 s after a fill, bps |",
        "|---|---|---|---|---|---|",
    ]
    # What the inventory of the start gains or loses by itself is no merit of the quotes.
    drift = 0.1 * float(int(tape.bid[-1] + tape.ask[-1]) - int(tape.bid[0] + tape.ask[0])) / 200.0
    base = {"lot": 0.01, "tick_size": 0.01, "inventory_base": 10.0, "sigma_bps": 1.0, "decay": 1.0}
    settings = ReplaySettings(inventory=Decimal("0.1"), maker=0, limits=None)
    for label, values, fee in (
        ("without fee", {"maker_fee_bps": 0.0}, 0),
        ("without fee, no toxic pause", {"maker_fee_bps": 0.0, "toxic_bps": 1000.0, "run_fills": 64}, 0),
        ("10 bps fee, priced in", {"maker_fee_bps": 10.0}, 100_000),
        ("10 bps fee, ignored", {"maker_fee_bps": 0.0}, 100_000),
    ):
        params = parse_params(kind.Params, base | values)
        chosen = ReplaySettings(settings.cash, settings.inventory, fee)
        for model, found in sensitivity(tape, kind(), params, chosen).items():
            moves = ", ".join(_mean(found.markouts_bps(horizon)) for horizon in (1, 10, 60))
            lines.append(
                f"| {label} | {model.value} | {len(found.fills)} | {float(found.profit) - drift:+.2f} "
                f"| {found.fees:.2f} | {moves} |"
            )
    return lines


def _mean(values: Any) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.mean():+.2f}" if len(finite) else "-"


def listing_sniper() -> list[str]:
    """What candles can say: it buys nothing, and what the first hours of four listings did."""
    lines = [
        "| listing | entries | close of the first 15 min to +1 h | +24 h | lowest in 24 h | highest in 24 h |",
        "|---|---|---|---|---|---|",
    ]
    for symbol in ("APTUSDT", "ARBUSDT", "HOOKUSDT", "SUIUSDT"):
        series = candles(symbol, "klines_spot_15m", "15m").first(200)
        result = traded("listing_sniper", series, {"enabled": True})
        _, high, low, close = series.prices
        first = close[0]
        moves = [close[4], close[96], low[1:97].min(), high[1:97].max()]
        told = " | ".join(f"{100 * (price / first - 1):+.1f} %" for price in moves)
        lines.append(f"| {symbol} | {len(result.ledger.column('fills', 'bar'))} | {told} |")
    return lines


RUNS: dict[str, Callable[[], list[str]]] = {
    "moving_average": moving_average,
    "trend_follow": trend_follow,
    "hmm_policy": hmm_policy,
    "ma_hmm_ensemble": ma_hmm_ensemble,
    "hierarchical_hmm": hierarchical_hmm,
    "market_maker": market_maker,
    "listing_sniper": listing_sniper,
}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or RUNS:
        sys.stdout.write(f"\n{wanted}\n\n" + "\n".join(RUNS[wanted]()) + "\n")
