"""The evidence for a verdict: champion and challenger through the real backtester, over the same bars and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlregistry.domain.gate import Evidence, Walked
from mlregistry.domain.windows import judged_windows
from mlregistry.models import GateVerdict, ModelVersion
from mlregistry.selectors.artefacts import artefact_loaded
from mlregistry.selectors.verdicts import policy_in_force
from mlregistry.services.artefacts import artefact_place
from mlregistry.services.walking import Course, Walker, dearer, later, walking_folder, with_model
from nautilus_site.common.errors import ApplicationError
from trading.domain.regime.model import RegimeModel
from trading.services.backtests import BacktestRequest
from trading.services.research import lookahead_model, lookahead_strategy
from trading.services.research.study import Study, study_open
from trading.services.research.trials import trials_for
from universe.selectors import kline_file_get

SLIPPAGE_BPS: Final = Decimal(1)
"""Beside the venue's fees: half of a spread that is seldom narrower."""
TRUNCATED_BARS, TRUNCATED_CUTS = 400, 10
DAYS_A_YEAR: Final = 365.0

Progress = Callable[[str, int], None]
"""(what it does now, steps in all) at every step; may raise to stop."""


def evidence_gather(
    *,
    version: ModelVersion,
    champion: ModelVersion | None,
    asked: Mapping[str, Any],
    progress: Progress,
) -> tuple[Evidence, dict[str, Any]]:
    """Walk both versions over the stored bars, at three sets of assumptions, and test for look-ahead.

    Parameters
    ----------
    champion : None to compare with holding nothing.  asked : folds, bars, train, as `judge_request`.

    Returns
    -------
    What the gate looks at, and what a verdict records beside it: figures, policy, bars_sha256.

    Raises
    ------
    ApplicationError : no bars, or a policy that cannot take the model.  ValueError : too few bars for the tests.
    ArtefactRefused : bytes that were altered.
    """
    policy = policy_in_force(version)
    study = _study(version, policy, asked["bars"])
    sides = [version, *([champion] if champion else [])]
    warmup = max(
        study.strategy.warmup(study.params(with_model(study, str(artefact_place(side.digest)))))
        for side in sides
    )
    count = len(study.series)
    windows, gap = judged_windows(
        count, train=asked["train"] or count // 2, folds=int(asked["folds"]), warmup=warmup
    )
    scenarios = {
        "as it is": study.inputs,
        "at twice the costs": dearer(study.inputs),
        "one bar later": later(study.inputs),
    }
    total = len(sides) * len(windows) * (1 + len(scenarios)) + 1
    course = Course(study, windows, gap, lambda doing: progress(doing, total))
    progress("testing for look-ahead", total)
    leaks = _leaks(version, study)
    with walking_folder() as folder:
        walkers = [Walker(course, side, Path(folder)) for side in sides]
        walked = {
            name: [walker.walk(inputs, f"testing {name}") for walker in walkers]
            for name, inputs in scenarios.items()
        }
    trials, variance = trials_of(version)
    held_out = version.lineage.get("held_out")
    pairs = {
        name: (both[0], both[1] if len(both) > 1 else _nothing(both[0])) for name, both in walked.items()
    }
    evidence = Evidence(
        challenger=pairs["as it is"][0],
        champion=pairs["as it is"][1],
        dearer=pairs["at twice the costs"],
        later=pairs["one bar later"],
        leaks=leaks,
        trials=trials,
        trials_variance=variance,
        beats_flat=float(held_out["gain"]) if held_out else None,
    )
    walker = walkers[0]
    members = {
        "figures": {
            "bars": count,
            "windows": [[w.train_start, w.train_stop, w.test_start, w.test_stop] for w in windows],
            "gap": gap,
            "own_numbers": walker.own,
            "refits_refused": [text for one in walkers for text in one.refused],
        },
        "policy": policy,
        "bars_sha256": _file_sha256(version),
    }
    return evidence, members


def _study(version: ModelVersion, policy: Mapping[str, Any], bars: int | None) -> Study:
    family = version.family
    study = study_open(
        BacktestRequest(
            strategy=policy["strategy"],
            symbol=family.symbol,
            interval=family.interval,
            market=family.market,
            params=policy["params"],
            slippage_bps=SLIPPAGE_BPS,
        )
    )
    if bars is None or bars >= len(study.series):
        return study
    newest = study.series.first(len(study.series), len(study.series) - bars)
    return replace(study, inputs=replace(study.inputs, series=[newest]))


def _file_sha256(version: ModelVersion) -> str:
    family = version.family
    row = kline_file_get(family.symbol, family.interval, family.market)
    if row is None:
        raise ApplicationError(
            "NO_BARS", f"no {family.market} bars of {family.symbol} {family.interval} are stored"
        )
    return row.sha256


def _leaks(version: ModelVersion, study: Study) -> int:
    """How many columns of the features, the filter and the policy knew later bars."""
    family = version.family
    folder = artefact_place(version.digest)
    fixed = {**study.fixed, **with_model(study, str(folder))}
    reports = [lookahead_strategy(replace(study, fixed=fixed), bars=TRUNCATED_BARS, cuts=TRUNCATED_CUTS)]
    if isinstance(artefact_loaded(version.digest).model, RegimeModel):
        reports.append(
            lookahead_model(
                version.digest,
                symbol=family.symbol,
                interval=family.interval,
                market=family.market,
                bars=TRUNCATED_BARS,
                cuts=TRUNCATED_CUTS,
            )
        )
    return sum(len(report.leaks) for report in reports)


def trials_of(version: ModelVersion) -> tuple[float, float | None]:
    """How many trials stand behind a version, and the variance of their Sharpe ratios per period.

    Every version of the family counts, every further judgement of one, and every recorded sweep of the policy or over
    the same bars.
    """
    family = version.family
    over = GateVerdict.objects.filter(version__family=family, state=GateVerdict.State.DONE)
    again = over.count() - over.values("version").distinct().count()
    judged_before = over.filter(version=version).exists()
    count = float(family.versions.count() + again + judged_before)
    swept = trials_for(policy_in_force(version)["strategy"], family.symbol, family.interval)
    ratios = [
        ratio
        for ratio in over.values_list("figures__challenger__sharpe_per_period", flat=True)
        if ratio is not None
    ]
    variances = [float(np.var(ratios, ddof=1))] if len(ratios) > 1 else []
    if swept is not None:
        count += swept.count
        variances.append(swept.sharpe_variance / DAYS_A_YEAR)
    return max(1.0, count), max(variances, default=None)


def _nothing(like: Walked) -> Walked:
    return replace(
        like,
        periods=np.zeros_like(like.periods),
        folds=tuple(0.0 for _ in like.folds),
        trades=0,
        total_return=0.0,
        max_drawdown=0.0,
        drawdown_99=0.0,
    )
