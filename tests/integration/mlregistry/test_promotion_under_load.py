"""Two workers that step under load while models change hands: every decision is of one version, in name and numbers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connections

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, StageChange
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request, rollback
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.markets import paying_bars, paying_closes, trained_on
from tests.factories.trading import trading_desk
from tests.factories.workers import running_workers
from trading.domain.ports import KlineRecord
from trading.models import Decision, ServingHeartbeat, Strategy, StrategyInstance
from trading.services.strategies import strategy_step
from trading.services.strategies.deciding import decision_key, parameters_digest
from trading.tasks import bar_closed
from universe.models import Bar, Instrument
from universe.services import bars_store

pytestmark = pytest.mark.django_db(transaction=True)
FAMILY, HOUR_MS, START_MS, BARS = "hmm-btcusdt-spot-1h", 3_600_000, 1_700_006_400_000, 36


def live_bar(instruments: list[Instrument], number: int, close: float) -> None:
    price, at = Decimal(f"{close:.2f}"), START_MS + number * HOUR_MS
    record = KlineRecord(
        open_time_ms=at, open=price, high=price, low=price, close=price, volume=Decimal(25),
        close_time_ms=at + HOUR_MS - 1, quote_volume=price, trades=9, taker_base=Decimal(1), taker_quote=price,
    )  # fmt: skip
    for instrument in instruments:
        bars_store(instrument, "1h", [record], Bar.Source.STREAM)


@pytest.fixture
def following(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Following:
    settings.NAUTILUS_HOME = tmp_path
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    owner, officer = (
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )
    desk = trading_desk()
    desk.strategies["swing"].delete()
    row = desk.strategies["trend"]
    row.kind, row.interval, row.model_family = "hmm_policy", "1h", FAMILY
    row.parameters = {"refit_days": 0, "band": 0.0}
    row.save()
    bars = paying_bars(paying_closes(900))
    versions = [
        version_register(encoded=trained_on(bars, states=states), metrics={}, actor="test")
        for states in (1, 2)
    ]
    closes = 60_000 * np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.004, BARS)))
    found = Following(owner, officer, row, versions, list(desk.instruments.values()), closes.tolist())
    found.promote(0)
    for number in range(5):
        found.live_bar(number)
    return found


@dataclass
class Following:
    """A strategy that follows a family of two versions on every symbol of a desk."""

    owner: User
    officer: User
    strategy: Strategy
    versions: list[ModelVersion]
    instruments: list[Instrument]
    closes: list[float]

    def promote(self, which: int) -> None:
        asked = promotion_request(
            version=self.versions[which],
            stage=Stage.CHAMPION,
            reason="drill",
            requester=self.owner,
            override=True,
        )
        change_request_approve(request_id=asked.pk, approver=self.officer)

    def live_bar(self, number: int) -> None:
        live_bar(self.instruments, number, self.closes[number])

    def pass_bars(self, *, pause_s: float = 0.0) -> None:
        """Bars close while the second version is promoted and rolled back, again and again."""
        for number in range(5, BARS):
            self.live_bar(number)
            if number >= 14 and number % 14 == 0:
                self.promote(1)
            if number > 14 and number % 14 == 7:
                rollback(family=self.versions[0].family, actor=self.officer, reason="there and back")
            time.sleep(pause_s)

    def check(self) -> list[Decision]:
        """Every decision is of one version, in name and numbers, and no bar was decided twice."""
        fresh = Strategy.objects.get(pk=self.strategy.pk)
        digests = {
            f"{FAMILY}@{version.number}": parameters_digest(
                fresh, {**fresh.parameters, "model": version.digest}
            )
            for version in self.versions
        }
        decisions = list(
            Decision.objects.select_related("instance__strategy", "instance__account", "instance__instrument")
        )
        assert {decision.model for decision in decisions} == set(digests)
        for decision in decisions:
            close_ns = (int(decision.bar_open_at.timestamp() * 1000) + HOUR_MS - 1) * 1_000_000
            # The key is made of the parameters that decided, the model's digest among them.
            assert decision.key == decision_key(decision.instance, digests[decision.model], close_ns)
        places = {(decision.instance_id, decision.bar_open_at) for decision in decisions}
        assert len(places) == len(decisions)
        return decisions


def test_no_decision_mixes_versions_while_models_are_promoted_and_rolled_back(following: Following) -> None:
    ids = list(StrategyInstance.objects.order_by("pk").values_list("pk", flat=True))
    over, troubles = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            while not over.is_set():
                for pk in ids:
                    strategy_step(instance_id=pk)
        except BaseException as error:  # noqa: BLE001  told by the test
            troubles.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        following.pass_bars()
    finally:
        over.set()
        for worker in workers:
            worker.join(60)
    for pk in ids:
        strategy_step(instance_id=pk)
    assert troubles == []
    following.check()


HEARTBEAT_S = 5.0


@pytest.mark.long
def test_two_celery_workers_under_load_load_a_new_champion_within_one_heartbeat_and_never_mix_versions(
    following: Following, tmp_path: Path
) -> None:
    def hint() -> None:
        """As the feed says that a bar closed, and says it twice."""
        for instrument in following.instruments:
            for _ in range(2):
                bar_closed.apply_async((instrument.pk, "1h"), queue="trading")

    over = threading.Event()

    def load() -> None:
        while not over.wait(0.1):
            hint()

    with running_workers("trading", ["one", "two"], tmp_path / "logs"):
        loader = threading.Thread(target=load)
        loader.start()
        try:
            following.pass_bars(pause_s=0.7)
            deadline = time.monotonic() + 60
            newest = following.strategy.instances.count()
            while time.monotonic() < deadline:
                reached = StrategyInstance.objects.filter(
                    last_bar_at__gte=datetime.fromtimestamp((START_MS + (BARS - 1) * HOUR_MS) / 1000, UTC)
                )
                if reached.count() == newest:
                    break
                time.sleep(0.2)
        finally:
            over.set()
            loader.join(30)
    decisions = following.check()
    # Each worker wrote down what it decides with; both took part.
    rows = list(ServingHeartbeat.objects.all())
    assert len({row.worker for row in rows}) == 2
    in_force = Strategy.objects.get(pk=following.strategy.pk).model_digest
    assert max(rows, key=lambda row: row.beat_at).digest == in_force
    # One champion at any time: no decision is older than a heartbeat behind the change it should have seen.
    changes = list(
        StageChange.objects.filter(to_stage=Stage.CHAMPION)
        .order_by("at")
        .values_list("version__number", "at")
    )
    assert len(changes) >= 4
    for decision in decisions:
        number = int(decision.model.rpartition("@")[2])
        in_force_then = [
            n for n, at in changes if at <= decision.decided_at - timedelta(seconds=HEARTBEAT_S)
        ][-1:]
        lately = [n for n, at in changes if abs((at - decision.decided_at).total_seconds()) < HEARTBEAT_S]
        assert number in {*in_force_then, *lately}
