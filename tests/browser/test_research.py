"""The research page: asking for runs, watching them end, comparing them, reading the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from nautilus_site.common.models import User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.factories.bars import store_bars
from trading.models import ResearchJob
from trading.services.jobs import job_step, part_step

OpenSite = Callable[..., Site]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, transactional_db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    store_bars(tmp_path)
    return tmp_path / "home"


def work() -> None:
    """What the workers would do."""
    for job in ResearchJob.objects.all():
        for _ in range(100):
            job.refresh_from_db()
            if job.is_over:
                break
            job_step(job_id=job.pk)
            for part in job.parts.filter(finished_at=None):
                part_step(part_id=part.pk)


def photographed(site: Site, name: str) -> None:
    """Keep a picture where somebody wants to look at the page."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        site.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.usefixtures("relay")
def test_a_trader_asks_for_runs_watches_compares_and_reads_the_report(
    trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/research/")
    page = site.page
    form = page.locator("#ask")
    expect(form.locator("[name='param.fast']")).to_have_value("9")
    form.locator("[name='param.fast']").fill("5")
    form.locator("[name='param.slow']").fill("20")
    form.locator("[name=title]").fill("quick averages")
    form.get_by_role("button", name="Run").click()
    row = page.locator("[data-table=jobs] tbody tr", has_text="quick averages")
    expect(row).to_contain_text("queued")
    form.locator("[name=title]").fill("many averages")
    form.locator("[name=grid]").fill("fast=3:9:3 slow=12:36:12")
    form.get_by_role("button", name="Run").click()
    sweep = page.locator("[data-table=jobs] tbody tr", has_text="many averages")
    expect(sweep).to_contain_text("sweep")
    work()
    expect(row).to_contain_text("done", timeout=20_000)
    expect(sweep).to_contain_text("done", timeout=20_000)
    for one in (row, sweep):
        one.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare selected").click()
    comparison = page.locator("#comparison")
    expect(comparison).to_contain_text("total return")
    expect(comparison).to_contain_text("yes")
    photographed(site, "research")
    row.get_by_role("button", name="Details of quick averages").click()
    expect(page.locator("#job-command")).to_contain_text(
        "manage.py backtest moving_average --symbol ETHUSDT --interval 1h --param fast=5 slow=20"
    )
    photographed(site, "research-detail")
    # The address is a link to this run: it opens again after a reload.
    page.reload()
    expect(page.locator("#job-title")).to_contain_text("quick averages")
    with page.context.expect_page() as opened:
        page.locator("#job-report").click()
    report = opened.value
    expect(report.get_by_role("heading", name="quick averages").first).to_be_visible(timeout=20_000)
    report.wait_for_function("document.querySelectorAll('canvas').length > 0")
    if os.environ.get("SCREENSHOTS"):
        report.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / "research-report.png"))
    assert site.complaints == []


def test_what_is_refused_is_said_at_the_form_and_a_preset_fills_it_again(
    trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/research/")
    form = site.page.locator("#ask")
    form.locator("[name='param.fast']").fill("30")
    form.get_by_role("button", name="Run").click()
    expect(site.page.locator("#ask-result")).to_contain_text("BAD_PARAMETER")
    form.locator("[name=title]").fill("my averages")
    site.page.get_by_role("button", name="Save as preset").click()
    site.page.reload()
    expect(form.locator("[name='param.fast']")).to_have_value("9")
    site.page.locator("#presets").select_option("my averages")
    expect(form.locator("[name='param.fast']")).to_have_value("30")
    assert not ResearchJob.objects.exists()


def test_a_viewer_sees_the_runs_and_no_form_also_on_a_phone(
    make_user: Callable[..., User], open_site: OpenSite
) -> None:
    viewer = make_user("viewer")
    site = open_site(width=380, height=800)
    site.log_in(viewer.username, PASSWORD, "/research/")
    expect(site.page.get_by_text("Nothing was asked for yet.")).to_be_visible()
    expect(site.page.locator("#ask")).to_have_count(0)
    width = site.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 380
    photographed(site, "research-phone")
