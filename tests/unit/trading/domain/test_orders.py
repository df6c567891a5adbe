"""Order states, idempotency keys, intents."""

import base64
import hashlib
import itertools

import pytest

from trading.domain.errors import IllegalTransition
from trading.domain.orders import (
    OPEN,
    TERMINAL,
    TRANSITIONS,
    OrderIntent,
    OrderStatus,
    advance,
    client_order_id,
    decision_id,
    from_venue,
    is_open,
    is_terminal,
)
from trading.domain.values import OrderType, Side, TimeInForce

S = OrderStatus
AT_VENUE = (S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED)


def test_every_state_has_its_row_in_the_table():
    assert set(TRANSITIONS) == set(OrderStatus)


def test_open_states_are_those_that_hold_a_reservation():
    assert {S.RESERVED, S.SENDING, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED} == OPEN
    assert set(OrderStatus) - OPEN == TERMINAL
    assert all(is_open(s) != is_terminal(s) for s in OrderStatus)


@pytest.mark.parametrize("reported", AT_VENUE)
def test_an_answer_moves_an_order_in_flight(reported):
    assert advance(S.SENDING, reported) is reported
    assert advance(S.UNKNOWN, reported) is reported


@pytest.mark.parametrize("end", [S.FILLED, S.CANCELED, S.EXPIRED])
@pytest.mark.parametrize("late", [S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED, S.ABSENT])
def test_a_late_report_never_reopens_an_order(end, late):
    assert advance(end, late) is end


@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_repeated_report_changes_nothing(status):
    assert advance(status, status) is status


@pytest.mark.parametrize("found", AT_VENUE)
def test_an_order_proven_absent_that_lands_late_is_adopted(found):
    assert advance(S.ABSENT, found) is found


@pytest.mark.parametrize("terminal", sorted(TERMINAL - {S.ABSENT}))
@pytest.mark.parametrize("reported", list(OrderStatus))
def test_a_terminal_state_is_never_left(terminal, reported):
    try:
        after = advance(terminal, reported)
    except IllegalTransition:
        return
    assert after is terminal


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.permutations([S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED], 2))
)
def test_two_different_ends_of_one_order_cannot_be(one, other):
    with pytest.raises(IllegalTransition, match=f"{one} cannot become {other}"):
        advance(one, other)


@pytest.mark.parametrize("reported", [s for s in OrderStatus if s not in (S.RESERVED, S.SENDING, S.RELEASED)])
def test_a_reserved_order_can_only_be_sent_or_released(reported):
    with pytest.raises(IllegalTransition):
        advance(S.RESERVED, reported)
    assert advance(S.RESERVED, S.SENDING) is S.SENDING
    assert advance(S.RESERVED, S.RELEASED) is S.RELEASED


@pytest.mark.parametrize("never_sent", [S.DENIED, S.RELEASED])
@pytest.mark.parametrize("reported", [S.SENDING, *AT_VENUE, S.REJECTED])
def test_an_order_that_was_given_up_is_never_sent_nor_known_at_the_venue(never_sent, reported):
    with pytest.raises(IllegalTransition):
        advance(never_sent, reported)


@pytest.mark.parametrize("reported", AT_VENUE)
def test_a_refused_order_cannot_be_known_at_the_venue(reported):
    with pytest.raises(IllegalTransition):
        advance(S.REJECTED, reported)


def test_a_lost_answer_does_not_hide_what_the_stream_already_told():
    assert advance(advance(S.SENDING, S.PARTIALLY_FILLED), S.UNKNOWN) is S.PARTIALLY_FILLED


def test_an_order_of_unknown_outcome_cannot_be_released_only_proven_absent():
    with pytest.raises(IllegalTransition):
        advance(S.UNKNOWN, S.RELEASED)
    assert advance(S.UNKNOWN, S.ABSENT) is S.ABSENT


def test_an_order_known_at_the_venue_cannot_be_proven_absent():
    assert advance(S.NEW, S.ABSENT) is S.NEW


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("NEW", S.NEW),
        ("PENDING_NEW", S.NEW),
        ("PENDING_CANCEL", S.NEW),
        ("PARTIALLY_FILLED", S.PARTIALLY_FILLED),
        ("FILLED", S.FILLED),
        ("CANCELED", S.CANCELED),
        ("REJECTED", S.REJECTED),
        ("EXPIRED", S.EXPIRED),
        ("EXPIRED_IN_MATCH", S.EXPIRED),
    ],
)
def test_the_venues_words_are_understood(word, status):
    assert from_venue(word) is status


def test_an_unknown_word_of_the_venue_is_not_guessed():
    with pytest.raises(ValueError, match="FROZEN"):
        from_venue("FROZEN")


def test_a_client_order_id_is_the_hash_of_its_parts():
    # defect W13: ids came from the clock and collided
    text = "local|paper-spot|moving_average|d1|0|1"
    expected = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:30]
    assert client_order_id("local", "paper-spot", "moving_average", "d1", 0, 1) == expected


def test_a_client_order_id_fits_the_venue():
    key = client_order_id("local", "paper-spot", "moving_average", "d1", 0, 1)
    assert len(key) == 30
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_each_part_of_the_key_counts():
    parts = ("local", "a", "s", "d", 0, 1)
    keys = {client_order_id(*parts)}
    for i in range(6):
        changed = list(parts)
        changed[i] = 9 if isinstance(parts[i], int) else f"{parts[i]}x"
        keys.add(client_order_id(*changed))
    assert len(keys) == 7


def test_a_separator_inside_a_part_cannot_make_two_keys_one():
    with pytest.raises(ValueError, match="a\\|b"):
        client_order_id("local", "a|b", "c", "d", 0, 1)
    with pytest.raises(ValueError):
        decision_id("a|b", "", "BTCUSDT", 1)


def test_the_same_bar_gives_the_same_decision_and_the_next_another():
    assert decision_id("ma", "", "BTCUSDT", 60) == decision_id("ma", "", "BTCUSDT", 60)
    assert decision_id("ma", "", "BTCUSDT", 60) != decision_id("ma", "", "BTCUSDT", 120)


@pytest.mark.parametrize(("quantity", "price"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_an_intent_needs_a_positive_quantity_and_price(quantity, price):
    with pytest.raises(ValueError, match="expected a positive"):
        OrderIntent("BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, quantity, price, False, "")
