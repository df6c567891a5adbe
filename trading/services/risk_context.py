"""What the rails are told about the world, read under the locks of the order's reservation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from nautilus_site.common.clock import now
from trading.domain.risk import (
    Blackout,
    Grant,
    GroupUse,
    ModelServed,
    NetExposure,
    OpenBreaker,
    ParentOrder,
    RiskContext,
)
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Level, OrderType, Side, times_of, to_units
from trading.domain.values import Market as VenueMarket
from trading.models import Account, Decision, Plan, Strategy
from trading.services.controls.limit_versions import KnownLimits
from trading.services.controls.states import highest_level
from trading.services.exposure import bucket_scopes, strategy_symbol
from trading.services.margin_state import margin_read
from trading.services.market import Market
from trading.services.models import model_name
from trading.services.reserved_books import Books, HeldBalance
from trading.services.risk_losses import UNIT, last_loss_ns, losses_told, ns_of, whole_units
from trading.services.risk_reads import MINUTE, REFUSED_FOR, Facts, facts_read
from universe.models import Instrument

NEVER_NS = 2**62
_ALL_TYPES = frozenset(OrderType)
_WEIGHT_LIMIT = 6_000


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
    part: Decimal = Decimal(1)
    """Of the order that is for the strategy it is asked for; the rest is for those netted with it."""


def risk_context(
    *,
    account: Account,
    instrument: Instrument,
    domain: DomainInstrument,
    strategy: Strategy | None,
    scopes: list[str],
    asked: Asked,
    books: Books,
    market: Market,
    limits: KnownLimits,
) -> RiskContext:
    """Gather everything the rails ask."""
    moment = now()
    name = strategy.name if strategy else None
    in_force = limits.in_force
    mode, margin = (
        margin_read(account, instrument, in_force.values["margin_rate"], books.position.side)
        if instrument.market == VenueMarket.usdm
        else (None, None)
    )
    facts = facts_read(_parameters(account, instrument, strategy, asked, scopes, moment, in_force.values))
    base = books.balances.get(instrument.base_asset)
    quote = books.balances.get(instrument.quote_asset)
    loaded = account.opened_at is not None
    expiries = [at for at in (in_force.expires_at, facts.grant_until) if at is not None]
    reconciled_at = None if facts.diverging else account.reconciled_at
    level, level_scope = highest_level({name_: Level(number) for name_, number in facts.levels or ()})
    symbol_bucket, *_ = bucket_scopes(account.name, instrument.symbol, name)
    fresh = facts.weight_at is not None and moment - facts.weight_at < MINUTE
    return RiskContext(
        instrument=domain,
        limits=limits.kernel,
        level=level,
        level_scope=level_scope,
        limits_valid_for_ns=_ns(min(expiries) - moment) if expiries else NEVER_NS,
        strategy_enabled=strategy.is_enabled if strategy else True,
        model=_model(strategy, asked, facts, moment, in_force.values["exposure_strategy"]),
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
        used_strategy_symbol=_used(books, strategy_symbol(name, instrument.symbol)) if name else 0,
        groups=groups_of(facts.groups),
        used_account=_used(books, f"account:{account.name}"),
        used_global=_units(facts.used_global),
        net_account=net_of(facts.net_account),
        net_global=net_of(facts.net_global),
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
        losses=losses_told(facts, account, in_force, name, moment),
        last_loss_age_ns=last_loss_ns(facts, name, moment),
        blackouts=tuple(
            Blackout(scope, reason, ns_of(float(ends) - moment.timestamp()))
            for scope, reason, ends in facts.blackouts or ()
        ),
        parent=_parent(facts),
        grant=_grant(facts, moment),
        open_breakers=tuple(
            OpenBreaker(name_, scope, reason, _retry_after(retry_at, moment))
            for name_, scope, reason, retry_at in facts.breakers or ()
        ),
    )


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
        "symbol": instrument.symbol,
        "side": asked.side.value,
        "type": asked.type.value,
        "quantity": asked.quantity,
        "price": asked.price,
        "client_order_id": asked.client_order_id,
        "plan": asked.plan.pk if asked.plan else None,
        "instance": decision.instance_id if decision else None,
        "bar": decision.bar_open_at if decision else None,
    }


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
        # The registry writes a digest onto the strategy for what may trade only, and takes it away with the stage.
        stage=strategy.model_stage if strategy.model_digest else "none",
        digest=strategy.model_digest,
        loaded_digest=loaded,
        valid_for_ns=NEVER_NS,
        canary_cap=None if strategy.canary_cap is None else _units(strategy.canary_cap),
        part=_units(asked.part),
    )


def groups_of(rows: list[Any] | None) -> tuple[GroupUse, ...]:
    """The kernel's groups of what was read."""
    return tuple(GroupUse(name, _units(Decimal(used))) for name, used in rows or ())


def net_of(sums: list[Decimal]) -> NetExposure:
    """A net bucket of what was read: carried, open buys, open sells."""
    return NetExposure(*(_units(amount) for amount in sums))


def _units(amount: Decimal) -> int:
    return times_of(amount, UNIT)[0]


def _parent(facts: Facts) -> ParentOrder | None:
    if facts.parent is None:
        return None
    wanted, children, sends = facts.parent
    return ParentOrder(to_units(whole_units(wanted)), to_units(whole_units(children)), int(sends))


def _grant(facts: Facts, moment: datetime) -> Grant | None:
    if facts.grant is None:
        return None
    notional, expires, _ = facts.grant
    return Grant(to_units(Decimal(notional)), ns_of(float(expires) - moment.timestamp()))


def _retry_after(retry_at: Any, moment: datetime) -> float | None:
    return None if retry_at is None else max(0.0, float(retry_at) - moment.timestamp())


def _free(balance: HeldBalance | None) -> int:
    """What the ledger holds of an asset; an opened account without a row for it holds none.

    A transfer may bring more digits than a trade ever uses; what lies beyond them cannot be spent.
    """
    return times_of(balance.amount, UNIT)[0] if balance else 0


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
