"""What the second person should know of a change: in orders of the last week, in capital, in exposure as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from trading.domain.risk import DenyReason
from trading.domain.values import Level
from trading.models import CircuitBreaker, CorrelationGroup, Strategy, StrategyInstance, TradingState
from trading.selectors.what_if import (
    DAYS,
    capital_share,
    capital_under,
    capital_would_have,
    denied_in,
    exposure_of,
    stopped_in,
    strategy_capital,
    usd_text,
)
from trading.services.reconcile.periods import sweep_periods

_DAY_S = 86_400
Effect = dict[str, Any]


def level_effect(scope: str, payload: Mapping[str, Any]) -> Effect:
    """Orders the level has stopped since it was set, which the lower one may let through."""
    state = TradingState.objects.filter(scope=scope).first()
    since = state.changed_at if state else now()
    return {
        "from": state.effective.name if state else Level.ACTIVE.name,
        "to": Level(payload["to_level"]).name,
        "was set because": state.reason if state else "",
        **stopped_in(scope, [DenyReason.TRADING_HALTED], since=since),
        **_trades_again(scope),
    }


def breaker_reset_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """Why it opened, and what it has stopped since."""
    row = CircuitBreaker.objects.get(pk=payload["breaker_id"])
    return {
        "breaker": f"{row.name} of {row.scope}",
        "opened because": row.reason,
        "measured": _measured(row),
        **stopped_in(row.scope, [DenyReason.BREAKER_OPEN], since=row.changed_at),
        **_trades_again(row.scope),
    }


def breaker_rule_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """What it measures now beside what would open it, now and then, and when it would not have opened last week."""
    row = CircuitBreaker.objects.get(pk=int(target.partition(":")[2]))
    after = {**row.rule_members, **payload}
    openings = AuditEntry.objects.filter(
        action="breaker.open", target=f"{row.name}@{row.scope}", at__gte=now() - timedelta(days=DAYS)
    ).values_list("after__measured", flat=True)
    measured = [float(value) for value in openings if isinstance(value, int | float)]
    still = [value for value in measured if value >= after["threshold"] and after["is_enabled"]]
    opens = row.measured is not None and row.measured >= after["threshold"] and after["is_enabled"]
    return {
        "breaker": f"{row.name} of {row.scope}",
        "measured": _measured(row),
        "opens_at_now": f"{row.threshold:g} {row.unit}" if row.is_enabled else "never",
        "opens_at_then": f"{after['threshold']:g} {row.unit}" if after["is_enabled"] else "never",
        "open_by_the_last_measure": opens,
        "opened_last_7_days": len(measured),
        "would_not_have_opened": len(measured) - len(still),
    }


def group_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """What no longer counts against the group's cap, and what that cap has stopped."""
    group = CorrelationGroup.objects.get(name=target.partition(":")[2])
    leaving = sorted(set(group.symbols) - set(payload["symbols"]))
    return {
        "no_longer_counted": leaving,
        "exposure_of_these_now": usd_text(exposure_of(leaving)),
        "denied_last_7_days": sum(denied_in(f"symbol:{s}", [DenyReason.EXPOSURE_GROUP]) for s in leaving),
    }


def strategy_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """The capital a strategy trades with from then on, and how often it was stopped for being off."""
    name = target.partition(":")[2]
    capital = strategy_capital(name)
    return {
        "may_trade": usd_text(capital),
        "share_of_equity": capital_share(capital),
        "symbols": _symbols(name),
        "stopped_while_off_last_7_days": denied_in(f"strategy:{name}", [DenyReason.STRATEGY_DISABLED]),
    }


def redefine_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """The capital that the other definition decides about; it begins with a new warm-up."""
    name = target.partition(":")[2]
    row = Strategy.objects.get(name=name)
    capital = strategy_capital(name)
    return {
        "decides_about": usd_text(capital),
        "share_of_equity": capital_share(capital),
        "symbols": _symbols(name),
        "another_kind": row.kind != payload["kind"],
    }


def grant_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """Weight times allocation before and after, and orders that found too little of it."""
    row = _instance(target)
    before, after = row.weight * row.allocation, Decimal(payload["weight"]) * Decimal(payload["allocation"])
    return {
        "may_trade_now": usd_text(before),
        "may_trade_then": usd_text(after),
        "share_of_equity_then": capital_share(after),
        **capital_would_have(
            f"strategy_symbol:{row.strategy.name}:{row.instrument.symbol}", after / before if before else None
        ),
    }


def listing_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """The most the strategy may put into new listings within a day."""
    most = Decimal(payload["allocation"]) * int(payload["per_day"])
    return {
        "in_a_day_at_most": usd_text(most),
        "share_of_equity": capital_share(most),
        "strategy_is_on": Strategy.objects.filter(name=target.partition(":")[0], is_enabled=True).exists(),
    }


def instance_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """What the symbol may be traded with."""
    row = _instance(target)
    capital = row.weight * row.allocation
    return {
        "may_trade": usd_text(capital),
        "share_of_equity": capital_share(capital),
        "strategy_is_on": row.strategy.is_enabled,
    }


def allowance_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """Orders the list has stopped, and whose capital waits for the symbol."""
    account, _, symbol = target.partition(":")
    waiting = StrategyInstance.objects.filter(
        account__name=account, instrument__symbol=symbol, is_enabled=True, strategy__is_enabled=True
    ).values_list("strategy__name", flat=True)
    return {
        "denied_last_7_days": denied_in(f"symbol:{symbol}", [DenyReason.SYMBOL_NOT_ALLOWED]),
        "strategies_that_wait": sorted(waiting) or "none",
    }


def override_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """How large the one order may be."""
    notional = Decimal(payload["max_notional"])
    return {
        "one_order_up_to": usd_text(notional),
        "share_of_equity": capital_share(notional),
        "within": f"{payload['valid_for_s']} s of the approval",
    }


def period_effect(target: str, payload: Mapping[str, Any]) -> Effect:
    """How often the books are compared in a day, and how long a difference may go unseen."""
    sweep = target.partition(":")[2]
    before = next(every_s for name, every_s in sweep_periods().items() if str(name) == sweep)
    return {
        "comparisons_a_day_now": round(_DAY_S / before),
        "comparisons_a_day_then": round(_DAY_S / payload["every_s"]),
        "a_difference_stays_unseen_up_to": f"{payload['every_s']:g} s",
    }


def _trades_again(scope: str) -> Effect:
    """The capital of what is on in a scope, which may take new risk once the scope lets it."""
    capital = capital_under(scope)
    return {"may_trade_again": usd_text(capital), "share_of_equity": capital_share(capital)}


def _instance(target: str) -> StrategyInstance:
    rows = StrategyInstance.objects.select_related("strategy", "instrument")
    return rows.get(pk=int(target.partition(":")[2]))


def _symbols(strategy: str) -> list[str]:
    rows = StrategyInstance.objects.filter(strategy__name=strategy, is_enabled=True)
    return sorted(set(rows.values_list("instrument__symbol", flat=True)))


def _measured(row: CircuitBreaker) -> str:
    return "nothing yet" if row.measured is None else f"{row.measured:g} {row.unit}"
