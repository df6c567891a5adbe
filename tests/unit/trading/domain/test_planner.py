"""From desired states to intents; quantities by hand at a price of 20,000."""

from decimal import Decimal

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.apportionment import split_steps
from trading.domain.orders import OrderStatus
from trading.domain.planner import MAX_CHILDREN, Desire, PlanCode, WorkingOrder, plan
from trading.domain.values import UNITS, OrderType, Side, TimeInForce

PRICE = Decimal(20_000)
BTC = UNITS
S = OrderStatus


def desire(target=1.0, *, strategy="ma", weight="1", allocation="2000", attributed=0):
    return Desire(strategy, target, Decimal(weight), Decimal(allocation), f"d-{strategy}", attributed)


def working(side=Side.BUY, remaining=5_000, *, status=S.NEW, key="w1"):
    return WorkingOrder(key, side, remaining, 2_000_000, status)


def planned(desires, position=0, orders=(), *, instrument=None, price=PRICE, band="0.05", child=None):
    largest = None if child is None else Decimal(child)
    return plan(
        desires,
        position,
        orders,
        instrument or spot(),
        price,
        rebalance_band=Decimal(band),
        max_child_notional=largest,
    )


def trades(a_plan):
    return [(i.side, i.quantity) for i in a_plan.intents]


def codes(a_plan):
    return [note.code for note in a_plan.notes]


def test_a_target_buys_capital_times_weight_times_target():
    # 2000 x 0.5 x 0.8 / 20000 = 0.04 BTC = 4,000 steps
    result = planned([desire(0.8, weight="0.5")])
    assert trades(result) == [(Side.BUY, 4_000)]
    assert result.target == BTC * 4 // 100
    an_intent = result.intents[0]
    assert (an_intent.type, an_intent.time_in_force, an_intent.price) == (
        OrderType.MARKET,
        TimeInForce.IOC,
        None,
    )
    assert an_intent.reduce_only is False


def test_a_target_is_floored_to_the_step_never_rounded_up():
    # 1000 / 30000 = 0.0333333... -> 0.03333
    result = planned([desire(allocation="1000")], price=Decimal(30_000))
    assert trades(result) == [(Side.BUY, 3_333)]


def test_only_the_difference_is_traded():
    assert trades(planned([desire()], BTC * 4 // 100)) == [(Side.BUY, 6_000)]
    assert trades(planned([desire(0.2)], BTC * 4 // 100)) == [(Side.SELL, 2_000)]


def test_a_target_of_zero_sells_everything_as_an_exit():
    result = planned([desire(0.0)], BTC // 10)
    assert trades(result) == [(Side.SELL, 10_000)]
    assert result.intents[0].reduce_only


def test_nobody_wanting_anything_is_an_exit_too():
    assert trades(planned([], BTC // 10)) == [(Side.SELL, 10_000)]


def test_a_negative_target_on_spot_is_zero_with_its_reason():
    result = planned([desire(-1.0)])
    assert trades(result) == []
    assert PlanCode.SPOT_NO_SHORT in codes(result)


def test_a_strategy_that_cannot_be_short_does_not_eat_into_anothers_holding():
    result = planned([desire(1.0), desire(-1.0, strategy="hmm")])
    assert trades(result) == [(Side.BUY, 10_000)]


def test_on_futures_opposite_targets_are_netted():
    result = planned([desire(1.0), desire(-0.4, strategy="hmm")], instrument=usdm())
    assert trades(result) == [(Side.BUY, 6_000)]
    assert trades(planned([desire(-1.0)], instrument=usdm())) == [(Side.SELL, 10_000)]


def test_planning_twice_with_the_first_plan_working_plans_nothing():
    first = planned([desire()])
    orders = [working(i.side, i.quantity, status=S.RESERVED, key=str(n)) for n, i in enumerate(first.intents)]
    second = planned([desire()], orders=orders)
    assert (second.intents, second.cancels) == ((), ())
    assert second.difference == 0


@pytest.mark.parametrize("status", [S.RESERVED, S.SENDING, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED])
def test_every_working_order_counts_whatever_is_known_of_it(status):
    assert trades(planned([desire()], orders=[working(remaining=10_000, status=status)])) == []


def test_what_working_orders_do_not_cover_is_sent():
    result = planned([desire()], orders=[working(remaining=4_000)])
    assert trades(result) == [(Side.BUY, 6_000)]
    assert PlanCode.WORKING in codes(result)


def test_an_order_on_the_wrong_side_goes_first_and_nothing_new_is_sent():
    result = planned([desire()], orders=[working(Side.SELL, 100, key="wrong"), working(key="right")])
    assert result.cancels == ("wrong",)
    assert result.intents == ()
    assert PlanCode.CANCEL_FIRST in codes(result)


@pytest.mark.parametrize("status", [S.SENDING, S.UNKNOWN])
def test_an_order_in_flight_on_the_wrong_side_is_waited_for(status):
    result = planned([desire()], orders=[working(Side.SELL, 100, status=status)])
    assert (result.intents, result.cancels) == ((), ())
    assert codes(result) == [PlanCode.OUTCOME_PENDING]


def test_working_orders_beyond_the_target_are_canceled_and_what_fits_is_kept():
    orders = [working(remaining=6_000, key="keep"), working(remaining=6_000, key="too much")]
    result = planned([desire()], orders=orders)
    assert result.cancels == ("too much",)
    assert result.intents == ()


def test_at_the_target_any_working_order_is_one_too_many():
    assert planned([desire()], BTC // 10, [working()]).cancels == ("w1",)


@pytest.mark.parametrize(
    ("held", "sent"),
    [
        (9_500, []),  # 500 of 10,000 steps: exactly the band of 5 %
        (9_499, [(Side.BUY, 501)]),
        (10_500, []),
        (10_501, [(Side.SELL, 501)]),
    ],
)
def test_drift_within_the_band_does_not_trade(held, sent):
    result = planned([desire()], held * 1_000)
    assert trades(result) == sent
    assert (PlanCode.WITHIN_BAND in codes(result)) == (not sent)


@pytest.mark.parametrize(
    ("held", "canary_held", "target", "sent"),
    [
        (95_000, 0, 1.0, [(Side.BUY, 5_000)]),  # enters beside a champion of nineteen times its size
        (100_000, 5_000, 0.0, [(Side.SELL, 5_000)]),  # leaves: 5 % of the whole, within the band of 10 %
        (100_000, 5_000, 0.5, [(Side.SELL, 2_500)]),
        (99_600, 4_600, 1.0, []),  # drift of its own: 400 of 5,000 steps
    ],
)
def test_what_one_of_several_decided_is_carried_out_however_small_its_part_is(
    held, canary_held, target, sent
):
    champion = desire(allocation="19000", strategy="champion", attributed=95_000 * 1_000)
    canary = desire(target, allocation="1000", strategy="canary", attributed=canary_held * 1_000)
    result = planned([champion, canary], held * 1_000, band="0.10")
    assert trades(result) == sent
    assert [share.strategy for share in result.shares if share.steps] == (["canary"] if sent else [])


def test_dust_of_one_that_has_left_does_not_make_the_drift_of_another_trade():
    champion = desire(allocation="19000", strategy="champion", attributed=94_000 * 1_000)
    left = desire(0.0, allocation="1000", strategy="canary", attributed=10 * 1_000)  # 2 USDT, unsellable
    assert trades(planned([champion, left], 94_010 * 1_000, band="0.10")) == []


def test_the_band_never_holds_back_an_exit():
    assert trades(planned([desire(0.0)], 300_000, band="10")) == [(Side.SELL, 300)]


def test_a_change_of_price_alone_does_not_trade():
    position = planned([desire()]).target
    for price in (Decimal(19_100), Decimal(19_800), Decimal(20_300), Decimal(20_990)):
        assert trades(planned([desire()], position, price=price)) == []


@pytest.mark.parametrize("held", [999, 1, 24_000])
def test_dust_the_venue_would_refuse_is_left_with_a_note(held):
    # under one step, and 0.00024 BTC = 4.80 USDT under the minimum notional of 5
    result = planned([desire(0.0)], held)
    assert result.intents == ()
    assert codes(result) == [PlanCode.UNSELLABLE_DUST]


def test_the_smallest_sellable_holding_is_sold():
    assert trades(planned([desire(0.0)], 25_000)) == [(Side.SELL, 25)]


def test_dust_above_a_step_boundary_stays_behind_and_is_not_planned_again():
    result = planned([desire(0.0)], 10_000_999)
    assert trades(result) == [(Side.SELL, 10_000)]
    assert codes(planned([desire(0.0)], 999)) == [PlanCode.UNSELLABLE_DUST]


def test_an_entry_below_the_venues_minimum_is_not_sent():
    result = planned([desire(allocation="4.99")])
    assert result.intents == ()
    assert PlanCode.BELOW_VENUE_MINIMUM in codes(result)


def test_a_large_parent_is_cut_into_equal_children_that_sum_to_it():
    # 2,000 at most 300 an order: seven of about 286
    result = planned([desire()], child="300")
    sizes = [quantity for _, quantity in trades(result)]
    assert sizes == [1_429, 1_429, 1_429, 1_429, 1_428, 1_428, 1_428]
    assert sum(sizes) == 10_000
    assert PlanCode.SLICED in codes(result)


def test_the_number_of_children_is_bounded_and_the_rest_follows_later():
    result = planned([desire(allocation="20000")], child="100")
    assert len(result.intents) == MAX_CHILDREN
    assert sum(i.quantity for i in result.intents) == MAX_CHILDREN * 500 < 100_000


def test_children_respect_the_venues_largest_order():
    result = planned([desire()], instrument=spot(MARKET_LOT_SIZE__maxQty="0.04"))
    assert [q for _, q in trades(result)] == [3_334, 3_333, 3_333]


def test_a_largest_order_below_the_venues_minimum_sends_nothing():
    result = planned([desire()], child="4")
    assert result.intents == ()
    assert PlanCode.BELOW_VENUE_MINIMUM in codes(result)


def test_the_planned_quantity_is_shared_by_who_wants_it():
    # 500 and 1,500 of capital: a quarter and three quarters of 10,000 steps
    result = planned([desire(allocation="500"), desire(strategy="hmm", allocation="1500")])
    assert [(s.strategy, s.decision_id, s.steps) for s in result.shares] == [
        ("ma", "d-ma", 2_500),
        ("hmm", "d-hmm", 7_500),
    ]


def test_a_strategy_that_already_has_its_part_gets_no_share():
    desires = [desire(attributed=BTC // 10), desire(strategy="hmm")]
    result = planned(desires, BTC // 10)
    assert trades(result) == [(Side.BUY, 10_000)]
    assert [(s.strategy, s.steps) for s in result.shares] == [("hmm", 10_000)]


def test_an_exit_is_shared_by_who_holds():
    desires = [desire(0.0, attributed=3_000_000), desire(0.0, strategy="hmm", attributed=7_000_000)]
    result = planned(desires, BTC // 10)
    assert [s.steps for s in result.shares] == [3_000, 7_000]


def test_an_exit_of_strategies_without_capital_is_still_carried_out_and_shared():
    result = planned(
        [desire(1.0, weight="0"), desire(1.0, strategy="hmm", weight="0", allocation="0")], BTC // 10
    )
    assert trades(result) == [(Side.SELL, 10_000)]
    assert sum(s.steps for s in result.shares) == 10_000


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], (4, 3, 3)),
        (7, [Decimal("0.5"), Decimal("0.3"), Decimal("0.2")], (4, 2, 1)),  # 3.5 2.1 1.4
        (0, [0, 0], (0, 0)),
        (5, [0, 1], (0, 5)),
    ],
)
def test_a_split_goes_by_the_largest_remainder(total, weights, parts):
    assert split_steps(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (1, [-1, 2]), (-1, [1])])
def test_a_split_over_nothing_is_refused(total, weights):
    with pytest.raises(ValueError):
        split_steps(total, weights)


@pytest.mark.parametrize("target", [1.01, -1.01, float("nan"), float("inf")])
def test_a_target_that_is_no_fraction_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        desire(target)


@pytest.mark.parametrize(("weight", "allocation"), [("-1", "1"), ("1", "-1"), ("NaN", "1")])
def test_capital_is_not_negative(weight, allocation):
    with pytest.raises(ValueError, match="zero or more"):
        desire(weight=weight, allocation=allocation)


@pytest.mark.parametrize(
    "changes", [{"price": Decimal(0)}, {"price": Decimal("NaN")}, {"band": "-0.1"}, {"child": "0"}]
)
def test_impossible_terms_are_refused(changes):
    with pytest.raises(ValueError, match="expected"):
        planned([desire()], **changes)


def test_an_order_that_is_done_is_not_working():
    with pytest.raises(ValueError, match="FILLED"):
        working(status=S.FILLED)
