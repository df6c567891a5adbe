"""The fault of a regime model: prices that move by just so much that its regimes explain them equally well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from governance.adapters.testnet_control import control
from governance.domain.playbooks import entropy_bits
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable
from governance.services.playbooks.measures import entropies_of
from nautilus_site.common.clock import now
from trading.domain.clock import interval_ns
from trading.domain.strategies.parameters import ParameterError
from trading.models import StrategyInstance
from trading.services.models import parameters_in_force
from universe.models import Bar, Instrument

if TYPE_CHECKING:
    from trading.domain.regime.filter import RegimeFilter

_MOVES = tuple(1e-4 * 1.4**step for step in range(20))
"""Moves from bar to bar that are tried: 1 to 60 basis points."""
_LOOK_AHEAD, _READ_BACK = 24, 400
_LONGEST = 1_000


def entropy_spike(playbook: Playbook, fault: Fault) -> None:
    """Every symbol of a strategy that decides by regimes goes up and down by what its model cannot tell apart.

    How much that is, is found by running the model itself ahead over prices that have not happened yet.
    """
    told = "no strategy that is switched on has decided by regimes of late"
    for name in _strategies():
        since = now() - timedelta(seconds=playbook.window_s)
        before = entropies_of(f"strategy:{name}", since)
        if len(before) < playbook.min_samples // 2:
            told = f"{name} has decided {len(before)} times by regimes of late: too few to compare with"
            continue
        driven = [found for row in _instances(name) if (found := _driven(row)) is not None]
        wanted = sum(before) / len(before) + playbook.threshold * 1.1
        unsure = sum(row.entropy for row in driven) / len(driven) if driven else 0.0
        if unsure < wanted:
            told = f"the model of {name} stays sure whatever prices do: {unsure:.2f} bits at most, {wanted:.2f} needed"
            continue
        fault.scope = f"strategy:{name}"
        for row in driven:
            _drive(row, playbook, fault)
        return
    raise NotRehearsable(told)


@dataclass(frozen=True, slots=True)
class _Driven:
    instrument: Instrument
    interval_s: float
    price: float
    move: float
    entropy: float


def _strategies() -> list[str]:
    rows = StrategyInstance.objects.filter(strategy__is_enabled=True, is_enabled=True)
    names = rows.order_by("strategy__name").values_list("strategy__name", flat=True).distinct()
    since = now() - timedelta(hours=1)
    return [name for name in names if entropies_of(f"strategy:{name}", since)]


def _instances(name: str) -> list[StrategyInstance]:
    rows = StrategyInstance.objects.filter(strategy__name=name, is_enabled=True)
    return list(rows.select_related("strategy", "instrument").order_by("instrument__symbol", "pk"))


def _driven(row: StrategyInstance) -> _Driven | None:
    """The move that leaves the model least sure on a symbol; None where it cannot be run ahead."""
    from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused, StateRefused
    from trading.domain.regime.filter import RegimeFilter
    from trading.domain.strategies.regime_model import served_model

    try:
        served = served_model(str(parameters_in_force(row.strategy).get("model", "")))
        running = RegimeFilter(served.flat(), served.digest)
    except ParameterError:
        return None
    bars = list(
        Bar.objects.filter(instrument=row.instrument, interval=row.strategy.interval).order_by("-open_time")[
            :_READ_BACK
        ]
    )[::-1]
    if not bars:
        return None
    price, volume = float(bars[-1].close), sum(float(bar.volume) for bar in bars) / len(bars)
    try:
        for bar in bars:
            _take(running, float(bar.high), float(bar.low), float(bar.close), float(bar.volume), bar)
        state = running.state()
        best = (0.0, 0.0)
        for move in _MOVES:
            ahead, found, last = RegimeFilter.restored(served.flat(), served.digest, state), [], price
            for step in range(_LOOK_AHEAD):
                close = price * math.exp(move if step % 2 == 0 else 0.0)
                ahead_bar = (max(last, close), min(last, close), close, volume)
                _take(ahead, *ahead_bar)
                last = close
                if ahead.posterior is not None and step >= _LOOK_AHEAD // 2:
                    total = math.fsum(ahead.posterior)
                    found.append(entropy_bits(p / total for p in ahead.posterior))
            if found:
                best = max(best, (sum(found) / len(found), move))
    except (DegenerateFilter, FeaturesRefused, StateRefused):
        return None
    interval_s = interval_ns(row.strategy.interval) / 1e9
    return _Driven(row.instrument, interval_s, price, best[1], best[0])


def _take(
    running: RegimeFilter, high: float, low: float, close: float, volume: float, bar: Bar | None = None
) -> None:
    """Step over a closed bar, or over the next one that has not happened."""
    from trading.domain.clock import datetime_to_ns
    from trading.domain.regime.filter import ClosedBar

    step = running.model.interval_ns
    # Where bars are missing the next one counts as following: how sure the model is does not hang on the gap.
    close_ns = running.close_ns + step if running.close_ns or bar is None else datetime_to_ns(bar.close_time)
    taker = float(bar.taker_base) if bar is not None else volume / 2
    # A model that reads the funding rate is driven with one of zero: the rehearsal moves prices alone.
    running.step(ClosedBar(close_ns, high, low, close, volume, taker, 0.0))


def _drive(row: _Driven, playbook: Playbook, fault: Fault) -> None:
    clock = control("GET", "/clock")
    interval_ms = round(row.interval_s * 1000)
    first = (interval_ms - clock["market_ms"] % interval_ms) / 1000
    bars = math.ceil(playbook.window_s * max(float(clock["speed"]), 1.0) / row.interval_s)
    path = []
    for step in range(min(max(bars, 2 * playbook.min_samples), _LONGEST)):
        price = row.price * math.exp(row.move if step % 2 == 0 else 0.0)
        # A quarter of a second before the bar closes it is where it should close.
        path.append([max(0.1, first + step * row.interval_s - 0.25), f"{Decimal(str(round(price, 8))):f}"])
    market = "spot" if row.instrument.market == "spot" else row.instrument.market
    back = [[30, f"{Decimal(str(round(row.price, 8))):f}"]]
    fault.market(row.instrument.symbol, market, {"path": path}, {"path": back})
