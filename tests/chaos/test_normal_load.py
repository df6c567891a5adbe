"""The demo as anybody starts it: no breaker opens, and how far each stays from its level is told."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Platform

pytestmark = [pytest.mark.e2e, pytest.mark.long]

MINUTES = float(os.environ.get("NORMAL_LOAD_MINUTES", "4"))


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="nautilus-normal-"))
    running = Platform(folder / "home")
    try:
        running.start(ready_within_s=600)
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_demos_own_load_opens_no_breaker(platform: Platform) -> None:
    worst: dict[str, tuple[float, int]] = {}
    levels: dict[str, tuple[float, int, str]] = {}
    opened: dict[str, str] = {}
    until = time.monotonic() + MINUTES * 60
    while time.monotonic() < until:
        for row in platform.everything("/api/v1/breakers"):
            name = f"{row['name']}@{row['scope']}"
            levels[name] = (row["rule"]["threshold"], row["rule"]["min_samples"], row["unit"])
            if row["state"] != "closed":
                opened[name] = row["reason"]
            if row["measured"] is not None and row["measured"] >= worst.get(name, (-1.0, 0))[0]:
                worst[name] = (row["measured"], row["samples"] or 0)
        time.sleep(2)
    for name, (value, samples) in sorted(worst.items()):
        level, least, unit = levels[name]
        print(f"{name}: {value:.2f} of {level:g} {unit}, {samples} of {least} samples")  # noqa: T201
    orders = platform.everything("/api/v1/orders")
    print(f"{len(orders)} orders, {sum(o['status'] == 'FILLED' for o in orders)} filled")  # noqa: T201
    assert opened == {}
    assert {name.partition("@")[0] for name in worst} >= {"venue_error_rate", "ack_latency_p99", "spread"}
