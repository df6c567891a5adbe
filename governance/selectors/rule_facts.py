"""The metrics rules look at, all of one moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from trading.domain.orders import OrderStatus
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    Divergence,
    EquityAnchor,
    Fill,
    Order,
    Position,
    TradingState,
)
from trading.selectors.marks import marks_read
from trading.selectors.orders import OPEN_STATUSES
from trading.selectors.portfolio import total_worth, worth_by_account
from universe.models import StreamState

WINDOW = timedelta(minutes=5)
FRESH = timedelta(minutes=2)
EQUITY_METRICS = frozenset({"equity", "drawdown", "day_result", "day_return"})


def rule_metrics(moment: datetime) -> dict[str, Any]:
    """Every metric by its name in the vocabulary; None where it is not known."""
    since = moment - WINDOW
    orders = Order.objects.filter(created_at__gt=since).aggregate(
        orders=Count("id"),
        denied=Count("id", filter=Q(status=OrderStatus.DENIED.value)),
        rejected=Count("id", filter=Q(status=OrderStatus.REJECTED.value)),
    )
    working = Order.objects.filter(status__in=OPEN_STATUSES).aggregate(
        open=Count("id"), unknown=Count("id", filter=Q(status=OrderStatus.UNKNOWN.value))
    )
    reconciled = Account.objects.filter(is_active=True).aggregate(
        oldest=Min("reconciled_at"), never=Count("id", filter=Q(reconciled_at=None))
    )
    stream = StreamState.objects.aggregate(oldest=Min("last_message_at"))["oldest"]
    level = TradingState.objects.filter(scope="global").first()
    return {
        **_equity(moment),
        "exposure_gross": _exposure(),
        "open_orders": working["open"],
        "unknown_orders": working["unknown"],
        "orders_5m": orders["orders"],
        "denied_5m": orders["denied"],
        "rejected_5m": orders["rejected"],
        "fills_5m": Fill.objects.filter(recorded_at__gt=since).count(),
        "open_breakers": CircuitBreaker.objects.filter(state=CircuitBreaker.State.OPEN).count(),
        "open_divergences": Divergence.objects.filter(resolved_at=None, confirmed_at__isnull=False).count(),
        "reconcile_age_s": None if reconciled["never"] else _age(reconciled["oldest"], moment),
        "stream_age_s": _age(stream, moment),
        "level": int(level.effective) if level else None,
    }


def _equity(moment: datetime) -> dict[str, Any]:
    anchor = EquityAnchor.objects.filter(pk="global", marked_at__gt=moment - FRESH).first()
    if anchor is None:
        return dict.fromkeys(EQUITY_METRICS)
    result = anchor.equity - anchor.day_start_equity
    peak, start = anchor.peak_equity, anchor.day_start_equity
    return {
        "equity": anchor.equity,
        "drawdown": max(0.0, float(1 - anchor.equity / peak)) if peak > 0 else None,
        "day_result": result,
        "day_return": float(result / start) if start > 0 else None,
    }


def _exposure() -> Any:
    accounts = list(Account.objects.filter(is_active=True).select_related("venue"))
    ids = [account.pk for account in accounts]
    worths = worth_by_account(
        accounts,
        Balance.objects.filter(account_id__in=ids),
        Position.objects.filter(account_id__in=ids).select_related("instrument"),
        marks_read(),
    )
    total = total_worth(worths.values())
    return None if total.gaps else total.exposure_gross


def _age(at: datetime | None, moment: datetime) -> float | None:
    return None if at is None else (moment - at).total_seconds()
