"""The pages as a person uses them; selectors live here and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

WAIT_MS = 10_000
# Without the heading comment: the rest is one expression.
_MEASURES = Path(__file__).with_name("accessibility.js").read_text().partition("\n")[2].strip()


class Site:
    """One browser page on one running platform. Collects what the console and the network complain about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", self._console)
        page.on("response", self._response)

    def _console(self, message: Any) -> None:
        # The browser also logs every failed request; those are judged by status, below.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"console {message.type}: {message.text}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def log_in(self, username: str, password: str, path: str = "/") -> None:
        self.page.goto(f"{self.url}/accounts/login/?next={path}")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.ready()

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")
        self.ready()

    def ready(self) -> None:
        """Wait until the scripts run and the live connection stands."""
        expect(self.page.locator("html[data-ready=true]")).to_be_attached(timeout=WAIT_MS)
        expect(self.connection).to_have_attribute("data-status", "live", timeout=WAIT_MS)

    @property
    def connection(self) -> Locator:
        return self.page.locator("#connection")

    @property
    def trading(self) -> Locator:
        return self.page.locator("[data-trading]")

    def tile(self, name: str) -> Locator:
        return self.page.locator(f'[data-tile="{name}"] output')

    def table(self, name: str) -> Locator:
        return self.page.locator(f'[data-panel="{name}"] tbody')

    def row(self, table: str, key: str) -> Locator:
        return self.page.locator(f'[data-panel="{table}"] tbody tr[data-key="{key}"]')

    def scroll_overflow(self) -> int:
        """Pixels by which the page is wider than its window; 0 means no sideways scrolling."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def unlabelled(self) -> list[str]:
        """Visible controls without an accessible name."""
        return list(self.page.evaluate(f"{_MEASURES}.unlabelled()"))

    def low_contrast(self, ratio: float = 4.5) -> list[str]:
        """Visible texts whose contrast with their background is under the ratio (WCAG 2.2, 1.4.3)."""
        return list(self.page.evaluate(f"(ratio) => {_MEASURES}.lowContrast(ratio)", ratio))

    def state(self) -> dict[str, Any]:
        """The state the server rendered into the page."""
        return dict(json.loads(self.page.locator("#page-state").text_content() or "{}"))


class HaltDialog:
    """Halt: open by key, confirm by Enter."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.dialog = site.page.locator("#halt-dialog")
        self.result = self.dialog.locator("[data-result]")

    def open_by_key(self) -> None:
        self.site.page.locator("body").press("Shift+H")
        expect(self.dialog).to_be_visible()

    def confirm_by_key(self) -> None:
        self.site.page.keyboard.press("Enter")

    def close(self) -> None:
        self.dialog.get_by_role("button", name="Close").first.click()


class Inbox:
    """The approvals page."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def card(self, request_id: str) -> Locator:
        return self.site.page.locator(f'article[id="{request_id}"]')

    def approve(self, request_id: str, note: str) -> None:
        card = self.card(request_id)
        card.locator("textarea").fill(note)
        card.get_by_role("button", name="Approve").click()
