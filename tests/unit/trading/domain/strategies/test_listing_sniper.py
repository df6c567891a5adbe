"""The listing sniper: every guard, its exits, and that it enters once."""

from __future__ import annotations

from typing import Any

import pytest

from trading.domain.strategies import Bar, Desired, Observation, ParameterError, parse_params, registry

ListingSniper = registry()["listing_sniper"]
S = 1_000_000_000
LISTED = 1_700_000_000 * S
BEFORE = Bar(LISTED - 120 * S, LISTED - 60 * S, 1.0, 1.0, 1.0, 1.0, 0.0)


def look(age_s: float, price: float = 10.0, **more: Any) -> Observation:
    seen: dict[str, Any] = {
        "bid": price * 0.999, "ask": price * 1.001, "bid_size": 1_000.0, "ask_size": 1_000.0,
        "listing_age_s": age_s, "trigger": "book",
    }  # fmt: skip
    return Observation("NEWUSDT", "1m", BEFORE, LISTED + int(age_s * S), **(seen | more))


def held(age_s: float, price: float, paid: float = 10.0) -> Observation:
    return look(age_s, price, position=5.0, average_price=paid)


def step(observations: list[Observation], **values: Any) -> list[Desired]:
    params = parse_params(ListingSniper.Params, {"enabled": True} | values)
    strategy = ListingSniper()
    state, said = strategy.initial(params), []
    for seen in observations:
        state = strategy.load(strategy.dump(state))
        state, desired = strategy.step(params, state, seen)
        said.append(desired)
    return said


def told(said: list[Desired]) -> list[tuple[float, str]]:
    return [(one.target, one.reason) for one in said]


def test_it_is_off_unless_switched_on() -> None:
    said = step([look(0), look(13)], enabled=False)
    assert told(said) == [(0.0, "OFF"), (0.0, "OFF")]


def test_it_enters_after_the_delay_with_the_part_its_stop_allows() -> None:
    said = step([look(0), look(11.9), look(12.1)])
    assert [one.reason for one in said] == ["TOO_EARLY", "TOO_EARLY", "ENTRY"]
    assert said[2].target == pytest.approx(0.0075 / 0.12)
    assert said[2].protection.stop == pytest.approx(10.01 * 0.88)
    assert said[2].features["price_cap"] == pytest.approx(10.0 * 1.45)


def test_the_size_is_capped() -> None:
    assert step([look(0), look(13)], risk=0.1, stop=0.1, cap=0.2)[1].target == 0.2


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (look(13, listing_age_s=None), "AGE_UNKNOWN"),
        (look(181), "LATE"),
        (look(13, bid=0.0), "NO_TWO_SIDED_BOOK"),
        (look(13, bid=9.0, ask=11.0), "WIDE_SPREAD"),
        (look(13, bid_size=1.0), "THIN_BOOK"),
        (look(13, 14.6), "CHASE"),
    ],
)
def test_each_guard_keeps_it_out(seen: Observation, reason: str) -> None:
    assert told(step([look(0), seen]))[1] == (0.0, reason)


def test_every_guard_has_its_last_allowed_value() -> None:
    assert step([look(0), look(180)], halt_s=180.0)[1].reason == "ENTRY"
    at_cap = look(13, bid=14.4, ask=10.0 * 1.45)
    assert step([look(0), at_cap])[1].reason == "ENTRY"
    assert step([look(0), look(13, bid_size=1_000.0 / 9.99)])[1].reason == "ENTRY"


def test_being_late_is_said_with_the_seconds() -> None:
    assert step([look(0), look(200)])[1].features["late_s"] == pytest.approx(20.0)


def test_a_price_first_seen_late_is_no_baseline() -> None:
    # Measured from a price seen after twelve seconds, a rise before them would look like nothing.
    assert told(step([look(12.5, 14.0), look(13, 14.0)])) == [(0.0, "BASELINE_UNKNOWN")] * 2


def test_the_open_of_the_listings_own_bar_is_its_first_price() -> None:
    bar = Bar(LISTED, LISTED + 60 * S - 1_000_000, 9.0, 14.0, 9.0, 14.0, 1.0)
    seen = look(61, 14.0)
    seen.bar = bar
    said = step([seen])[0]
    assert (said.reason, said.features["baseline"]) == ("CHASE", 9.0)


def test_given_up_once_it_is_given_up_for_good() -> None:
    assert told(step([look(0), look(13, 14.6), look(14, 10.0)]))[2] == (0.0, "CHASE")


def test_a_market_that_was_silent_cools_down_first() -> None:
    said = step([look(0), look(80), look(100)], halt_s=60.0, cooldown_s=900.0, lateness_s=2_000.0)
    assert [one.reason for one in said[1:]] == ["COOLING_DOWN", "COOLING_DOWN"]


def test_an_entry_decided_at_a_bar_that_came_late_has_its_time_from_the_next_look() -> None:
    # The bar closed at 60 s and was told when the market stood at 110 s, as after a listing that was found late.
    seen = look(60, 14.0)
    seen.trigger, seen.bar = "bar", Bar(LISTED, LISTED + 60 * S, 13.9, 14.0, 13.9, 14.0, 1.0)
    said = step([seen, look(110), look(139), look(140.1)])
    assert [one.reason for one in said] == ["ENTRY", "ENTRY", "ENTRY", "NOT_FILLED"]


def test_it_gave_up_where_it_will_never_enter_any_more() -> None:
    sniper = ListingSniper()
    assert not sniper.gave_up(sniper.initial(ListingSniper.Params()))
    params = ListingSniper.Params(enabled=True)
    late, _ = sniper.step(params, sniper.initial(params), look(181))
    assert sniper.gave_up(late)


def test_an_order_that_is_not_filled_is_given_up() -> None:
    said = step([look(0), look(13), look(40), look(43.1), look(44)])
    assert told(said)[1:] == [
        (0.0625, "ENTRY"), (0.0625, "ENTRY"), (0.0, "NOT_FILLED"), (0.0, "NOT_FILLED"),
    ]  # fmt: skip


def test_an_order_is_withdrawn_when_the_price_runs_away_from_it() -> None:
    assert told(step([look(0), look(13), look(14, 15.0)]))[2] == (0.0, "CHASE")


def test_half_goes_at_the_first_rung_and_the_rest_at_the_second() -> None:
    said = step([look(0), look(13), held(14, 10.0), held(20, 15.1), held(21, 12.0), held(30, 20.1)])
    assert told(said)[2:] == [
        (0.0625, "HELD"), (0.03125, "FIRST_RUNG"), (0.03125, "FIRST_RUNG"), (0.0, "SECOND_RUNG"),
    ]  # fmt: skip


def test_the_hard_stop_sells_everything() -> None:
    said = step([look(0), look(13), held(14, 10.0), held(15, 8.7)])
    assert told(said)[3] == (0.0, "STOP")


def test_the_stop_counts_from_what_was_paid() -> None:
    said = step([look(0), look(13), held(14, 10.0, paid=9.0), held(15, 8.7)])
    assert told(said)[3] == (0.0625, "HELD")


def test_when_the_time_is_up_everything_is_sold() -> None:
    said = step([look(0), look(13), held(14, 10.0), held(3_613, 10.0), held(3_615, 10.0)], halt_s=1e4)
    assert [one.reason for one in said[2:]] == ["HELD", "HELD", "TIME_STOP"]


def test_it_never_enters_twice() -> None:
    said = step([look(0), look(13), held(14, 10.0), held(15, 8.0), look(16), look(20), look(100)])
    assert [one.target for one in said[3:]] == [0.0] * 4


def test_a_position_it_does_not_know_of_is_sold() -> None:
    assert told(step([held(20, 10.0)])) == [(0.0, "UNKNOWN_POSITION")]


@pytest.mark.parametrize(
    ("values", "field"),
    [({"lateness_s": 12.0}, "lateness_s"), ({"second_rung": 0.5}, "second_rung"), ({"stop": 0.0}, "stop")],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        parse_params(ListingSniper.Params, values)
    assert refused.value.field == field
