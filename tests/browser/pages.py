"""The pages as a person uses them; selectors live here and nowhere else."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

WAIT_MS = 10_000


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
        # The browser asks every origin for this on its own, on pages that name no icon.
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):
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
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def unlabelled(self) -> list[str]:
        """Visible controls without an accessible name."""
        return list(self.page.evaluate(_UNLABELLED))

    def low_contrast(self, ratio: float = 4.5) -> list[str]:
        """Visible texts whose contrast with their background is under the ratio (WCAG 2.2, 1.4.3)."""
        return list(self.page.evaluate(_CONTRAST, ratio))

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


_UNLABELLED = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")]
  .filter((e) => e.checkVisibility())
  .filter((e) => {
    const by = (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
    const name = e.getAttribute("aria-label") || by || e.title || e.textContent.trim() || [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("");
    return !name;
  })
  .map((e) => e.outerHTML.slice(0, 120))"""

# Relative luminance and contrast exactly as WCAG defines them; backgrounds are blended up the tree.
_CONTRAST = """(ratio) => {
  const parse = (text) => {
    const srgb = /color\\(srgb ([\\d.]+) ([\\d.]+) ([\\d.]+)(?: \\/ ([\\d.]+))?\\)/.exec(text);
    if (srgb) return [srgb[1] * 255, srgb[2] * 255, srgb[3] * 255, srgb[4] === undefined ? 1 : Number(srgb[4])];
    const n = text.match(/[\\d.]+/g).map(Number);
    return [n[0], n[1], n[2], n[3] ?? 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("script, svg, .visually-hidden, .skip, :disabled, .canvas")) continue;
    const under = background(element);
    const ink = over(parse(getComputedStyle(element).color), under);
    const [a, b] = [luminance(ink), luminance(under)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < ratio) found.push(`${contrast.toFixed(2)} ${element.tagName}.${element.className}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return found;
}"""
