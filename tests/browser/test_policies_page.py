"""Policies and capital in a browser: a mistake shown at its place, a change that waits, readable at every width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from governance.models import PolicyVersion
from governance.services.capital import capital_run
from nautilus_site.common.models import ChangeRequest, User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from tests.integration.governance.conftest import in_force

OpenSite = Callable[..., Site]


def test_a_policy_is_checked_to_the_line_and_a_looser_one_waits(
    world: World, risk_officer: User, open_site: OpenSite
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    site = open_site()
    site.log_in(risk_officer.username, PASSWORD, "/policies/")
    site.page.get_by_role("button", name="Change capital_policy").click()
    dialog = site.page.locator("#policy-dialog")
    text = dialog.locator('[name="text"]')
    document = text.input_value()
    text.fill(document.replace('"max_quota_usd": "10000"', '"max_quota_usd": "much"'))
    dialog.locator("[data-check]").click()
    line = document[: document.index('"max_quota_usd"')].count("\n") + 1
    expect(dialog.locator("[data-problems]")).to_contain_text(
        f"Line {line}, column 20: max_quota_usd: expected a number"
    )
    expect(dialog.locator("[data-confirm]")).to_be_disabled()
    text.fill(document.replace('"max_quota_usd": "10000"', '"max_quota_usd": "10001"'))
    dialog.locator("[data-check]").click()
    expect(dialog.locator("[data-effect]")).to_contain_text(
        "Allows more at max_quota_usd: a second person decides."
    )
    expect(dialog.locator("[data-confirm]")).to_have_text("Ask a second person")
    dialog.locator('[name="reason"]').fill("one dollar more")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    request = ChangeRequest.objects.get(kind="policy.activate")
    assert (request.reason, request.diff) == ("one dollar more", {"max_quota_usd": ["10000", "10001"]})
    text.fill(document.replace('"max_quota_usd": "10000"', '"max_quota_usd": "9999"'))
    dialog.locator("[data-check]").click()
    expect(dialog.locator("[data-effect]")).to_contain_text("in force at once")
    expect(dialog.locator("[data-confirm]")).to_have_text("Put into force")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Version 2 is in force.")
    assert PolicyVersion.objects.latest("id").document["max_quota_usd"] == "9999"
    assert site.complaints == []


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (380, "light")])
def test_both_pages_are_readable_and_fit(
    width: int, theme: str, world: World, risk_officer: User, open_site: OpenSite
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    in_force("strategy_weights", weights={})
    capital_run(trigger="test")
    site = open_site(width=width, height=900, theme=theme)
    site.log_in(risk_officer.username, PASSWORD)
    for path in ("/capital/", "/policies/"):
        site.open(path)
        assert site.scroll_overflow() == 0, path
        assert site.low_contrast() == [], path
        assert site.unlabelled() == [], path
    assert site.complaints == []
