"""A person's or a script's order: parsed, normalised, judged by the same rails as any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import User
from trading.domain.conditional import AT_MARKET, LIMITED
from trading.domain.hedge import wrong_side
from trading.domain.orders import client_order_id
from trading.domain.refusals import Refused
from trading.domain.risk import RailResult
from trading.domain.router import build_intent
from trading.domain.values import Market, OrderType, PositionSide, Side, TimeInForce, split_symbol
from trading.models import Order
from trading.services.controls.limit_versions import limits_known
from trading.services.orders.named import named_read
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_judge, order_known, order_submit


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """An order that is reserved; or, for a dry run, what every rail would have said."""

    order: Order | None
    checks: list[dict[str, Any]]
    denial: dict[str, Any] | None
    adjustments: tuple[str, ...]


def order_request(
    *,
    account_name: str,
    symbol: str,
    side: str,
    type: str,  # noqa: A002  the exchange's own word
    quantity: Decimal | None,
    quote_quantity: Decimal | None,
    price: Decimal | None,
    time_in_force: str | None,
    reduce_only: bool,
    strategy_name: str | None,
    user: User,
    request_key: str,
    dry_run: bool = False,
    stop_price: Decimal | None = None,
    callback_bps: int | None = None,
    position_side: str | None = None,
    submit: Callable[[Submission], Order] = order_submit,
) -> OrderOutcome:
    """Ask for an order. The same `request_key` of the same user always means the same order.

    Raises
    ------
    ApplicationError : UNKNOWN_ACCOUNT, UNKNOWN_SYMBOL, UNKNOWN_STRATEGY (404), INVALID_ORDER (400).
    OrderDenied : a rail said no (422).
    """
    key = hashlib.sha256(f"{user.pk}|{request_key}".encode()).hexdigest()[:32]
    try:
        plain, market_asked = split_symbol(symbol)
    except ValueError as error:
        raise NotFound("UNKNOWN_SYMBOL", str(error)) from None
    named = named_read(
        account=account_name, symbol=plain, strategy=strategy_name or "", intent_key=f"manual:{key}"
    )
    if named.existing is not None and not dry_run:
        known = order_known(named.existing)
        return OrderOutcome(known, known.checks, None, tuple(known.adjustments))
    if named.account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {account_name!r}")
    account, instrument, strategy = named.account, named.instrument, named.strategy
    if instrument is None or (market_asked is not None and market_asked.value != account.market):
        raise NotFound("UNKNOWN_SYMBOL", f"{account.venue.name} has no symbol {symbol!r}")
    if strategy_name and strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {strategy_name!r}")
    belongs = PositionSide(position_side or PositionSide.BOTH)
    wrong = wrong_side(
        Market(account.market), Side(side), belongs, hedge=account.hedge_mode, reduce_only=reduce_only
    )
    if wrong:
        raise ApplicationError("INVALID_ORDER", wrong, extra={"field": "position_side"})
    order_type = OrderType(type)
    at_market = order_type is OrderType.MARKET or order_type in AT_MARKET
    if at_market and price is not None:
        raise ApplicationError(
            "INVALID_ORDER", f"a {order_type} order takes no price", extra={"field": "price"}
        )
    if not at_market and price is None:
        raise ApplicationError(
            "INVALID_ORDER", f"a {order_type} order needs a price", extra={"field": "price"}
        )
    _check_trigger(order_type, stop_price, callback_bps)
    if (quantity is None) == (quote_quantity is None):
        raise ApplicationError(
            "INVALID_ORDER", "give exactly one of quantity and quote_quantity", extra={"field": "quantity"}
        )
    if time_in_force is not None and order_type is not OrderType.LIMIT and order_type not in LIMITED:
        raise ApplicationError(
            "INVALID_ORDER", f"a {order_type} order takes no time_in_force", extra={"field": "time_in_force"}
        )
    tif = TimeInForce.IOC if order_type is OrderType.MARKET else TimeInForce(time_in_force or "GTC")
    market = named.market
    limits = limits_known(named.limits, named.limit_scopes)
    try:
        built = build_intent(
            instrument.to_domain(),
            symbol=instrument.symbol,
            side=Side(side),
            order_type=order_type,
            time_in_force=tif,
            quantity=quantity,
            quote_quantity=quote_quantity,
            price=price,
            stop=stop_price,
            callback_bps=callback_bps,
            best_bid=market.bid,
            best_ask=market.ask,
            collar_bps=int(limits.in_force.values["market_slippage"]),
            reduce_only=reduce_only,
            position_side=belongs,
            reason=f"asked for by {user.username}",
        )
    except ValueError as error:
        raise ApplicationError("INVALID_ORDER", str(error)) from None
    if isinstance(built, Refused):
        denial = RailResult(built.rule, False, built.code, built.measured, built.limit, "", built.detail)
        if dry_run:
            return OrderOutcome(None, [_members(denial)], _members(denial), ())
        raise OrderDenied(denial, [_members(denial)], None)
    intent, adjustments = built
    submission = Submission(
        account=account,
        instrument=instrument,
        intent=intent,
        origin=Order.Origin.MANUAL,
        intent_key=f"manual:{key}",
        client_order_id=client_order_id(settings.BINANCE_ENV, account.name, "manual", key, 0, 0),
        decided_at=now(),
        strategy=strategy,
        requested_by=user,
        adjustments=adjustments,
    )
    if dry_run:
        verdict = order_judge(submission)
        members = _members(verdict.denial) if verdict.denial else None
        return OrderOutcome(None, verdict.checks, members, adjustments)
    order = submit(submission)
    return OrderOutcome(order, order.checks, None, tuple(order.adjustments))


def _check_trigger(order_type: OrderType, stop_price: Decimal | None, callback_bps: int | None) -> None:
    trails = order_type is OrderType.TRAILING_STOP_MARKET
    if stop_price is not None and not order_type.is_conditional:
        raise ApplicationError(
            "INVALID_ORDER", f"a {order_type} order takes no stop_price", extra={"field": "stop_price"}
        )
    if stop_price is None and order_type.is_conditional and not trails:
        raise ApplicationError(
            "INVALID_ORDER", f"a {order_type} order needs a stop_price", extra={"field": "stop_price"}
        )
    if trails and callback_bps is None:
        raise ApplicationError(
            "INVALID_ORDER", "a trailing stop needs its distance", extra={"field": "trailing"}
        )


def _members(result: RailResult) -> dict[str, Any]:
    return {
        "rail": result.rail,
        "passed": result.passed,
        "code": result.code.value if result.code else None,
        "measured": result.measured,
        "limit": result.limit,
        "unit": result.unit,
        "detail": result.detail,
        **({"retry_after": result.retry_after_s} if result.retry_after_s is not None else {}),
    }
