"""The regime model's own fault: prices it cannot tell apart, found by running it ahead, and what the playbook does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import rehearsal_start
from governance.services.playbooks.measures import entropies_of
from mlregistry.domain.recipes import DataSource, HmmRecipe
from mlregistry.domain.study import train_hmm
from mlregistry.selectors.live_bars import bar_columns
from mlregistry.services.register import version_register
from nautilus_site.common.clock import now
from tests.factories.exchange import running_exchange
from tests.integration.governance.playbooks.floor import Floor, open_floor
from tests.integration.governance.playbooks.test_every_fault import marked, playbook_due
from trading.domain.regime.artefact import encode
from trading.models import Decision, RiskLimit, Strategy, StrategyInstance
from trading.services.strategies import strategy_step
from universe.models import Bar
from universe.selectors import bars_recent
from universe.services import bars_store

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT", options=("--history-days", "3", "--seed", "11")) as address:
        yield address


@pytest.fixture
def floor(
    db: None, url: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Floor]:
    """A desk whose only strategy decides by a model of the exchange's own last three days."""
    settings.TESTNET_URL = url
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    floor = open_floor(url, "BTCUSDT")
    bitcoin = floor.desk.btc
    newest = floor.market_data.klines("BTCUSDT", "1m", limit=2)[0].open_time_ms
    minutes = floor.market_data.klines("BTCUSDT", "1m", start_ms=newest - 3_999 * 60_000, end_ms=newest)
    bars_store(bitcoin, "1m", minutes, Bar.Source.REST)
    # As people train one: with the default features, which no constant move of prices leaves in doubt.
    recipe = HmmRecipe(states=3, restarts=2, seed=1)
    columns = bar_columns(bars_recent(bitcoin, "1m", 4_000), "1m")
    trained = train_hmm(columns, recipe, DataSource("BTCUSDT", "spot", "1m", "0" * 64))
    version = version_register(encoded=encode(trained.artefact), metrics={}, actor="test")
    Strategy.objects.exclude(name="trend").update(is_enabled=False)
    Strategy.objects.filter(name="trend").update(
        kind="hmm_policy", interval="1m", parameters={"model": version.digest, "refit_days": 0}
    )
    yield floor
    floor.exchange.control("DELETE", "/faults")


def minute(floor: Floor) -> None:
    """One more minute of the market, decided about."""
    floor.minutes(1)
    floor.hear_bars()
    strategy_step(instance_id=StrategyInstance.objects.get(strategy__name="trend").pk)


def sure_of_its_regime(floor: Floor) -> list[float]:
    """Its decisions from a stretch in which it is sure enough to be made unsure."""
    for _ in range(120):
        minute(floor)
        newest = entropies_of("strategy:trend", now().replace(year=2000))
        if len(newest) >= 12 and sum(newest) / len(newest) < 0.5:
            return newest
        if len(newest) >= 24:
            Decision.objects.all().delete()  # a stretch on the border of its regimes: try the next
    raise AssertionError("the market stayed on the border of its regimes for two hours")


def test_a_model_made_unsure_has_its_strategys_orders_halved(floor: Floor, risk_officer: Any) -> None:
    Playbook.objects.exclude(name="entropy_spike").update(is_armed=False)
    before = sure_of_its_regime(floor)
    limit = RiskLimit.objects.get(name="max_notional", scope="global").value
    row = rehearsal_start(name="entropy_spike", actor=risk_officer, reason="drill")
    assert row.scope == "strategy:trend"

    def step() -> None:
        minute(floor)
        playbook_due()

    floor.until(lambda: Incident.objects.filter(kind="entropy_spike").exists(), step, seconds=120)
    incident = Incident.objects.get(kind="entropy_spike")
    assert (incident.kind, incident.scope) == ("entropy_spike", "strategy:trend")
    assert incident.evidence["measured"] >= 0.3
    newest = entropies_of("strategy:trend", now().replace(year=2000))[-6:]
    assert sum(newest) / len(newest) > sum(before) / len(before) + 0.3
    assert RiskLimit.objects.get(name="max_notional", scope="strategy:trend").value == limit / 2
    marked(floor, Rehearsal.objects.get(pk=row.pk))
    assert PlaybookAction.objects.count() == 1
