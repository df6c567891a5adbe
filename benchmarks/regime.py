# ruff: noqa: E402  (the environment and the path are set before numpy and our own modules are imported)
"""Hidden Markov regimes: how fast they train and serve, and how well planted markets are found again.

    python benchmarks/regime.py [--only speed recovery selection two-clock edge real] [--seeds 12] [--peers PYTHON]

Speed is process CPU time with one BLAS thread, against hmmlearn in this same process and dynamax in its own
(`make peers`; PYTHON is its interpreter). The tables repeat the
simulations that the figures in docs/MODELS.md come from. Prints tables for people and one JSON line per figure.
"""

from __future__ import annotations

import os

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before numpy is imported; hmmlearn gains 5 to 10 times by it

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._peer import PEERS, installed, peer
from mlregistry.domain.hmmlearn_trainer import reference_model
from tests.unit.trading.domain.regime import test_two_clock as planted
from tests.unit.trading.domain.regime.simulated import HOUR_NS, REAL, THREE, TWO, simulate
from trading.domain.regime import packed, steps
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import compiled, use_cache
from trading.domain.regime.em import EmSettings, fit_em
from trading.domain.regime.features import BarColumns, FeatureSpec, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import FitRecipe, fit_best
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.scaler import Scaling
from trading.domain.regime.selection import select_states
from trading.domain.regime.smoothing import smoothed
from trading.domain.regime.starts import volatility_start
from trading.domain.regime.two_clock_em import TwoClockRecipe, begin_two_clock, fit_two_clock

RETURN = ("log_return",)
Emit = Callable[..., None]


def emit(name: str, value: float, unit: str, goal: str = "") -> None:
    print(json.dumps({"name": f"regime_{name}", "value": round(value, 6), "unit": unit, "goal": goal}))


def cpu(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median process CPU seconds of one call, after a call that warms it up."""
    work()
    took = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def two_features(rows: int) -> FloatArray:
    x = simulate(THREE, rows, seed=1)[0]
    x = (x - x.mean()) / x.std()
    return np.column_stack([x, np.random.default_rng(2).normal(size=rows)])


def speed(peers: str) -> None:
    print(
        "EM, 3 states, 2 features, full covariance: CPU ms per iteration, and how many times ours they take"
    )
    columns = ("hmmlearn log", "hmmlearn scaling", "dynamax single", "dynamax double")
    print("      rows      ours  " + "  ".join(f"{name:>19}" for name in columns) + "  likelihood differs by")
    have = dynamax_installed(peers)
    for rows, iterations in ((10_000, 20), (100_000, 20), (1_000_000, 5)):
        settings = EmSettings(iterations=iterations, tolerance=0.0)
        x = two_features(rows)
        begin = volatility_start(x[:10_000], ("log_return", "volume"), 3, "full", 10)
        # One more expectation than maximisations, on both sides.
        ours = cpu(partial(fit_em, x, begin, settings)) / (iterations + 1)
        learner = reference_model(begin, settings, 0.0)

        def theirs(learner: Any = learner, x: FloatArray = x, begin: GaussianHmm = begin) -> None:
            learner.startprob_, learner.transmat_ = begin.start.copy(), begin.transition.copy()
            learner.means_, learner.covars_ = begin.emission.means.copy(), begin.emission.covariances.copy()
            learner.fit(x)

        found: dict[str, float | None] = {"hmmlearn": cpu(theirs, repeats=3) / iterations}
        fitted, score = fit_em(x, begin, settings), learner.score(x)
        learner.implementation = "scaling"
        try:
            found["hmmlearn_scaling"] = cpu(theirs, repeats=3) / iterations
        except ValueError:
            found["hmmlearn_scaling"] = None
        for precision in ("single", "double"):
            found[f"dynamax_{precision}"] = dynamax(peers, x, begin, iterations, precision) if have else None
        difference = abs(fitted.log_likelihood - score) / abs(score)
        told = "  ".join(
            f"{'none':>19}" if took is None else f"{1e3 * took:9.2f} {took / ours:7.1f} x"
            for took in found.values()
        )
        print(f"{rows:10,d}  {1e3 * ours:8.3f}  {told}  {difference:.1e}")
        emit(f"em_iteration_{rows}", 1e3 * ours, "ms")
        goals = {
            "hmmlearn": "" if rows == 10_000 else ">= 16",
            "dynamax_single": ">= 5.5" if rows == 1_000_000 else "",
        }
        for name, took in found.items():
            if took is not None:
                emit(f"em_iteration_{name}_{rows}", 1e3 * took, "ms")
                emit(f"em_ratio_{name}_{rows}", took / ours, "x", goals.get(name, ""))
        emit(f"em_likelihood_difference_{rows}", difference, "relative", "<= 1e-6")
    online()


def dynamax_installed(python: str) -> bool:
    if installed(python, "dynamax"):
        return True
    print(f"dynamax: skipped, not installed in {python}; `make peers` installs it")
    return False


def dynamax(python: str, x: FloatArray, begin: GaussianHmm, iterations: int, precision: str) -> float:
    """CPU seconds per iteration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        emission = begin.emission
        np.savez(
            path, x=x, start=begin.start, transition=begin.transition, means=emission.means,
            covariances=emission.covariances, iterations=iterations,
        )  # fmt: skip
        return float(peer(python, "_regime_dynamax.py", path, precision)["median"])


def online() -> None:
    hmm = fit_em(
        two_features(5000),
        volatility_start(two_features(5000), ("log_return", "volume"), 3, "full", 10),
        EmSettings(),
    ).hmm
    x = two_features(2000)
    model, state, row = packed.pack_model(hmm), packed.initial_state(hmm), x[0]
    step = compiled(steps.filter_step)
    whiten, log_norm = hmm.emission.whitening()
    means, log_transition = hmm.emission.means, np.log(hmm.transition)
    current = np.log(hmm.start)

    def numpy_step() -> FloatArray:
        white = np.einsum("kij,kj->ki", whiten, row - means)
        joint = current[:, None] + log_transition
        top = joint.max(axis=0)
        ahead = top + np.log(np.exp(joint - top).sum(axis=0)) + log_norm - 0.5 * (white * white).sum(axis=1)
        best = ahead.max()
        return np.asarray(ahead - best - np.log(np.exp(ahead - best).sum()))

    learner = reference_model(hmm, EmSettings(), 0.0)
    calls = {
        "compiled step, called from Python": (lambda: step(model, state, row), 20_000),
        "the same step interpreted": (lambda: steps.filter_step(model, state, row), 500),
        "numpy step": (numpy_step, 2_000),
        "hmmlearn predict_proba, 500 bars": (lambda: learner.predict_proba(x[:500]), 20),
    }
    print("\nonline filter, 3 states, 2 features, one new bar: CPU us")
    found = {}
    for name, (call, times) in calls.items():
        found[name] = cpu(lambda call=call, times=times: [call() for _ in range(times)]) / times * 1e6  # type: ignore[misc]
        print(f"  {name:36} {found[name]:9.2f}")
    ours, theirs, interpreted, learned = (
        found[name]
        for name in (
            "compiled step, called from Python", "numpy step", "the same step interpreted",
            "hmmlearn predict_proba, 500 bars",
        )
    )  # fmt: skip
    print(f"  {'ratio to the numpy step':36} {theirs / ours:9.1f}")
    emit("filter_step", ours, "us")
    emit("filter_step_interpreted", interpreted, "us")
    emit("filter_step_numpy", theirs, "us")
    emit("filter_step_hmmlearn", learned, "us")
    emit("filter_step_ratio", theirs / ours, "x", ">= 10")


def recovered(truth: GaussianHmm, rows: int, seed: int, kappa: float) -> tuple[float, float, float, float]:
    x, states = simulate(truth, 2 * rows, seed)
    scaler = Scaling().fit(x[:rows], RETURN)
    recipe = FitRecipe(truth.states, "diag", settings=EmSettings(kappa=kappa))
    hmm = fit_best(scaler.apply(x[:rows]), RETURN, recipe).fit.hmm
    right = [
        float((filtered[rows:].argmax(axis=1) == states[rows:]).mean())
        for filtered, _ in (
            filter_series(hmm, x, scaler=scaler, machine_code=True),
            filter_series(truth, x, machine_code=True),
        )
    ]
    deviations = np.sqrt(hmm.emission.covariances[:, 0, 0]) * scaler.scale[0]
    known = np.sqrt(truth.emission.covariances[:, 0, 0])
    stay = np.abs(np.diagonal(hmm.transition) - np.diagonal(truth.transition)).mean()
    return right[0], right[1], float(np.abs(deviations / known - 1).mean()), float(stay)


def recovery(seeds: int) -> None:
    print(f"planted markets, volatility starts, {seeds} seeds: out-of-sample filtered accuracy")
    print("states  rows  kappa  median (worst)  true parameters  sd error  diagonal error")
    for truth, rows, kappa in (
        (TWO, 250, 0.0), (TWO, 500, 0.0), (TWO, 1000, 0.0), (TWO, 2000, 0.0), (TWO, 4000, 0.0),
        (THREE, 1000, 0.0), (THREE, 1000, 20.0), (THREE, 4000, 0.0), (THREE, 4000, 20.0),
    ):  # fmt: skip
        found = np.array([recovered(truth, rows, seed, kappa) for seed in range(seeds)])
        right, known, deviation, stay = np.median(found, axis=0)
        print(
            f"{truth.states:6d}  {rows:4d}  {kappa:5.0f}  {right:.3f} ({found[:, 0].min():.3f})  {known:15.3f}"
            f"  {deviation:8.3f}  {stay:14.3f}"
        )
        name = f"accuracy_{truth.states}_states_{rows}" + ("_sticky" if kappa else "")
        goals = {
            "accuracy_2_states_1000": f">= 0.9 and >= {known - 0.02:.3f}",
            "accuracy_3_states_4000": f">= {known - 0.03:.3f}",
        }
        emit(name, right, "share", goals.get(name, ""))


def selection(seeds: int) -> None:
    print(f"number of states, three planted, {seeds} seeds: how often 1/2/3/4 was picked")
    print("  rows         BIC         AIC         ICL    held-out, one standard error")
    for rows in (500, 1000, 2000, 4000):
        picks: dict[str, Counter[int]] = {name: Counter() for name in ("bic", "aic", "icl", "held_out")}
        for seed in range(seeds):
            chosen = select_states(simulate(THREE, rows, seed)[0], RETURN, FitRecipe(1, "diag"), blocks=8)
            for name in ("bic", "aic", "icl"):
                picks[name][min(chosen.candidates, key=lambda one: getattr(one, name)).states] += 1
            picks["held_out"][chosen.states] += 1
        shown = {name: "/".join(str(count[k]) for k in (1, 2, 3, 4)) for name, count in picks.items()}
        print(
            f"{rows:6d}  {shown['bic']:>10}  {shown['aic']:>10}  {shown['icl']:>10}  {shown['held_out']:>10}"
        )
        emit(f"bic_picks_three_{rows}", picks["bic"][3] / seeds, "share", ">= 0.833" if rows == 4000 else "")
        emit(f"held_out_picks_three_{rows}", picks["held_out"][3] / seeds, "share")


def two_clock(seeds: int) -> None:
    count = min(seeds, 6)
    print(f"two-clock model, {count} seeds, 400 slow bars of 24 to train and to test")
    rows, names = [], (RETURN, ("range",))
    for seed in range(count):
        fast, slow, closes, macro = planted.market(seed, 800)
        train, train_slow = 400 * planted.B, 400
        recipe = TwoClockRecipe(power=1.0)
        begin = begin_two_clock(fast[:train], slow[:train_slow], *names, recipe)
        fit = fit_two_clock(fast[:train], slow[:train_slow], closes[:train], begin, *names, recipe)
        alone = [
            fit_best(x, name, FitRecipe(2, "diag")).fit.hmm
            for x, name in ((fast[:train], names[0]), (slow[:train_slow], names[1]))
        ]
        separate = (
            filter_series(alone[0], fast, machine_code=True)[1][train:].sum()
            + filter_series(alone[1], slow, machine_code=True)[1][train_slow:].sum()
        )
        row = []
        for hmm in (planted.TRUTH, fit.hmm):
            series = hmm.filter(fast, slow, closes)
            gain = series.fast_scores[train:].sum() + series.slow_scores[train_slow:].sum() - separate
            row += [1000 * gain / train, (series.macro[train:].argmax(axis=1) == macro[train:]).mean()]
        row.append(np.abs(fit.hmm.chain.micro_transition - planted.CHAIN.micro_transition).max())
        rows.append(row)
    true_gain, true_right, gain, right, worst = np.mean(rows, axis=0)
    print("  parameters  gain per 1000 fast bars  macro accuracy  worst error in A")
    print(f"  true        {true_gain:23.2f}  {true_right:14.3f}")
    print(f"  joint EM    {gain:23.2f}  {right:14.3f}  {worst:16.3f}")
    emit("two_clock_gain_share", gain / true_gain, "share", ">= 0.9")
    emit("two_clock_accuracy_gap", true_right - right, "share", "<= 0.01")


def edge(seeds: int) -> None:
    runs = max(50, 5 * seeds)
    print(f"annual Sharpe out of sample on iid returns, {runs} series: there is nothing to find")

    def sharpe(returns: FloatArray) -> float:
        return float(returns.mean() / returns.std() * np.sqrt(365))

    found: dict[str, list[float]] = {
        "filtered, earns t+1": [],
        "smoothed, earns t+1": [],
        "filtered, earns t": [],
    }
    for seed in range(runs):
        x = np.random.default_rng(seed).normal(0.0, 0.02, size=(2000, 1))
        scaler = Scaling().fit(x[:1000], RETURN)
        hmm = fit_best(scaler.apply(x[:1000]), RETURN, FitRecipe(3, "diag")).fit.hmm
        z = scaler.apply(x)
        filtered, _ = filter_series(hmm, z, machine_code=True)
        means = hmm.emission.means[:, 0] * scaler.scale[0] + scaler.center[0]
        ahead = np.sign(filtered @ hmm.transition @ means)
        cheat = np.sign(smoothed(z, hmm) @ hmm.transition @ means)
        found["filtered, earns t+1"].append(sharpe(ahead[1000:-1] * x[1001:, 0]))
        found["smoothed, earns t+1"].append(sharpe(cheat[1000:-1] * x[1001:, 0]))
        found["filtered, earns t"].append(sharpe(np.sign(filtered @ means)[1000:] * x[1000:, 0]))
    for name, values in found.items():
        error = float(np.std(values, ddof=1) / np.sqrt(runs))
        print(f"  {name:22} {np.mean(values):6.2f} +- {error:.2f}")
    values = found["filtered, earns t+1"]
    error = float(np.std(values, ddof=1) / np.sqrt(runs))
    emit("iid_sharpe_in_standard_errors", float(np.mean(values)) / error, "standard errors", "within 3")


def real() -> None:
    from mlregistry.domain.recipes import DataSource, HierarchicalRecipe
    from mlregistry.domain.two_clock_study import train_hierarchical

    paths = sorted((REAL / "klines_spot_1h").glob("*USDT_1h.csv.gz")) if REAL.exists() else []
    if not paths:
        print("real bars: skipped, recorded market data is not beside the checkout")
        return
    print("real hourly bars: the held-out half, nats per 1000 bars over one state")
    print("  symbol      rows  2 states  3 states  4 states  two-clock 2x2 over 2 states (last quarter)")
    spec = FeatureSpec()
    for path in paths:
        bars = read_bars(path)
        if len(bars) < 15_000:
            continue
        matrix = feature_matrix(bars, spec, machine_code=True)
        half = len(matrix.x) // 2
        scaler = Scaling().fit(matrix.x[:half], spec.names)
        z, before = scaler.apply(matrix.x), matrix.rows(0, half).lengths
        scores = {}
        for states in (1, 2, 3, 4):
            hmm = fit_best(z[:half], spec.names, FitRecipe(states), lengths=before).fit.hmm
            scores[states] = filter_series(hmm, z, matrix.lengths, machine_code=True)[1][half:].mean()
        trained = train_hierarchical(bars, HierarchicalRecipe(), DataSource(path.name, "spot", "1h", ""))
        gain = trained.artefact.lineage["held_out"]["gain"]
        gains = [1000 * (scores[k] - scores[1]) for k in (2, 3, 4)]
        symbol = path.name.split("_")[0]
        print(
            f"  {symbol:9} {len(matrix.x):6d}  {gains[0]:8.0f}  {gains[1]:8.0f}  {gains[2]:8.0f}  {gain:10.1f}"
        )
        emit(f"held_out_gain_3_states_{symbol}", gains[1], "nats per 1000 bars")
        emit(f"two_clock_gain_{symbol}", gain, "nats per 1000 bars", "> 0 to trade")


def read_bars(path: Path) -> BarColumns:
    table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=(2, 3, 4, 5))
    opened = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=0, dtype="datetime64[s]")
    close_ns = opened.astype("datetime64[ns]").astype(np.int64) + HOUR_NS - 1_000_000
    return BarColumns(close_ns, HOUR_NS, *(np.ascontiguousarray(table[:, column]) for column in range(4)))


def main() -> int:
    parts: dict[str, Callable[[], None]] = {}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=12)
    names = ("speed", "recovery", "selection", "two-clock", "edge", "real")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", default=PEERS)
    options = parser.parse_args()
    parts = {
        "speed": lambda: speed(options.peers),
        "recovery": lambda: recovery(options.seeds),
        "selection": lambda: selection(options.seeds),
        "two-clock": lambda: two_clock(options.seeds),
        "edge": lambda: edge(options.seeds),
        "real": real,
    }
    use_cache(Path(tempfile.gettempdir()) / "nautilus-numba")
    for name in options.only:
        parts[name]()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
