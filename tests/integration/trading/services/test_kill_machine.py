"""The kill switch as a state machine: whatever people and machines do, in any order, no machine lowers a level.

`KILL_MACHINE_RUNS` and `KILL_MACHINE_STEPS` make it longer.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from trading.domain.errors import InvariantViolation
from trading.domain.values import Level
from trading.models import Account, Strategy, TradingState
from trading.services.controls import (
    auto_level_set,
    effective_level,
    kill_raise,
    resume_request,
    states_install,
)

RUNS = int(os.environ.get("KILL_MACHINE_RUNS", "12"))
STEPS = int(os.environ.get("KILL_MACHINE_STEPS", "25"))
SCOPES = ("global", "account:desk", "strategy:trend", "symbol:BTCUSDT", "model:hmm@3")
scopes = st.sampled_from(SCOPES)
levels = st.sampled_from(list(Level))
raised = st.sampled_from([level for level in Level if level is not Level.ACTIVE])


class KillMachine(RuleBasedStateMachine):
    """The model is two numbers per scope: what is latched, and what breakers demand for the time being."""

    people: dict[str, User]

    def __init__(self) -> None:
        super().__init__()
        TradingState.objects.all().delete()
        ChangeRequest.objects.all().delete()
        Strategy.objects.filter(name="trend").update(owner=None)
        self.clean(True)
        states_install(level=Level.ACTIVE, reason="test", actor="test")
        self.latched = dict.fromkeys(SCOPES, Level.ACTIVE)
        self.auto = dict.fromkeys(SCOPES, Level.ACTIVE)
        self.versions: list[int] = [0]

    @rule(
        scope=scopes, level=raised, actor=st.sampled_from(["breaker", "watchdog", "reconciliation", "risk"])
    )
    def anyone_raises(self, scope: str, level: Level, actor: str) -> None:
        kill_raise(scope=scope, level=level, reason="test", actor=actor)
        self.latched[scope] = max(self.latched[scope], level)

    @rule(scope=scopes, level=levels)
    def a_breaker_demands(self, scope: str, level: Level) -> None:
        if level > Level.HALT_NEW:
            with pytest.raises(InvariantViolation):
                auto_level_set(scope=scope, level=level, reason="test", actor="breaker")
            return
        auto_level_set(scope=scope, level=level, reason="test", actor="breaker")
        self.auto[scope] = level

    @rule(scope=scopes, level=levels, same=st.booleans(), owned=st.booleans())
    def people_lower(self, scope: str, level: Level, same: bool, owned: bool) -> None:
        asker, granter = self.people["risk"], self.people["risk" if same else "risk2"]
        owner = granter if owned and not same else None
        Strategy.objects.filter(name="trend").update(owner=owner)
        refused = same or (owner is not None and scope == "strategy:trend")
        refused = refused or (self.latched[scope] >= Level.CANCEL and not self.books_clean)
        try:
            request = resume_request(scope=scope, to_level=level, reason="found why", requester=asker)
        except ApplicationError:
            assert level >= self.latched[scope]
            return
        if refused:
            with pytest.raises(ApplicationError):
                change_request_approve(request_id=request.pk, approver=granter, note="seen")
            return
        change_request_approve(request_id=request.pk, approver=granter, note="seen")
        assert level < self.latched[scope]
        self.latched[scope] = level

    @rule(yes=st.booleans())
    def clean(self, yes: bool) -> None:
        self.books_clean = yes
        Account.objects.update(reconciled_at=now() if yes else None)

    @invariant()
    def the_rows_are_the_model(self) -> None:
        rows = {row.scope: row for row in TradingState.objects.all()}
        for scope in SCOPES:
            row = rows.get(scope)
            assert (row.level if row else 0) == self.latched[scope]
            assert (row.auto_level if row else 0) == self.auto[scope]
        self.versions.append(rows["global"].version)
        assert self.versions[-2] <= self.versions[-1], "what sends wait for only grows"

    @invariant()
    def the_strictest_matching_scope_is_in_force(self) -> None:
        expected = max(max(self.latched[s], self.auto[s]) for s in SCOPES)
        assert effective_level(SCOPES)[0] is Level(expected)
        assert effective_level(["global", "account:other"])[0] is Level(
            max(self.latched["global"], self.auto["global"])
        )


def test_no_path_of_machine_actions_lowers_a_level(
    desk: Any, risk_officer: User, second_risk_officer: User
) -> None:
    KillMachine.people = {"risk": risk_officer, "risk2": second_risk_officer}
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        KillMachine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
