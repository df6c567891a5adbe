"""Seed after seed: crashes, sleeps, lost and late requests, a lying stream, a kill; never a lost or doubled order.

`SIM_SEEDS=50000` runs that many; the first ones run twice and must leave the same trace.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation import world as world_module
from tests.simulation.world import World
from trading.domain import execution
from trading.domain.errors import DomainError, VenueError
from trading.domain.execution import LeaseView, Next, Ready, Verdict
from trading.domain.orders import OrderStatus
from trading.domain.values import Level

SEEDS = int(os.environ.get("SIM_SEEDS", "150"))
TWICE = 20


def test_every_seed_ends_with_rows_and_venue_equal() -> None:
    ends: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = World(seed)
        try:
            world.run()
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken
        ends.update(row.status for row in world.rows.values())
    # A simulation in which nothing goes wrong would prove nothing.
    for status in ("FILLED", "CANCELED", "ABSENT", "RELEASED"):
        assert ends[status] > SEEDS / 4, ends


def test_the_same_seed_is_the_same_run() -> None:
    traces = [World(seed).run() for seed in range(TWICE)]
    assert [World(seed).run() for seed in range(TWICE)] == traces
    assert len(set(traces)) == TWICE


def _impatient(*_: object) -> bool:
    return True


def _forgetful(order: Ready, lease: LeaseView, level: Level, scope: str, now_ns: int) -> Next:
    """Sends whatever its lease allows, doubted orders included: the retry of so many bots."""
    if order.status in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        order = replace(order, status=OrderStatus.RESERVED)
    return execution.next_step(order, lease, level, scope, now_ns)


def _deaf(order: Ready, lease: LeaseView, level: Level, scope: str, now_ns: int) -> Next:
    return execution.next_step(order, lease, Level.ACTIVE, scope, now_ns)


def _hasty(error: VenueError | None, *, fence_holds: bool) -> Verdict:
    """Takes a lost answer for a refusal."""
    verdict = execution.after_answer(error, fence_holds=fence_holds)
    return Verdict(OrderStatus.REJECTED) if verdict.status is OrderStatus.UNKNOWN else verdict


def _generous(parent: int, sent: int, quantity: int, *, sends: int, max_sends: int) -> bool:
    return sends < max_sends


@pytest.mark.parametrize(
    ("decision", "mutant"),
    [
        ("absence_proven", _impatient),
        ("next_step", _forgetful),
        ("next_step", _deaf),
        ("after_answer", _hasty),
        ("child_fits", _generous),
    ],
)
def test_a_fault_in_any_decision_is_found(
    monkeypatch: pytest.MonkeyPatch, decision: str, mutant: Callable[..., object]
) -> None:
    monkeypatch.setattr(world_module, decision, mutant)
    for seed in range(100):
        try:
            World(seed).run()
        except (AssertionError, DomainError):
            return
    raise AssertionError(f"a hundred seeds did not notice {mutant.__name__}")
