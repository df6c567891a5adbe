"""Comparing what a strategy did live with what the backtester does on the same bars."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from nautilus_site.common.errors import ApplicationError, NotFound
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
from trading.models import Decision, Fill, Order, PlanShare, StrategyInstance
from trading.selectors.decisions import decision_bars
from trading.services.models import parameters_in_force
from trading.services.strategies import decision_key, parameters_digest
from trading.services.strategy_kinds import strategy_load

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_CASH_FACTOR = 100
"""Backtests of a fixed allocation need an account that never runs out; its size changes nothing else."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """One instance over one span.

    Attributes
    ----------
    comparison : decisions by bar.  split : None where nothing was traded by either.
    skipped : decisions that cannot be compared, by reason.
    timing : medians in seconds of wall time from a decision to its order sent, acknowledged, filled.
    """

    strategy: str
    account: str
    symbol: str
    interval: str
    start: datetime
    end: datetime
    comparison: Comparison
    split: Split | None
    skipped: dict[str, int] = field(default_factory=dict)
    timing: dict[str, float | None] = field(default_factory=dict)
    orders: int = 0
    denied: dict[str, int] = field(default_factory=dict)


def parity_check(
    *,
    strategy: str,
    account: str | None = None,
    symbol: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    fee_bps: Decimal = Decimal(10),
) -> list[ParityReport]:
    """Compare every instance of a strategy, or those of one account or symbol.

    Only decisions of the parameters in force are compared, each with a run over the very bars its memory was
    made from. Results are compared where a strategy is alone on its symbol or has shares in the plans.

    Raises
    ------
    NotFound : code UNKNOWN_STRATEGY; nothing of that name runs there.  ApplicationError : code NO_DECISIONS.
    """
    rows = StrategyInstance.objects.select_related("strategy", "account", "instrument").filter(
        strategy__name=strategy
    )
    if account is not None:
        rows = rows.filter(account__name=account)
    if symbol is not None:
        rows = rows.filter(instrument__symbol=symbol)
    found = list(rows.order_by("account__name", "instrument__symbol"))
    if not found:
        raise NotFound("UNKNOWN_STRATEGY", f"no instance of {strategy!r} runs there")
    reports = [_instance(row, start, end, fee_bps) for row in found]
    told = [report for report in reports if report is not None]
    if not told:
        raise ApplicationError("NO_DECISIONS", f"{strategy} has decided nothing in that time")
    return told


def _instance(
    instance: StrategyInstance, start: datetime | None, end: datetime | None, fee_bps: Decimal
) -> ParityReport | None:
    row = instance.strategy
    # What was decided at a book cannot be decided again from bars; a replay of the book does that.
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
        if kind.steps_at_books:
            skipped["decided by the book, which bars do not hold"] += 1
        elif decision.warm_from_at is None:
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
    orders = _orders(instance, first, last)
    return ParityReport(
        strategy=row.name,
        account=instance.account.name,
        symbol=instance.instrument.symbol,
        interval=row.interval,
        start=first,
        end=last,
        comparison=comparison,
        split=_split(instance, series, live, own, orders, _held_before(instance, first), fee_bps),
        skipped=skipped,
        timing=_timing(orders),
        orders=len(orders),
        denied=_denied(orders),
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
    return run(Inputs([series], [Assignment(series.symbol, strategy, params)], settings))


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


def _held_before(instance: StrategyInstance, first: datetime) -> Decimal:
    """What the instance's orders had bought less sold before a decision."""
    held = Decimal(0)
    for order, share in _orders(instance, None, first - timedelta(milliseconds=1)):
        held += (order.executed_quantity if order.side == "BUY" else -order.executed_quantity) * share
    return held


def _orders(
    instance: StrategyInstance, first: datetime | None, last: datetime
) -> list[tuple[Order, Decimal]]:
    """Orders that these decisions led to, each with the instance's share of it."""
    rows = list(
        Order.objects.select_related("decision")
        .filter(
            account=instance.account,
            instrument=instance.instrument,
            origin=Order.Origin.STRATEGY,
            plan__isnull=False,
            decision__bar_open_at__gte=_ALWAYS if first is None else first,
            decision__bar_open_at__lte=last,
        )
        .order_by("id")
    )
    shares: dict[int, dict[int, Decimal]] = {}
    for share in PlanShare.objects.filter(plan__in=[row.plan_id for row in rows]).select_related("decision"):
        shares.setdefault(share.plan_id, {})[share.decision.instance_id] = share.share
    found = []
    for order in rows:
        assert order.plan_id is not None
        split_between = shares.get(order.plan_id)
        if split_between:
            share_of = split_between.get(instance.pk, Decimal(0))
        else:  # a plan to hold nothing has no shares: the order is the decision's
            alone = order.decision is not None and order.decision.instance_id == instance.pk
            share_of = Decimal(1) if alone else Decimal(0)
        if share_of:
            found.append((order, share_of))
    return found


def _timing(orders: Sequence[tuple[Order, Decimal]]) -> dict[str, float | None]:
    waits: dict[str, list[float]] = {"to_order": [], "to_sent": [], "to_acknowledged": [], "to_filled": []}
    for order, _ in orders:
        if order.decision is None:
            continue
        moments = {
            "to_order": order.created_at,
            "to_sent": order.sent_at,
            "to_acknowledged": order.acknowledged_at,
            "to_filled": order.ended_at if order.executed_quantity else None,
        }
        for name, moment in moments.items():
            if moment is not None:
                waits[name].append((moment - order.decision.decided_at) / timedelta(seconds=1))
    return {name: round(statistics.median(values), 3) if values else None for name, values in waits.items()}


def _denied(orders: Sequence[tuple[Order, Decimal]]) -> dict[str, int]:
    return dict(Counter(order.code for order, _ in orders if order.code))
