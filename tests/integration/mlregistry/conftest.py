"""A desk whose strategy trades with a champion, and a canary beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.register import version_register
from nautilus_site.common.models import Role, User
from tests.factories.canaries import FAMILY, FAST, promote
from tests.factories.markets import paying_bars, paying_closes, trained_on
from tests.factories.trading import Desk, trading_desk
from trading.models import Strategy


@pytest.fixture(scope="module")
def encoded() -> dict[str, Any]:
    bars = paying_bars(paying_closes(1400))
    return {"seeing": trained_on(bars, states=2), "blind": trained_on(bars, states=1)}


@pytest.fixture
def people() -> tuple[User, User]:
    return tuple(  # type: ignore[return-value]
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )


@pytest.fixture
def desk(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    encoded: dict[str, Any],
    people: tuple[User, User],
) -> Desk:
    """A desk whose strategy `trend` trades BTCUSDT hourly with the family's champion, which sees one state only."""
    settings.NAUTILUS_HOME = tmp_path
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    desk = trading_desk(symbols=("BTCUSDT",))
    desk.strategies["swing"].delete()
    Strategy.objects.filter(name="trend").update(
        kind="hmm_policy", interval="1h", parameters={"refit_days": 0}, model_family=FAMILY
    )
    champion = version_register(encoded=encoded["blind"], metrics={}, actor="test")
    promote(champion, Stage.CHAMPION, people)
    return desk


@pytest.fixture
def challenger(desk: Desk, encoded: dict[str, Any]) -> ModelVersion:
    return version_register(encoded=encoded["seeing"], metrics={}, actor="test")


@pytest.fixture
def canary(desk: Desk, challenger: ModelVersion, people: tuple[User, User]) -> Canary:
    promote(challenger, Stage.CANARY, people, **FAST)
    return Canary.objects.get()
