"""How often and how soon again, and never with oneself."""

from tests.fakes.checks import SECOND, context, limits, order
from tests.unit.trading.domain.risk.samples import R, verdict
from trading.domain.values import Side


def test_the_rate_limit_says_when_there_is_room_again():
    result = verdict("order_rate", order(), context(orders_last_minute=30, leaving_order_age_ns=45 * SECOND))
    assert result.retry_after_s == 15.0


def test_one_order_a_minute_lets_the_first_pass_and_stops_the_second():
    # earlier system C5
    one = limits(orders_per_minute=1)
    assert verdict("order_rate", order(), context(limits=one)).passed
    assert verdict("order_rate", order(), context(limits=one, orders_last_minute=1)).code is R.RATE_LIMITED


def test_the_wait_after_a_refusal_doubles():
    waits = [
        verdict("rejected_backoff", order(), context(rejected=count, rejected_age_ns=0)).retry_after_s
        for count in (1, 2, 3, 4)
    ]
    assert waits == [2.0, 4.0, 8.0, 16.0]


def test_people_are_not_throttled_as_if_they_were_a_machine():
    by_hand = order(is_manual=True)
    assert verdict("near_duplicate", by_hand, context(near_age_ns=0)).passed
    assert verdict("repeated_execution", by_hand, context(executions=99)).passed


def test_a_sale_at_or_below_an_own_bid_would_trade_with_oneself():
    world = context(crossing=2_000_000)
    assert not verdict("self_trade", order(side=Side.SELL), world).passed
    assert verdict("self_trade", order(side=Side.SELL, ticks=2_000_001), world).passed
    assert verdict("self_trade", order(ticks=None), world).code is R.SELF_TRADE
