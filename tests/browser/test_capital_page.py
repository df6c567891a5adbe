"""What if: sliders tell what the allocator would decide, who would have to agree, and move nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from governance.models import AllocationRun, PolicyVersion
from governance.services.capital import capital_run
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from tests.integration.governance.conftest import in_force
from trading.models import Strategy, StrategyInstance
from trading.services.equity import equity_mark

OpenSite = Callable[..., Site]


@pytest.mark.parametrize("width", [1440, 390])
def test_sliders_tell_what_would_be_decided_and_by_whom_and_move_nothing(
    width: int, world: World, trader: User, open_site: OpenSite
) -> None:
    names = list(Strategy.objects.filter(is_enabled=True).values_list("name", flat=True))
    in_force(
        "capital_policy", enabled=names, max_quota_usd=10_000, min_quota_usd=0, base_equity_frac=1,
        reserve_equity_usd=1_000, hysteresis_pct=0, sharpe_promote=-100, sharpe_demote=-100,
    )  # fmt: skip
    equity_mark()
    made = capital_run(trigger="test")
    assert made is not None
    assert made.equity, "the page knows what the accounts are worth"
    granted = list(StrategyInstance.objects.order_by("pk").values_list("allocation", "weight"))
    rows = [model.objects.count() for model in (AllocationRun, PolicyVersion, ChangeRequest, AuditEntry)]
    site = open_site(width=width)
    site.log_in(trader.username, PASSWORD, "/capital/")
    panel = site.page.locator("[data-what-if]")
    verdict = panel.locator("[data-verdict]")
    expect(verdict).to_contain_text("As in force: ")
    expect(site.table("what_if").locator("tr")).to_have_count(len(names))
    most = panel.locator('[name="max_quota_usd"]')
    most.fill("5000")
    expect(most.locator("xpath=../output")).to_have_text("5,000 USDT")
    expect(verdict).to_contain_text("With most for one strategy 5,000 USDT: ")
    expect(verdict).to_contain_text("Nothing of it allows more: one person could put it into force.")
    panel.locator('[name="reserve_equity_usd"]').fill("500")
    expect(verdict).to_contain_text("More of this takes two people: reserve")
    expect(verdict).to_have_attribute("data-tone", "warn")
    expect(panel.locator("[data-flow]")).to_contain_text("500")
    panel.get_by_role("button", name="As in force").click()
    expect(verdict).to_contain_text("As in force: ")
    assert list(StrategyInstance.objects.order_by("pk").values_list("allocation", "weight")) == granted
    after = [model.objects.count() for model in (AllocationRun, PolicyVersion, ChangeRequest)]
    assert after == rows[:3], "nothing was run, put into force or asked for"
    assert site.scroll_overflow() == 0
    assert site.complaints == []
