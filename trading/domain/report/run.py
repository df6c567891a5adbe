"""One run as a report sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trading.domain.statistics import EquityCurve, RoundTrips, Summary
from trading.domain.statistics.figures import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Bars of one symbol, all (N,): `close_ns` ascending, prices in quote currency, volume in base."""

    symbol: str
    close_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: signed base quantity, price and fee in quote currency, and why it happened."""

    symbol: str
    time_ns: int
    quantity: float
    price: float
    fee: float
    kind: str = "market"


@dataclass(frozen=True, slots=True)
class Regimes:
    """Regime at each point of the curve, (T,), -1 where unknown, and what the numbers are called.

    They must be filtered: a smoothed path would colour the past with what came later.
    """

    states: IntArray
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class ReportRun:
    """Everything a report shows of one run.

    Attributes
    ----------
    name : unique within the report.  facts : (label, text) for the head, in order.
    curve, summary : equity in quote currency and its statistics.
    costs : (T,), quote currency paid in the step that ends at each point, or None.
    trips : closed round trips; `trip_symbols` and `trip_sides` (1 long, -1 short) name them.
    assumptions : what was assumed, label to text.  digest : identifies inputs and result, "" if unknown.
    """

    name: str
    facts: Sequence[tuple[str, str]]
    curve: EquityCurve
    summary: Summary
    trips: RoundTrips
    trip_symbols: Sequence[str] = ()
    trip_sides: Sequence[int] = ()
    candles: Sequence[Candles] = ()
    executions: Sequence[Execution] = ()
    regimes: Regimes | None = None
    costs: FloatArray | None = None
    assumptions: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a run needs a name")
        n = len(self.trips)
        if self.trip_symbols and not len(self.trip_symbols) == len(self.trip_sides) == n:
            raise ValueError(f"expected a symbol and side for each of {n} trips")
        points = len(self.curve.equity)
        if self.costs is not None and len(self.costs) != points:
            raise ValueError(f"expected {points} costs, were {len(self.costs)}")
        if self.regimes is not None and len(self.regimes.states) != points:
            raise ValueError(f"expected {points} regimes, were {len(self.regimes.states)}")
