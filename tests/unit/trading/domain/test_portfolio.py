"""Positions, double entry and equity; numbers by hand and from earlier system C16."""

from decimal import Decimal

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.errors import InvariantViolation
from trading.domain.orders import Fill
from trading.domain.portfolio import (
    Position,
    apply_fill,
    equity,
    fee_value_units,
    fold,
    gross_exposure,
    net_exposure,
    postings,
    unrealized,
)
from trading.domain.values import UNITS, Side, split_symbol, to_units

BTCUSDT = spot()
BUY, SELL = Side.BUY, Side.SELL


def fill(side, quantity, price, *, fee="0", fee_asset="USDT", trade_id=1, symbol="BTCUSDT"):
    quantity, price = Decimal(quantity), Decimal(price)
    return Fill(
        trade_id=trade_id,
        symbol=symbol,
        side=side,
        price=BTCUSDT.ticks(price),
        quantity=BTCUSDT.steps(quantity),
        quote=to_units(quantity * price),
        fee=to_units(Decimal(fee)),
        fee_asset=fee_asset,
        maker=False,
        time_ms=0,
    )


def after(*fills, rate=None, instrument=BTCUSDT):
    return fold([(f, fee_value_units(f, instrument, rate)) for f in fills], instrument)


def u(text):
    return to_units(Decimal(text))


def test_the_worked_example_of_the_earlier_system():
    # C16: buy 0.001 @ 30000 fee 0.03 from 10000 -> cash 9969.97; mark 31000 -> 1.00; sell -> flat, gain
    bought = fill(BUY, "0.001", "30000", fee="0.03")
    cash = u("10000") + sum(
        p.amount for p in postings(bought, BTCUSDT) if (p.account, p.asset) == ("wallet", "USDT")
    )
    assert cash == u("9969.97")
    position = after(bought)
    assert unrealized(position, Decimal(31_000)) == u("1.00")
    flat = after(bought, fill(SELL, "0.001", "31000", fee="0.031", trade_id=2))
    assert (flat.quantity, flat.cost) == (0, 0)
    assert flat.realized == u("1.00")
    assert flat.fees == u("0.061")


def test_one_trade_told_three_times_is_booked_once():
    # defect W1: route, router and user stream each applied the same fill
    bought = fill(BUY, "0.005", "20000", fee="0.1")
    position = after(bought, bought, fill(BUY, "0.005", "20000", fee="0.1"))
    assert position.quantity == u("0.005")
    assert u("10000") - position.cost - position.fees == u("9899.9")


def test_one_trade_told_in_two_ways_is_an_error():
    with pytest.raises(InvariantViolation, match="two ways"):
        after(fill(BUY, "0.005", "20000"), fill(BUY, "0.006", "20000"))


def test_an_expired_order_without_fills_books_nothing():
    # defect W2: an IOC that expired with zero fills was booked as fully filled
    assert after() == Position()


def test_the_average_price_is_that_of_all_fills():
    # defect W11: it was the first partial fill's. (0.01 x 20000 + 0.03 x 20400) / 0.04 = 20300
    position = after(fill(BUY, "0.01", "20000"), fill(BUY, "0.03", "20400", trade_id=2))
    assert position.average_price == Decimal(20_300)


def test_a_flat_position_has_no_average_price():
    assert Position().average_price is None


def test_commission_in_base_reduces_what_is_held_and_counts_once():
    # buy 0.1 @ 20000, fee 0.0001 BTC = 2 USDT: 0.0999 held, worth 1998; 2000 paid
    position = after(fill(BUY, "0.1", "20000", fee="0.0001", fee_asset="BTC"))
    assert position.quantity == u("0.0999")
    assert position.fees == u("2")
    assert position.cost == u("1998")
    assert position.average_price == Decimal(20_000)
    assert unrealized(position, Decimal(20_000)) - position.fees == u("-2")


def test_commission_in_a_third_asset_is_valued_at_its_rate():
    # 0.01 BNB at 300 USDT
    bought = fill(BUY, "0.1", "20000", fee="0.01", fee_asset="BNB")
    assert fee_value_units(bought, BTCUSDT, Decimal(300)) == u("3")
    position = after(bought, rate=Decimal(300))
    assert (position.quantity, position.cost, position.fees) == (u("0.1"), u("2000"), u("3"))


def test_commission_in_a_third_asset_without_a_rate_is_not_guessed():
    with pytest.raises(ValueError, match="BNB"):
        fee_value_units(fill(BUY, "0.1", "20000", fee="0.01", fee_asset="BNB"), BTCUSDT)


def test_a_sale_realizes_against_the_average_cost():
    # bought 0.04 at 20300 on average; 0.01 sold at 21000 gains 7
    position = after(
        fill(BUY, "0.01", "20000"),
        fill(BUY, "0.03", "20400", trade_id=2),
        fill(SELL, "0.01", "21000", trade_id=3),
    )
    assert position.realized == u("7")
    assert position.quantity == u("0.03")
    assert position.average_price == Decimal(20_300)


def test_a_short_gains_when_the_price_falls():
    position = after(fill(SELL, "0.1", "20000"), instrument=usdm())
    assert position.quantity == u("-0.1")
    assert unrealized(position, Decimal(19_000)) == u("100")
    covered = apply_fill(position, fill(BUY, "0.1", "19000", trade_id=2), usdm(), 0)
    assert (covered.quantity, covered.cost, covered.realized) == (0, 0, u("100"))


def test_a_flip_closes_the_old_side_and_opens_the_new_at_the_fill_price():
    # long 0.1 @ 20000, sell 0.3 @ 21000: 100 realized, short 0.2 @ 21000
    position = after(fill(BUY, "0.1", "20000"), fill(SELL, "0.3", "21000", trade_id=2), instrument=usdm())
    assert position.realized == u("100")
    assert position.quantity == u("-0.2")
    assert position.average_price == Decimal(21_000)


def test_two_spellings_of_a_symbol_are_one_position():
    # defect W43: after a restart 1.0 was held under BTCUSDT and -1.0 under BTCUSDT.BINANCE
    books: dict[str, list] = {}
    for told, side, trade_id in (("BTCUSDT", BUY, 1), ("BTCUSDT.BINANCE", SELL, 2)):
        symbol, _ = split_symbol(told)
        books.setdefault(symbol, []).append(fill(side, "1", "20000", trade_id=trade_id, symbol=symbol))
    assert list(books) == ["BTCUSDT"]
    assert after(*books["BTCUSDT"]).quantity == 0


def test_a_fill_of_another_symbol_is_not_booked():
    with pytest.raises(InvariantViolation, match="ETHUSDT"):
        after(fill(BUY, "1", "20000", symbol="ETHUSDT"))


@pytest.mark.parametrize(
    ("fee", "fee_asset"), [("2", "USDT"), ("0.0001", "BTC"), ("0.01", "BNB"), ("0", "USDT")]
)
@pytest.mark.parametrize("side", [BUY, SELL])
def test_double_entry_sums_to_zero_per_asset(side, fee, fee_asset):
    lines = postings(fill(side, "0.1", "20000", fee=fee, fee_asset=fee_asset), BTCUSDT)
    totals: dict[str, int] = {}
    for line in lines:
        totals[line.asset] = totals.get(line.asset, 0) + line.amount
    assert set(totals) == {"BTC", "USDT", fee_asset}
    assert set(totals.values()) == {0}


def test_the_wallet_gets_what_it_bought_and_gives_price_and_fee():
    lines = postings(fill(BUY, "0.1", "20000", fee="0.0001", fee_asset="BTC"), BTCUSDT)
    wallet = [(p.asset, p.amount, p.kind) for p in lines if p.account == "wallet"]
    assert wallet == [("BTC", u("0.1"), "trade"), ("USDT", u("-2000"), "trade"), ("BTC", u("-0.0001"), "fee")]


def test_buying_does_not_lower_equity_by_the_value_bought():
    # defect W3: 1000 cash, 100 of it bought at mark -> equity was 900
    before = equity({"USDT": u("1000")}, {})
    bought = equity({"USDT": u("900"), "BTC": u("0.005")}, {"BTC": Decimal(20_000)})
    assert before.total == bought.total == u("1000")
    assert bought.market_value == u("100")


def test_a_holding_without_a_price_is_named_not_guessed():
    result = equity({"USDT": u("10"), "XYZ": u("3"), "OLD": 0}, {})
    assert result.total == u("10")
    assert result.unpriced == ("XYZ",)


def test_longs_and_shorts_do_not_hide_each_other():
    # defect W6: -9000 + 1500 + 400 passed a cap of 10000; gross it is 10900
    notionals = [-9_000 * UNITS, 1_500 * UNITS, 400 * UNITS]
    assert gross_exposure(notionals) == 10_900 * UNITS
    assert net_exposure(notionals) == -7_100 * UNITS


def test_a_fill_of_nothing_is_not_booked():
    nothing = Fill(1, "BTCUSDT", BUY, 1, 0, 0, 0, "USDT", False, 0)
    with pytest.raises(InvariantViolation, match="quantity 0"):
        apply_fill(Position(), nothing, BTCUSDT, 0)


def test_a_flat_position_has_nothing_unrealized():
    assert unrealized(Position(realized=5), Decimal(20_000)) == 0
