"""Decisions of strategies that look at books, decided again from what each step was recorded to have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from trading.domain.clock import datetime_to_ns, ns_to_datetime
from trading.domain.parity import (
    Comparison,
    Followed,
    Said,
    Split,
    Step,
    Top,
    Traded,
    decide_again,
    quotes_followed,
    split,
    targets_followed,
)
from trading.domain.strategies import Strategy, parse_params
from trading.domain.strategies.base import NO_BAR, Bar
from trading.models import Decision, Fill, ObservedStep, Order, StrategyInstance
from trading.services.models import parameters_in_force
from trading.services.parity.orders import denied, orders_of, timing
from trading.services.parity.recorded import observation_of, said_in
from trading.services.parity.report import ParityReport
from trading.services.strategies import parameters_digest
from trading.services.strategies.observing import strategy_bar
from trading.services.strategy_kinds import strategy_load
from universe.selectors import bars_since

_CASH_FACTOR: Final = 100
_PARTS_PER_BPS: Final = 10_000
_BPS: Final = 10_000
NOT_KEPT: Final = "what they saw is not kept"


def steps_at_books(instance: StrategyInstance) -> bool:
    """Whether its decisions hang on books, which bars do not hold."""
    return strategy_load(instance.strategy.kind).steps_at_books


def steps_compared(
    instance: StrategyInstance, start: datetime | None, end: datetime | None, fee_bps: Decimal
) -> ParityReport | None:
    """Compare an instance over the steps that are kept. None where it has neither stepped nor decided."""
    row = instance.strategy
    kind, parameters = strategy_load(row.kind)(), parameters_in_force(row)
    params: Any = parse_params(kind.Params, parameters)
    skipped: Counter[str] = Counter()
    kept = ObservedStep.objects.filter(instance=instance).order_by("pk")
    decisions = Decision.objects.filter(instance=instance)
    if start is not None:
        kept, decisions = kept.filter(bar_open_at__gte=start), decisions.filter(bar_open_at__gte=start)
    if end is not None:
        kept, decisions = kept.filter(bar_open_at__lt=end), decisions.filter(bar_open_at__lt=end)
    first_kept = kept.first()
    older = decisions if first_kept is None else decisions.filter(decided_at__lt=first_kept.stepped_at)
    if not first_kept and not older.exists():
        return None
    if count := older.count():
        skipped[NOT_KEPT] = count
    again = decide_again(kind, params, _steps(instance, kept, parameters_digest(row, parameters), skipped))
    if again.unknown:
        skipped["what they remembered is not kept"] = again.unknown
    if not again.steps:
        moment = older.latest("decided_at").decided_at if first_kept is None else first_kept.stepped_at
        return ParityReport(
            row.name, instance.account.name, instance.instrument.symbol, row.interval, moment, moment,
            Comparison(0, ()), None, dict(skipped),
        )  # fmt: skip
    first_ns, last_ns = again.steps[0].seen.now_ns, again.steps[-1].seen.now_ns
    orders = orders_of(instance, None, ns_to_datetime(last_ns))
    from_ns = again.steps[0].seen.bar.open_ns
    mine = [
        (order, share)
        for order, share in orders
        if order.decision is not None and datetime_to_ns(order.decision.bar_open_at) >= from_ns
    ]
    return ParityReport(
        strategy=row.name,
        account=instance.account.name,
        symbol=instance.instrument.symbol,
        interval=row.interval,
        start=ns_to_datetime(first_ns),
        end=ns_to_datetime(last_ns),
        comparison=again.comparison,
        split=_split(instance, kind, again.steps, again.own, orders, fee_bps),
        skipped=dict(skipped),
        timing=timing(mine),
        orders=len(mine),
        denied=denied(mine),
    )


def _steps(instance: StrategyInstance, kept: Any, digest: str, skipped: Counter[str]) -> Iterator[Step]:
    bars: dict[datetime, Bar] | None = None
    chain, last = 0, None
    for row in kept.iterator(chunk_size=2_000):
        if row.parameters_digest != digest:
            skipped["made with other parameters"] += 1
            chain += 1
            continue
        if row.bar_open_at is not None and bars is None:
            bars = {
                ns_to_datetime(bar.open_time_ns): strategy_bar(bar)
                for bar in bars_since(instance.instrument, instance.strategy.interval, row.bar_open_at)
            }
        bar = NO_BAR if row.bar_open_at is None else (bars or {}).get(row.bar_open_at)
        if bar is None:
            skipped["their bars are no longer stored"] += 1
            chain += 1  # what is left out is missing in the memory of those behind it
            continue
        if row.warm_from_at != last:
            chain, last = chain + 1, row.warm_from_at
        memory = None if row.memory is None else (row.memory[0],)
        yield Step(observation_of(row, instance, bar), said_in(row), memory, chain, row.seen["fill_seen_id"])


def _split(
    instance: StrategyInstance,
    kind: Strategy,
    steps: Sequence[Step],
    own: Sequence[Said | None],
    orders: Sequence[tuple[Order, Decimal]],
    fee_bps: Decimal,
) -> Split | None:
    live_tops, live = _told(steps, [step.said for step in steps])
    tops, again = _told(steps, own)
    if not live_tops:
        return None
    between = steps[0].shown, steps[-1].shown
    held = Decimal(str(steps[0].seen.position))
    traded = [trade for order, share in orders for trade in _traded(order, share, between)]
    followed = _followed(instance, kind, live_tops, live, held, fee_bps)
    alone = _followed(instance, kind, tops, again, held, fee_bps)
    if not traded and not held and not followed.fees and not alone.fees and not followed.result:
        return None
    return split(
        traded,
        last_price=live_tops[-1].middle,
        carried_quantity=held,
        carried_price=live_tops[0].middle,
        followed=followed.result,
        followed_fees=followed.fees,
        backtest=alone.result,
    )


def _told(steps: Sequence[Step], said: Sequence[Said | None]) -> tuple[list[Top], list[Said | None]]:
    """The books with two sides and what was said at each; what was said without one counts at the next."""
    tops: list[Top] = []
    at_them: list[Said | None] = []
    waiting: Said | None = None
    for step, one in zip(steps, said, strict=True):
        seen = step.seen
        waiting = one if one is not None else waiting
        if not (0.0 < seen.bid < seen.ask):
            continue
        sides = (Decimal(str(value)) for value in (seen.bid, seen.ask, seen.bid_size, seen.ask_size))
        tops.append(Top(seen.now_ns, *sides))
        at_them.append(
            None
            if waiting is None
            else Said(seen.now_ns, waiting.target, 1.0, waiting.reason, waiting.quotes)
        )
        waiting = None
    return tops, at_them


def _followed(
    instance: StrategyInstance,
    kind: Strategy,
    tops: Sequence[Top],
    said: Sequence[Said | None],
    held: Decimal,
    fee_bps: Decimal,
) -> Followed:
    domain = instance.instrument.to_domain()
    capital = max(instance.allocation * instance.weight, Decimal(1))
    if kind.makes_market:
        return quotes_followed(
            domain,
            tops,
            said,
            cash=capital * _CASH_FACTOR,
            inventory=max(Decimal(0), held),
            maker_rate=int(fee_bps * _PARTS_PER_BPS),
        )
    return targets_followed(domain, tops, said, capital=capital, taker_rate=fee_bps / _BPS)


def _traded(order: Order, share: Decimal, between: tuple[int, int]) -> list[Traded]:
    """What it traded between the first step and the last, beside the middle it was decided at."""
    if order.decision is None:
        return []
    sign = 1 if order.side == "BUY" else -1
    reference = order.decision.price
    return [
        Traded(
            quantity=sign * fill.quantity * share,
            price=fill.price,
            fee=fill.commission_quote * share,
            reference=reference,
            arrival=order.arrival_mid if order.arrival_mid is not None else reference,
        )
        for fill in Fill.objects.filter(order=order, pk__gt=between[0], pk__lte=between[1]).order_by("pk")
    ]
