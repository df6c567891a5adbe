"""What the executor does next, decision by decision."""

from __future__ import annotations

import pytest

from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.execution import (
    GIVES_BACK,
    LEASE_NEEDED_NS,
    STUCK_AFTER_NS,
    CommandStep,
    LeaseView,
    Ready,
    Step,
    after_answer,
    child_fits,
    given_back,
    level_permits,
    next_amend,
    next_cancel,
    next_step,
    parent_quantity,
    sender_lost,
)
from trading.domain.orders import OrderStatus
from trading.domain.values import Level

S = OrderStatus
GOOD = LeaseView(left_ns=LEASE_NEEDED_NS)
READY = Ready(status=S.RESERVED, expires_ns=1_000, reducing=False)


def test_an_order_leaves_under_a_lease_that_just_outlives_its_request() -> None:
    assert next_step(READY, GOOD, Level.ACTIVE, "global", 999).step is Step.SEND
    short = LeaseView(left_ns=LEASE_NEEDED_NS - 1)
    assert next_step(READY, short, Level.ACTIVE, "global", 999).step is Step.STOP


def test_a_worker_of_another_build_stops_whatever_its_lease_says() -> None:
    decided = next_step(READY, LeaseView(LEASE_NEEDED_NS, build_fits=False), Level.ACTIVE, "global", 0)
    assert (decided.step, decided.code) == (Step.STOP, "BUILD_REFUSED")


def test_a_decision_is_too_old_at_the_very_moment_it_expires() -> None:
    assert next_step(READY, GOOD, Level.ACTIVE, "global", 1_000).code == "DECISION_EXPIRED"


@pytest.mark.parametrize("status", [status for status in S if status is not S.RESERVED])
def test_only_a_reserved_order_is_ever_sent(status: OrderStatus) -> None:
    ready = Ready(status=status, expires_ns=None, reducing=True, flattener=True)
    assert next_step(ready, GOOD, Level.ACTIVE, "global", 0).step is Step.SKIP


@pytest.mark.parametrize(
    ("level", "reducing", "flattener", "permitted"),
    [
        (Level.ACTIVE, False, False, True),
        (Level.REDUCING, False, False, False),
        (Level.REDUCING, True, False, True),
        (Level.HALT_NEW, True, True, False),
        (Level.CANCEL, True, True, False),
        (Level.FLATTEN, True, False, False),
        (Level.FLATTEN, False, True, False),
        (Level.FLATTEN, True, True, True),
    ],
)
def test_levels_let_through_what_they_say(
    level: Level, reducing: bool, flattener: bool, permitted: bool
) -> None:
    assert level_permits(level, reducing=reducing, flattener=flattener) is permitted


def test_a_refusal_counts_only_under_the_newest_fence() -> None:
    refusal = VenueRejected(-2010, "no balance")
    assert after_answer(refusal, fence_holds=True).status is S.REJECTED
    assert after_answer(refusal, fence_holds=False).status is S.UNKNOWN
    busy = VenueUnavailable(1.0, "busy", -1008)
    assert (after_answer(busy, fence_holds=True).status, after_answer(busy, fence_holds=True).code) == (
        S.RELEASED,
        "-1008",
    )
    assert after_answer(busy, fence_holds=False).status is S.UNKNOWN


def test_no_answer_is_a_doubt_and_a_report_speaks_for_itself() -> None:
    assert after_answer(OutcomeUnknown("cid", "reset"), fence_holds=True).status is S.UNKNOWN
    assert after_answer(None, fence_holds=False).status is None


def test_a_sender_is_lost_after_longer_than_any_call_lasts() -> None:
    assert not sender_lost(S.SENDING, 0, STUCK_AFTER_NS - 1)
    assert sender_lost(S.SENDING, 0, STUCK_AFTER_NS)
    assert not sender_lost(S.UNKNOWN, 0, STUCK_AFTER_NS)


def test_a_cancel_may_be_sent_again_and_an_amendment_may_not() -> None:
    assert next_cancel(S.NEW) is next_cancel(S.PARTIALLY_FILLED) is CommandStep.SEND
    assert next_cancel(S.UNKNOWN) is CommandStep.WAIT
    assert next_cancel(S.CANCELED) is CommandStep.DONE
    assert next_cancel(S.FILLED) is CommandStep.VOID
    assert next_amend(S.NEW, sent=False) is CommandStep.SEND
    assert next_amend(S.NEW, sent=True) is CommandStep.WAIT
    assert next_amend(S.FILLED, sent=False) is CommandStep.VOID


def test_a_parent_is_the_way_from_position_to_target() -> None:
    assert parent_quantity(target=-5, position=10) == 15
    assert child_fits(15, 10, 5, sends=2, max_sends=3)
    assert not child_fits(15, 10, 6, sends=2, max_sends=3)
    assert not child_fits(15, 10, 5, sends=3, max_sends=3)
    assert not child_fits(15, 10, 0, sends=0, max_sends=3)


def test_only_what_certainly_was_not_executed_goes_back_to_the_parent() -> None:
    assert {status for status in S if given_back(status, 10, 4)} == GIVES_BACK
    assert given_back(S.CANCELED, 10, 4) == 6
    assert given_back(S.ABSENT, 10, 0) == 0
