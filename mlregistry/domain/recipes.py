"""What a training run is asked to do, as plain values that the artefact records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from trading.domain.regime.em import EmSettings
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.fitting import FitRecipe
from trading.domain.regime.gaussian import COVARIANCES, Covariance
from trading.domain.regime.scaler import Scaling
from trading.domain.regime.two_clock_em import TwoClockRecipe

HMM: Final = "hmm"
HIERARCHICAL: Final = "hierarchical_hmm"
MODELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        HMM: "Gaussian HMM over closed bars, served by the forward filter",
        HIERARCHICAL: "two-clock HMM: a slow macro chain chooses the transitions of a fast micro chain",
    }
)
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"hmm_policy": HMM})
"""The strategy that serves a model may be named in its place."""
MOST_STATES: Final = 6
FEWEST_ROWS: Final = 250
"""Two states are learned from 250 rows with a median accuracy of 0.93, and 0.81 at worst."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Which bars a model was trained on; `sha256` is of the stored file they came from."""

    symbol: str
    market: str
    interval: str
    sha256: str


@dataclass(frozen=True, slots=True)
class HmmRecipe:
    """How a flat model is trained.

    Attributes
    ----------
    states : how many; None chooses among `candidates` by held-out log score, one standard error towards fewer.
    kappa : sticky prior, bars' worth of staying.  blocks : held-out blocks of the choice.
    bars_between_alarms : mean time between false drift alarms that the CUSUM is calibrated to.
    """

    states: int | None = None
    candidates: tuple[int, ...] = (1, 2, 3, 4)
    kind: Covariance = "full"
    features: FeatureSpec = field(default_factory=FeatureSpec)
    scaling: Scaling = field(default_factory=Scaling)
    restarts: int = 3
    seed: int = 0
    kappa: float = 0.0
    iterations: int = 500
    blocks: int = 8
    bars_between_alarms: float = 5000.0
    trainer: Literal["em", "hmmlearn"] = "em"

    def __post_init__(self) -> None:
        for count in (self.states, *self.candidates):
            if count is not None and not 1 <= count <= MOST_STATES:
                raise ValueError(f"expected 1 to {MOST_STATES} states, was {count}")
        if not self.candidates:
            raise ValueError("expected at least one candidate number of states")
        if self.kind not in COVARIANCES:
            raise ValueError(f"expected one of {', '.join(COVARIANCES)}, was {self.kind!r}")
        if self.bars_between_alarms < 100:
            raise ValueError(
                f"expected 100 bars or more between false alarms, was {self.bars_between_alarms}"
            )

    @property
    def reads_funding(self) -> bool:
        """Whether its features have the funding rate."""
        return "funding" in self.features.names

    def fit_recipe(self, states: int) -> FitRecipe:
        """Return the recipe of one fit.

        Raises
        ------
        ValueError : a number of restarts or iterations below one, or a kappa below zero.
        """
        settings = EmSettings(iterations=self.iterations, kappa=self.kappa)
        return FitRecipe(states, self.kind, self.restarts, self.seed, settings)

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return _members(asdict(self))


@dataclass(frozen=True, slots=True)
class HierarchicalRecipe:
    """How a two-clock model is trained.

    Attributes
    ----------
    slow_features : windows are in slow bars. The default avoids what fast bars already say one by one.
    held_out : share of the bars at the end on which it is compared with the flat model before the final fit.
    """

    macros: int = 2
    micros: int = 2
    slow_interval: str = "1d"
    kind: Covariance = "diag"
    features: FeatureSpec = field(default_factory=lambda: FeatureSpec(("log_return", "volume"), 10, 48))
    slow_features: FeatureSpec = field(
        default_factory=lambda: FeatureSpec(("log_return", "volatility"), 5, 20)
    )
    scaling: Scaling = field(default_factory=Scaling)
    power: float = 0.5
    rounds: int = 30
    restarts: int = 3
    seed: int = 0
    held_out: float = 0.25
    bars_between_alarms: float = 5000.0

    def __post_init__(self) -> None:
        for count in (self.macros, self.micros):
            if not 1 <= count <= MOST_STATES:
                raise ValueError(f"expected 1 to {MOST_STATES} states, was {count}")
        if not 0.05 <= self.held_out <= 0.5:
            raise ValueError(f"expected a held-out share of 0.05 to 0.5, was {self.held_out}")
        if self.bars_between_alarms < 100:
            raise ValueError(
                f"expected 100 bars or more between false alarms, was {self.bars_between_alarms}"
            )

    @property
    def reads_funding(self) -> bool:
        """Whether its features have the funding rate."""
        return "funding" in (*self.features.names, *self.slow_features.names)

    def two_clock(self) -> TwoClockRecipe:
        """Return the recipe of the joint fit."""
        return TwoClockRecipe(
            self.macros,
            self.micros,
            self.kind,
            self.power,
            self.rounds,
            restarts=self.restarts,
            seed=self.seed,
        )

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return _members(asdict(self))


def recipe_read(model: str, members: Mapping[str, Any]) -> HmmRecipe | HierarchicalRecipe:
    """Return the recipe an artefact's lineage records.

    Raises
    ------
    ValueError : members no recipe has, or an unknown model.
    """
    values = dict(members)
    try:
        for name in ("features", "slow_features"):
            if name in values:
                spec = dict(values[name])
                values[name] = FeatureSpec(**{**spec, "names": tuple(spec["names"])})
        values["scaling"] = Scaling(**values["scaling"])
        if model == HIERARCHICAL:
            return HierarchicalRecipe(**values)
        if model == HMM:
            return HmmRecipe(**{**values, "candidates": tuple(values["candidates"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"the recipe of a {model} cannot be read: {error}") from None
    raise ValueError(f"expected one of {', '.join(MODELS)}, was {model!r}")


def _members(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _members(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
