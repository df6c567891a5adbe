"""Walking one version over the tests: its own numbers where it knows nothing of them, its recipe refitted before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlregistry.adapters.artefact_store import ArtefactStore
from mlregistry.domain.gate import Walked
from mlregistry.domain.recipes import DataSource, HierarchicalRecipe, recipe_read
from mlregistry.domain.study import train_hmm
from mlregistry.domain.two_clock_study import train_hierarchical
from mlregistry.domain.windows import knows_nothing_of
from mlregistry.models import ModelVersion
from mlregistry.services.artefacts import artefact_place, artefact_verify
from trading.domain.backtest import BacktestResult, Inputs
from trading.domain.regime.artefact import encode
from trading.domain.regime.errors import FeaturesRefused, FitRefused
from trading.domain.report.from_backtest import joined_trips
from trading.domain.research.model_subject import bar_columns
from trading.domain.research.outcomes import period_returns, period_rows
from trading.domain.research.splits import Window
from trading.domain.research.windowed import run_window
from trading.domain.statistics import drawdowns, max_drawdown, sharpe_ratio
from trading.domain.statistics.figures import FloatArray, IntArray
from trading.services.research.study import Study

NEVER_EXPIRES = 0


def dearer(inputs: Inputs) -> Inputs:
    """The same assumptions at twice the fees, slippage and impact."""
    costs = inputs.settings.costs
    doubled = replace(
        costs,
        taker_bps=2 * costs.taker_bps,
        maker_bps=2 * costs.maker_bps,
        slippage_bps=2 * costs.slippage_bps,
        impact=2 * costs.impact,
    )
    return replace(inputs, settings=replace(inputs.settings, costs=doubled))


def later(inputs: Inputs) -> Inputs:
    """The same assumptions with orders one bar later."""
    late = inputs.settings.latency_bars + 1
    return replace(inputs, settings=replace(inputs.settings, latency_bars=late))


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What both versions are walked over.

    Attributes
    ----------
    study : the policy and all bars, costs as they are.  windows : of the tests.  gap : bars before each.
    """

    study: Study
    windows: tuple[Window, ...]
    gap: int
    tell: Callable[[str], None] = field(default=lambda _: None)

    @property
    def rows(self) -> IntArray:
        """The rows of the stitched curve between which returns are compared."""
        series, first, stop = self.study.series, self.windows[0].test_start, self.windows[-1].test_stop
        return period_rows(np.concatenate((series.close_ns[first - 1 : first], series.close_ns[first:stop])))


class Walker:
    """One version's models, a test each, and what they earn under different assumptions."""

    def __init__(self, course: Course, version: ModelVersion, root: Path) -> None:
        self._course, self._version = course, version
        self._store = ArtefactStore(root)
        self.own: list[bool] = []
        self.refused: list[str] = []
        self._models = [self._model(window) for window in course.windows]

    def walk(self, inputs: Inputs, doing: str) -> Walked:
        """Trade every test, each begun flat, and stitch what was earned; a test without a model earns nothing."""
        course = self._course
        study, pieces, results = course.study, [], list[BacktestResult]()
        engine = study.engine(len(course.windows))
        for window, model in zip(course.windows, self._models, strict=True):
            course.tell(doing)
            if model is None:
                pieces.append(np.zeros(window.test_stop - window.test_start))
                continue
            returns, result = run_window(
                inputs,
                window.test_start,
                window.test_stop,
                strategy=study.strategy,
                params=study.params(with_model(study, model)),
                engine=engine,
            )
            pieces.append(returns)
            results.append(result)
        return _walked(pieces, course.rows, len(joined_trips(results).net) if results else 0)

    def _model(self, window: Window) -> str | None:
        course, version = self._course, self._version
        series = course.study.series
        course.tell(f"fitting {version}")
        if knows_nothing_of(
            window, series.close_ns.tolist(), int(version.lineage["train_end_ns"]), course.gap
        ):
            self.own.append(True)
            return str(artefact_place(version.digest))
        self.own.append(False)
        source = DataSource(
            version.family.symbol, version.family.market, version.family.interval, version.dataset.file_sha256
        )
        step_ns = int(series.close_ns[1]) - int(series.close_ns[0])
        part = series.first(window.train_stop, window.train_start)
        bars = bar_columns(part, step_ns, course.study.inputs.funding.get(series.symbol))
        recipe = recipe_read(str(version.lineage["model"]), version.lineage["recipe"])
        try:
            if isinstance(recipe, HierarchicalRecipe):
                trained = train_hierarchical(bars, recipe, source)
            else:
                states = int(version.lineage["states"])
                fixed = replace(recipe, states=states, candidates=(states,))
                # Its own states' names are kept where they match: the policy goes by them.
                own = artefact_verify(version.digest)
                trained = train_hmm(bars, fixed, source, champion=own, champion_digest=version.digest)
        except (FitRefused, FeaturesRefused) as error:
            self.refused.append(f"{version} on bars {window.train_start} to {window.train_stop}: {error}")
            return None
        return str(self._store.write(encode(trained.artefact)))


def with_model(study: Study, model: str) -> Mapping[str, Any]:
    """The policy's parameters with a model in them. Its age is no matter: a test may be longer than a refit's life."""
    params: Any = type(study.strategy).Params
    expires = any(one.name == "refit_days" for one in fields(params))
    return {"model": model, **({"refit_days": NEVER_EXPIRES} if expires else {})}


def walking_folder() -> tempfile.TemporaryDirectory[str]:
    """Where refits live while they are needed; gone afterwards."""
    return tempfile.TemporaryDirectory(prefix="judged-")


def _walked(pieces: Sequence[FloatArray], rows: IntArray, trades: int) -> Walked:
    equity = np.concatenate(([1.0], np.cumprod(1.0 + np.concatenate(pieces))))
    return Walked(
        periods=period_returns(equity, rows),
        folds=tuple(sharpe_ratio(piece).value or 0.0 for piece in pieces),
        trades=trades,
        total_return=float(equity[-1]) - 1.0,
        max_drawdown=max_drawdown(equity),
        drawdown_99=float(np.quantile(drawdowns(equity), 0.99)),
    )
