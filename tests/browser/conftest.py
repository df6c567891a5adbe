"""A real Chromium on a really served application. Without a Chromium these tests skip, except on CI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.chromium import chromium
from tests.browser.pages import Site
from tests.browser.rows import World, build_world
from tests.browser.server import served
from tests.factories.relays import RunningRelay

__all__ = ["chromium"]

PASSWORD = "correct horse battery staple"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def relay(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """What the page is told of at once, as on a platform; without it a page asks every few seconds."""
    running = RunningRelay(tmp_path)
    yield
    running.stop()


@pytest.fixture
def world(transactional_db: None) -> World:
    return build_world()


@pytest.fixture
def open_site(chromium: Browser, address: str) -> Iterator[Callable[..., Site]]:
    """`open_site(width=, theme=)` is a fresh browser profile; closed before the server stops."""
    contexts: list[BrowserContext] = []

    def make(*, width: int = 1440, height: int = 900, theme: Any = "dark") -> Site:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        return Site(context.new_page(), address)

    yield make
    for context in contexts:
        context.close()
