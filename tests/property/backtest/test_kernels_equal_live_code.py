"""The whole-number kernels against the code that trades: the same answer on any input."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.fakes.checks import context, limits, order
from tests.fakes.instruments import spot, usdm
from trading.domain.backtest.arithmetic import TARGET_ONE
from trading.domain.backtest.costs import collared_ticks
from trading.domain.backtest.fold import carried_after, fold_trade, reserve
from trading.domain.backtest.rails import ALLOWED, CODES, judge, limit_table, passes_filters
from trading.domain.backtest.scale import market_value, notional, scale_of
from trading.domain.backtest.sizing import child_steps, netted_steps, planned_steps, wanted_steps
from trading.domain.filters import check_filters
from trading.domain.orders import Fill
from trading.domain.planner import Desire, WorkingOrder, plan
from trading.domain.portfolio import Position, apply_fill
from trading.domain.portfolio import market_value as live_market_value
from trading.domain.refusals import collared_ticks as live_collared_ticks
from trading.domain.reservation import Carried, Reservation, exposure_increase, reserved_notional, settle_fill
from trading.domain.risk import check_order, first_denial
from trading.domain.values import UNITS, Instrument, OrderType, Side, from_units

SIGNED = st.integers(-(10**9), 10**9)
BTC = spot()
INSTRUMENTS = st.sampled_from(
    [
        BTC,
        usdm(),
        # A pair whose tick times step is finer than a unit, and one with a market lot and tight bounds.
        spot("ETHXBTC1", PRICE_FILTER__tickSize="0.00001", LOT_SIZE__stepSize="0.0001"),
        spot(
            MARKET_LOT_SIZE__stepSize="0.0005",
            MARKET_LOT_SIZE__minQty="0.002",
            MARKET_LOT_SIZE__maxQty="0.5",
            NOTIONAL__maxNotional="9000",
            NOTIONAL__applyMaxToMarket=True,
            PERCENT_PRICE_BY_SIDE__bidMultiplierUp="1.003",
            PERCENT_PRICE_BY_SIDE__askMultiplierDown="0.998",
            MAX_NUM_ORDERS__maxNumOrders=3,
        ),
        spot(NOTIONAL__applyMinToMarket=False, NOTIONAL__minNotional="25", LOT_SIZE__maxQty="0.3"),
    ]
)


def side_of(sign: int) -> Side:
    return Side.BUY if sign > 0 else Side.SELL


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(1, 10**13)), max_size=12))
def test_folding_trades_gives_the_position_of_the_live_books(trades: list[tuple[int, int]]) -> None:
    live, mine = Position(), (0, 0, 0)
    for number, (signed, quote) in enumerate(trades):
        if signed == 0:
            continue
        fill = Fill(number, "BTCUSDT", side_of(signed), 1, abs(signed), quote, 0, "USDT", False, 0)
        live = apply_fill(live, fill, BTC, 0)
        mine = fold_trade(*mine, signed, quote)
        assert mine == (live.quantity // BTC.step_units, live.cost, live.realized)


@given(SIGNED, SIGNED, st.integers(0, 10**15))
def test_an_order_reserves_what_the_live_reservation_takes(position: int, signed: int, value: int) -> None:
    assume(signed)
    increase = exposure_increase(position, 0, 0, side_of(signed), abs(signed))
    assert reserve(position, signed, value) == reserved_notional(value, increase, abs(signed))


@given(
    st.lists(st.tuples(st.integers(-(10**5), 10**5), st.integers(1, 10**12), st.integers(0, 99)), max_size=10)
)
def test_what_a_position_carries_follows_the_live_settlement(trades: list[tuple[int, int, int]]) -> None:
    live, position, mine = Carried(), 0, 0
    for signed, quote, extra in trades:
        if signed == 0:
            continue
        reserved = reserve(position, signed, quote + extra)
        settled = settle_fill(Reservation(abs(signed), reserved), live, side_of(signed), abs(signed), quote)
        mine = carried_after(position, mine, signed, reserved, quote)
        position += signed
        live = settled.carried
        assert (position, mine) == (live.quantity, live.notional)


@given(INSTRUMENTS, st.integers(1, 10**7), SIGNED)
def test_values_are_those_of_the_instrument(instrument: Instrument, ticks: int, steps: int) -> None:
    scale = scale_of(instrument)
    assert notional(scale, ticks, abs(steps)) == instrument.notional_units(ticks, abs(steps))
    units = steps * instrument.step_units
    assert market_value(scale, steps, ticks) == live_market_value(units, instrument.price(ticks))


@given(INSTRUMENTS, st.integers(2, 10**7), st.sampled_from([1, -1]), st.integers(0, 9_999))
def test_the_collar_is_that_of_the_router(instrument: Instrument, touch: int, side: int, bps: int) -> None:
    live = live_collared_ticks(instrument, side_of(side), instrument.price(touch), bps)
    assert collared_ticks(touch, side, bps) == live


@given(
    INSTRUMENTS,
    st.integers(1, 10**7),
    st.integers(1, 10**7),
    st.integers(-1_000, 1_000),
    st.sampled_from([1, -1]),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400)
def test_the_filters_take_and_refuse_what_the_live_filters_do(
    instrument: Instrument,
    touch: int,
    steps: int,
    off: int,
    side: int,
    working: int,
    market: bool,
    reduce: bool,
) -> None:
    ticks = max(1, touch + touch * off // 10_000)
    live = check_filters(
        instrument,
        side=side_of(side),
        ticks=ticks,
        steps=steps,
        is_market=market,
        reference=Fraction(instrument.price(touch)),
        open_orders=working,
        reduces=reduce,
    )
    mine = passes_filters(scale_of(instrument), side, ticks, steps, touch, working, int(market), int(reduce))
    assert mine == (live is None)


@st.composite
def judged(draw: Any) -> tuple[Any, Any, dict[str, int]]:
    """An order, the world around it, and what the kernel is told of both."""
    instrument = draw(INSTRUMENTS)
    touch, side = draw(st.integers(1_000, 3_000_000)), draw(st.sampled_from([1, -1]))
    ticks = max(1, touch + draw(st.integers(-200, 200)) * touch // 10_000)
    steps, position = draw(st.integers(1, 30_000)), draw(st.integers(-30_000, 30_000))
    value = instrument.notional_units(ticks, steps)
    near = st.integers(-2, 2)
    bound = limits(
        min_notional=max(0, draw(st.sampled_from([0, value])) + draw(near)),
        max_notional=max(0, draw(st.sampled_from([value, 10**17])) + draw(near)),
        max_quantity=max(0, draw(st.sampled_from([steps, 10**9])) + draw(near)) * instrument.step_units,
        **{
            name: max(0, draw(st.sampled_from([value, 10**17])) + draw(near))
            for name in ("exposure_symbol", "exposure_strategy", "exposure_account", "exposure_global")
        },
        # A backtest knows neither of these caps (docs/BACKTESTING.md, What is not modelled).
        exposure_strategy_symbol=10**17,
        exposure_group=10**17,
        orders_per_minute=draw(st.sampled_from([2, 30])),
        max_open_orders=draw(st.sampled_from([1, 20])),
        collar_bps=draw(st.sampled_from([0, 50, 200])),
    )
    reducing = 0 < steps <= -side * position
    used = {n: draw(st.sampled_from([0, 1, value // 2])) for n in ("symbol", "strategy", "account", "global")}
    cash = max(0, draw(st.sampled_from([value, 10**17, 0])) + draw(near))
    working, sent = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    kind = draw(st.sampled_from([OrderType.MARKET, OrderType.LIMIT]))
    check = order(
        side=side_of(side), type=kind, ticks=ticks, steps=steps, notional=value, reduce_only=reducing,
        symbol=instrument.symbol,
    )  # fmt: skip
    world = context(
        instrument=instrument, limits=bound, best_bid=touch, best_ask=touch, allowed_symbols=frozenset({"*"}),
        position=position * instrument.step_units, free_base=position * instrument.step_units, free_quote=cash,
        open_orders=working, orders_last_minute=sent,
        **{f"used_{name}": amount for name, amount in used.items()},
    )  # fmt: skip
    told = {
        "side": side, "ticks": ticks, "steps": steps, "value": value, "market": int(kind is OrderType.MARKET),
        "touch": touch, "position": position, "cash": cash, "open_orders": working, "sent_last_minute": sent,
        **{f"used_{name}": amount for name, amount in used.items()},
    }  # fmt: skip
    return check, world, told


@given(judged())
@settings(max_examples=600)
def test_every_verdict_is_that_of_the_first_live_rail_that_denies(
    case: tuple[Any, Any, dict[str, int]],
) -> None:
    check, world, told = case
    # USD-M has the margin in place of the balance, which the live rails do not know yet.
    scale = scale_of(world.instrument)._replace(futures=0)
    if world.instrument.market == "usdm":
        world = replace(world, instrument=replace(world.instrument, market=BTC.market))
    denial = first_denial(check_order(check, world))
    verdict = judge(scale, limit_table(world.limits, world.instrument.step_units), **told)
    assert (None if verdict == ALLOWED else CODES[verdict - 1]) == (None if denial is None else denial.rail)


@st.composite
def plans(draw: Any) -> dict[str, Any]:
    """What several strategies want, hold and have in flight."""
    count = draw(st.integers(1, 3))
    return {
        "instrument": draw(INSTRUMENTS),
        "price": draw(st.integers(1_000, 3_000_000)),
        "wants": [
            (draw(st.integers(0, 10**14)), draw(st.integers(-TARGET_ONE, TARGET_ONE))) for _ in range(count)
        ],
        "position": draw(st.integers(-(10**6), 10**6)),
        "in_flight": draw(st.sampled_from([0, 0, 1, -1, 500, -500, 10**6])),
        "band": draw(st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.37")])),
        "max_child": draw(st.sampled_from([None, Decimal(50), Decimal(3_000), Decimal(10**7)])),
    }


@given(plans())
@settings(max_examples=600)
def test_the_plan_is_that_of_the_planner(case: dict[str, Any]) -> None:
    instrument, price = case["instrument"], case["price"]
    desires = [
        Desire(str(n), 0.0, Decimal(1), from_units(capital), str(n))
        for n, (capital, _) in enumerate(case["wants"])
    ]
    # The live target is a float; the exact decimal of a whole part of 1e-9 has to survive it.
    desires = [
        replace(desire, target=float(Decimal(target) / TARGET_ONE))
        for desire, (_, target) in zip(desires, case["wants"], strict=True)
    ]
    flying = case["in_flight"]
    working = []
    if flying:
        from trading.domain.orders import OrderStatus

        working = [WorkingOrder("a", side_of(flying), abs(flying), None, OrderStatus.SENDING)]
    live = plan(
        desires,
        case["position"] * instrument.step_units,
        working,
        instrument,
        instrument.price(price),
        rebalance_band=case["band"],
        max_child_notional=case["max_child"],
    )
    scale = scale_of(instrument)
    wanted = netted_steps(scale, case["wants"], price)
    assert wanted * instrument.step_units == live.target
    largest = 0 if case["max_child"] is None else int(case["max_child"] * UNITS)
    steps, count = planned_steps(
        scale, wanted, case["position"], flying, price, int(case["band"] * 10**8), largest
    )
    sent = [intent.side.sign * intent.quantity for intent in live.intents]
    sign = 1 if steps > 0 else -1
    assert [sign * child_steps(abs(steps), count, n) for n in range(count)] == sent


@given(INSTRUMENTS, st.integers(0, 10**15), st.integers(-TARGET_ONE, TARGET_ONE), st.integers(1, 3_000_000))
def test_one_strategy_alone_wants_what_netting_one_gives(
    instrument: Instrument, capital: int, target: int, price: int
) -> None:
    scale = scale_of(instrument)
    assume(target >= 0 or scale.futures)
    assert wanted_steps(scale, capital, target, price) == netted_steps(scale, [(capital, target)], price)
