"""What the rails are told about the world, read under the locks of the order's reservation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

from nautilus_site.common.clock import now
from trading.domain.orders import OPEN
from trading.domain.risk import OpenBreaker, RailResult, RiskContext, RiskLimits
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import OrderType, times_of, to_units
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    ExposureBucket,
    Position,
    Strategy,
)
from trading.services.controls.states import effective_level
from trading.services.exposure import bucket_scopes
from trading.services.scopes import scopes_of
from universe.models import Instrument, Quote

NEVER_NS = 2**62
_ALL_TYPES = frozenset(OrderType)
_UNIT = Decimal("1E-8")
MINUTE = timedelta(seconds=60)

# One round trip, each part by its own index: the states stand in the text so that the partial index of the open
# orders serves, however long the history is. A confirmed difference that nobody has explained yet disturbs.
_OPEN = ", ".join(f"'{status.value}'" for status in sorted(OPEN))
_RECORD = f"""
SELECT minute.orders, minute.oldest_at, open.orders, open.unknown_at,
       EXISTS (SELECT 1 FROM trading_divergence
                WHERE account_id = %(account)s AND resolved_at IS NULL AND confirmed_at IS NOT NULL),
       (SELECT in_force_until FROM trading_strategyinstance
         WHERE account_id = %(account)s AND instrument_id = %(instrument)s AND strategy_id = %(strategy)s LIMIT 1),
       (SELECT array_agg(i.symbol::text) FROM trading_symbolallowance AS a
          JOIN universe_instrument AS i ON i.id = a.instrument_id WHERE a.account_id = %(account)s)
  FROM (SELECT count(*) AS orders, min(created_at) AS oldest_at FROM trading_order
         WHERE account_id = %(account)s AND created_at > %(since)s
           AND status <> 'DENIED' AND origin <> 'external') AS minute,
       (SELECT count(*) AS orders, min(sent_at) FILTER (WHERE status = 'UNKNOWN') AS unknown_at
          FROM trading_order
         WHERE account_id = %(account)s AND instrument_id = %(instrument)s
           AND status IN ({_OPEN})) AS open
"""  # noqa: S608  only our own enumeration is put in


@dataclass(frozen=True, slots=True)
class Books:
    """The locked rows an order is judged by."""

    position: Position
    balances: dict[str, Balance]
    buckets: dict[str, ExposureBucket]


@dataclass(frozen=True, slots=True)
class _Record:
    """What the tables tell of an account's and a symbol's recent past."""

    last_minute: int
    oldest_at: datetime | None
    open_orders: int
    unknown_at: datetime | None
    diverging: bool
    grant_until: datetime | None
    allowed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Market:
    """Top of the book as last received."""

    bid: Decimal | None
    ask: Decimal | None
    received_at: datetime | None

    @property
    def mid(self) -> Decimal | None:
        if not self.bid or not self.ask:
            return None
        return (self.bid + self.ask) / 2


def market_of(instrument: Instrument) -> Market:
    """The book as it is stored now."""
    row = Quote.objects.filter(instrument=instrument).values_list("bid", "ask", "received_at")
    return Market(*next(iter(row), (None, None, None)))


def market_as_loaded(instrument: Instrument) -> Market:
    """The book that was read along with the instrument (`select_related("quote")`)."""
    quote: Quote | None = getattr(instrument, "quote", None)
    return Market(quote.bid, quote.ask, quote.received_at) if quote else Market(None, None, None)


def risk_limits(values: dict[str, Decimal]) -> RiskLimits:
    """The kernel's limits from the rows in force."""
    second = 1_000_000_000
    return RiskLimits(
        min_notional=to_units(values["min_notional"]),
        max_notional=to_units(values["max_notional"]),
        max_quantity=to_units(values["max_quantity"]),
        exposure_symbol=to_units(values["exposure_symbol"]),
        exposure_strategy=to_units(values["exposure_strategy"]),
        exposure_account=to_units(values["exposure_account"]),
        exposure_global=to_units(values["exposure_global"]),
        orders_per_minute=int(values["orders_per_minute"]),
        max_open_orders=int(values["max_open_orders"]),
        collar_bps=int(values["price_collar"]),
        quote_age_max_ns=int(values["price_max_age"] * second),
        decision_ttl_ns=int(values["decision_ttl"] * second),
        reconcile_age_max_ns=int(values["reconcile_max_age"] * second),
        unknown_age_max_ns=int(values["unknown_max_age"] * second),
    )


def risk_context(
    *,
    account: Account,
    instrument: Instrument,
    domain: DomainInstrument,
    strategy: Strategy | None,
    model: str = "",
    books: Books,
    market: Market,
    values: dict[str, Decimal],
    expires_at: datetime | None,
) -> RiskContext:
    """Gather everything the rails ask. `values` are the limits in force, the earliest of which ends at `expires_at`."""
    moment = now()
    name = strategy.name if strategy else None
    scopes = scopes_of(
        venue=account.venue.name, account=account.name, symbol=instrument.symbol, strategy=name, model=model
    )
    level, level_scope = effective_level(scopes)
    base = books.balances.get(instrument.base_asset)
    quote = books.balances.get(instrument.quote_asset)
    loaded = account.opened_at is not None
    recent = _record(account, instrument, strategy, moment)
    expiries = [at for at in (expires_at, recent.grant_until) if at is not None]
    valid_ns = _ns(min(expiries) - moment) if expiries else NEVER_NS
    reconciled_age = (
        None if account.reconciled_at is None or recent.diverging else _ns(moment - account.reconciled_at)
    )
    quote_age = None if market.received_at is None else _ns(moment - market.received_at)
    if not settings.WALL_TIME_RAILS and quote_age is not None:
        quote_age = 0
    symbol_bucket, *_ = bucket_scopes(account.name, instrument.symbol, name)
    return RiskContext(
        instrument=domain,
        limits=risk_limits(values),
        level=level,
        level_scope=level_scope,
        limits_valid_for_ns=valid_ns,
        strategy_enabled=strategy.is_enabled if strategy else True,
        allowed_symbols=recent.allowed,
        allowed_types=_ALL_TYPES,
        best_bid=_ticks(domain, market.bid),
        best_ask=_ticks(domain, market.ask),
        quote_age_ns=quote_age,
        position=to_units(books.position.quantity) if loaded else None,
        open_buy=to_units(books.position.open_buy),
        open_sell=to_units(books.position.open_sell),
        open_orders=recent.open_orders,
        free_base=_free(base) if loaded else None,
        free_quote=_free(quote) if loaded else None,
        pending_base=to_units(base.reserved) if base else 0,
        pending_quote=to_units(quote.reserved) if quote else 0,
        used_symbol=_used(books, symbol_bucket),
        used_strategy=_used(books, f"strategy:{name}") if name else 0,
        used_account=_used(books, f"account:{account.name}"),
        used_global=_used(books, "global"),
        orders_last_minute=recent.last_minute,
        oldest_order_age_ns=_ns(moment - recent.oldest_at) if recent.oldest_at else 0,
        reconciled_age_ns=reconciled_age,
        unknown_age_ns=_ns(moment - recent.unknown_at) if recent.unknown_at else 0,
        open_breakers=open_breakers(scopes),
    )


def open_breakers(scopes: list[str]) -> tuple[OpenBreaker, ...]:
    """Breakers of these scopes that block now. A half-open one lets orders through: calls decide its fate."""
    moment = now()
    return tuple(
        OpenBreaker(
            name=row.name,
            scope=row.scope,
            reason=row.reason,
            retry_after_s=max(0.0, (row.retry_at - moment).total_seconds()) if row.retry_at else None,
        )
        for row in CircuitBreaker.objects.filter(scope__in=scopes, state=CircuitBreaker.State.OPEN)
    )


def check_members(results: tuple[RailResult, ...]) -> list[dict[str, Any]]:
    """Rail verdicts as they are stored and shown."""
    return [
        {
            "rail": r.rail,
            "passed": r.passed,
            "code": r.code.value if r.code else None,
            "measured": r.measured,
            "limit": r.limit,
            "unit": r.unit,
            "detail": r.detail,
        }
        for r in results
    ]


def _record(account: Account, instrument: Instrument, strategy: Strategy | None, moment: datetime) -> _Record:
    parameters: dict[str, Any] = {
        "account": account.pk,
        "instrument": instrument.pk,
        "strategy": strategy.pk if strategy else None,
        "since": moment - MINUTE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, parameters)
        row = cursor.fetchone()
    last_minute, oldest_at, open_orders, unknown_at, diverging, grant_until, allowed = row
    return _Record(
        last_minute, oldest_at, open_orders, unknown_at, diverging, grant_until, frozenset(allowed or ())
    )


def _free(balance: Balance | None) -> int:
    """What the ledger holds of an asset; an opened account without a row for it holds none.

    A transfer may bring more digits than a trade ever uses; what lies beyond them cannot be spent.
    """
    return times_of(balance.amount, _UNIT)[0] if balance else 0


def _used(books: Books, scope: str) -> int:
    bucket = books.buckets.get(scope)
    return to_units(bucket.used) if bucket else 0


def _ticks(domain: DomainInstrument, price: Decimal | None) -> int | None:
    return None if price is None else domain.ticks(price)


def _ns(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000_000 + span.microseconds * 1_000
