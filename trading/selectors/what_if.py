"""What a change would do, from what happened: orders of the last week judged again, capital as a share of equity.

Every order keeps what each rail measured, so that another limit can be held against the same week.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection
from django.db.models import Count, DecimalField, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus
from trading.domain.risk import RAILS, SEND_RAILS, DenyReason
from trading.domain.values import decimal_text
from trading.models import EquityAnchor, ExposureBucket, Order, StrategyInstance

DAYS = 7
MOST = 20_000
"""Orders looked at, the newest: enough for a week of most desks, little enough for an answer at once."""

_MEASURED = """
    SELECT judged.passed, judged.measured
      FROM (SELECT o.id, o.checks FROM trading_order o WHERE o.id = ANY(%s)) o,
   LATERAL (SELECT (found ->> 'passed')::boolean AS passed, found ->> 'measured' AS measured
              FROM jsonb_array_elements(o.checks) found
             WHERE found ->> 'rail' = ANY(%s) AND found ->> 'measured' IS NOT NULL) judged
"""


_HELD_AGAINST = """
    SELECT held.measured, held.bound
      FROM (SELECT o.id, o.checks FROM trading_order o WHERE o.id = ANY(%s)) o,
   LATERAL (SELECT found ->> 'measured' AS measured, found ->> 'limit' AS bound
              FROM jsonb_array_elements(o.checks) found
             WHERE found ->> 'passed' = 'false' AND found ->> 'code' = 'EXPOSURE_STRATEGY' LIMIT 1) held
"""
_AMOUNT: DecimalField[Decimal, Decimal] = DecimalField(max_digits=38, decimal_places=10)


def orders_in(scope: str, since: datetime) -> QuerySet[Order]:
    """Orders of a scope since a moment."""
    kind, _, rest = scope.partition(":")
    orders = Order.objects.filter(created_at__gte=since)
    match kind:
        case "account":
            return orders.filter(account__name=rest)
        case "venue":
            return orders.filter(account__venue__name=rest)
        case "symbol":
            return orders.filter(instrument__symbol=rest.rpartition(":")[2])
        case "strategy":
            return orders.filter(strategy__name=rest)
        case "strategy_symbol":
            name, _, symbol = rest.rpartition(":")
            return orders.filter(strategy__name=name, instrument__symbol=symbol)
        case _:
            return orders


def denied_in(scope: str, codes: Iterable[str], *, since: datetime | None = None) -> int:
    """How many orders of a scope were denied with one of these codes, in the last week unless said."""
    begin = since or now() - timedelta(days=DAYS)
    return orders_in(scope, begin).filter(status=OrderStatus.DENIED, code__in=list(codes)).count()


def limit_would_have(name: str, scope: str, value: Decimal, *, tighter: str) -> dict[str, Any]:
    """What a value of a limit would have done to the orders of the last week, by what its rails measured then.

    `highest_use` is the furthest an order came, as a share of the value; None where no rail measured anything.
    """
    rails = [rail.name for rail in (*RAILS, *SEND_RAILS) if rail.limit == name]
    ids = list(
        orders_in(scope, now() - timedelta(days=DAYS)).order_by("-id").values_list("pk", flat=True)[:MOST]
    )
    with connection.cursor() as cursor:
        cursor.execute(_MEASURED, [ids, rails])
        judged = [(passed, _number(text)) for passed, text in cursor.fetchall()]
    seen = [(passed, measured) for passed, measured in judged if measured is not None]
    beyond = [(measured > value if tighter == "lower" else measured < value) for _, measured in seen]
    measures = [measured for _, measured in seen]
    furthest = (max(measures) if tighter == "lower" else min(measures)) if measures else None
    return {
        "orders_last_7_days": len(ids),
        "would_have_blocked": sum(beyond),
        "would_have_let_through": sum(
            not passed and not over for (passed, _), over in zip(seen, beyond, strict=True)
        ),
        "highest_use": share_text(furthest, value) if furthest is not None else None,
    }


def stopped_in(scope: str, codes: Iterable[str], *, since: datetime) -> dict[str, Any]:
    """Orders of a scope that were denied with one of these codes: how many, and what those with a price were worth."""
    stopped = orders_in(scope, since).filter(status=OrderStatus.DENIED, code__in=list(codes))
    found = stopped.aggregate(
        count=Count("pk"), worth=Sum(F("quantity") * Coalesce("price", "arrival_mid"), output_field=_AMOUNT)
    )
    return {
        "orders_stopped_since": found["count"],
        "worth_stopped_since": usd_text(found["worth"] or Decimal(0)),
    }


def capital_would_have(scope: str, factor: Decimal | None) -> dict[str, Any]:
    """What more capital would have done to the orders of the last week that had too little of it.

    `factor` is the capital then over the capital now; None where there is none now, which no order was held against.
    """
    ids = list(
        orders_in(scope, now() - timedelta(days=DAYS))
        .filter(status=OrderStatus.DENIED, code=DenyReason.EXPOSURE_STRATEGY)
        .order_by("-id")
        .values_list("pk", flat=True)[:MOST]
    )
    with connection.cursor() as cursor:
        cursor.execute(_HELD_AGAINST, [ids])
        judged = [(_number(measured), _number(limit)) for measured, limit in cursor.fetchall()]
    through = sum(
        measured is not None and limit is not None and factor is not None and measured <= limit * factor
        for measured, limit in judged
    )
    return {"denied_last_7_days": len(ids), "would_have_let_through": through}


def capital_under(scope: str) -> Decimal:
    """Weight times allocation of what is on in a scope, in quote currency: what trades again where it may."""
    kind, _, rest = scope.partition(":")
    rows = StrategyInstance.objects.filter(is_enabled=True, strategy__is_enabled=True)
    match kind:
        case "account":
            rows = rows.filter(account__name=rest)
        case "venue":
            rows = rows.filter(account__venue__name=rest)
        case "symbol":
            rows = rows.filter(instrument__symbol=rest.rpartition(":")[2])
        case "strategy":
            rows = rows.filter(strategy__name=rest)
        case "strategy_symbol":
            name, _, symbol = rest.rpartition(":")
            rows = rows.filter(strategy__name=name, instrument__symbol=symbol)
        case "model":
            rows = rows.filter(strategy__model_family=rest.partition("@")[0])
    return sum(
        (weight * allocation for weight, allocation in rows.values_list("weight", "allocation")), Decimal(0)
    )


def usd_text(amount: Decimal) -> str:
    """`3000 USDT`, to the cent."""
    return f"{decimal_text(amount.quantize(Decimal('0.01')))} USDT"


def capital_share(amount: Decimal) -> str | None:
    """An amount as a share of the equity last marked; None while that is not known."""
    anchor = EquityAnchor.objects.filter(scope="global").first()
    return share_text(amount, anchor.equity) if anchor is not None and anchor.equity > 0 else None


def strategy_capital(name: str) -> Decimal:
    """Weight times allocation over the symbols of a strategy that are on, in quote currency."""
    rows = StrategyInstance.objects.filter(strategy__name=name, is_enabled=True).values_list(
        "weight", "allocation"
    )
    return sum((weight * allocation for weight, allocation in rows), Decimal(0))


def exposure_of(symbols: Iterable[str]) -> Decimal:
    """Exposure in use of some symbols, pending orders included, over all accounts."""
    wanted = Q()
    for symbol in symbols:
        wanted |= Q(scope__startswith="symbol:", scope__endswith=f":{symbol}")
    used = ExposureBucket.objects.filter(wanted).aggregate(used=Sum("used"))["used"] if wanted else None
    return used or Decimal(0)


def share_text(part: Decimal, whole: Decimal) -> str | None:
    """`41 %`, and `0.5 %` where it is little; None of nothing."""
    if not whole:
        return None
    percent = part / whole * 100
    return f"{decimal_text(percent.quantize(Decimal(1) if abs(percent) >= 10 else Decimal('0.1')))} %"


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except (InvalidOperation, TypeError):
        return None
    return value if value.is_finite() else None
