"""A platform with one of everything that is governed, and eight people at its doors."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.test import APIClient

from governance.models import AllocationRun, CapitalState, Playbook
from governance.services.capital import capital_run
from governance.services.notifications import channel_propose
from governance.services.playbooks import playbooks_ensure
from mlregistry.domain.canary import CanaryRules
from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.register import version_register
from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from nautilus_site.common.services.tokens import token_create
from nautilus_site.common.sessions import AUTHENTICATED_AT
from tests.factories.canaries import promote
from tests.factories.models import trained_artefact
from tests.factories.second_factors import enrol, passed
from tests.factories.trading import Desk, trading_desk
from tests.integration.governance.conftest import in_force
from trading.domain.values import Level
from trading.models import (
    Blackout,
    CircuitBreaker,
    CorrelationGroup,
    Divergence,
    ListingGrant,
    Strategy,
    StrategyInstance,
    SweepPeriod,
    SymbolAllowance,
)
from trading.services.credentials import credential_store, sealing_keys_install

PEOPLE = {
    "viewer": "viewer", "trader": "trader", "trader2": "trader", "risk": "risk_officer",
    "risk2": "risk_officer", "owner": "model_owner", "admin": "admin", "admin2": "admin",
}  # fmt: skip
NEWCOMERS = ("ada", "grace")
"""Who may be proposed; nobody of that name is here at first."""
WAYS = ("session", "token", "stale")
WITH_FACTOR = ("viewer", "trader2", "risk", "risk2", "admin2")
"""Who has a second factor at first; their log-ins had both steps."""


@dataclass(slots=True)
class World:
    """People, their clients, and the rows the moves are about."""

    desk: Desk
    people: dict[str, User]
    clients: dict[tuple[str, str], APIClient]
    breaker: CircuitBreaker
    blackout: Blackout
    divergence: Divergence
    job: PeriodicTask
    versions: list[ModelVersion]
    run: AllocationRun
    canary: Canary
    fresh_at: dict[str, float] = field(default_factory=dict)
    halves: dict[str, dict[str, str]] = field(default_factory=dict)
    """The halves of invitations each person was shown: they tell nobody."""

    @property
    def instance(self) -> StrategyInstance:
        return self.desk.instances["trend:BTCUSDT"]

    @property
    def idle(self) -> StrategyInstance:
        return self.desk.instances["trend:ETHUSDT"]

    def client(self, name: str, way: str = "session") -> APIClient:
        """A browser logged in just now, one logged in an hour ago, or a script with a token of all scopes."""
        client = self.clients[name, way]
        if way == "session" and time.monotonic() - self.fresh_at.get(name, -1e9) > 120:
            _log_in_age(client, 0)
            self.fresh_at[name] = time.monotonic()
        return client


def _log_in_age(client: APIClient, seconds: float) -> None:
    session = client.session
    session[AUTHENTICATED_AT] = time.time() - seconds
    session.save()


def _client(user: User, way: str) -> APIClient:
    client = APIClient(raise_request_exception=True)
    if way == "token":
        text = token_create(user=user, name="script", actor=user, life=timedelta(days=30))
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return client
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    if user.username in WITH_FACTOR:
        passed(client)
    if way == "stale":
        _log_in_age(client, 3600)
    return client


def build() -> World:
    """Everything, in force as two people would have put it."""
    sealing_keys_install()
    desk, moment = trading_desk(), now()
    people = {
        name: User.objects.create_user(
            username=name, password=f"pw of {name}", role=role, is_staff=role != "viewer"
        )
        for name, role in PEOPLE.items()
    }
    for name in WITH_FACTOR:
        enrol(people[name])
    risk, risk2 = people["risk"], people["risk2"]
    in_force("capital_policy", enabled=["trend", "swing"], max_quota_usd=12_000, base_equity_frac=1,
             min_quota_usd=100, step_up_pct=10, step_down_pct=1, hysteresis_pct=0,
             sharpe_promote=-100, sharpe_demote=-100, unproven_quota_usd=100_000)  # fmt: skip
    run = capital_run(trigger="test")
    assert run is not None
    assert run.allocations.filter(proposed__isnull=False).exists(), "the allocator holds something back"
    Strategy.objects.filter(name="swing").update(is_enabled=False, owner=people["trader"])
    StrategyInstance.objects.filter(pk=desk.instances["trend:ETHUSDT"].pk).update(is_enabled=False)
    SymbolAllowance.objects.filter(instrument__symbol="BNBUSDT").delete()
    sniper = Strategy.objects.create(
        name="sniper", kind="listing_sniper", interval="1m", parameters={"enabled": True}, updated_at=moment
    )
    ListingGrant.objects.create(
        strategy=sniper, account=desk.account, allocation=100, per_day=2, changed_at=moment
    )
    CorrelationGroup.objects.create(
        name="majors", symbols=["BTCUSDT", "ETHUSDT"], changed_by="test", changed_at=moment
    )
    for scope, level in (
        ("global", Level.ACTIVE),
        ("symbol:BTCUSDT", Level.REDUCING),
        ("strategy:trend", Level.HALT_NEW),
    ):
        desk.kill(level, scope)
    for sweep, every_s in (("S2", 10), ("S3", 30), ("S4", 900)):
        SweepPeriod.objects.update_or_create(sweep=sweep, defaults={"every_s": every_s})
    in_force("strategy_weights", weights={"trend": "0.5", "swing": "0.3"})
    in_force("policies", rules=[
        {"name": "fall", "trigger": "tick", "condition": "drawdown > 0.1", "action": "pause_trading"},
        {"name": "told", "trigger": "tick", "condition": "unknown_orders >= 3", "action": "notify"},
    ])  # fmt: skip
    CapitalState.objects.update_or_create(
        pk=1, defaults={"stopped": True, "multiplier": 0.0, "updated_at": moment}
    )
    playbooks_ensure()
    assert Playbook.objects.count() > 10
    asked = channel_propose(
        name="ops", kind="webhook", members={"url": "https://hooks.example.com/x"}, requester=risk, reason="t"
    )
    change_request_approve(request_id=asked.pk, approver=risk2)
    interval, _ = IntervalSchedule.objects.get_or_create(every=60, period=IntervalSchedule.SECONDS)
    job = PeriodicTask.objects.create(name="a job", task="governance.tasks.rules_tick", interval=interval)
    breaker = CircuitBreaker.objects.order_by("pk").first()
    assert breaker is not None
    CircuitBreaker.objects.filter(pk=breaker.pk).update(state="open", reset="manual")
    blackout = Blackout.objects.create(
        scope="global", starts_at=moment, ends_at=moment + timedelta(days=1), reason="upgrade",
        created_by="test", created_at=moment,
    )  # fmt: skip
    divergence = Divergence.objects.create(
        account=desk.account, kind="BALANCE_MISMATCH", subject="USDT", ours="100000", theirs="99000",
        first_seen_at=moment, last_seen_at=moment + timedelta(days=1), confirmed_at=moment, sightings=3,
    )  # fmt: skip
    for purpose in ("executor", "feed"):
        credential_store(account=desk.account, purpose=purpose, api_key=f"first-{purpose}-key-0001",
                         api_secret="secret-of-the-first-key", actor="test")  # fmt: skip
    versions = [
        version_register(encoded=trained_artefact(seed), metrics={}, actor="test") for seed in (0, 1, 3)
    ]
    for version in versions[
        :2
    ]:  # the first gave way to the second: there is one step back, and no step forth
        promote(version, Stage.CHAMPION, (people["owner"], risk))
    StrategyInstance.objects.update(weight=Decimal("0.5"))
    clients = {(name, way): _client(user, way) for name, user in people.items() for way in WAYS}
    desk.instances = {name: StrategyInstance.objects.get(pk=row.pk) for name, row in desk.instances.items()}
    return World(
        desk, people, clients, breaker, blackout, divergence, job, versions, run, _undecided_canary(moment)
    )


def _undecided_canary(moment: datetime) -> Canary:
    """A canary of another family, without capital: its time is what this is about."""
    version = version_register(encoded=trained_artefact(2, "ETHUSDT"), metrics={}, actor="test")
    follower, own = (
        Strategy.objects.create(name=name, kind="hmm_policy", interval="1h", updated_at=moment)
        for name in ("quiet", "quiet-canary")
    )
    return Canary.objects.create(
        version=version, champion=version, follower=follower, strategy=own, rules=CanaryRules().members(),
        capital=0, champion_capital=0, started_at=moment,
    )  # fmt: skip
