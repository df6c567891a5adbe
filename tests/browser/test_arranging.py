"""Arranging a page as a person does: by keys, by dragging, kept, published for a role, reset."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from governance.models import PageLayout
from nautilus_site.common.models import User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.models import RiskLimit

OpenSite = Callable[..., Site]
NATURAL = ["states", "blackouts", "limits", "rails", "breakers", "denials", "enforcements"]


class Arranging:
    """The page Risk while it is arranged."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.box = site.page.locator("#arrange")
        self.said = site.page.locator("#arrange-said")

    def begin(self) -> None:
        self.site.page.locator("body").press("Shift+A")
        expect(self.box).to_be_visible()

    def handle(self, name: str) -> Locator:
        return self.site.page.locator(f'[data-cell="{name}"] [data-handle]')

    def press(self, name: str) -> None:
        self.box.get_by_role("button", name=name, exact=True).click()

    def end(self) -> None:
        self.press("Done")
        expect(self.box).to_be_hidden()

    def order(self) -> list[str]:
        return list(
            self.site.page.eval_on_selector_all("[data-cell]", "cells => cells.map(c => c.dataset.cell)")
        )


def test_a_page_is_arranged_by_keys_and_by_dragging_kept_published_and_reset(
    world: World, make_user: Callable[..., User], open_site: OpenSite
) -> None:
    first, second = (make_user("admin", username=name) for name in ("root", "root2"))
    site = open_site(height=1600)
    site.log_in(first.username, PASSWORD, "/risk/")
    risk = Arranging(site)
    assert (risk.order(), risk.handle("rails").count()) == (NATURAL, 0)
    risk.begin()
    rails = risk.handle("rails")
    rails.press("ArrowUp")
    expect(rails).to_be_focused()
    expect(risk.said).to_contain_text("Rails in the order they are asked: place 3 of 7")
    for _ in range(3):
        rails.press("ArrowLeft")
    expect(risk.said).to_contain_text("half of the page's width")
    risk.press("For a role…")
    dialog = site.page.locator("#arrange-dialog")
    dialog.locator("[name=role]").select_option("admin")
    dialog.locator("[name=reason]").fill("rails beside limits")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_have_attribute("data-tone", "good")
    dialog.locator("[data-close]").first.click()
    of_role = risk.order()
    # What is live goes on.
    RiskLimit.objects.filter(name="max_notional").update(value=12345)
    site.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(site.table("limits")).to_contain_text("12,345")
    expect(site.page.locator('[data-cell="breakers"] [data-fold]')).to_have_count(0)
    site.page.locator('[data-cell="denials"] [data-fold]').click()
    expect(risk.handle("enforcements")).to_be_focused()
    # Dragged by its name into the upper half of the first panel.
    start = risk.handle("enforcements").bounding_box()
    assert start is not None
    site.page.mouse.move(start["x"] + 8, start["y"] + 8)
    site.page.mouse.down()
    site.page.mouse.move(start["x"] + 40, 300, steps=3)
    site.page.evaluate("scrollTo(0, 0)")
    top = site.page.locator('[data-cell="states"]')
    box = top.bounding_box()
    assert box is not None
    site.page.mouse.move(box["x"] + 60, box["y"] + 12, steps=2)
    expect(top).to_have_class("cell span-12 drop-before drop-row")
    site.page.mouse.up()
    assert (site.low_contrast(), site.unlabelled(), site.scroll_overflow()) == ([], [], 0)
    site.page.locator("#theme").click()
    assert site.low_contrast() == []
    risk.end()
    arranged = ["enforcements", "states", "blackouts", "rails", "limits", "breakers", "denials"]
    assert risk.order() == arranged

    site.open("/risk/")
    assert risk.order() == arranged
    expect(site.page.locator('[data-cell="rails"]')).to_have_attribute("data-width", "6")
    expect(site.page.locator('[data-cell="denials"]')).to_be_hidden()
    expect(site.page.locator("[data-folded-away]")).to_contain_text("Folded away: Denials by code")

    theirs = open_site(width=380, height=800)
    theirs.log_in(second.username, PASSWORD, "/risk/")
    assert Arranging(theirs).order() == of_role
    Arranging(theirs).begin()
    assert (theirs.unlabelled(), theirs.scroll_overflow()) == ([], 0)
    Arranging(theirs).press("Cancel")

    # Reset leads to the role's; Done keeps that.
    risk.begin()
    risk.press("Reset")
    expect(risk.said).to_contain_text("Reset: as arranged for your role")
    assert risk.order() == of_role
    risk.end()
    assert not PageLayout.objects.filter(person=first).exists()
    assert (site.complaints, theirs.complaints) == ([], [])
