"""The built-in strategies with longer steps: machine code against their Python steps, on the same bars."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._backtest_market import MINUTE_NS, OPENS_NS, Report, cpu, inputs
from trading.domain.backtest import BacktestRun, BarSeries
from trading.domain.backtest.compiled import run_compiled
from trading.domain.regime.artefact import Artefact, encode
from trading.domain.regime.drift import ScoreReference
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock import TwoClockChain, TwoClockHmm
from trading.domain.regime.two_clock_filter import TwoClockModel
from trading.domain.strategies import Strategy, parse_params, registry

BARS = 20_000
HOUR_BARS = 60
RETURN_UNIT = 0.0005
_SPEC = FeatureSpec(("log_return",), 5, 10)


def built_in(report: Report, series: BarSeries) -> None:
    """Time every built-in strategy that has a step of its own to compile, and compare the two results."""
    piece = series.first(min(len(series), BARS))
    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as home:
        os.environ["NAUTILUS_HOME"] = home
        models = Path(home) / "models"
        flat = {"model": _written(models, _flat_model()), "refit_days": 0.0}
        two_clock = {"model": _written(models, _two_clock_model()), "refit_days": 0.0}
        named = {
            "trend_follow": {},
            "hmm_policy": flat,
            "ma_hmm_ensemble": flat,
            "hierarchical_hmm": two_clock,
        }
        for name, values in named.items():
            strategy = registry()[name]()
            _compare(report, piece, strategy, parse_params(strategy.Params, values))


def _compare(report: Report, piece: BarSeries, strategy: Strategy, params: Any) -> None:
    task = inputs(piece, strategy, params)

    def plain() -> Any:
        run = BacktestRun(task)
        run.advance()
        return run.result()

    run_compiled(task)  # compiles
    slow, told = cpu(plain, 1)
    fast, result = cpu(lambda: run_compiled(task))
    speed = f"{len(piece) / fast / 1e6:.2f} M bars/s"
    report.say(f"{strategy.name}_compiled_over_python", slow / fast, "x", speed)
    fills = f"{len(result.ledger.fills):,} fills"
    report.say(f"{strategy.name}_engines_agree", float(told.sha256 == result.sha256), "bool", fills)


def _flat_model() -> RegimeModel:
    """One-minute returns, calm and turbulent."""
    emission = GaussianEmission("diag", np.array([[0.05], [-0.05]]), np.array([[[0.5]], [[2.0]]]))
    hmm = GaussianHmm(np.array([0.5, 0.5]), np.array([[0.98, 0.02], [0.05, 0.95]]), emission)
    scaler = Scaler(np.zeros(1), np.array([RETURN_UNIT]), 8.0)
    return RegimeModel(hmm, scaler, _SPEC, ("calm", "turbulent"), MINUTE_NS)


def _two_clock_model() -> TwoClockModel:
    """Calm and turbulent hours, each of calm and turbulent minutes."""
    chain = TwoClockChain(
        np.array([0.5, 0.5]),
        np.array([[0.9, 0.1], [0.15, 0.85]]),
        np.array([0.5, 0.5]),
        np.array([[[0.98, 0.02], [0.3, 0.7]], [[0.6, 0.4], [0.03, 0.97]]]),
    )
    fast = GaussianEmission("diag", np.zeros((2, 1)), np.array([[[0.5]], [[2.0]]]))
    slow = GaussianEmission("diag", np.array([[0.1], [-0.1]]), np.array([[[0.8]], [[1.4]]]))
    return TwoClockModel(
        TwoClockHmm(chain, fast, slow, 0.5),
        Scaler(np.zeros(1), np.array([RETURN_UNIT]), 8.0),
        _SPEC,
        Scaler(np.zeros(1), np.array([RETURN_UNIT * HOUR_BARS**0.5]), 8.0),
        _SPEC,
        ("calm", "turbulent"),
        ("micro_calm", "micro_turbulent"),
        MINUTE_NS,
        HOUR_BARS * MINUTE_NS,
    )


def _written(folder: Path, model: RegimeModel | TwoClockModel) -> str:
    """Write a model as `manage.py train` would; return its digest."""
    lineage = {
        "train_end_ns": OPENS_NS - 1_000_000,
        "visits": [5_000.0, 2_000.0],
        "held_out": {"gain": 1.0},
    }
    encoded = encode(Artefact(model, ScoreReference(0.0, 1.0, -40.0, 0.5, 10.0), {}, lineage))
    target = folder / encoded.digest
    target.mkdir(parents=True)
    (target / "model.json").write_bytes(encoded.document)
    (target / "arrays.npz").write_bytes(encoded.arrays)
    return encoded.digest
