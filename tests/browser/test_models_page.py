"""The models page: a version is judged, looked at, compared, and its canary rolled back in one click."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.drift import drift_measure
from mlregistry.services.judging import judge_claim, judge_execute
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.factories.markets import T0_NS, paying_bars, paying_closes, store_bars, trained_on
from tests.factories.trading import trading_desk
from trading.domain.ports import KlineRecord
from trading.models import Strategy, StrategyInstance
from universe.models import Bar, Instrument
from universe.services import bars_store

OpenSite = Callable[..., Site]
BARS, HOUR_MS = 1400, 3_600_000


@pytest.fixture
def challenger(
    tmp_path: Path, settings: Any, model_owner: User, risk_officer: User, transactional_db: None
) -> ModelVersion:
    """A champion that sees one state and trades, and a challenger that sees two; bars stored and live."""
    settings.NAUTILUS_HOME = tmp_path / "home"
    closes = paying_closes(BARS)
    store_bars(closes, tmp_path)
    trading_desk(symbols=("BTCUSDT",))
    Strategy.objects.filter(name="trend").update(
        kind="hmm_policy", interval="1h", parameters={}, model_family="hmm-btcusdt-spot-1h"
    )
    bars = paying_bars(closes)
    blind, seeing = (
        version_register(encoded=trained_on(bars, states=states), metrics={"bic": 1.0}, actor="test")
        for states in (1, 2)
    )
    asked = promotion_request(
        version=blind, stage=Stage.CHAMPION, reason="first", requester=model_owner, override=True
    )
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    records = []
    for n, close in enumerate(paying_closes(700, seed=8).tolist()):
        at, price = T0_NS // 1_000_000 + (BARS + n) * HOUR_MS, Decimal(f"{close:.2f}")
        records.append(
            KlineRecord(
                open_time_ms=at, open=price, high=price, low=price, close=price, volume=Decimal(25),
                close_time_ms=at + HOUR_MS - 1, quote_volume=price, trades=9, taker_base=Decimal(1),
                taker_quote=price,
            )
        )  # fmt: skip
    bars_store(Instrument.objects.get(), "1h", records, Bar.Source.STREAM)
    drift_measure(version=seeing)
    return seeing


def photographed(site: Site, name: str) -> None:
    """Keep a picture where somebody wants to look at the page."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        site.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_an_owner_judges_a_version_looks_at_it_and_asks_for_a_canary_that_is_rolled_back(
    challenger: ModelVersion, model_owner: User, risk_officer: User, open_site: OpenSite
) -> None:
    site = open_site(height=1400)
    site.log_in(model_owner.username, PASSWORD, "/models/")
    page = site.page
    page.get_by_role("button", name="Judge hmm-btcusdt-spot-1h version 2").click()
    verdict = page.locator("[data-table=verdicts] tbody tr").first
    expect(verdict).to_contain_text("queued")
    claimed = judge_claim(slots=1)
    assert claimed is not None
    judge_execute(verdict_id=claimed.pk)
    # Thirty days of tests are too few for skill after two trials; every number of it can be read.
    expect(verdict).to_contain_text("not passed", timeout=20_000)
    expect(verdict).to_contain_text("deflated sharpe")
    page.get_by_role("button", name="Look at hmm-btcusdt-spot-1h version 2").click()
    dialog = page.locator("#model-dialog")
    expect(dialog).to_contain_text("beside version 1: did not pass")
    expect(dialog).to_contain_text("probability of skill after 2 trials")
    expect(dialog).to_contain_text("columns that knew the future")
    expect(dialog.locator("svg[role=img] polygon")).to_have_count(2)
    expect(dialog.locator(".lineage rect.this")).to_have_count(1)
    expect(dialog).to_contain_text("Beside the champion")
    expect(dialog).to_contain_text("they have different numbers of states")
    expect(dialog.get_by_role("heading", name="Drift")).to_be_visible()
    photographed(site, "models-look")
    dialog.locator(".posterior").scroll_into_view_if_needed()
    photographed(site, "models-posterior")
    dialog.get_by_role("button", name="Close").first.click()
    page.get_by_role("button", name="Ask to promote hmm-btcusdt-spot-1h version 2").click()
    stage = page.locator("#stage-dialog")
    stage.locator("[name=stage]").select_option("canary")
    stage.locator("[name=override]").check()
    stage.locator("[name=reason]").fill("try it")
    stage.get_by_role("button", name="File the request").click()
    expect(stage.locator("[data-result]")).to_contain_text("second person")
    stage.get_by_role("button", name="Close").first.click()
    request = challenger_request(challenger)
    change_request_approve(request_id=request, approver=risk_officer)
    row = page.locator("[data-table=canaries] tbody tr").first
    expect(row).to_contain_text("running", timeout=20_000)
    photographed(site, "models")
    page.get_by_role("button", name="Roll back the canary").click()
    expect(row).to_contain_text("ended", timeout=20_000)
    assert Canary.objects.get().state == Canary.State.ENDED
    assert StrategyInstance.objects.get(strategy__name="trend").allocation == 3000
    assert site.complaints == []


def challenger_request(version: ModelVersion) -> Any:
    from nautilus_site.common.models import ChangeRequest

    return ChangeRequest.objects.get(target=f"model:{version.pk}", state=ChangeRequest.State.PENDING).pk


def test_a_viewer_sees_it_all_and_no_way_to_change_it_also_on_a_phone(
    challenger: ModelVersion, make_user: Callable[..., User], open_site: OpenSite
) -> None:
    site = open_site(width=380, height=800)
    site.log_in(make_user("viewer").username, PASSWORD, "/models/")
    expect(site.page.locator("[data-table=versions] tbody tr")).to_have_count(2)
    expect(site.page.get_by_role("button", name="Judge")).to_have_count(0)
    expect(site.page.get_by_role("button", name="Ask to promote")).to_have_count(0)
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 380
    assert site.complaints == []
