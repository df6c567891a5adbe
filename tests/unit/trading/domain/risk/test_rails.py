"""Every rail three times: the last value allowed, the first denied, and denial when the rail itself fails."""

import pytest

from tests.fakes.checks import context, order
from tests.fakes.instruments import usdm
from tests.unit.trading.domain.risk.amount_cases import AMOUNT_CASES
from tests.unit.trading.domain.risk.entry_cases import ENTRY_CASES
from tests.unit.trading.domain.risk.samples import EVERY, MARGIN, R, verdict
from trading.domain.risk import RAILS, check_order, first_denial
from trading.domain.values import UNITS, Level

CASES = [*ENTRY_CASES, *AMOUNT_CASES]


def each(cases=CASES):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.rail)


@each()
def test_a_rail_allows_the_last_value_within_its_limit(case):
    result = verdict(case.rail, order(**case.order_allowed), context(**case.allowed))
    assert result.passed, result.detail
    assert result.code is None


@each()
def test_a_rail_denies_the_first_value_beyond_its_limit(case):
    result = verdict(case.rail, order(**case.order_denied), context(**case.denied))
    assert not result.passed
    assert result.code is case.code
    assert result.detail


@each()
def test_a_rail_that_fails_denies_with_its_own_code(case):
    world = None if case.broken is None else context(**case.broken)
    result = verdict(case.rail, order(**case.order_broken), world)
    assert not result.passed
    assert result.code is case.code
    assert "failed and therefore denies" in result.detail


def test_every_declared_rail_has_its_three_tests():
    assert [rail.name for rail in EVERY] == [case.rail for case in CASES]
    assert [rail.code for rail in EVERY] == [case.code for case in CASES]


def test_every_check_of_the_catalogue_is_there_but_those_that_may_wait():
    waiting = {14, 18, 30, 34, 37}
    wanted = [f"P{number:02}" for number in range(1, 41) if number not in waiting]
    numbers = [rail.number for rail in EVERY]
    assert sorted(set(numbers) - {"1.4"}) == wanted
    in_order = [number for number in numbers if number not in ("1.4", "P03")]
    assert in_order == sorted(in_order)


def test_every_denial_says_both_numbers_or_why_there_is_none():
    for case in CASES:
        result = verdict(case.rail, order(**case.order_denied), context(**case.denied))
        assert result.measured is not None
        assert result.limit is not None


def test_a_healthy_order_passes_all_rails_in_their_declared_order():
    results = check_order(order(), context())
    assert [result.rail for result in results] == [rail.name for rail in RAILS]
    assert first_denial(results) is None


def test_all_rails_are_judged_and_the_first_denial_is_the_answer():
    results = check_order(order(notional=2_000 * UNITS), context(level=Level.CANCEL, quote_age_ns=None))
    denials = [result.rail for result in results if not result.passed]
    assert denials == ["kill_level", "price_fresh", "max_notional"]
    assert first_denial(results).code is R.TRADING_HALTED


def test_a_context_of_nothing_is_denied_by_every_rail_that_looks_at_it():
    results = check_order(order(), None)
    assert all(not result.passed for result in results)
    assert len(results) == len(RAILS)


def test_verdicts_are_written_out_in_their_units():
    result = verdict("price_fresh", order(), context())
    assert (result.measured, result.limit, result.unit) == (1.0, 10.0, "s")
    shares = verdict("margin_use", order(), context(instrument=usdm(), margin=MARGIN))
    assert (shares.measured, shares.limit) == (0.002, 0.5)
