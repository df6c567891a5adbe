"""A desk under guard: playbooks armed under the catalogue's rules, no broker, a home of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from governance.models import Incident, Playbook
    from tests.factories.trading import Desk

Arm = Callable[..., "Playbook"]
Watch = Callable[..., "Incident | None"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> None:
    monkeypatch.setattr("nautilus_site.common.services.hints.send_hint", lambda *args, **kwargs: True)
    settings.NAUTILUS_HOME = tmp_path


@pytest.fixture
def desk(db: None) -> Desk:
    """An account with 100000 USDT, watched."""
    from governance.services.playbooks import playbooks_install
    from tests.factories.trading import trading_desk

    made = trading_desk()
    playbooks_install(actor="test")
    return made


@pytest.fixture
def arm(desk: Desk) -> Arm:
    """`arm("drawdown")` leaves only that one armed, with the catalogue's rule and whatever is changed."""
    from governance.domain.playbooks import PLAYBOOKS
    from governance.models import Playbook

    def arm(name: str, **changes: Any) -> Playbook:
        Playbook.objects.exclude(name=name).update(is_armed=False)
        changes.setdefault("threshold", PLAYBOOKS[name].rule.threshold)
        Playbook.objects.filter(name=name).update(is_armed=True, **changes)
        return Playbook.objects.get(name=name)

    return arm


@pytest.fixture
def watch() -> Watch:
    """`watch(2)` judges twice; the newest incident, None where there is none."""
    from governance.models import Incident, PlaybookWatch
    from governance.services.playbooks import playbooks_evaluate
    from nautilus_site.common.clock import now

    def watch(times: int = 1) -> Incident | None:
        for _ in range(times):
            # However seldom one is measured: time enough has passed.
            PlaybookWatch.objects.update(read_at=now() - timedelta(minutes=1))
            playbooks_evaluate()
        return Incident.objects.order_by("-pk").first()

    return watch
