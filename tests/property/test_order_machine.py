"""The order machine under commands, reports in any order with repetition, doubts, proofs and crashes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trading.domain.errors import IllegalTransition, OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.execution import (
    GIVES_BACK,
    LEASE_NEEDED_NS,
    LeaseView,
    Ready,
    Step,
    after_answer,
    given_back,
    next_step,
    state_after,
)
from trading.domain.orders import (
    OPEN,
    TERMINAL,
    OrderStatus,
    advance,
    client_order_id,
    from_venue,
    is_terminal,
)
from trading.domain.values import Level

S = OrderStatus
QUANTITY = 10


@dataclass
class There:
    """The order as the venue has it, and everything it ever said of it."""

    status: str = "NEW"
    executed: int = 0

    def working(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")


class OrderLife(RuleBasedStateMachine):
    """One order: its row, its holds, its parent, the venue, and a bag of reports not delivered yet."""

    @initialize()
    def reserve(self) -> None:
        self.status, self.executed = S.RESERVED, 0
        self.told: OrderStatus | None = None
        self.told_executed = 0
        self.held, self.parent = QUANTITY, QUANTITY
        self.holds, self.releases, self.sends = 1, 0, 0
        self.there: There | None = None
        self.on_the_wire = False
        self.reports: list[tuple[str, int]] = []
        self.path = [self.status]
        self.most_executed = 0
        self.landed_late = False

    # --- commands ------------------------------------------------------------------------------------------------

    @rule(
        left=st.sampled_from([0, LEASE_NEEDED_NS - 1, LEASE_NEEDED_NS]),
        expired=st.booleans(),
        level=st.sampled_from(list(Level)),
        crashes=st.booleans(),
    )
    def drain(self, left: int, expired: bool, level: Level, crashes: bool) -> None:
        ready = Ready(self.status, 0 if expired else 10, reducing=False)
        decided = next_step(ready, LeaseView(left), level, "global", 5)
        if decided.step is Step.RELEASE:
            self._end(S.RELEASED)
        if decided.step is Step.SEND:
            assert self.status is S.RESERVED
            self._move(S.SENDING)
            self.sends += 1
            self.on_the_wire = not crashes  # C3: killed before the first byte

    @precondition(lambda self: self.on_the_wire)
    @rule(executed=st.integers(0, QUANTITY), late=st.booleans())
    def arrive(self, executed: int, late: bool) -> None:
        if not late and self.status is S.ABSENT:
            return
        self.on_the_wire = False
        self.landed_late = self.status is S.ABSENT
        self.there = There()
        self._trade(executed)

    @precondition(lambda self: self.on_the_wire)
    @rule(fence_holds=st.booleans(), answer=st.sampled_from(["refused", "busy", "lost"]))
    def no(self, fence_holds: bool, answer: str) -> None:
        error = {
            "refused": VenueRejected(-2010, "no"),
            "busy": VenueUnavailable(1.0, "busy", -1008),
            "lost": OutcomeUnknown("cid", "reset"),
        }[answer]
        verdict = after_answer(error, fence_holds=fence_holds)
        if answer != "lost":
            self.on_the_wire = False
        if verdict.status is S.UNKNOWN:
            self._doubt()
        elif verdict.status is not None and self.status is S.SENDING:
            self._end(verdict.status)

    @rule()
    def sender_dies(self) -> None:
        if self.status is S.SENDING:
            self._doubt()

    @precondition(lambda self: self.status is S.UNKNOWN and self.there is None)
    @rule()
    def prove_absent(self) -> None:
        self._end(S.ABSENT)

    # --- the venue and what it says ------------------------------------------------------------------------------

    @precondition(lambda self: self.there is not None and self.there.working())
    @rule(executed=st.integers(0, QUANTITY), end=st.sampled_from(["", "CANCELED", "EXPIRED"]))
    def venue_moves(self, executed: int, end: str) -> None:
        self._trade(executed)
        assert self.there is not None
        if end and self.there.working():
            self.there.status = end
            self.reports.append((end, self.there.executed))

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), keep=st.booleans(), with_fills=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool, with_fills: bool) -> None:
        """Any report so far, from any source, as often as it likes; some carry the fills they count."""
        index = data.draw(st.integers(0, len(self.reports) - 1))
        status, executed = self.reports[index] if keep else self.reports.pop(index)
        self._settle(status, executed, executed if with_fills else 0)

    @precondition(lambda self: self.there is not None)
    @rule()
    def sweep(self) -> None:
        assert self.there is not None
        self._settle(self.there.status, self.there.executed, self.there.executed)

    # --- what the services do around the decisions ---------------------------------------------------------------

    def _trade(self, executed: int) -> None:
        assert self.there is not None
        self.there.executed = max(self.there.executed, executed)
        if self.there.executed == QUANTITY:
            self.there.status = "FILLED"
        elif self.there.executed:
            self.there.status = "PARTIALLY_FILLED"
        self.reports.append((self.there.status, self.there.executed))

    def _settle(self, status: str, told_executed: int, fills: int) -> None:
        told = from_venue(status)
        self.told_executed = max(self.told_executed, told_executed)
        self.executed = max(self.executed, fills)
        if self.told is None or not is_terminal(self.told):
            self.told = told
        after = state_after(
            self.status,
            quantity=QUANTITY,
            executed=self.executed,
            told=self.told,
            told_executed=self.told_executed,
        )
        if after is self.status:
            return
        if self.status is S.ABSENT:
            self.held, self.holds = QUANTITY, self.holds + 1
        if is_terminal(after):
            self._end(after)
        else:
            self._move(after)

    def _doubt(self) -> None:
        after = advance(self.status, S.UNKNOWN)
        if after is not self.status:
            self._move(after)

    def _move(self, status: OrderStatus) -> None:
        self.status = status
        self.path.append(status)

    def _end(self, status: OrderStatus) -> None:
        self._move(advance(self.status, status) if self.status is not status else status)
        self.held, self.releases = 0, self.releases + 1
        self.parent -= given_back(status, QUANTITY, self.executed)

    # --- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def executed_never_decreases(self) -> None:
        assert self.executed >= self.most_executed
        self.most_executed = self.executed

    @invariant()
    def released_exactly_once_per_hold(self) -> None:
        assert self.releases == self.holds - (self.status in OPEN)
        assert (self.held > 0) == (self.status in OPEN)

    @invariant()
    def no_way_out_of_an_end(self) -> None:
        for before, after in zip(self.path, self.path[1:], strict=False):
            assert before not in TERMINAL or before is S.ABSENT, f"{before} -> {after}"

    @invariant()
    def sent_at_most_once(self) -> None:
        assert self.sends <= 1
        assert self.path.count(S.SENDING) == self.sends

    @invariant()
    def the_parent_keeps_what_may_still_happen(self) -> None:
        assert self.parent == (self.executed if self.status in GIVES_BACK else QUANTITY)

    def teardown(self) -> None:
        """However it went, asking the venue at last brings both sides together."""
        if not hasattr(self, "there") or self.there is None:
            return
        if self.status is S.SENDING:
            self._doubt()
        self.sweep()
        assert self.status.value == self.there.status
        assert self.executed == self.there.executed


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_:.", max_size=12)
PARTS = st.tuples(NAMES, NAMES, NAMES, NAMES, st.integers(0, 30), st.integers(0, 5))


@given(PARTS, PARTS)
def test_two_different_intents_never_share_a_client_order_id(one: tuple, other: tuple) -> None:
    assume(one != other)
    assert client_order_id(*one) != client_order_id(*other)


def test_a_hundred_thousand_decisions_have_as_many_client_order_ids() -> None:
    ids = {client_order_id("local", "a", "s", f"plan-{n}", leg, 0) for n in range(20_000) for leg in range(5)}
    assert len(ids) == 100_000
    assert all(len(cid) == 30 and cid.isalnum() and cid.islower() for cid in list(ids)[:1000])


@given(st.sampled_from(sorted(TERMINAL - {S.ABSENT})), st.sampled_from(sorted(S)))
def test_nothing_leaves_an_end(end: OrderStatus, reported: OrderStatus) -> None:
    with contextlib.suppress(IllegalTransition):
        assert advance(end, reported) is end
