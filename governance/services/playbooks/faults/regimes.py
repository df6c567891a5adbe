"""The fault of a regime model: prices that close, bar after bar, where its regimes explain them equally well.

Volumes and what trades between two closes are the market's own, so a path laid down once would soon be wrong: while
the rehearsal is watched the path is laid anew from every bar that has closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from governance.adapters.testnet_control import control
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable
from governance.services.playbooks.measures import entropies_of
from nautilus_site.common.clock import now
from trading.domain.clock import datetime_to_ns, interval_ns
from trading.domain.strategies.parameters import ParameterError
from trading.models import StrategyInstance
from trading.services.models import parameters_in_force
from universe.models import Bar, Instrument

if TYPE_CHECKING:
    from governance.domain.playbooks.unsure_prices import Plan
    from trading.domain.regime.filter import RegimeFilter

_LOOK_AHEAD, _READ_BACK, _VOLUMES = 12, 400, 60
_SETTLING = 6
"""Bars a sure model takes to become unsure; only what comes after them is compared."""
_LONGEST = 60
"""Bars of a path: it goes on for so long where nobody lays it anew."""


def entropy_spike(playbook: Playbook, fault: Fault) -> None:
    """Every symbol of a strategy that decides by regimes closes where its model is least sure.

    Where that is, is found by running the model itself ahead over prices that have not happened yet.
    """
    told = "no strategy that is switched on has decided by regimes of late"
    for name in _strategies():
        since = now() - timedelta(seconds=playbook.window_s)
        before = entropies_of(f"strategy:{name}", since)
        if len(before) < playbook.min_samples // 2:
            told = f"{name} has decided {len(before)} times by regimes of late: too few to compare with"
            continue
        driven = [found for row in _instances(name) if (found := _driven(row, None)) is not None]
        if not driven:
            told = f"the model of {name} cannot be run ahead: it is a two-clock one, or has no bars yet"
            continue
        wanted = sum(before) / len(before) + playbook.threshold * 1.1
        unsure = sum(row.unsure for row in driven) / len(driven)
        if unsure < wanted:
            told = (
                f"the model of {name} was unsure already, {sum(before) / len(before):.2f} bits on average of late, "
                f"and prices bring it to {unsure:.2f}; {wanted:.2f} are needed: try again in a while"
            )
            continue
        fault.scope = f"strategy:{name}"
        symbols = {row.instrument.symbol for row in driven}
        beside = StrategyInstance.objects.filter(is_enabled=True, instrument__symbol__in=symbols)
        names = set(beside.exclude(strategy__name=name).values_list("strategy__name", flat=True))
        fault.others = [f"strategy:{other}" for other in sorted(names)]
        for row in driven:
            symbol, market = row.instrument.symbol, row.instrument.market
            fault.market(symbol, market, {"path": _path(row)}, {"path": [[30, _text(row.anchor)]]})
            fault.tended[str(row.instance)] = {"anchor": row.anchor, "close_ns": row.close_ns}
        return
    raise NotRehearsable(told)


def entropy_tend(fault: dict[str, Any]) -> None:
    """Lay the path anew from the bars that have closed since, and remember in the fault which. Raises ControlError."""
    for row in _instances(fault["scope"].partition(":")[2]):
        kept = fault.get("tended", {}).get(str(row.pk))
        newest = Bar.objects.filter(instrument=row.instrument, interval=row.strategy.interval)
        last = newest.order_by("-open_time").first()
        if kept is None or last is None or datetime_to_ns(last.close_time) <= kept["close_ns"]:
            continue
        driven = _driven(row, kept["anchor"])
        if driven is None or not (path := _path(driven)):
            continue
        market = row.instrument.market
        control("POST", "/market", {"symbol": row.instrument.symbol, "market": market, "path": path})
        kept["close_ns"] = driven.close_ns


@dataclass(frozen=True, slots=True)
class _Driven:
    """An instance's symbol, what its closes stay near to, and the plan from its newest closed bar on."""

    instance: int
    instrument: Instrument
    interval_ms: int
    close_ns: int
    anchor: float
    plan: Plan

    @property
    def unsure(self) -> float:
        """Bits, once the model has settled."""
        settled = self.plan.entropies[_SETTLING:]
        return sum(settled) / len(settled)


def _strategies() -> list[str]:
    rows = StrategyInstance.objects.filter(strategy__is_enabled=True, is_enabled=True)
    names = rows.order_by("strategy__name").values_list("strategy__name", flat=True).distinct()
    since = now() - timedelta(hours=1)
    return [name for name in names if entropies_of(f"strategy:{name}", since)]


def _instances(name: str) -> list[StrategyInstance]:
    rows = StrategyInstance.objects.filter(strategy__name=name, is_enabled=True)
    return list(rows.select_related("strategy", "instrument").order_by("instrument__symbol", "pk"))


def _driven(row: StrategyInstance, anchor: float | None) -> _Driven | None:
    """The closes that leave the model least sure on a symbol; None where it cannot be run ahead."""
    from governance.domain.playbooks.unsure_prices import least_sure
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
    last = float(bars[-1].close)
    volumes = [float(bar.volume) for bar in bars[-_VOLUMES:]]
    try:
        for bar in bars:
            _take(running, bar)
        plan = least_sure(running, last=last, anchor=anchor or last, volumes=volumes, bars=_LOOK_AHEAD)
    except (DegenerateFilter, FeaturesRefused, StateRefused):
        return None
    interval_ms = interval_ns(row.strategy.interval) // 1_000_000
    close_ns = datetime_to_ns(bars[-1].close_time)
    return _Driven(row.pk, row.instrument, interval_ms, close_ns, anchor or last, plan)


def _take(running: RegimeFilter, bar: Bar) -> None:
    from trading.domain.regime.filter import ClosedBar

    # Where bars are missing the next one counts as following: how sure the model is does not hang on the gap.
    step = running.model.interval_ns
    close_ns = running.close_ns + step if running.close_ns else datetime_to_ns(bar.close_time)
    high, low, close = float(bar.high), float(bar.low), float(bar.close)
    running.step(ClosedBar(close_ns, high, low, close, float(bar.volume), float(bar.taker_base), 0.0))


def _path(row: _Driven) -> list[list[Any]]:
    """[seconds of market time from now, price] for the plan and on, up and down where it ended."""
    clock = control("GET", "/clock")
    closes = list(row.plan.closes)
    closes += [closes[-1 - number % 2] for number in range(_LONGEST - len(closes))]
    # A quarter of a second before a bar closes the price is where it should close.
    first_ms = row.close_ns // 1_000_000 + row.interval_ms - clock["market_ms"] - 250
    path = [((first_ms + number * row.interval_ms) / 1000, close) for number, close in enumerate(closes)]
    return [[round(at, 3), _text(close)] for at, close in path if at >= 0.1]


def _text(price: float) -> str:
    return f"{Decimal(str(round(price, 8))):f}"
