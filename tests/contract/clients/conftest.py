"""One paper exchange for the tests of a file; its market moves five times as fast as the wall clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .exchange import PaperExchange, running_exchange


@pytest.fixture(scope="session", autouse=True)
def _audit_tables_can_be_emptied_between_tests() -> None:
    """Neither clients nor exchange use the platform's database: nothing to prepare."""


@pytest.fixture(scope="session", autouse=True)
def _own_redis_keys() -> None:
    """Nor its broker."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[PaperExchange]:
    """A running exchange without rate limits."""
    with running_exchange("--speed", "5", "--no-rate-limits") as running:
        # A market that has just begun has candles but hardly a trade to list.
        running.control("POST", "/clock", {"advance_ms": 120_000})
        yield running
