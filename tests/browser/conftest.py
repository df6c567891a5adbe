"""A real Chromium on a really served application. Without a Chromium these tests skip, except on CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.pages import Site
from tests.browser.rows import World, build_world
from tests.browser.server import served

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PASSWORD = "correct horse battery staple"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        message = "no Chromium on the PATH: install one, e.g. `apt-get install chromium`"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    # Playwright's synchronous interface runs a loop in this thread, and Django would refuse plain database
    # calls under it; the tests make their rows synchronously and nothing else runs on that loop.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
            yield browser
            browser.close()
    finally:
        if before is None:
            os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    with served() as url:
        yield url


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
