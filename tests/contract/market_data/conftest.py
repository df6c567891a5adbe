"""The paper exchange the suites of market data run against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Its address: a process of its own for each file, a minute of the market every second."""
    from tests.factories.exchange import running_exchange

    with running_exchange("BTCUSDT", "ETHUSDT", speed="60") as address:
        yield address
