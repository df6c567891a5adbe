"""The paper exchange the suites of execution run against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Its address: a process of its own for each file, market time standing still."""
    from tests.factories.exchange import running_exchange

    with running_exchange("BTCUSDT") as address:
        yield address
