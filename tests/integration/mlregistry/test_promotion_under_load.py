"""Two workers that step under load while models change hands: every decision is of one version, in name and numbers."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connections

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request, rollback
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.markets import paying_bars, paying_closes, trained_on
from tests.factories.trading import trading_desk
from trading.domain.ports import KlineRecord
from trading.models import Decision, Strategy, StrategyInstance
from trading.services.strategies import strategy_step
from trading.services.strategies.deciding import decision_key, parameters_digest
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


def test_no_decision_mixes_versions_while_models_are_promoted_and_rolled_back(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    def promote(version: ModelVersion) -> None:
        asked = promotion_request(
            version=version, stage=Stage.CHAMPION, reason="drill", requester=owner, override=True
        )
        change_request_approve(request_id=asked.pk, approver=officer)

    promote(versions[0])
    closes = 60_000 * np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.004, BARS)))
    instruments = list(desk.instruments.values())
    for number in range(5):
        live_bar(instruments, number, float(closes[number]))
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
        for number in range(5, BARS):
            live_bar(instruments, number, float(closes[number]))
            if number == 14:
                promote(versions[1])
            if number % 7 == 6 and number > 14:
                rollback(family=versions[0].family, actor=officer, reason="there and back")
    finally:
        over.set()
        for worker in workers:
            worker.join(60)
    for pk in ids:
        strategy_step(instance_id=pk)
    assert troubles == []
    fresh = Strategy.objects.get(pk=row.pk)
    digests = {
        f"{FAMILY}@{version.number}": parameters_digest(fresh, {**fresh.parameters, "model": version.digest})
        for version in versions
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
