from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from tests.fakes.checks import limits
from tests.fakes.instruments import spot, usdm
from tests.unit.trading.domain.backtest.bars import MINUTE_NS, T0, NoParams, Script, bars, flat_bars, script
from trading.domain.backtest import (
    Assignment,
    BacktestRun,
    BarSeries,
    Costs,
    FillKind,
    FillMode,
    FundingSeries,
    Inputs,
    Settings,
    SizeRule,
    run,
)
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.strategies import Desired, Protection, Quotes
from trading.domain.values import UNITS, from_units

FREE = Costs(taker_bps=Decimal(0), maker_bps=Decimal(0))
ONE_COIN = Settings(costs=FREE, size=SizeRule.quantity, size_amount=Decimal(1))


def rows(result, *names):
    return list(zip(*(result.ledger.column("fills", name).tolist() for name in names), strict=True))


def test_a_decision_at_a_close_fills_at_the_next_open():
    market = bars([(100, 105, 95, 101), (110, 115, 105, 112), (120, 125, 115, 121)])
    result = run(Inputs([market], [script({0: 1.0})], ONE_COIN))
    assert rows(result, "bar", "steps", "ticks") == [(1, 100_000, 11_000)]
    fill_ns, decided_ns = rows(result, "time_ns", "decided_ns")[0]
    assert (fill_ns, decided_ns) == (T0 + MINUTE_NS, T0 + MINUTE_NS - 1_000_000)
    assert [from_units(e) for e in result.equity.tolist()] == [100_000, 100_000, 100_002, 100_011]


def test_a_decision_at_a_close_fills_at_that_close_when_so_asked():
    market = bars([(100, 105, 95, 101), (110, 115, 105, 112)])
    result = run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, fill=FillMode.same_close)))
    assert rows(result, "bar", "ticks") == [(0, 10_100)]
    assert result.final_equity == 100_011


def test_a_decision_at_the_last_close_has_no_bar_to_fill_in():
    result = run(Inputs([flat_bars([100, 101])], [script({1: 1.0})], ONE_COIN))
    assert len(result.ledger.fills) == 0


def test_latency_in_bars_and_in_time_moves_the_fill_to_a_later_open():
    market = flat_bars([100, 101, 102, 103, 104, 105])
    for late, bar in ((0, 1), (1, 2), (3, 4)):
        assert rows(
            run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, latency_bars=late))), "bar"
        ) == [(bar,)]
    # Closed 1 ms before the next open: more than that is too late for it.
    for late, bar in ((1_000_000, 1), (1_000_001, 2), (MINUTE_NS + 1_000_001, 3)):
        assert rows(run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, latency_ns=late))), "bar") == [
            (bar,)
        ]


def test_a_target_is_a_fraction_of_the_equity_less_room_for_collar_and_fee():
    costs = Costs(taker_bps=Decimal(10))
    result = run(
        Inputs([flat_bars([100, 100])], [script({0: 0.5})], Settings(cash=Decimal(10_000), costs=costs))
    )
    # 10,000 / 1.003 x 0.5 / 100, cut to 0.00001.
    assert rows(result, "steps") == [(int(10_000 / 1.003 * 0.5 / 100 * 100_000),)]


def test_an_allocation_does_not_grow_with_the_equity():
    settings = Settings(costs=FREE, size=SizeRule.allocation, size_amount=Decimal(1_000))
    result = run(Inputs([flat_bars([100, 100, 300, 300, 300])], [script({0: 1.0, 2: 0.0, 3: 1.0})], settings))
    assert rows(result, "steps") == [(1_000_000,), (-1_000_000,), (333_333,)]


def test_a_strategy_that_says_nothing_keeps_what_it_wanted_and_drift_inside_the_band_is_left():
    settings = Settings(costs=FREE, size=SizeRule.allocation, size_amount=Decimal(1_000))
    result = run(Inputs([flat_bars([100, 100, 105, 105, 130, 130])], [script({0: 1.0})], settings))
    # At 105 the target is 9.52, 5 % off; at 130 it is 7.69, 30 % off.
    assert rows(result, "bar", "steps") == [(1, 1_000_000), (5, 769_230 - 1_000_000)]


def test_spot_is_never_short_and_a_perpetual_may_be():
    wish = {0: -1.0}
    assert len(run(Inputs([flat_bars([100, 100])], [script(wish)], ONE_COIN)).ledger.fills) == 0
    perpetual = flat_bars([100, 100, 90], instrument=usdm())
    assert run(Inputs([perpetual], [script(wish)], ONE_COIN)).final_equity == 100_010
    assert len(run(Inputs([perpetual], [script(wish)], replace(ONE_COIN, long_only=True))).ledger.fills) == 0


def test_money_that_is_not_there_is_not_spent():
    result = run(Inputs([flat_bars([100, 100])], [script({0: 1.0})], replace(ONE_COIN, cash=Decimal(99))))
    assert (len(result.ledger.fills), result.refusals_by_rail) == (0, {"free_balance": 1})


def test_a_commission_that_cash_cannot_pay_refuses_the_order_as_the_venue_would():
    costs = Costs(taker_bps=Decimal(100))
    tight = replace(ONE_COIN, cash=Decimal("100.5"), costs=costs)
    result = run(Inputs([flat_bars([100, 100])], [script({0: 1.0})], tight))
    assert (len(result.ledger.fills), result.refusals_by_rail) == (0, {"free_balance": 1})


def test_the_rails_stop_an_order_above_its_limit_and_pass_one_at_it():
    at_limit = int(100.2 * UNITS)  # one coin at its protective limit, 20 bps above 100
    for bound, fills in ((at_limit, 1), (at_limit - 1, 0)):
        result = run(
            Inputs(
                [flat_bars([100, 100])],
                [script({0: 1.0})],
                replace(ONE_COIN, limits=limits(max_notional=bound)),
            )
        )
        assert len(result.ledger.fills) == fills
    assert result.refusals_by_rail == {"max_notional": 1}


def test_a_large_order_is_cut_into_equal_children():
    market = flat_bars([100, 100, 100])
    result = run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, max_child=Decimal(40))))
    assert rows(result, "steps") == [(33_334,), (33_333,), (33_333,)]


def test_a_second_decision_for_nearly_the_same_is_refused_and_the_parts_of_one_are_not():
    prices, opened = np.full(5, 10_000), T0 + np.arange(5, dtype=np.int64) * 1_000_000_000
    zeros = np.zeros(5)
    market = BarSeries(
        spot(), "1s", opened, opened + 999_000_000, *(prices.copy() for _ in range(4)), zeros + 10.0, zeros,
        zeros.astype(np.int64), zeros,
    )  # fmt: skip
    bound = limits(min_notional=0, near_window_ns=2_000_000_000)
    result = run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, max_child=Decimal(60), limits=bound)))
    # Two halves at one open, of one decision.
    assert rows(result, "bar", "steps") == [(1, 50_000), (1, 50_000)]
    again = run(Inputs([market], [script({0: 0.5, 1: 1.0})], replace(ONE_COIN, limits=bound)))
    # As much again a second later is too soon; the second after that it is old enough.
    assert rows(again, "bar", "steps") == [(1, 50_000), (3, 50_000)]
    assert again.refusals_by_rail == {"near_duplicate": 1}


def test_orders_beyond_the_rate_are_refused_and_tried_again_a_minute_later():
    market = flat_bars([100, 100, 100, 100])
    bound = limits(min_notional=0, orders_per_minute=2)
    result = run(Inputs([market], [script({0: 1.0})], replace(ONE_COIN, max_child=Decimal(40), limits=bound)))
    # Three children at one open, of which two are allowed; the third follows 60 s later.
    assert rows(result, "bar", "steps") == [(1, 33_334), (1, 33_333), (2, 33_333)]
    assert result.refusals_by_rail == {"order_rate": 1}


def test_a_stop_takes_the_position_out_inside_the_bar_and_it_stays_out():
    market = bars(
        [(100, 100, 100, 100), (100, 102, 99, 101), (101, 101, 90, 92), (92, 93, 91, 92), (92, 93, 91, 92)]
    )
    wish = Desired(1.0, protection=Protection(stop=95.0, take_profit=120.0))
    result = run(Inputs([market], [script({0: wish})], ONE_COIN))
    assert rows(result, "bar", "steps", "ticks", "kind") == [
        (1, 100_000, 10_000, FillKind.MARKET),
        (2, -100_000, 9_500, FillKind.STOP),
    ]
    assert result.final_equity == 99_995


def test_a_stop_that_the_entry_bar_itself_touches_counts():
    market = bars([(100, 100, 100, 100), (100, 102, 94, 101), (101, 101, 100, 100)])
    result = run(Inputs([market], [script({0: Desired(1.0, protection=Protection(stop=95.0))})], ONE_COIN))
    assert rows(result, "bar", "kind") == [(1, FillKind.MARKET), (1, FillKind.STOP)]


def test_a_take_profit_is_a_resting_order_and_pays_the_maker_fee():
    costs = Costs(taker_bps=Decimal(0), maker_bps=Decimal(10), slippage_bps=Decimal(5))
    market = bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 125, 100, 110)])
    wish = {0: Desired(1.0, protection=Protection(take_profit=120.0))}
    result = run(Inputs([market], [script(wish)], replace(ONE_COIN, costs=costs)))
    assert rows(result, "kind", "fee", "slippage")[1] == (FillKind.TAKE_PROFIT, int(0.12 * UNITS), 0)


def test_a_trailing_stop_follows_only_what_earlier_bars_showed():
    # The third bar goes to 120 and back to 105: whether the high came first nobody knows.
    market = bars([(100, 100, 100, 100), (100, 110, 100, 110), (110, 120, 105, 118), (118, 119, 107, 110)])
    wish = {0: Desired(1.0, protection=Protection(trailing=0.1))}
    result = run(Inputs([market], [script(wish)], ONE_COIN))
    assert rows(result, "bar", "ticks", "kind")[1:] == [(3, 10_800, FillKind.STOP)]  # 120 less 10 %


def test_a_trailing_stop_remembers_the_best_price_of_all_earlier_bars():
    market = bars([(100, 100, 100, 100), (100, 120, 100, 118), (118, 118, 110, 112), (112, 113, 107, 110)])
    wish = {0: Desired(1.0, protection=Protection(trailing=0.1))}
    result = run(Inputs([market], [script(wish)], ONE_COIN))
    assert rows(result, "bar", "ticks", "kind")[1:] == [(3, 10_800, FillKind.STOP)]  # 120, not 118, less 10 %


def test_a_strategy_that_wants_back_in_after_its_stop_gets_in_again():
    market = bars([(100, 100, 100, 100), (100, 100, 90, 96), (96, 96, 96, 96), (97, 97, 97, 97)])
    wish = Desired(1.0, protection=Protection(stop=95.0))
    result = run(Inputs([market], [script({0: wish, 2: wish})], ONE_COIN))
    assert rows(result, "bar", "steps") == [(1, 100_000), (1, -100_000), (3, 100_000)]


def test_funding_is_paid_on_what_is_held_through_its_time():
    market = flat_bars([100, 100, 100, 100], instrument=usdm())
    opens = market.open_ns
    funding = FundingSeries(
        np.array([opens[1], opens[2], opens[3] + 1], np.int64),
        np.array([10_000, 10_000, -20_000], np.int64),
        np.array([0, 20_000, 0], np.int64),
    )
    result = run(Inputs([market], [script({0: 1.0})], ONE_COIN, {"BTCUSDT": funding}))
    # Bought at the open of bar 1, so not held through that moment; then 200 x 1 bp, then 100 x -2 bps.
    assert [from_units(p) for p in result.ledger.column("funding", "paid").tolist()] == [
        Decimal("0.02"),
        Decimal("-0.02"),
    ]
    assert result.final_equity == 100_000


def test_a_leveraged_position_is_liquidated_by_the_extreme_of_a_bar():
    market = bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 100, 89, 100)], instrument=usdm())
    settings = Settings(
        cash=Decimal(100),
        costs=Costs(taker_bps=Decimal(0), maintenance_bps=Decimal(50)),
        size=SizeRule.quantity,
        size_amount=Decimal("9.5"),
        leverage=Decimal(10),
    )
    result = run(Inputs([market], [script({0: 1.0})], settings))
    # (100 - 950) / (9.5 (0.005 - 1)) = 89.92; what margin is left goes to the venue.
    assert rows(result, "ticks", "kind")[1] == (8_993, FillKind.LIQUIDATION)
    assert result.liquidations == 1
    assert 0 <= result.final_equity < Decimal("0.1")


def test_a_stop_nearer_than_the_liquidation_price_saves_the_position():
    market = bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 100, 89, 100)], instrument=usdm())
    settings = replace(ONE_COIN, cash=Decimal(100), size_amount=Decimal("9.5"), leverage=Decimal(10))
    wish = {0: Desired(1.0, protection=Protection(stop=95.0))}
    assert rows(run(Inputs([market], [script(wish)], settings)), "ticks", "kind")[1] == (9_500, FillKind.STOP)


def test_exposure_beyond_the_leverage_is_refused():
    market = flat_bars([100, 100], instrument=usdm())
    settings = replace(ONE_COIN, cash=Decimal(100), size_amount=Decimal("2.1"), leverage=Decimal(2))
    assert run(Inputs([market], [script({0: 1.0})], settings)).refusals_by_rail == {"margin": 1}


def test_a_strategy_sees_its_position_its_fills_and_its_result():
    assignment = script({0: 1.0})
    run(Inputs([flat_bars([100, 110, 120])], [assignment], ONE_COIN))
    first, second, third = assignment.strategy.shown
    assert (first[1:4], first[4]) == ((0.0, 0.0, 0.0), ())
    assert second[1:4] == (1.0, 110.0, 0.0)
    (fill,) = second[4]
    assert (fill.quantity, fill.price, fill.maker) == (1.0, 110.0, False)
    assert third[1:5] == (1.0, 110.0, 10.0, ())


def test_two_strategies_on_one_symbol_are_netted_into_one_order_and_share_its_fill():
    first = Assignment("BTCUSDT", Script({0: Desired(1.0)}), NoParams(), share=PARTS // 4)
    second = Assignment(
        "BTCUSDT", Script({0: Desired(1.0), 2: Desired(0.0)}), NoParams(), share=PARTS // 4 * 3
    )
    result = run(Inputs([flat_bars([100, 100, 100, 100])], [first, second], ONE_COIN))
    assert rows(result, "bar", "steps") == [(1, 100_000), (3, -75_000)]
    assert [shown[1] for shown in first.strategy.shown] == [0.0, 0.25, 0.25, 0.25]
    assert [shown[1] for shown in second.strategy.shown] == [0.0, 0.75, 0.75, 0.0]


def test_a_small_strategy_beside_a_large_one_moves_when_it_decides_and_not_by_drift():
    large = Assignment("BTCUSDT", Script({0: Desired(1.0)}), NoParams(), share=PARTS // 20 * 19)
    small = Assignment(
        "BTCUSDT", Script({0: Desired(1.0), 2: Desired(0.0), 4: Desired(1.0)}), NoParams(), share=PARTS // 20
    )
    # A twentieth of the whole is within the band of a tenth; each is by itself beyond the band of its own part.
    result = run(Inputs([flat_bars([1000] * 8)], [large, small], ONE_COIN))
    assert ONE_COIN.rebalance_band == Decimal("0.1")
    assert rows(result, "bar", "steps") == [(1, 100_000), (3, -5_000), (5, 5_000)]
    assert [shown[1] for shown in small.strategy.shown] == [0.0, 0.05, 0.05, 0.0, 0.0, 0.05, 0.05, 0.05]


def test_two_symbols_share_one_account_in_the_order_of_time():
    btc, eth = flat_bars([100, 100, 110]), flat_bars([10, 10, 9], instrument=spot("ETHUSDT"))
    result = run(Inputs([btc, eth], [script({0: 1.0}), script({1: 1.0}, "ETHUSDT")], ONE_COIN))
    assert rows(result, "lane", "bar", "ticks") == [(0, 1, 10_000), (1, 2, 900)]
    assert [from_units(e) for e in result.equity.tolist()] == [100_000, 100_000, 100_000, 100_010]
    assert [from_units(e) for e in result.gross_exposure.tolist()] == [0, 0, 100, 119]


def test_a_symbol_alone_gives_the_same_rows_beside_another_that_does_nothing():
    market = bars([(100, 105, 95, 101), (110, 115, 90, 112), (120, 125, 115, 121), (119, 130, 100, 105)])
    wish = {0: Desired(1.0, protection=Protection(stop=92.0)), 2: Desired(0.5)}
    alone = run(Inputs([market], [script(wish)], ONE_COIN))
    idle = flat_bars([7, 7, 7, 7], instrument=spot("ETHUSDT"))
    beside = run(Inputs([market, idle], [script(wish), script({}, "ETHUSDT")], ONE_COIN))
    assert alone.ledger.fills.tolist() == beside.ledger.fills.tolist()
    assert alone.equity.tolist() == beside.equity.tolist()


def test_a_strategy_on_two_symbols_has_one_exposure():
    btc, eth = flat_bars([100, 100, 100]), flat_bars([10, 10, 10], instrument=spot("ETHUSDT"))
    bound = limits(min_notional=0, exposure_strategy=int(105 * UNITS))
    result = run(
        Inputs([btc, eth], [script({0: 1.0}), script({1: 1.0}, "ETHUSDT")], replace(ONE_COIN, limits=bound))
    )
    assert (len(result.ledger.fills), result.refusals_by_rail) == (1, {"exposure_strategy": 1})


def test_a_run_of_several_symbols_can_be_cut_anywhere():
    btc, eth = flat_bars([100, 105, 110]), flat_bars([10, 11, 9], instrument=spot("ETHUSDT"))

    def inputs():
        return Inputs([btc, eth], [script({0: 1.0, 1: 0.0}), script({1: 1.0}, "ETHUSDT")], ONE_COIN)

    whole, backtest = run(inputs()), BacktestRun(inputs())
    while not backtest.advance(1):
        text, backtest = backtest.checkpoint(), BacktestRun(inputs())
        backtest.restore(text)
    assert backtest.result().sha256 == whole.sha256


def test_part_of_a_run_of_several_symbols_is_told_wherever_it_is_cut():
    # The second symbol is listed two bars later. An order trades at an open, when no bar of that minute is closed.
    btc = flat_bars([100, 105, 110, 108, 109])
    eth = flat_bars([10, 11, 9], instrument=spot("ETHUSDT"), start_ns=T0 + 2 * MINUTE_NS)
    inputs = Inputs([btc, eth], [script({0: 1.0, 2: 0.0, 3: 1.0}), script({0: 1.0}, "ETHUSDT")], ONE_COIN)
    whole, backtest = run(inputs), BacktestRun(inputs)
    told = 0
    while not backtest.advance(1):
        if not backtest.begun:
            with pytest.raises(ValueError, match="nothing has happened yet"):
                backtest.result()
            continue
        part = backtest.result()
        assert part.equity.tolist() == whole.equity.tolist()[: len(part.equity)]
        assert part.ledger.fills.tolist() == whole.ledger.fills.tolist()[: len(part.ledger.fills)]
        told += 1
    assert told >= 4
    assert backtest.result().sha256 == whole.sha256


def test_slower_bars_are_shown_when_they_close_with_the_fast_one():
    seen = []

    class Watch(Script):
        def step(self, params, state, observation):
            seen.append({name: (bar.open, bar.high, bar.close) for name, bar in observation.slower.items()})
            return super().step(params, state, observation)

    start = T0 // (5 * MINUTE_NS) * (5 * MINUTE_NS) - MINUTE_NS  # one minute before a five-minute bar opens
    market = flat_bars([100, 101, 107, 103, 104, 105, 106], start_ns=start)
    run(Inputs([market], [Assignment("BTCUSDT", Watch({}), NoParams())], ONE_COIN, slower=("5m",)))
    assert seen == [{}, {}, {}, {}, {}, {"5m": (101.0, 107.0, 105.0)}, {}]


def test_partial_results_grow_into_the_whole_one():
    inputs = Inputs([flat_bars([100, 100, 110, 120])], [script({0: 1.0})], ONE_COIN)
    backtest = BacktestRun(inputs)
    assert backtest.advance(2) is False
    part = backtest.result()
    assert (part.complete, part.final_equity, len(part.series[0])) == (False, 100_000, 2)
    assert backtest.advance() is True
    assert backtest.result().sha256 == run(inputs).sha256


def test_a_checkpoint_of_other_inputs_is_refused():
    first = BacktestRun(Inputs([flat_bars([100, 100])], [script({})], ONE_COIN))
    other = BacktestRun(Inputs([flat_bars([100, 101])], [script({})], ONE_COIN))
    with pytest.raises(ValueError, match="other bars, strategies or settings"):
        other.restore(first.checkpoint())


def test_a_result_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing has happened"):
        BacktestRun(Inputs([flat_bars([100])], [script({})], ONE_COIN)).result()


def test_quotes_on_bars_are_refused_because_bars_do_not_tell_who_was_first():
    wish = {0: Desired(0.0, quotes=Quotes(99.0, 1.0, 101.0, 1.0))}
    with pytest.raises(ValueError, match="replay"):
        run(Inputs([flat_bars([100, 100])], [script(wish)], ONE_COIN))


@pytest.mark.parametrize(
    ("series", "assignments", "text"),
    [
        ([], [], "one series for each"),
        ([flat_bars([1]), flat_bars([1])], [script({})], "one series for each"),
        ([flat_bars([1])], [script({}, "ETHUSDT")], "at least one strategy"),
        ([flat_bars([1]), flat_bars([1], instrument=usdm("ETHUSDT"))], [script({})], "spot or futures"),
    ],
)
def test_inputs_that_do_not_fit_together_are_refused(series, assignments, text):
    with pytest.raises(ValueError, match=text):
        Inputs(series, assignments, ONE_COIN)


def test_shares_of_one_capital_cannot_sum_to_more_than_it():
    btc, eth = flat_bars([100, 100]), flat_bars([10, 10], instrument=spot("ETHUSDT"))
    with pytest.raises(ValueError, match="more than the capital"):
        Inputs([btc, eth], [script({}), script({}, "ETHUSDT")], Settings())
    half = [replace(script({}, symbol), share=PARTS // 2) for symbol in ("BTCUSDT", "ETHUSDT")]
    assert Inputs([btc, eth], half, Settings()).assignments == half
    with pytest.raises(ValueError, match="more than the quantity of BTCUSDT"):
        Inputs([btc], [script({}), script({})], ONE_COIN)


def test_a_fixed_quantity_off_the_grid_is_refused():
    with pytest.raises(ValueError, match="multiple of the step"):
        BacktestRun(
            Inputs([flat_bars([1])], [script({})], replace(ONE_COIN, size_amount=Decimal("0.000001")))
        )
