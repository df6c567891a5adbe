"""When each sweep is due, how much of an account one of them looks at, and what that costs of the venue's weight.

A sweep contains those before it: S3 resolves doubts and reads the open orders too. So at most one runs at a time
and the account's books are compared with one consistent reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

RETRY_S: Final = 5.0
"""After a run that failed or found something: the second reading of a difference comes this much later."""
RETRY_MAX_S: Final = 30.0
MOVED_PER_SWEEP: Final = 10
"""Symbols asked for trades in one S3 because something moved there; the rest wait for the next one."""


class Sweep(StrEnum):
    """The six sweeps, in the order in which they contain each other (S0 is S3 over everything, before trading)."""

    STARTUP = "S0"
    UNKNOWN = "S1"
    OPEN_ORDERS = "S2"
    TRADES = "S3"
    DEEP = "S4"
    NIGHTLY = "S5"


PERIODS_S: Final[Mapping[Sweep, float]] = {
    Sweep.UNKNOWN: 1,
    Sweep.OPEN_ORDERS: 10,
    Sweep.TRADES: 30,
    Sweep.DEEP: 900,
    Sweep.NIGHTLY: 86_400,
}
"""Seconds between two of a kind where no row says otherwise. S0 has none: it comes before the first order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides which sweep is next; ages in seconds, None for never.

    Attributes
    ----------
    gap : the user stream was interrupted, is back, and nobody has looked since.
    trouble : a difference is open, or the last run failed.  failures : how many runs in a row ended so.
    deep_due : some symbol's orders were not all looked at within the deep period.
    nightly_due : a day is over and has no statement.
    """

    opened: bool
    reconciled: bool
    gap: bool
    trouble: bool
    failures: int
    open_orders_age_s: float | None
    trades_age_s: float | None
    attempt_age_s: float | None
    deep_due: bool = False
    nightly_due: bool = False


def next_sweep(standing: Standing, periods: Mapping[Sweep, float] = PERIODS_S) -> Sweep | None:
    """Return the sweep to run now, or None. It never answers "enough": trouble shortens the wait."""

    def older(age: float | None, than: float) -> bool:
        return age is None or age >= than

    patience = min(RETRY_S * 2 ** min(max(standing.failures - 1, 0), 8), RETRY_MAX_S)
    if not standing.opened or not standing.reconciled:
        return (
            Sweep.STARTUP
            if older(standing.attempt_age_s, 2.0 if not standing.failures else patience)
            else None
        )
    if standing.gap and older(standing.attempt_age_s, RETRY_S):
        return Sweep.TRADES
    if standing.trouble and older(standing.attempt_age_s, patience):
        return Sweep.TRADES
    if older(standing.trades_age_s, periods[Sweep.TRADES]) and older(standing.attempt_age_s, RETRY_S):
        if standing.nightly_due:
            return Sweep.NIGHTLY
        return Sweep.DEEP if standing.deep_due else Sweep.TRADES
    return Sweep.OPEN_ORDERS if older(standing.open_orders_age_s, periods[Sweep.OPEN_ORDERS]) else None


def deep_slice(symbols: int, periods: Mapping[Sweep, float] = PERIODS_S) -> int:
    """Symbols one S4 looks at, so that each has its turn once per deep period and none is looked at in a burst."""
    sweeps_per_period = max(1.0, periods[Sweep.DEEP] / periods[Sweep.TRADES])
    return max(1, ceil(symbols / sweeps_per_period))


@dataclass(frozen=True, slots=True)
class ReadWeights:
    """What the reads of reconciliation cost of a venue's weight, by its documentation."""

    open_orders: int
    balances: int
    trades: int
    orders: int
    income: int
    positions: int
    limit_per_minute: int


SPOT_WEIGHTS: Final = ReadWeights(80, 20, 20, 20, 0, 0, 6000)
USDM_WEIGHTS: Final = ReadWeights(80, 5, 5, 5, 30, 5, 2400)
"""Open orders of USD-M are two calls of 40: the regular service and the conditional one."""


def weight_per_minute(
    weights: ReadWeights, *, symbols: int, moved: int, periods: Mapping[Sweep, float] = PERIODS_S
) -> float:
    """Return the weight one account's sweeps take in a minute in which `moved` of its `symbols` traded.

    S2 asks for all open orders at once. S3 adds balances (twice: before and after the trades), positions and
    income, and the trades of what moved, at most ten symbols; S4 the trades and all orders of its slice.
    """
    open_orders = 60 / periods[Sweep.OPEN_ORDERS] * weights.open_orders
    sweeps = 60 / periods[Sweep.TRADES]
    per_sweep = (
        2 * weights.balances
        + weights.positions
        + weights.income
        + min(moved, MOVED_PER_SWEEP) * weights.trades
        + deep_slice(symbols, periods) * (weights.trades + weights.orders)
    )
    return open_orders + sweeps * per_sweep
