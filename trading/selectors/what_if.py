"""What a change would do, from what happened: orders of the last week judged again, capital as a share of equity.

Every order keeps what each rail measured, so that another limit can be held against the same week.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus
from trading.domain.risk import RAILS, SEND_RAILS
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
