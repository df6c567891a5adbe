"""Whatever the order, repetition and loss of reports, an order ends where the venue ended it."""

from hypothesis import given
from hypothesis import strategies as st

from trading.domain.errors import IllegalTransition
from trading.domain.orders import TERMINAL, OrderStatus, advance

S = OrderStatus
HISTORIES = [
    [S.NEW, S.PARTIALLY_FILLED, S.FILLED],
    [S.NEW, S.FILLED],
    [S.NEW, S.CANCELED],
    [S.NEW, S.PARTIALLY_FILLED, S.CANCELED],
    [S.NEW, S.PARTIALLY_FILLED, S.EXPIRED],
    [S.NEW, S.EXPIRED],
    [S.REJECTED],
]


@given(st.sampled_from(HISTORIES), st.booleans(), st.data())
def test_reports_in_any_order_with_repeats_and_doubts_lead_to_the_venues_end(history, late_landing, data):
    # every report at least once, repeated and mixed with our own "no answer"
    reports = data.draw(st.lists(st.sampled_from([*history, S.UNKNOWN]), max_size=8))
    reports = data.draw(st.permutations([*reports, *history]))
    state = S.ABSENT if late_landing and history != [S.REJECTED] else S.SENDING
    for report in reports:
        state = advance(state, report)
    assert state is history[-1]


@given(st.sampled_from(list(S)), st.lists(st.sampled_from(list(S)), max_size=12))
def test_no_sequence_of_reports_leaves_a_terminal_state_or_returns_to_an_earlier_one(start, reports):
    path = [start]
    for report in reports:
        try:
            after = advance(path[-1], report)
        except IllegalTransition:
            continue
        if path[-1] in TERMINAL - {S.ABSENT}:
            assert after is path[-1]
        if after is not path[-1]:
            assert after not in path
            path.append(after)
