"""What everything is worth, by hand-made arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.trading.api.world import World
from trading.models import Account, Balance, SubPosition
from trading.selectors.portfolio import portfolio_get
from trading.selectors.positions import position_list

pytestmark = pytest.mark.django_db


def test_equity_is_cash_plus_holdings_at_mid_and_never_cash_plus_unrealised(world: World) -> None:
    # 0.1 BTC bought at 50 000: 5 000 spent of 10 000. At mid 60 000 it is worth 6 000.
    Balance.objects.filter(account=world.account, asset="USDT").update(amount=5_000)
    world.hold(world.btc, "0.1", "5000")
    portfolio = portfolio_get()
    assert portfolio["cash"] == "5000"
    assert portfolio["market_value"] == "6000"
    assert portfolio["equity"] == "11000"
    assert portfolio["unrealized_pnl"] == "1000"
    assert portfolio["exposure_gross"] == portfolio["exposure_net"] == "6000"


def test_a_holding_without_a_price_is_named_and_counts_as_nothing(world: World) -> None:
    Balance.objects.create(account=world.account, asset="DOGE", amount=5)
    portfolio = portfolio_get()
    assert portfolio["equity"] == "10000"
    assert portfolio["unpriced"] == ["DOGE"]


def test_a_position_without_a_price_keeps_its_exposure_at_cost(world: World) -> None:
    world.hold(world.btc, "0.1", "5000")
    world.quote(world.btc, "59990", None)
    portfolio = portfolio_get()
    assert portfolio["exposure_gross"] == "5000"
    assert portfolio["unrealized_pnl"] == "0"
    assert position_list()[0]["mark_price"] is None


def test_available_is_the_cash_not_promised_to_open_orders(world: World) -> None:
    Balance.objects.filter(account=world.account, asset="USDT").update(reserved=Decimal("250.5"))
    assert portfolio_get()["available"] == "9749.5"


def test_results_by_strategy_add_up_to_the_totals_fees_in_base_included(world: World) -> None:
    # Two buys at 50 000 and 55 000 (the first pays 0.0001 BTC = 5 USDT of commission), then a sale at 60 000.
    # Held: 0.1999 BTC for 4995 + 5500 = 10495. Selling half of it (0.09995) costs 5247.5 and brings 5997.
    position = world.hold(
        world.btc, "0.09995", "5247.5", realized=Decimal("749.5"), commission=Decimal("10.5")
    )
    # Each has its own average; the person who sold is short 0.09995 that others hold, sold for 5997.
    for owner, quantity, cost, fees in (
        ("trend", "0.0999", "4995", "5"),
        ("ma", "0.1", "5500", "5.5"),
        ("", "-0.09995", "5997", "0"),
    ):
        SubPosition.objects.create(
            position=position, owner=owner, quantity=quantity, cost=cost, commission=fees
        )

    portfolio = portfolio_get()
    rows = {row["strategy"]: row for row in portfolio["by_strategy"]}
    assert set(rows) == {"trend", "ma", None, "@netting"}
    # At mid 60 000: trend holds 0.0999 worth 5994 that cost 4995, ma 0.1 worth 6000 that cost 5500.
    assert rows["trend"]["unrealized_pnl"] == "999"
    assert rows["ma"]["unrealized_pnl"] == "500"
    assert rows[None]["unrealized_pnl"] == "0"
    # The venue has closed at the average: 749.5, which the owners have not, is what lies between them.
    assert (rows["@netting"]["realized_pnl"], rows["@netting"]["net_pnl"]) == ("749.5", "0")
    for member in ("unrealized_pnl", "realized_pnl", "fees"):
        assert sum(Decimal(row[member]) for row in rows.values()) == Decimal(portfolio[member]), member
    # Independently: 0.09995 BTC at 60 000 is 5997; it cost 5247.5.
    assert portfolio["unrealized_pnl"] == "749.5"


def test_accounts_are_kept_apart_and_add_up(world: World) -> None:
    second = Account.objects.create(name="second", venue=world.venue)
    Balance.objects.create(account=second, asset="USDT", amount=500)
    portfolio = portfolio_get()
    assert {row["account"]: row["equity"] for row in portfolio["by_account"]} == {
        "paper-spot": "10000",
        "second": "500",
    }
    assert portfolio["equity"] == "10500"
    assert portfolio_get("second")["equity"] == "500"


def test_position_members_are_the_contracts(world: World) -> None:
    world.hold(world.btc, "0.3", "15000", realized=Decimal("12.5"))
    row = position_list(symbol="BTCUSDT")[0]
    expected = {
        "account": "paper-spot",
        "symbol": "BTCUSDT",
        "quantity": "0.3",
        "entry_price": "50000",
        "mark_price": "60000",
        "unrealized_pnl": "3000",
        "realized_pnl": "12.5",
    }
    assert {key: row[key] for key in expected} == expected


def test_a_short_position_gains_when_the_price_falls(world: World) -> None:
    # Sold 0.1 for 6500; buying it back at 60 000 costs 6000.
    world.hold(world.btc, "-0.1", "6500")
    portfolio = portfolio_get()
    assert position_list()[0]["unrealized_pnl"] == "500"
    assert position_list()[0]["entry_price"] == "65000"
    assert (portfolio["exposure_gross"], portfolio["exposure_net"]) == ("6000", "-6000")


def test_the_portfolio_takes_five_queries_however_many_rows_there_are(
    world: World, django_assert_num_queries: Any
) -> None:
    for trade in range(20):
        world.fill(world.order(), trade_id=trade + 1, price="50000", quantity="0.001")
    world.hold(world.btc, "0.02", "1000")
    with django_assert_num_queries(5):
        portfolio_get()
