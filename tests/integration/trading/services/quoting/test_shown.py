"""What the strategies page shows of a market maker: what stands, what is wanted, its spread, and why not."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from governance.selectors.strategies import strategies_state
from trading.services.strategies import strategy_disable

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker


def shown(maker: Maker) -> dict[str, Any]:
    (row,) = strategies_state()["quoting"]
    assert (row["strategy"], row["symbol"]) == (maker.strategy.name, "BTCUSDT")
    return dict(row)


def test_what_stands_and_its_spread_are_shown(maker: Maker) -> None:
    maker.round("60000.00", "60001.00")
    (_, bid, size), (_, ask, _) = maker.standing()
    row = shown(maker)
    assert row["lamp"] == {"tone": "good", "text": "both sides"}
    assert row["bid"] == f"{size} at {bid}"
    assert row["ask"].endswith(f" at {ask}")
    mid = (Decimal(bid) + Decimal(ask)) / 2
    by_hand = (Decimal(ask) - Decimal(bid)) / mid * 10_000
    assert abs(Decimal(row["spread_bps"]) - by_hand) < Decimal("0.01")
    assert Decimal(row["book_spread_bps"]) == Decimal("0.17"), "one in 60,000"
    assert row["reason"] == maker.instance.said["reason"]
    assert Decimal(row["inventory"]) == maker.desk.position().quantity
    assert row["stepped_age"] >= 0


def test_a_quote_that_is_asked_to_go_is_shown_until_it_is_gone(maker: Maker) -> None:
    maker.round("60000.00", "60001.00")
    strategy_disable(name=maker.strategy.name, actor="test", reason="drill")
    maker.refreshed  # noqa: B018  it acts
    row = shown(maker)
    assert (row["lamp"]["text"], row["reason"]) == ("taking back", "the strategy is switched off")
    assert row["bid"]
    maker.send()
    maker.hear()
    row = shown(maker)
    assert (row["lamp"]["text"], row["bid"], row["ask"], row["spread_bps"]) == ("withheld", None, None, None)
