"""Fills conserve quantity and money, whatever their order of sides, sizes and commissions."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot
from trading.domain.orders import Fill
from trading.domain.portfolio import fee_value_units, fold, market_value, postings, unrealized
from trading.domain.values import Side

INSTRUMENT = spot()
STEP = INSTRUMENT.step_units
BNB = Decimal("312.5")


@st.composite
def histories(draw):
    fills = []
    for trade_id in range(draw(st.integers(1, 12))):
        ticks, steps = draw(st.integers(1, 5_000_000)), draw(st.integers(1, 50_000))
        fee_asset = draw(st.sampled_from(["USDT", "BTC", "BNB"]))
        quote = INSTRUMENT.notional_units(ticks, steps)
        ceiling = {"USDT": quote, "BTC": steps * STEP, "BNB": 10**8}[fee_asset]
        side = draw(st.sampled_from(list(Side)))
        fee = draw(st.integers(0, ceiling // 100))
        fills.append(Fill(trade_id, "BTCUSDT", side, ticks, steps, quote, fee, fee_asset, False, 0))
    return fills


def booked(fills):
    return fold([(f, fee_value_units(f, INSTRUMENT, BNB)) for f in fills], INSTRUMENT)


@settings(max_examples=300)
@given(histories())
def test_a_position_holds_exactly_what_the_wallet_got(fills):
    wallet = sum(
        p.amount for f in fills for p in postings(f, INSTRUMENT) if (p.account, p.asset) == ("wallet", "BTC")
    )
    assert booked(fills).quantity == wallet


@settings(max_examples=300)
@given(histories(), st.integers(1, 5_000_000))
def test_realized_plus_unrealized_less_fees_is_what_the_account_gained(fills, mark_ticks):
    # Independent of any cost convention: money received less money paid, plus the holding at the mark.
    mark = INSTRUMENT.price(mark_ticks)
    position = booked(fills)
    cash = sum(-f.side.sign * f.quote for f in fills)
    third = sum(fee_value_units(f, INSTRUMENT, BNB) for f in fills if f.fee_asset == "BNB")
    quote_fees = sum(f.fee for f in fills if f.fee_asset == "USDT")
    gained = cash - quote_fees - third + Fraction(position.quantity) * Fraction(mark)
    told = position.realized + unrealized(position, mark) - position.fees
    assert abs(told - gained) <= 1  # the holding's value is cut to a whole unit


@given(histories())
def test_every_asset_of_every_fill_sums_to_zero(fills):
    totals: dict[tuple[int, str], int] = {}
    for f in fills:
        for p in postings(f, INSTRUMENT):
            totals[f.trade_id, p.asset] = totals.get((f.trade_id, p.asset), 0) + p.amount
    assert not any(totals.values())


@given(histories(), st.data())
def test_fills_told_again_change_nothing(fills, data):
    again = data.draw(st.lists(st.sampled_from(fills), max_size=6))
    assert booked([*fills, *again]) == booked(fills)


@given(histories())
def test_an_open_position_has_a_cost_and_a_flat_one_has_none(fills):
    position = booked(fills)
    if position.quantity == 0:
        assert position.cost == 0
    assert position.cost >= 0


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_a_market_value_is_cut_by_less_than_a_unit(quantity, ticks):
    price = INSTRUMENT.price(ticks)
    assert 0 <= Fraction(quantity) * Fraction(price) - market_value(quantity, price) < 1
