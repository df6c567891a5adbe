"""What recorded decisions at books would have earned by the backtester's rules, on the books that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from trading.domain.backtest.replay import Replay, ReplaySettings
from trading.domain.backtest.tape import Tape
from trading.domain.parity.decisions import NoParams, Said
from trading.domain.strategies import Desired, Observation, Strategy
from trading.domain.values import Instrument, Market

ZERO = Decimal(0)
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Top:
    """A book as a step saw it: prices in quote currency, sizes in base; both sides there, bid below ask."""

    at_ns: int
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal

    @property
    def middle(self) -> Decimal:
        """Halfway between the best prices."""
        return (self.bid + self.ask) * _HALF


@dataclass(frozen=True, slots=True)
class Followed:
    """Result after fees, and the fees, of trading decisions from flat; quote currency, at the last middle."""

    result: Decimal
    fees: Decimal


class _Quoting(Strategy):
    """Says at each moment what stands in the script."""

    name: ClassVar[str] = "scripted_quotes"
    Params: ClassVar[type] = NoParams
    makes_market: ClassVar[bool] = True

    def __init__(self, script: dict[int, Said]) -> None:
        self._script = script

    def warmup(self, params: Any) -> int:
        return 0

    def initial(self, params: Any) -> None:
        return None

    def step(self, params: Any, state: None, observation: Observation) -> tuple[None, Desired | None]:
        said = self._script.get(observation.now_ns)
        return None, None if said is None else Desired(said.target, reason=said.reason, quotes=said.quotes)


def quotes_followed(
    instrument: Instrument,
    tops: Sequence[Top],
    said: Sequence[Said | None],
    *,
    cash: Decimal,
    inventory: Decimal,
    maker_rate: int,
) -> Followed:
    """Replay quotes on the books they were decided at; a quote fills when the book trades through it.

    Parameters
    ----------
    tops, said : of the same steps, ascending in time.
    inventory : held at the first step, to sell from; what it gains by itself is left out of the result.
    maker_rate : parts of 1e-8.
    """
    # Of two books at one moment the later one stands: a replay steps once at a time. One that is locked on a coarser
    # grid, should the tick have grown since, cannot be replayed.
    last = {
        top.at_ns: top for top in tops if instrument.floor_ticks(top.bid) < instrument.floor_ticks(top.ask)
    }
    if not last:
        return Followed(ZERO, ZERO)
    script = {one.close_ns: one for one in said if one is not None}

    def whole(values: list[int]) -> Any:
        return np.array(values, dtype=np.int64)

    nothing = whole([])
    tape = Tape(
        instrument,
        whole(list(last)),
        whole([instrument.floor_ticks(top.bid) for top in last.values()]),
        whole([instrument.floor_steps(top.bid_size) for top in last.values()]),
        whole([instrument.floor_ticks(top.ask) for top in last.values()]),
        whole([instrument.floor_steps(top.ask_size) for top in last.values()]),
        nothing, nothing, nothing, nothing,
    )  # fmt: skip
    held = instrument.quantity(instrument.floor_steps(max(ZERO, inventory)))
    settings = ReplaySettings(cash=cash, inventory=held, maker=maker_rate, feed_ns=0, order_ns=0, every_ns=1)
    played = Replay(tape, _Quoting(script), NoParams(), settings).run()
    books = list(last.values())
    return Followed(played.profit - held * (books[-1].middle - books[0].middle), played.fees)


def targets_followed(
    instrument: Instrument,
    tops: Sequence[Top],
    said: Sequence[Said | None],
    *,
    capital: Decimal,
    taker_rate: Decimal,
) -> Followed:
    """Trade every change of the target at the middle of the book it was decided at, in whole steps.

    Parameters
    ----------
    taker_rate : a fraction of the notional.
    """
    held = paid = fees = ZERO
    target: float | None = None
    for top, one in zip(tops, said, strict=True):
        if one is None or one.target == target:
            continue
        target = one.target
        wanted = capital * Decimal(str(abs(target))) / top.middle
        quantity = instrument.quantity(instrument.floor_steps(wanted))
        if target < 0:
            quantity = ZERO if instrument.market is Market.spot else -quantity
        change = quantity - held
        paid += change * top.middle
        fees += abs(change) * top.middle * taker_rate
        held = quantity
    return Followed(held * tops[-1].middle - paid - fees if tops else ZERO, fees)
