"""What the rails are told about the world, read under the locks of the order's reservation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from nautilus_site.common.clock import now
from trading.domain.risk import (
    RAILS,
    Blackout,
    Grant,
    LossMeasured,
    ModelServed,
    NetExposure,
    OpenBreaker,
    ParentOrder,
    RailResult,
    RiskContext,
    RiskLimits,
)
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Level, OrderType, Side, exact_product, times_of, to_units
from trading.domain.values import Market as VenueMarket
from trading.models import (
    Account,
    Balance,
    Decision,
    ExposureBucket,
    Plan,
    Position,
    Strategy,
)
from trading.services.controls.limits import LimitsInForce
from trading.services.exposure import bucket_scopes
from trading.services.margin_state import margin_read
from trading.services.models import model_name
from trading.services.risk_reads import MINUTE, REFUSED_FOR, Facts, facts_read
from trading.services.scopes import GLOBAL, scopes_of
from universe.models import Instrument, Quote

NEVER_NS = 2**62
_ALL_TYPES = frozenset(OrderType)
_UNIT = Decimal("1E-8")
_WEIGHT_LIMIT = 6_000
_LIMIT_OF_RAIL = {rail.name: rail.limit for rail in RAILS}


@dataclass(frozen=True, slots=True)
class Books:
    """The locked rows an order is judged by."""

    position: Position
    balances: dict[str, Balance]
    buckets: dict[str, ExposureBucket]


@dataclass(frozen=True, slots=True)
class Asked:
    """The order the context is gathered for: what of it the tables must be asked about."""

    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    client_order_id: str
    plan: Plan | None = None
    decision: Decision | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Market:
    """Top of the book as last received."""

    bid: Decimal | None
    ask: Decimal | None
    received_at: datetime | None
    last: Decimal | None = None
    mark: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        if not self.bid or not self.ask:
            return None
        return (self.bid + self.ask) / 2


def market_of(instrument: Instrument) -> Market:
    """The book as it is stored now."""
    row = Quote.objects.filter(instrument=instrument).values_list(
        "bid", "ask", "received_at", "last_price", "mark_price"
    )
    return Market(*next(iter(row), (None, None, None)))


def market_as_loaded(instrument: Instrument) -> Market:
    """The book that was read along with the instrument (`select_related("quote")`)."""
    quote: Quote | None = getattr(instrument, "quote", None)
    if quote is None:
        return Market(None, None, None)
    return Market(quote.bid, quote.ask, quote.received_at, quote.last_price, quote.mark_price)


def risk_limits(values: dict[str, Decimal]) -> RiskLimits:
    """The kernel's limits from the rows in force."""
    second, million = 1_000_000_000, 1_000_000
    return RiskLimits(
        min_notional=to_units(values["min_notional"]),
        max_notional=to_units(values["max_notional"]),
        max_quantity=to_units(values["max_quantity"]),
        soft_notional=to_units(values["soft_notional"]),
        exposure_symbol=to_units(values["exposure_symbol"]),
        exposure_strategy=to_units(values["exposure_strategy"]),
        exposure_account=to_units(values["exposure_account"]),
        exposure_global=to_units(values["exposure_global"]),
        net_account=to_units(values["exposure_net_account"]),
        net_global=to_units(values["exposure_net_global"]),
        orders_per_minute=int(values["orders_per_minute"]),
        orders_per_minute_strategy=int(values["orders_per_minute_strategy"]),
        max_open_orders=int(values["max_open_orders"]),
        max_open_orders_strategy=int(values["max_open_orders_strategy"]),
        collar_bps=int(values["price_collar"]),
        slippage_bps=int(values["market_slippage"]),
        disagreement_bps=int(values["price_disagreement"]),
        quote_age_max_ns=int(values["price_max_age"] * second),
        decision_ttl_ns=int(values["decision_ttl"] * second),
        reconcile_age_max_ns=int(values["reconcile_max_age"] * second),
        unknown_age_max_ns=int(values["unknown_max_age"] * second),
        stream_age_max_ns=int(values["stream_max_age"] * second),
        clock_offset_max_ns=int(values["clock_max_offset"] * second),
        clock_age_max_ns=int(values["clock_max_age"] * second),
        equity_age_max_ns=int(values["equity_max_age"] * second),
        near_window_ns=int(values["near_duplicate_window"] * second),
        loss_cooldown_ns=int(values["loss_cooldown"] * second),
        leverage_max=int(values["leverage_max"]),
        margin_ratio_max=int(values["margin_max_ratio"] * million),
        liquidation_distance_min=int(values["liquidation_min_distance"] * million),
        weight_headroom=int(values["weight_headroom"] * million),
        repeated_executions=int(values["repeated_executions"]),
        sends_per_decision=int(values["max_sends_per_decision"]),
    )


def risk_context(
    *,
    account: Account,
    instrument: Instrument,
    domain: DomainInstrument,
    strategy: Strategy | None,
    model: str = "",
    asked: Asked,
    books: Books,
    market: Market,
    limits: LimitsInForce,
) -> RiskContext:
    """Gather everything the rails ask."""
    moment = now()
    name = strategy.name if strategy else None
    scopes = scopes_of(
        venue=account.venue.name, account=account.name, symbol=instrument.symbol, strategy=name, model=model
    )
    mode, margin = (
        margin_read(account, instrument, limits.values["margin_rate"], books.position.position_side)
        if instrument.market == VenueMarket.usdm
        else (None, None)
    )
    facts = facts_read(_parameters(account, instrument, strategy, asked, scopes, moment, limits.values))
    base = books.balances.get(instrument.base_asset)
    quote = books.balances.get(instrument.quote_asset)
    loaded = account.opened_at is not None
    expiries = [at for at in (limits.expires_at, facts.grant_until) if at is not None]
    reconciled_at = None if facts.diverging else account.reconciled_at
    level, level_scope = _level(facts.levels)
    symbol_bucket, *_ = bucket_scopes(account.name, instrument.symbol, name)
    fresh = facts.weight_at is not None and moment - facts.weight_at < MINUTE
    return RiskContext(
        instrument=domain,
        limits=risk_limits(limits.values),
        level=level,
        level_scope=level_scope,
        limits_valid_for_ns=_ns(min(expiries) - moment) if expiries else NEVER_NS,
        strategy_enabled=strategy.is_enabled if strategy else True,
        model=_model(strategy, asked, facts, moment, limits.values["exposure_strategy"]),
        allowed_symbols=frozenset(facts.allowed or ()),
        allowed_types=_ALL_TYPES,
        mode=mode,
        best_bid=_ticks(domain, market.bid),
        best_ask=_ticks(domain, market.ask),
        quote_age_ns=_wall_age(market.received_at, moment),
        last=_near_ticks(domain, market.last),
        mark=_near_ticks(domain, market.mark),
        clock_offset_ns=None if facts.offset_ms is None else facts.offset_ms * 1_000_000,
        clock_age_ns=_wall_age(facts.clock_at, moment),
        bar_is_acted_on=facts.overtaken,
        position=to_units(books.position.quantity) if loaded else None,
        open_buy=to_units(books.position.open_buy),
        open_sell=to_units(books.position.open_sell),
        open_orders=facts.open_orders,
        open_orders_strategy=facts.open_orders_strategy,
        free_base=_free(base) if loaded else None,
        free_quote=_free(quote) if loaded else None,
        pending_base=to_units(base.reserved) if base else 0,
        pending_quote=to_units(quote.reserved) if quote else 0,
        margin=margin,
        used_symbol=_used(books, symbol_bucket),
        used_strategy=_used(books, f"strategy:{name}") if name else 0,
        used_account=_used(books, f"account:{account.name}"),
        used_global=_units(facts.used_global),
        net_account=_net(facts.net_account),
        net_global=_net(facts.net_global),
        orders_last_minute=facts.last_minute,
        leaving_order_age_ns=_age(facts.leaving_at, moment) or 0,
        orders_last_minute_strategy=facts.last_minute_strategy,
        leaving_order_age_strategy_ns=_age(facts.strategy_leaving_at, moment) or 0,
        reconciled_age_ns=_age(reconciled_at, moment),
        stream_age_ns=_wall_age(facts.stream_at, moment),
        unknown_age_ns=_age(facts.unknown_at, moment) or 0,
        weight_used=facts.used_weight if fresh and facts.used_weight else 0,
        weight_limit=facts.weight_limit or _WEIGHT_LIMIT,
        executions=facts.executions,
        rejected=facts.refused,
        rejected_age_ns=_age(facts.refused_at, moment) or 0,
        same_decision=int(facts.known),
        near_age_ns=_age(facts.near_at, moment),
        crossing=_ticks(domain, facts.crossing),
        losses=_losses(facts, account, limits, name, moment),
        last_loss_age_ns=_last_loss(facts, name, moment),
        blackouts=tuple(
            Blackout(scope, reason, _ns_of(float(ends) - moment.timestamp()))
            for scope, reason, ends in facts.blackouts or ()
        ),
        parent=_parent(facts),
        grant=_grant(facts, moment),
        open_breakers=tuple(
            OpenBreaker(name_, scope, reason, _retry_after(retry_at, moment))
            for name_, scope, reason, retry_at in facts.breakers or ()
        ),
    )


def check_members(
    results: tuple[RailResult, ...], versions: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    """Rail verdicts as they are stored and shown, each with the version of the limit it was measured against."""
    known = versions or {}
    return [
        {
            "rail": r.rail,
            "passed": r.passed,
            "code": r.code.value if r.code else None,
            "measured": r.measured,
            "limit": r.limit,
            "unit": r.unit,
            "detail": r.detail,
            "policy_version": known.get(_LIMIT_OF_RAIL.get(r.rail, "")),
        }
        for r in results
    ]


def _parameters(
    account: Account,
    instrument: Instrument,
    strategy: Strategy | None,
    asked: Asked,
    scopes: list[str],
    moment: datetime,
    values: dict[str, Decimal],
) -> dict[str, Any]:
    decision = asked.decision
    return {
        "account": account.pk,
        "instrument": instrument.pk,
        "strategy": strategy.pk if strategy else None,
        "venue": account.venue.name,
        "stream": f"user:{account.name}",
        "scopes": scopes,
        "now": moment,
        "since": moment - MINUTE,
        "rate": int(values["orders_per_minute"]),
        "rate_strategy": int(values["orders_per_minute_strategy"]),
        "refused_since": moment - REFUSED_FOR,
        "side": asked.side.value,
        "type": asked.type.value,
        "quantity": asked.quantity,
        "price": asked.price,
        "client_order_id": asked.client_order_id,
        "plan": asked.plan.pk if asked.plan else None,
        "instance": decision.instance_id if decision else None,
        "bar": decision.bar_open_at if decision else None,
    }


def _level(rows: list[Any] | None) -> tuple[Level, str]:
    """The highest level and where it comes from; without a global row nobody has ever allowed trading."""
    levels: dict[str, int] = dict(rows or ())
    if GLOBAL not in levels:
        return Level.HALT_NEW, GLOBAL
    scope = max(levels, key=lambda name: levels[name])
    return Level(levels[scope]), scope


def _model(
    strategy: Strategy | None, asked: Asked, facts: Facts, moment: datetime, cap: Decimal
) -> ModelServed | None:
    """The model a strategy's order was decided by; a person's order is decided by nobody else."""
    if strategy is None or not strategy.model_family or asked.by_hand:
        return None
    name = model_name(strategy) or strategy.model_family
    loaded = facts.loaded_digest
    if asked.decision is not None and asked.decision.model != name:
        loaded = asked.decision.model or None
    return ModelServed(
        name=name,
        # The registry writes a digest onto the strategy for a champion only, and takes it away with the stage.
        stage="champion" if strategy.model_digest else "none",
        digest=strategy.model_digest,
        loaded_digest=loaded,
        valid_for_ns=NEVER_NS,
    )


def _losses(
    facts: Facts, account: Account, limits: LimitsInForce, strategy: str | None, moment: datetime
) -> tuple[LossMeasured, ...]:
    """Every scope of the order that has a loss limit of its own, measured or not."""
    measured = {row[0]: row for row in facts.losses or ()}
    own = f"strategy:{strategy}" if strategy else None
    found = []
    for scope in (GLOBAL, f"account:{account.name}", own):
        if scope is None:
            continue
        loss_limit = limits.by_scope.get(("daily_loss", scope))
        drawdown_limit = limits.by_scope.get(("max_drawdown", scope))
        streak_limit = int(limits.values["max_loss_streak"]) if scope == own else None
        if loss_limit is None and drawdown_limit is None and streak_limit is None:
            continue
        row = measured.get(scope)
        if row is None and scope == own:
            # A strategy that has never traded has lost nothing.
            row = [scope, "0", "0", 0, 0, None, moment.timestamp(), moment.date().isoformat()]
        age = None if row is None or row[6] is None else _ns_of(moment.timestamp() - float(row[6]))
        if age is not None and not settings.WALL_TIME_RAILS:
            age = 0
        # The measure of yesterday says nothing about today.
        today = row is not None and row[7] == moment.date().isoformat()
        found.append(
            LossMeasured(
                scope=scope,
                age_ns=age,
                loss=to_units(_floor(Decimal(row[2]) - Decimal(row[1]))) if row and today else 0,
                drawdown=int(row[3]) if row else 0,
                streak=int(row[4]) if row and today else 0,
                loss_limit=None if loss_limit is None else to_units(loss_limit),
                drawdown_limit=None if drawdown_limit is None else int(drawdown_limit * 1_000_000),
                streak_limit=streak_limit,
            )
        )
    return tuple(found)


def _last_loss(facts: Facts, strategy: str | None, moment: datetime) -> int | None:
    for row in facts.losses or ():
        if row[0] == f"strategy:{strategy}" and row[5] is not None:
            return _ns_of(moment.timestamp() - float(row[5]))
    return None


def _net(sums: list[Decimal]) -> NetExposure:
    return NetExposure(*(_units(amount) for amount in sums))


def _units(amount: Decimal) -> int:
    return times_of(amount, _UNIT)[0]


def _parent(facts: Facts) -> ParentOrder | None:
    if facts.parent is None:
        return None
    wanted, children, sends = facts.parent
    return ParentOrder(to_units(_floor(wanted)), to_units(_floor(children)), int(sends))


def _grant(facts: Facts, moment: datetime) -> Grant | None:
    if facts.grant is None:
        return None
    notional, expires, _ = facts.grant
    return Grant(to_units(Decimal(notional)), _ns_of(float(expires) - moment.timestamp()))


def _retry_after(retry_at: Any, moment: datetime) -> float | None:
    return None if retry_at is None else max(0.0, float(retry_at) - moment.timestamp())


def _free(balance: Balance | None) -> int:
    """What the ledger holds of an asset; an opened account without a row for it holds none.

    A transfer may bring more digits than a trade ever uses; what lies beyond them cannot be spent.
    """
    return times_of(balance.amount, _UNIT)[0] if balance else 0


def _floor(amount: Decimal) -> Decimal:
    """An amount in whole units, rounded down."""
    return exact_product(Decimal(times_of(amount, _UNIT)[0]), _UNIT)


def _used(books: Books, scope: str) -> int:
    bucket = books.buckets.get(scope)
    return to_units(bucket.used) if bucket else 0


def _ticks(domain: DomainInstrument, price: Decimal | None) -> int | None:
    return None if price is None else domain.ticks(price)


def _near_ticks(domain: DomainInstrument, price: Decimal | None) -> int | None:
    """A price in ticks, rounded down: a mark price has more digits than an order may have."""
    return None if price is None else times_of(price, domain.tick_size)[0]


def _age(at: datetime | None, moment: datetime) -> int | None:
    return None if at is None else _ns(moment - at)


def _wall_age(at: datetime | None, moment: datetime) -> int | None:
    """An age that a compressed run switches off by an explicit setting."""
    age = _age(at, moment)
    return age if age is None or settings.WALL_TIME_RAILS else 0


def _ns(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000_000 + span.microseconds * 1_000


def _ns_of(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
