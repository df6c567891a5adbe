"""Writing down what a strategy wants: one decision per bar, and one at a book wherever its quotes change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.clock import ns_to_datetime
from trading.domain.orders import decision_id
from trading.domain.strategies import Desired
from trading.domain.strategies.parameters import ParameterError
from trading.domain.values import decimal_text
from trading.models import Decision, Strategy, StrategyInstance
from trading.services.models import model_name
from universe.domain.bars import BarRecord


def parameters_digest(row: Strategy, parameters: Mapping[str, Any]) -> str:
    """Name what decides: a decision of other code, interval or parameters has another key."""
    text = json.dumps([row.kind, row.interval, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def decision_key(instance: StrategyInstance, digest: str, close_ns: int) -> str:
    """Return the key of the decision about the bar that closes at `close_ns`."""
    return decision_id(instance.strategy.name, digest[:12], _place(instance), close_ns)


def decide_at_bar(instance: StrategyInstance, bar: BarRecord, desired: Desired, digest: str) -> Decision:
    """Record what it wants after a bar; a second time the first record stands."""
    decision, created = Decision.objects.get_or_create(
        instance=instance,
        trigger=Decision.Trigger.BAR,
        bar_open_at=ns_to_datetime(bar.open_time_ns),
        defaults={
            "key": decision_key(instance, digest, bar.close_time_ns),
            "price": bar.close,
            **_wanted(instance, desired),
        },
    )
    if created:
        _tell(instance, decision)
    return decision


def decide_at_book(
    instance: StrategyInstance,
    bar_open_at: datetime,
    at_ns: int,
    price: Decimal,
    desired: Desired,
    digest: str,
) -> Decision:
    """Record what it wants at a book. `at_ns` is market time and names the decision."""
    key = decision_id(instance.strategy.name, digest[:12], _place(instance), f"book:{at_ns}")
    decision, created = Decision.objects.get_or_create(
        key=key,
        defaults={
            "instance": instance,
            "trigger": Decision.Trigger.BOOK,
            "bar_open_at": bar_open_at,
            "price": price,
            **_wanted(instance, desired),
        },
    )
    if created:
        _tell(instance, decision)
    return decision


def quote_members(desired: Desired) -> dict[str, float] | None:
    """The resting quotes it wants, as they are stored."""
    if desired.quotes is None:
        return None
    wanted = desired.quotes
    return {
        "bid_price": wanted.bid_price,
        "bid_size": wanted.bid_size,
        "ask_price": wanted.ask_price,
        "ask_size": wanted.ask_size,
    }


def protection_members(desired: Desired) -> dict[str, float] | None:
    """The exits its position should carry, as they are stored; the bracket of the symbol follows them."""
    if desired.protection is None:
        return None
    exits = desired.protection
    members = {"stop": exits.stop, "take_profit": exits.take_profit, "trailing": exits.trailing}
    return {name: value for name, value in members.items() if value is not None} or None


def check_servable(desired: Desired | None, *, makes_market: bool) -> None:
    """Refuse what it has not said it does: quotes, which are traded in place of a target.

    Raises
    ------
    ParameterError : quotes of a strategy that does not declare `makes_market`.
    """
    if desired is not None and desired.quotes is not None and not makes_market:
        raise ParameterError("quotes", "a strategy that wants resting quotes declares makes_market = True")


def _place(instance: StrategyInstance) -> str:
    return f"{instance.account.name}:{instance.instrument.symbol}"


def _wanted(instance: StrategyInstance, desired: Desired) -> dict[str, Any]:
    return {
        "target": desired.target,
        "confidence": desired.confidence,
        "reason": desired.reason,
        "features": dict(desired.features),
        "quotes": quote_members(desired),
        "model": model_name(instance.strategy),
        "decided_at": now(),
        "warm_from_at": instance.warm_from_at,
    }


def _tell(instance: StrategyInstance, decision: Decision) -> None:
    metrics.STRATEGY_DECISIONS.labels(strategy=instance.strategy.name).inc()
    publish(
        "decisions",
        {
            "strategy": instance.strategy.name,
            "account": instance.account.name,
            "symbol": instance.instrument.symbol,
            "trigger": decision.trigger,
            "target": decision.target,
            "confidence": decision.confidence,
            "reason": decision.reason,
            "model": decision.model,
            "price": decimal_text(Decimal(decision.price)),
            "bar_open_at": decision.bar_open_at.isoformat(),
            "features": decision.features,
            "quotes": decision.quotes,
        },
    )
