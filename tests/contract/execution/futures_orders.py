"""The orders the suites of futures place, and what of them goes over the wire."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.factories.exchange import FuturesExchange
from trading.domain.ports import OrderReport, VenueOrder
from trading.domain.values import OrderType, Side, TimeInForce

ONE = Decimal(1)


def conditional(
    exchange: FuturesExchange,
    kind: OrderType,
    side: Side = Side.SELL,
    *,
    stop: Decimal | None,
    price: Decimal | None = None,
    **terms: Any,
) -> VenueOrder:
    return replace(
        exchange.order(),
        type=kind,
        side=side,
        time_in_force=TimeInForce.GTC if price else None,
        stop_price=stop,
        price=price,
        **terms,
    )


def opened(
    exchange: FuturesExchange, quantity: str = "0.010", *, side: Side = Side.BUY, **terms: Any
) -> OrderReport:
    """Take from the book so that a position stands."""
    _, ask = exchange.touch()
    factor = Decimal("1.005") if side is Side.BUY else Decimal("0.995")
    order = exchange.order(price=(ask * factor).quantize(ONE), quantity=quantity)
    report: OrderReport = exchange.place(replace(order, side=side, **terms))
    return report


def below(exchange: FuturesExchange, share: str) -> Decimal:
    return (exchange.touch()[0] * Decimal(share)).quantize(ONE)


def far(exchange: FuturesExchange, *, waiting: bool) -> VenueOrder:
    """An order that stays where it is: resting, or waiting in the service of conditional orders."""
    if waiting:
        return conditional(exchange, OrderType.STOP_MARKET, stop=below(exchange, "0.9"))
    return exchange.order()


def recorded(exchange: FuturesExchange, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bodies sent from here on."""
    bodies: list[str] = []
    send = exchange.client.session.request

    def record(verb: str, address: str, **options: Any) -> Any:
        if options.get("data"):
            bodies.append(options["data"])
        return send(verb, address, **options)

    monkeypatch.setattr(exchange.client.session, "request", record)
    return bodies
