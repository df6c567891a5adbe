"""The demo's model: everything is asked for, nothing trades by one person, and asking twice asks once."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from mlregistry.domain.recipes import DataSource, HmmRecipe
from mlregistry.domain.study import train_hmm
from mlregistry.models import ModelVersion
from mlregistry.services.register import version_register
from nautilus_site.common.models import ChangeRequest, Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.models import planted_bars
from tests.factories.trading import trading_desk
from trading.domain.clock import interval_ns
from trading.domain.regime.artefact import EncodedArtefact, encode
from trading.domain.regime.features import FeatureSpec
from trading.models import Account, Strategy, StrategyInstance

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def encoded() -> EncodedArtefact:
    """Two regimes of minutes."""
    hours = planted_bars()
    step = interval_ns("1m")
    close_ns = hours.close_ns[0] + step * np.arange(len(hours.close_ns), dtype=np.int64)
    bars = replace(hours, close_ns=close_ns, interval_ns=step)
    recipe = HmmRecipe(states=2, kind="diag", features=FeatureSpec(("log_return",)), restarts=1)
    return encode(train_hmm(bars, recipe, DataSource("BTCUSDT", "spot", "1m", "0" * 64)).artefact)


@pytest.fixture
def version(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoded: EncodedArtefact
) -> ModelVersion:
    settings.NAUTILUS_HOME = tmp_path
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    trading_desk(symbols=("BTCUSDT",))
    Account.objects.update(name="paper-spot")
    for name, role in (
        ("trader", Role.TRADER),
        ("model_owner", Role.MODEL_OWNER),
        ("risk", Role.RISK_OFFICER),
    ):
        User.objects.create_user(username=name, password="x" * 20, role=role)
    return version_register(encoded=encoded, metrics={}, actor="test")


def told() -> list[str]:
    out = io.StringIO()
    call_command("demo_model", "--json", stdout=out)
    return list(json.loads(out.getvalue())["requests"])


def test_the_model_its_capital_and_its_strategy_each_wait_for_a_second_person(version: ModelVersion) -> None:
    asked = told()
    assert told() == asked, "the second time it says what waits"
    rows = {row.kind: row for row in ChangeRequest.objects.select_related("requester")}
    assert {kind: row.requester.username for kind, row in rows.items()} == {
        "model.promote": "model_owner",
        "strategy.grant": "trader",
        "strategy.enable": "trader",
    }
    strategy = Strategy.objects.get(name="regimes")
    assert (strategy.is_enabled, strategy.model_digest) == (False, "")
    assert StrategyInstance.objects.get(strategy=strategy).allocation == 0
    risk = User.objects.get(username="risk")
    for pk in reversed(asked):  # in whatever order they are decided, none makes another void
        change_request_approve(request_id=pk, approver=risk)
    strategy.refresh_from_db()
    assert (strategy.is_enabled, strategy.model_digest) == (True, version.digest)
    assert StrategyInstance.objects.get(strategy=strategy).allocation == 2000
    assert told() == []


def test_what_a_person_rejected_can_be_asked_for_again(version: ModelVersion) -> None:
    first = told()
    ChangeRequest.objects.filter(pk=first[0]).update(state=ChangeRequest.State.REJECTED)
    again = told()
    assert again[0] != first[0]
    assert again[1:] == first[1:]


def test_without_the_demo_it_says_what_is_missing(db: None, settings: Any) -> None:
    with pytest.raises(CommandError, match="start the platform first"):
        call_command("demo_model")
    settings.BINANCE_ENV = "testnet"
    with pytest.raises(CommandError, match="only with BINANCE_ENV=local"):
        call_command("demo_model")
