"""Decisions about bars, beside a backtest of the very bars their memory was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from trading.domain.backtest import (
    Assignment,
    BacktestResult,
    BarSeries,
    Costs,
    Inputs,
    Settings,
    SizeRule,
    run,
)
from trading.domain.backtest.series import IntArray
from trading.domain.clock import NS_PER_MS, datetime_to_ns, interval_ns, ns_to_datetime
from trading.domain.parity import Comparison, NoParams, Said, Split, Traded, compare, decided, scripted, split
from trading.domain.research.subjects import Recorder
from trading.domain.strategies import parse_params
from trading.domain.values import from_units
from trading.models import Decision, Fill, Order, StrategyInstance
from trading.selectors.decisions import decision_bars
from trading.services.backtests.funding import funding_stored
from trading.services.models import parameters_in_force
from trading.services.parity.orders import denied, held_before, orders_of, timing
from trading.services.parity.report import ParityReport
from trading.services.strategies import decision_key, parameters_digest
from trading.services.strategy_kinds import strategy_load

_CASH_FACTOR = 100
"""Backtests of a fixed allocation need an account that never runs out; its size changes nothing else."""


def bars_compared(
    instance: StrategyInstance, start: datetime | None, end: datetime | None, fee_bps: Decimal
) -> ParityReport | None:
    """Compare an instance's decisions about bars. None where it has made none."""
    row = instance.strategy
    decisions = Decision.objects.filter(instance=instance, trigger=Decision.Trigger.BAR).order_by(
        "bar_open_at"
    )
    if start is not None:
        decisions = decisions.filter(bar_open_at__gte=start)
    if end is not None:
        decisions = decisions.filter(bar_open_at__lt=end)
    every = list(decisions)
    if not every:
        return None
    kind, parameters = strategy_load(row.kind)(), parameters_in_force(row)
    params: Any = parse_params(kind.Params, parameters)
    digest = parameters_digest(row, parameters)
    skipped: Counter[str] = Counter()
    groups: dict[datetime, list[Decision]] = {}
    for decision in every:
        close_ns = datetime_to_ns(decision.bar_open_at) + interval_ns(row.interval) - NS_PER_MS
        if decision.warm_from_at is None:
            skipped["it is not known what they remembered"] += 1
        elif decision.key != decision_key(instance, digest, close_ns):
            skipped["made with other parameters"] += 1
        else:
            groups.setdefault(decision.warm_from_at, []).append(decision)
    same = 0
    differences: list[Any] = []
    live: list[Said] = []
    own: list[Said] = []
    for warm_from, members in groups.items():
        series = _series(instance, warm_from)
        if series is None or ns_to_datetime(int(series.open_ns[0])) != warm_from:
            skipped["their bars are no longer stored"] += len(members)
            continue
        ours = [_said(decision, series) for decision in members]
        recorder = Recorder(kind)
        _run(series, recorder, params, instance, fee_bps)
        theirs = decided(recorder.said, ours[0].close_ns, ours[-1].close_ns)
        found = compare(ours, theirs)
        same += found.same
        differences += found.differences
        live += ours
        own += theirs
    comparison = Comparison(same, tuple(differences))
    first, last = every[0].bar_open_at, every[-1].bar_open_at
    if not live:
        return ParityReport(
            row.name, instance.account.name, instance.instrument.symbol, row.interval, first, last,
            comparison, None, skipped,
        )  # fmt: skip
    series = _series(instance, min(groups))
    assert series is not None, "decisions were compared on it"
    orders = orders_of(instance, first, last)
    return ParityReport(
        strategy=row.name,
        account=instance.account.name,
        symbol=instance.instrument.symbol,
        interval=row.interval,
        start=first,
        end=last,
        comparison=comparison,
        split=_split(instance, series, live, own, orders, held_before(instance, first), fee_bps),
        skipped=skipped,
        timing=timing(orders),
        orders=len(orders),
        denied=denied(orders),
    )


def _said(decision: Decision, series: BarSeries) -> Said:
    at = int(np.searchsorted(series.open_ns, datetime_to_ns(decision.bar_open_at)))
    close_ns = int(series.close_ns[at]) if at < len(series) else -1
    return Said(close_ns, decision.target, decision.confidence, decision.reason)


def _series(instance: StrategyInstance, warm_from: datetime) -> BarSeries | None:
    bars = decision_bars(instance, warm_from)
    if not bars:
        return None
    domain = instance.instrument.to_domain()

    def ticks(name: str) -> IntArray:
        return np.array([domain.ticks(getattr(bar, name)) for bar in bars], dtype=np.int64)

    return BarSeries(
        domain,
        instance.strategy.interval,
        open_ns=np.array([bar.open_time_ns for bar in bars], dtype=np.int64),
        close_ns=np.array([bar.close_time_ns for bar in bars], dtype=np.int64),
        open=ticks("open"),
        high=ticks("high"),
        low=ticks("low"),
        close=ticks("close"),
        volume=np.array([float(bar.volume) for bar in bars]),
        quote_volume=np.array([float(bar.quote_volume) for bar in bars]),
        trades=np.array([bar.trades for bar in bars], dtype=np.int64),
        taker_base=np.array([float(bar.taker_base) for bar in bars]),
    )


def _run(
    series: BarSeries, strategy: Any, params: Any, instance: StrategyInstance, fee_bps: Decimal
) -> BacktestResult:
    capital = max(instance.allocation * instance.weight, Decimal(1))
    settings = Settings(
        cash=capital * _CASH_FACTOR,
        costs=Costs(taker_bps=fee_bps, maker_bps=fee_bps),
        size=SizeRule.allocation,
        size_amount=capital,
    )
    funding = {series.symbol: funding_stored(series)} if strategy.reads_funding(params) else {}
    return run(Inputs([series], [Assignment(series.symbol, strategy, params)], settings, funding))


def _split(
    instance: StrategyInstance,
    series: BarSeries,
    live: Sequence[Said],
    own: Sequence[Said],
    orders: Sequence[tuple[Order, Decimal]],
    held: Decimal,
    fee_bps: Decimal,
) -> Split | None:
    followed = _run(series, scripted(live), NoParams(), instance, fee_bps)
    alone = _run(series, scripted(own), NoParams(), instance, fee_bps)
    opens = {int(ns): at for at, ns in enumerate(series.open_ns.tolist())}
    traded = [
        trade
        for order, share in orders
        for trade in _traded(order, share, series, opens)
    ]  # fmt: skip
    if not traded and not held and not len(followed.ledger.fills) and not len(alone.ledger.fills):
        return None
    tick = instance.instrument.to_domain().tick_size
    cash = followed.cash
    return split(
        traded,
        last_price=int(series.close[-1]) * tick,
        carried_quantity=held,
        carried_price=int(series.close[int(np.searchsorted(series.close_ns, live[0].close_ns))]) * tick,
        followed=followed.final_equity - from_units(cash),
        followed_fees=from_units(followed.fees),
        backtest=alone.final_equity - from_units(cash),
    )


def _traded(order: Order, share: Decimal, series: BarSeries, opens: dict[int, int]) -> list[Traded]:
    decision = order.decision
    at = None if decision is None else opens.get(datetime_to_ns(decision.bar_open_at))
    if decision is None or at is None:
        return []
    tick = series.instrument.tick_size
    reference = int(series.open[at + 1]) * tick if at + 1 < len(series) else decision.price
    arrival = order.arrival_mid if order.arrival_mid is not None else reference
    sign = 1 if order.side == "BUY" else -1
    return [
        Traded(
            quantity=sign * fill.quantity * share,
            price=fill.price,
            fee=fill.commission_quote * share,
            reference=reference,
            arrival=arrival,
        )
        for fill in Fill.objects.filter(order=order).order_by("traded_at", "id")
    ]
