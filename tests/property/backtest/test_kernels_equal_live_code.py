"""The whole-number kernels against the code that trades: the same answer on any input."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from tests.fakes.checks import context, limits, order
from tests.fakes.instruments import spot, usdm
from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, TARGET_ONE
from trading.domain.backtest.costs import collared_ticks
from trading.domain.backtest.fold import carried_after, fold_trade, reserve
from trading.domain.backtest.limits import LimitTable, LossLimits, Use, demanded, limit_table
from trading.domain.backtest.rails import ALLOWED, CODES, judge, passes_filters
from trading.domain.backtest.scale import market_value, notional, scale_of
from trading.domain.backtest.sizing import child_steps, netted_steps, planned_steps, wanted_steps
from trading.domain.filters import check_filters
from trading.domain.margin import MarginHeld, flat_brackets, maintenance_margin
from trading.domain.orders import Fill
from trading.domain.planner import Desire, WorkingOrder, plan
from trading.domain.portfolio import Position, apply_fill
from trading.domain.portfolio import market_value as live_market_value
from trading.domain.refusals import collared_ticks as live_collared_ticks
from trading.domain.reservation import Carried, Reservation, exposure_increase, reserved_notional, settle_fill
from trading.domain.risk import (
    RAILS,
    AccountMode,
    GroupUse,
    LossMeasured,
    MarginState,
    NetExposure,
    ParentOrder,
    check_order,
    first_denial,
    reduces,
)
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


CAPS = (
    "exposure_symbol", "exposure_strategy", "exposure_strategy_symbol", "exposure_group", "exposure_account",
    "exposure_global", "net_account", "net_global",
)  # fmt: skip
GROSS = ("symbol", "strategy", "strategy_symbol", "account", "global")
NS = 1_000_000_000
MODE = AccountMode(hedge=False, isolated=False, leverage=5, expected_hedge=False, expected_isolated=False)


TIGHT = (
    *("strategy_enabled", "account_mode", "venue_filter", "price_collar", "market_order", "min_notional"),
    *("max_notional", "max_quantity", *CAPS, "margin", "liquidation", "cash", "open_orders", "order_rate"),
    *("executions", "near", "crossing", "losses", "cooldown", "sends", "override", "beside"),
)
"""What a case may be tight in; everything else is far away, so that each rail is the first to deny in some cases."""


class Draws:
    """Numbers of one case: far from every bound but where the case is tight."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        several = st.one_of(st.sets(st.sampled_from(TIGHT), max_size=3), st.sets(st.sampled_from(TIGHT)))
        self.tight = draw(several)

    def one(self, name: str, far: Any, *near: Any) -> Any:
        """`far`, or where the case is tight in it any of these."""
        return self.draw(st.sampled_from([*near, far])) if name in self.tight else far

    def about(self, name: str, *amounts: int) -> int:
        """Far away, or within two of one of these."""
        if name not in self.tight:
            return 10**17
        return max(0, self.draw(st.sampled_from(amounts)) + self.draw(st.integers(-2, 2)))

    def used(self, value: int) -> int:
        """What a bucket holds."""
        return int(self.draw(st.sampled_from([0, 0, 1, value // 2, value, 3 * value])))


def drawn_limits(case: Draws, value: int, steps: int, step_units: int) -> Any:
    one, about = case.one, case.about
    return limits(
        min_notional=min(about("min_notional", 0, value), value + 2) if "min_notional" in case.tight else 0,
        max_notional=about("max_notional", value),
        max_quantity=about("max_quantity", steps) * step_units,
        soft_notional=about("override", value),
        **{name: about(name, value, 2 * value) for name in CAPS},
        orders_per_minute=one("order_rate", 1_000, 1, 2, 3),
        orders_per_minute_strategy=one("order_rate", 1_000, 1, 2, 3),
        max_open_orders=one("open_orders", 1_000, 1, 2, 3),
        max_open_orders_strategy=one("open_orders", 1_000, 1, 2, 3),
        repeated_executions=one("executions", 1_000, 1, 2, 3),
        sends_per_decision=one("sends", 1_000, 1, 2, 3),
        collar_bps=one("price_collar", 1_000, 0, 50, 200),
        slippage_bps=one("market_order", 1_000, 0, 50, 200),
        near_window_ns=one("near", 0, 2 * NS),
        loss_cooldown_ns=one("cooldown", 0, 60 * NS),
        leverage_max=one("account_mode", 5, 4, 6),
        margin_ratio_max=one("margin", 1_000_000, 0, 4_000, 100_000),
        liquidation_distance_min=one("liquidation", 0, 1, 100_000, 900_000, 1_000_000),
    )


@st.composite
def judged(draw: Any) -> tuple[Any, Any, LimitTable, dict[str, Any]]:
    """An order, the world around it, and what the kernel is told of both."""
    case = Draws(draw)
    one, instrument, side = case.one, draw(INSTRUMENTS), draw(st.sampled_from([1, -1]))
    touch, steps = draw(st.integers(1_000_000, 3_000_000)), draw(st.integers(2_000, 30_000))
    if "venue_filter" in case.tight:
        touch, steps = draw(st.integers(1_000, 3_000_000)), draw(st.integers(1, 50_000))
    elif instrument.market_step_size:
        steps = max(200, steps // 50 * 50)
    ticks = max(1, touch + draw(st.integers(-20, 20)) * touch // 10_000)
    if {"price_collar", "market_order"} & case.tight:
        ticks = max(1, touch + draw(st.integers(-220, 220)) * touch // 10_000)
    held = draw(st.sampled_from([0, 0, 1_000, steps, 2 * steps, 100_000]))
    position = draw(st.sampled_from([1, -1])) * held
    if side < 0 and instrument.market == "spot" and "cash" not in case.tight:
        position = draw(st.sampled_from([1, 2])) * steps
    value, unit = instrument.notional_units(ticks, steps), instrument.step_units
    bound = drawn_limits(case, value, steps, unit)
    few = st.sampled_from([0, 0, 1, 2, 3])
    open_buy, open_sell = (one("beside", 0, 1, steps) for _ in range(2))
    used = {name: case.used(value) for name in GROSS}
    nets = {
        name: NetExposure(
            draw(st.sampled_from([1, -1])) * case.used(value), case.used(value), case.used(value)
        )
        for name in ("net_account", "net_global")
    }
    groups = tuple(GroupUse(str(n), case.used(value)) for n in range(draw(st.integers(0, 2))))
    counts = {
        name: draw(few)
        for name in (
            "open_orders", "open_orders_strategy", "orders_last_minute", "orders_last_minute_strategy", "executions",
        )
    }  # fmt: skip
    if "venue_filter" not in case.tight and instrument.max_open_orders:
        counts["open_orders"] = min(counts["open_orders"], instrument.max_open_orders - 1)
    near_age = draw(st.sampled_from([None, 0, 2 * NS - 1, 2 * NS]))
    crossing = one("crossing", None, ticks, max(1, ticks - 1), ticks + 1)
    parent = draw(st.sampled_from([None, ParentOrder(10**30, 0, draw(few))]))
    cash = case.about("cash", value, 0)
    bounds = [one("losses", None, 0, 5) for _ in range(5)]
    account, own = LossLimits(bounds[0], bounds[1]), LossLimits(bounds[2], bounds[3], bounds[4])
    lost = {
        name: draw(st.sampled_from([-1, 0, 5, 6]))
        for name in ("loss", "loss_strategy", "drawdown", "drawdown_strategy")
    }
    streak, loss_age = draw(st.integers(0, 6)), draw(st.sampled_from([None, 0, 60 * NS - 1, 60 * NS]))
    rate, others = (
        draw(st.sampled_from([400_000, 5_000_000])),
        [case.used(value) for _ in range(draw(st.integers(0, 2)))],
    )
    balance = 10**17
    if {"margin", "liquidation"} & case.tight:
        balance = draw(st.sampled_from([-1, 0, value // 50, value, 2 * value, 10**17]))
    brackets = flat_brackets(rate // 100)
    rows = [MarginHeld(n, draw(st.booleans()), brackets) for n in others]
    if position:
        now = instrument.notional_units(touch, abs(position))
        rows.append(MarginHeld(now, position < 0, brackets, traded=True))
    futures = instrument.market == "usdm"
    check = order(
        side=side_of(side), type=draw(st.sampled_from([OrderType.MARKET, OrderType.LIMIT])), ticks=ticks, steps=steps,
        notional=value, symbol=instrument.symbol,
    )  # fmt: skip
    world = context(
        instrument=instrument, limits=bound, best_bid=touch, best_ask=touch, allowed_symbols=frozenset({"*"}),
        mark=touch if futures else None,
        strategy_enabled=one("strategy_enabled", True, False),
        mode=MODE if futures else None,
        margin=MarginState(balance, cash // 5, 5, brackets, tuple(rows)) if futures else None,
        position=position * unit, open_buy=open_buy * unit, open_sell=open_sell * unit,
        free_base=position * unit, free_quote=cash, groups=groups, **nets, **counts,
        **{f"used_{name}": taken for name, taken in used.items()},
        near_age_ns=near_age, crossing=crossing, parent=parent, last_loss_age_ns=loss_age,
        losses=(
            LossMeasured("account", 0, lost["loss"], lost["drawdown"], 0, account.daily_loss, account.drawdown),
            LossMeasured(
                "strategy", 0, lost["loss_strategy"], lost["drawdown_strategy"], streak, own.daily_loss, own.drawdown,
                own.streak,
            ),
        ),
    )  # fmt: skip
    # The planner marks what only reduces.
    check = replace(check, reduce_only=reduces(check, world))
    move = min(bound.liquidation_distance_min, 10**6)
    use = Use(
        off=int(not world.strategy_enabled),
        open_buy=open_buy, open_sell=open_sell,
        symbol=used["symbol"], strategy=used["strategy"], strategy_symbol=used["strategy_symbol"],
        group=max((group.used for group in groups), default=0), account=used["account"], everything=used["global"],
        net_account=nets["net_account"].carried,
        account_buy=nets["net_account"].open_buy, account_sell=nets["net_account"].open_sell,
        net_global=nets["net_global"].carried,
        global_buy=nets["net_global"].open_buy, global_sell=nets["net_global"].open_sell,
        open_orders=counts["open_orders"], open_orders_strategy=counts["open_orders_strategy"],
        sent=counts["orders_last_minute"], sent_strategy=counts["orders_last_minute_strategy"],
        executions=counts["executions"],
        near_age_ns=NO_LIMIT if near_age is None else near_age,
        crossing=crossing or 0, sends=0 if parent is None else parent.sends,
        balance=balance,
        maintenance=sum(maintenance_margin(n, brackets) for n in others),
        at_limit=sum(demanded(row.notional, row.short, rate, move) for row in rows if not row.traded),
        **lost, streak=streak, loss_age_ns=NO_LIMIT if loss_age is None else loss_age,
    )  # fmt: skip
    table = limit_table(
        bound, unit, account=account, strategy=own, maintenance=rate, leverage=5 * PARTS, grouped=bool(groups)
    )
    told = {
        "side": side, "ticks": ticks, "steps": steps, "value": value, "market": int(check.type is OrderType.MARKET),
        "touch": touch, "position": position, "cash": cash // 5 * 5 if futures else cash, "use": use,
    }  # fmt: skip
    return check, world, table, told


@given(judged())
@settings(max_examples=700, deadline=None)
def test_every_verdict_is_that_of_the_first_live_rail_that_denies(
    case: tuple[Any, Any, LimitTable, dict[str, Any]],
) -> None:
    check, world, table, told = case
    denial = first_denial(check_order(check, world))
    verdict = judge(scale_of(world.instrument), table, **told)
    mine = None if verdict == ALLOWED else CODES[verdict - 1]
    # The rail `free_balance` has a name of its own in a backtest of perpetuals.
    event(f"{mine}")
    assert ("free_balance" if mine == "margin" else mine) == (None if denial is None else denial.rail)


def test_every_code_of_a_verdict_but_one_is_a_live_rail() -> None:
    live = {rail.name for rail in RAILS}
    assert set(CODES) - live == {"margin", "unfilled"}
    assert len(set(CODES)) == len(CODES)


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
