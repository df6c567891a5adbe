"""No broker: the fixture for conftest modules whose tests send no hints."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would have been put on the broker; a hint is never needed, so none is sent here."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def send_hint(task: str, *, queue: str, **kwargs: Any) -> bool:
        sent.append((task, kwargs))
        return True

    monkeypatch.setattr("nautilus_site.common.services.hints.send_hint", send_hint)
    return sent
