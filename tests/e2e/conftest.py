"""One platform for every end-to-end test of a module: starting one takes longer than most tests do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """A running platform; `SETTINGS` of the module are its extra environment."""
    folder = Path(tempfile.mkdtemp(prefix="nautilus-e2e-"))
    running = Platform(folder / "home", dict(getattr(request.module, "SETTINGS", {})))
    try:
        running.start()
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        if request.session.testsfailed:
            print(f"the log of the platform is kept: {running.log}")  # noqa: T201
        else:
            shutil.rmtree(folder, ignore_errors=True)
