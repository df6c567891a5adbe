"""Policies in force for tests of governance."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.policies.located import node_of
from governance.domain.policies.schema import canonical
from governance.models import PolicyVersion
from governance.services.policies import policy_activate, policy_read
from tests.factories.trading import Desk, trading_desk


@pytest.fixture
def desk(db: None) -> Desk:
    return trading_desk()


def in_force(name: str, **document: Any) -> PolicyVersion:
    """Put a document into force as if it had been approved."""
    values = policy_read(name, node_of(document))
    return policy_activate(name=name, document=canonical(values), by="test", creator=None, reason="test")
