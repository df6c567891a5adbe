"""One platform for every end-to-end test of a module: starting one takes longer than most tests do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Platform

# A machine that runs the rest of the suite beside a whole platform is late with prices; that is not what is tested.
LATE = {"price_max_age": "60", "clock_max_age": "300", "stream_max_age": "120"}


def _give_a_busy_machine_time(platform: Platform) -> None:
    """Loosen what measures lateness, as people do it: one asks, another approves."""
    approver = platform.session("risk2")
    for name, value in LATE.items():
        asked = platform.request(
            "PUT",
            f"/api/v1/limits/{name}",
            {"value": value, "scope": "global", "reason": "tests on a busy machine"},
            token="risk",
        )
        assert asked.status == 202, asked.body
        done = approver.post(f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "tests"})
        assert done.status == 200, done.body


@pytest.fixture(scope="module")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """A running platform; `SETTINGS` of the module are its extra environment."""
    folder = Path(tempfile.mkdtemp(prefix="nautilus-e2e-"))
    running = Platform(folder / "home", dict(getattr(request.module, "SETTINGS", {})))
    try:
        running.start()
        _give_a_busy_machine_time(running)
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        if request.session.testsfailed:
            print(f"the log of the platform is kept: {running.log}")  # noqa: T201
        else:
            shutil.rmtree(folder, ignore_errors=True)
