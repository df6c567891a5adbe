"""Whatever changes a target beside its approval makes the request void: for every kind, with two connections.

The change is written and not committed yet when the approval begins: it must wait for it, and see it. What merely reads
the target then compares the state before, and writes over what it never saw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django_celery_beat.models import PeriodicTask

from governance.models import CapitalState, NotificationChannel, NotificationRoute, Playbook
from governance.selectors.capital import grants_now
from governance.selectors.policies import version_in_force
from governance.services.policies import policy_activate
from mlregistry.models import Canary, ModelFamily
from mlregistry.services.envelopes import envelope_close
from mlregistry.services.stages import rollback
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, SecondFactor, User
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_create,
    fingerprint,
)
from nautilus_site.common.services.turns import wait_for_turn
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.changes import RAISES
from tests.integration.governance.two_people.world import World
from trading.domain.values import Level
from trading.models import (
    Account,
    Blackout,
    CircuitBreaker,
    CorrelationGroup,
    Credential,
    Divergence,
    OverrideGrant,
    Strategy,
    StrategyInstance,
    SweepPeriod,
    SymbolAllowance,
)
from trading.services.controls import kill_raise
from trading.services.controls.limits import limit_tighten
from trading.services.strategies import Amount, allocations_apply, strategy_redefine
from universe.models import Instrument

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("nautilus_site.urls")]
PENDING, VOID = ChangeRequest.State.PENDING, ChangeRequest.State.VOID
Change = Callable[[World, ChangeRequest], Any]


def rest(request: ChangeRequest) -> str:
    return request.target.partition(":")[2]


def row(model: Any, name: str = "pk", **values: Any) -> Change:
    """Whatever machine or person writes the row of the target, and takes no turn for it."""

    def change(world: World, request: ChangeRequest) -> None:
        assert model.objects.filter(**{name: rest(request)}).update(**values), request.target

    return change


def less_capital(world: World, request: ChangeRequest) -> None:
    """What the guardian trims."""
    name = min(request.payload.get("amounts", request.payload))
    has = grants_now([name])[name]
    amounts = {name: Amount(has, has - 1)}
    allocations_apply(amounts=amounts, until=None, actor="guardian", reasons={name: "trimmed"})


def less_of_the_instance(world: World, request: ChangeRequest) -> None:
    StrategyInstance.objects.filter(pk=rest(request)).update(allocation=1)


def tightened(world: World, request: ChangeRequest) -> None:
    name, _, scope = request.target.partition("@")
    value = Decimal(request.diff["value"][0]) * (2 if name == "min_notional" else Decimal("0.5"))
    limit_tighten(name=name, scope=scope, value=value, reason="too much", actor="guardian")


def killed(world: World, request: ChangeRequest) -> None:
    kill_raise(scope=request.target, level=Level.FLATTEN, reason="fire", actor=world.people["trader"])


def redefined(world: World, request: ChangeRequest) -> None:
    assert not Strategy.objects.get(name=rest(request)).is_enabled
    changes = {"parameters": {"fast": 3, "slow": 33}}
    strategy_redefine(name=rest(request), changes=changes, actor=world.people["trader2"], reason="r")


def rolled_back(world: World, request: ChangeRequest) -> None:
    rollback(family=world.versions[0].family, actor=world.people["risk"], reason="it lost money")


def envelope_closed(world: World, request: ChangeRequest) -> None:
    envelope_close(family=world.versions[0].family, actor=world.people["risk"], reason="enough")


def another_policy(world: World, request: ChangeRequest) -> None:
    version = version_in_force(rest(request))
    assert version is not None
    policy_activate(name=rest(request), document=version.document, by="test", creator=None, reason="r")


def taken_up(world: World, request: ChangeRequest) -> None:
    """What taking up a listing does."""
    account, symbol = request.target.split(":")
    SymbolAllowance.objects.create(
        account=Account.objects.get(name=account), instrument=Instrument.objects.get(symbol=symbol), added_at=now()
    )  # fmt: skip


def of_that_name(world: World, request: ChangeRequest) -> None:
    User.objects.create_user(username=request.target, role="viewer")


def accepted_already(world: World, request: ChangeRequest) -> None:
    other = change_request_create(
        kind=request.kind, target=request.target, payload={}, reason="r", requester=world.people["admin"]
    )
    change_request_approve(request_id=other.pk, approver=world.people["risk"])


def granted_already(world: World, request: ChangeRequest) -> None:
    """What the approval of another request does, which has the turn."""
    wait_for_turn()
    a_grant(world)


def a_grant(world: World) -> OverrideGrant:
    return OverrideGrant.objects.create(
        account=world.desk.account, instrument=Instrument.objects.get(symbol="BTCUSDT"), side="BUY",
        max_notional=10, expires_at=now() + timedelta(hours=1), created_at=now(), requested_by="trader",
        approved_by="risk",
    )  # fmt: skip


def other_parameters(world: World, request: ChangeRequest) -> None:
    Strategy.objects.filter(name=request.target.partition(":")[0]).update(parameters={"enabled": False})


CHANGES: dict[str, Change] = {
    "audit.accept_loss": accepted_already,
    "blackout.end": row(Blackout, ended_at=now(), ended_by="test"),
    "breaker.reset": row(CircuitBreaker, changed_at=now()),
    "breaker.rule": row(CircuitBreaker, threshold=0.001),
    "capital.allocate": less_capital,
    "capital.endorse": less_capital,
    "capital.quotas": less_capital,
    "capital.reset": lambda world, request: CapitalState.objects.update(stopped=False),
    "credential.replace": lambda world, request: Credential.objects.update(last_four="9999"),
    "group.shrink": row(CorrelationGroup, "name", symbols=["BTCUSDT", "ETHUSDT", "BNBUSDT"]),
    "limit.loosen": tightened,
    "model.envelope": envelope_closed,
    "model.extend_canary": row(Canary, "uid", step=7),
    "model.promote": rolled_back,
    "notification.channel": row(NotificationChannel, "name", is_enabled=False),
    "notification.channel_off": row(NotificationChannel, "name", is_enabled=False),
    "notification.route": lambda world, request: NotificationRoute.objects.update(dedupe_s=11),
    "order.override": granted_already,
    "playbook.change": row(Playbook, "name", confirm=9),
    "policy.activate": another_policy,
    "reconcile.adopt": row(Divergence, theirs="99500"),
    "reconcile.period": row(SweepPeriod, "sweep", every_s=2.5),
    "schedule.change": row(PeriodicTask, enabled=False),
    "strategy.change": row(Strategy, "name", parameters={"fast": 3, "slow": 33}),
    "strategy.enable": redefined,
    "strategy.grant": less_of_the_instance,
    "strategy.instance_enable": less_of_the_instance,
    "strategy.listing_grant": other_parameters,
    "symbol.allow": taken_up,
    "trading_state.lower": killed,
    "user.change": lambda world, request: User.objects.filter(username=request.target).update(
        role="model_owner"
    ),
    "user.create": of_that_name,
    "user.reset_second_factor": lambda world, request: SecondFactor.objects.filter(
        user__username=request.target
    ).update(confirmed_at=now()),
}
"""For each kind, something that changes its target while somebody approves."""


def test_every_kind_has_its_proof() -> None:
    assert sorted(CHANGES) == list(registered_kinds())


def prepared(kind: str, world: World) -> None:
    """What must stand for the kind to be asked for, and for its target to have something to change."""
    stopped = kind not in ("capital.allocate", "capital.quotas", "capital.endorse")
    CapitalState.objects.update(stopped=stopped, multiplier=0.0 if stopped else 1.0)
    NotificationChannel.objects.update(is_enabled=True)
    if kind == "model.envelope":
        until = (now() + timedelta(days=1)).isoformat()
        ModelFamily.objects.update(
            envelope={"until": until, "champion": True, "canary": True, "most_capital": 1}
        )
    if kind == "order.override":
        a_grant(world)


def asks(kind: str) -> Iterator[str]:
    own = {"user.": "admin", "credential.": "admin", "model.": "owner"}
    yield next((name for prefix, name in own.items() if kind.startswith(prefix)), "trader")
    yield "risk"


def filed(kind: str, world: World) -> ChangeRequest:
    """A request of the kind, by the way people ask for it."""
    waiting = ChangeRequest.objects.filter(kind=kind, state=PENDING)
    if kind == "user.change":
        Ask(world, "admin").propose(kind, "viewer", {"role": "trader"})
    for seed in range(40):
        for name in asks(kind):
            waiting.filter(target="channel:more").update(state=VOID)  # a new one has nothing yet to change
            if waiting.exists():
                return waiting.get()
            RAISES[kind](Ask(world, name), Random(seed))
    raise AssertionError(f"{kind}: nothing that was asked for became a request")


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def approving(pool: ThreadPoolExecutor, request: ChangeRequest, approver: User) -> Future[str]:
    """Approve in another connection, and wait until that waits."""

    def run() -> str:
        try:
            return change_request_approve(request_id=request.pk, approver=approver).state
        except ApplicationError as error:
            return error.code
        finally:
            connections.close_all()

    future = pool.submit(run)
    deadline = time.monotonic() + 20
    while not somebody_waits():
        assert not future.done(), f"{request}: it did not wait, and was {future.result()}"
        assert time.monotonic() < deadline, f"{request}: it did not wait"
        time.sleep(0.005)
    return future


def test_a_target_that_changes_beside_the_approval_makes_the_request_void(world: World) -> None:
    # The machine asked when the world was built: for what strategies have until something else changes it.
    for kind in sorted(registered_kinds(), key=lambda kind: (kind != "capital.endorse", kind)):
        prepared(kind, world)
        request = filed(kind, world)
        assert fingerprint(applier_for(kind).snapshot(request.target)) == request.target_hash, kind
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                CHANGES[kind](world, request)
                outcome = approving(pool, request, world.people["risk2"])
            assert (kind, outcome.result(timeout=20)) == (kind, "APPROVAL_VOID")
        request.refresh_from_db()
        assert (kind, request.state, request.applied_at) == (kind, VOID, None)
        assert request.decision_note, "who asked is told why"
        connection.close()


def test_who_decides_is_who_they_are_when_it_is_applied(world: World) -> None:
    """An officer who is switched off by whoever had the turn before decides nothing any more."""
    officer = User.objects.get(username="risk2")
    request = filed("limit.loosen", world)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            User.objects.filter(pk=officer.pk).update(role="viewer", is_active=False)
            outcome = approving(pool, request, officer)
        assert outcome.result(timeout=20) == "ROLE_REQUIRED"
    request.refresh_from_db()
    assert request.state == PENDING


def test_who_asked_must_still_be_allowed_to_ask(world: World) -> None:
    """A request outlives neither the role of its requester nor their being here."""
    for values in ({"is_active": False}, {"role": "viewer"}):
        request = filed("limit.loosen", world)
        requester = User.objects.filter(pk=request.requester_id)
        was = requester.values("is_active", "role").get()
        requester.update(**values)
        with pytest.raises(Conflict, match="may not ask for it any more") as refused:
            change_request_approve(request_id=request.pk, approver=world.people["risk2"])
        assert refused.value.code == "APPROVAL_VOID"
        requester.update(**was)
