"""What a maker wants and what stands for it, to be compared."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trading.models import Order

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker


def text(number: float) -> str:
    return f"{Decimal(repr(number)).normalize():f}"


def as_wanted(maker: Maker) -> list[tuple[str, str, str]]:
    wanted = maker.wanted()
    return [
        ("BUY", text(wanted["bid_price"]), text(wanted["bid_size"])),
        ("SELL", text(wanted["ask_price"]), text(wanted["ask_size"])),
    ]


def quotes_of(maker: Maker) -> Any:
    return Order.objects.filter(strategy=maker.strategy, type="LIMIT_MAKER").order_by("pk")
