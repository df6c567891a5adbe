"""From standardised rows to one sound, ordered fit: several starts, the best likelihood kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.checks import Finding, degeneracies
from trading.domain.regime.em import EmSettings, Fit, fit_em
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.gaussian import Covariance
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.order import canonical_order
from trading.domain.regime.starts import starts

RestartProgress = Callable[[int, int, int, float], None]
"""(restart, of how many, iteration, log likelihood)."""


class Trainer(Protocol):
    """What fits a chain from a given start; two implementations are held against each other."""

    @property
    def name(self) -> str:
        """What it is called in lineage and tables."""

    def fit(
        self,
        x: FloatArray,
        begin: GaussianHmm,
        settings: EmSettings,
        *,
        lengths: tuple[int, ...] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Fit:
        """Fit (T, D) standardised rows.

        Raises
        ------
        FitRefused : the data cannot be fitted from there.
        """


@dataclass(frozen=True, slots=True)
class EmTrainer:
    """Our own EM, compiled."""

    name: str = "em"

    def fit(
        self,
        x: FloatArray,
        begin: GaussianHmm,
        settings: EmSettings,
        *,
        lengths: tuple[int, ...] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Fit:
        return fit_em(x, begin, settings, lengths=lengths, progress=progress)


@dataclass(frozen=True, slots=True)
class FitRecipe:
    """How a chain is fitted.

    Attributes
    ----------
    restarts : 1 to 3 take trailing volatility over 5, 10 and 20 bars; further ones are seeded variations.
    """

    states: int
    kind: Covariance = "full"
    restarts: int = 3
    seed: int = 0
    settings: EmSettings = field(default_factory=EmSettings)

    def __post_init__(self) -> None:
        if self.states < 1:
            raise ValueError(f"expected at least one state, was {self.states}")
        if self.restarts < 1:
            raise ValueError(f"expected at least one restart, was {self.restarts}")


@dataclass(frozen=True, slots=True, eq=False)
class BestFit:
    """The best of several fits, in canonical order.

    Attributes
    ----------
    order : the permutation that put it there.  findings : why it may not serve, empty when it is sound.
    restart : which start won.  objectives : the final objective of each start, None where it was refused.
    """

    fit: Fit
    order: tuple[int, ...]
    findings: tuple[Finding, ...]
    restart: int
    objectives: tuple[float | None, ...]


def fit_best(
    x: FloatArray,
    names: tuple[str, ...],
    recipe: FitRecipe,
    *,
    lengths: tuple[int, ...] | None = None,
    trainer: Trainer | None = None,
    progress: RestartProgress | None = None,
) -> BestFit:
    """Fit from every start and keep the best objective, sound fits before degenerate ones.

    Raises
    ------
    FitRefused : no start led to a fit; the message is that of the last.
    """
    chosen: Trainer = trainer or EmTrainer()
    fits: list[tuple[bool, float, int, Fit, tuple[Finding, ...]]] = []
    objectives: list[float | None] = []
    refusal: FitRefused | None = None
    begins = starts(x, names, recipe.states, recipe.kind, count=recipe.restarts, seed=recipe.seed)
    for number, begin in enumerate(begins):

        def report(iteration: int, log_likelihood: float, number: int = number) -> None:
            if progress is not None:
                progress(number + 1, len(begins), iteration, log_likelihood)

        try:
            fit = chosen.fit(x, begin, recipe.settings, lengths=lengths, progress=report)
        except FitRefused as error:
            refusal = error
            objectives.append(None)
            continue
        findings = degeneracies(fit)
        objectives.append(fit.trace[-1])
        fits.append((not findings, fit.trace[-1], -number, fit, findings))
    if not fits:
        raise FitRefused(f"none of {len(begins)} starts led to a fit: {refusal}")
    _, _, minus_number, fit, _ = max(fits, key=lambda item: item[:3])
    order = canonical_order(fit.hmm.emission, names)
    ordered = replace(fit, hmm=fit.hmm.permuted(order), visits=fit.visits[list(order)])
    return BestFit(ordered, order, degeneracies(ordered), -minus_number, tuple(objectives))
