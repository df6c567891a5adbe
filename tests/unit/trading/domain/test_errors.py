"""The four kinds of "no"."""

import pickle

import pytest

from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable


@pytest.mark.parametrize(
    "error",
    [
        VenueRejected(-2010, "Account has insufficient balance for requested action."),
        VenueUnavailable(2.5, "Too many requests", -1003),
        VenueUnavailable(None, "connection refused"),
        OutcomeUnknown("abc", "read timed out"),
    ],
)
def test_a_venue_error_survives_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
    assert isinstance(copy, VenueError)


def test_a_venue_error_says_code_message_and_wait():
    assert (
        str(VenueRejected(-1013, "Filter failure: LOT_SIZE"))
        == "venue refused (-1013): Filter failure: LOT_SIZE"
    )
    assert str(VenueUnavailable(2.5, "busy", -1003)) == "venue unavailable (-1003): busy, retry after 2.5 s"
    assert "abc" in str(OutcomeUnknown("abc", "reset"))
