"""The playbook `leverage` on a platform of its own: its fault opens breakers for whoever comes after."""

from __future__ import annotations

import pytest

from tests.e2e.platform import Platform, Session
from tests.e2e.test_rehearsals import SETTINGS, disarmed, rehearsed, second

__all__ = ["SETTINGS", "disarmed", "second"]  # what the platform is told, and two fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_a_futures_account_that_holds_too_much_for_its_equity(platform: Platform, second: Session) -> None:
    rehearsed("leverage", platform, second)
