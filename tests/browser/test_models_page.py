"""The models page: a version is judged, looked at, compared, and its canary rolled back in one click."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from playwright.sync_api import expect

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, CanaryObservation, ModelVersion, TrainingRun, TruthReport
from mlregistry.services.canaries import canary_check
from mlregistry.services.drift import drift_measure
from mlregistry.services.judging import judge_claim, judge_execute
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request
from mlregistry.services.training import study_request, training_claim, training_execute, training_request
from nautilus_site.common.models import ChangeRequest, User
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


@pytest.mark.usefixtures("relay")
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
    page.get_by_role("button", name="Ask for more time for the canary").click()
    extend = page.locator("#extend-dialog")
    expect(extend).to_contain_text("ends without a winner in 180 d")
    photographed(site, "models-extend")
    extend.locator("[name=days]").fill("14")
    extend.locator("[name=reason]").fill("a quiet month")
    extend.get_by_role("button", name="File the request").click()
    expect(extend.locator("[data-result]")).to_contain_text("second person")
    extend.get_by_role("button", name="Close").first.click()
    more = ChangeRequest.objects.get(kind="model.extend_canary", state=ChangeRequest.State.PENDING)
    change_request_approve(request_id=more.pk, approver=risk_officer)
    expect(row).to_contain_text("over in 194 d", timeout=20_000)
    page.get_by_role("button", name="Roll back the canary").click()
    expect(row).to_contain_text("ended", timeout=20_000)
    assert Canary.objects.get().state == Canary.State.ENDED
    assert StrategyInstance.objects.get(strategy__name="trend").allocation == 3000
    assert site.complaints == []


def challenger_request(version: ModelVersion) -> Any:
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


@pytest.fixture
def busy(challenger: ModelVersion, model_owner: User, risk_officer: User) -> Canary:
    """A canary half way with sixty pairs, a study that is over, a run that trains, and what the truth said."""
    asked = promotion_request(
        version=challenger, stage=Stage.CANARY, reason="try", requester=model_owner, override=True,
        canary={"share": 0.05, "ramp": 0.25, "cap": 600, "interval_s": 600, "quote_s": 1e6},
    )  # fmt: skip
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    canary = Canary.objects.get()
    rng, moment = np.random.default_rng(4), timezone.now()
    for number, (own, common) in enumerate(rng.normal(size=(60, 2)), start=1):
        at = moment + timedelta(seconds=600 * (number - 60))
        CanaryObservation.objects.create(
            canary=canary, number=number, from_at=at - timedelta(seconds=600), to_at=at,
            canary_return=0.0004 * common + 0.0002 * own + 0.0001, champion_return=0.0004 * common,
        )  # fmt: skip
    canary_check(canary_id=canary.pk)
    study = study_request(
        models=[{"model": "hmm", "symbol": "BTCUSDT", "interval": "1h"}],
        states=[1, 2],
        seeds=[0],
        requester=model_owner,
    )
    for _ in range(study.runs.count()):
        claimed = training_claim(slots=9)
        assert claimed is not None
        training_execute(run_id=claimed.pk)
    live = training_request(
        asked={"model": "hmm", "symbol": "BTCUSDT", "interval": "1h", "states": 3, "seed": 7},
        requester=model_owner,
    )
    training_claim(slots=9)
    trace = (-9_000 + 4_000 * (1 - np.exp(-np.arange(25) / 6))).tolist()
    TrainingRun.objects.filter(pk=live.pk).update(
        stage="restart 2 of 3", done=14, total=40, log_likelihood=trace,
        started_at=timezone.now() - timedelta(seconds=21),
    )  # fmt: skip
    TruthReport.objects.create(
        version=challenger, day=moment.date(), rows=400, accuracy=0.9425, always=0.43, probability=0.91,
        matched={"calm": "calm", "turbulent": "turbulent"}, recall={"calm": 0.97, "turbulent": 0.9},
        confusion={"calm": {"calm": 194, "turbulent": 6}, "turbulent": {"calm": 20, "turbulent": 180}},
        from_at=moment - timedelta(days=1), to_at=moment, measured_at=moment,
    )  # fmt: skip
    return canary


def test_a_canary_a_study_a_training_run_and_the_past_can_be_read(
    busy: Canary, make_user: Callable[..., User], open_site: OpenSite
) -> None:
    site = open_site(height=1400)
    site.log_in(make_user("viewer").username, PASSWORD, "/models/")
    page = site.page
    row = page.locator("[data-table=canaries] tbody tr").first
    expect(row).to_contain_text("1 of 2, 5 % of the capital")
    expect(row).to_contain_text("wins at 3.69, grows at 1.61")
    expect(row).to_contain_text("and 10 fills; over in 180 d")
    training = page.locator("[data-table=training] tbody tr").first
    expect(training).to_contain_text("35 %")
    expect(training.locator("svg.trace")).to_have_count(1)
    versions = page.locator("[data-table=versions] tbody")
    expect(versions).to_contain_text("94.25 %")
    photographed(site, "models-1440")
    page.get_by_role("button", name="Look at the canary hmm-btcusdt-spot-1h version 2").click()
    dialog = page.locator("#model-dialog")
    expect(dialog).to_contain_text("it wins at 3.69")
    expect(dialog).to_contain_text("orders whose answer was lost")
    expect(dialog.locator(".evidence svg[role=img]")).to_have_count(2)
    expect(dialog.locator(".evidence .line")).to_have_count(8)  # two lines in two charts, and their keys
    photographed(site, "canary-1440")
    dialog.get_by_role("button", name="Close").first.click()
    page.get_by_role("button", name="Look at the study of BTCUSDT").click()
    expect(dialog).to_contain_text("2 of 2")
    expect(dialog.locator("tbody tr")).to_have_count(2)
    photographed(site, "study-1440")
    dialog.get_by_role("button", name="Close").first.click()
    served = page.locator("#served")
    served.locator("[name=at]").fill(f"{timezone.now():%Y-%m-%dT%H:%M:%S}")
    served.get_by_role("button", name="Ask").click()
    expect(served.locator("output")).to_contain_text("hmm-btcusdt-spot-1h version 1")
    expect(served.locator("output")).to_contain_text("version 2")
    served.locator("[name=at]").fill("2020-01-01T00:00:00")
    served.get_by_role("button", name="Ask").click()
    expect(served.locator("output")).to_contain_text("No model was in force at")
    page.get_by_role("button", name="Look at hmm-btcusdt-spot-1h version 2").click()
    expect(dialog.get_by_role("heading", name="Beside the true regimes")).to_be_visible()
    expect(dialog).to_contain_text("94.3 % of 400 bars since training")
    photographed(site, "version-1440")
    dialog.get_by_role("heading", name="Drift").scroll_into_view_if_needed()
    photographed(site, "version-drift-1440")
    page.set_viewport_size({"width": 800, "height": 1400})
    dialog.get_by_role("button", name="Close").first.click()
    photographed(site, "models-800")
    page.get_by_role("button", name="Look at the canary hmm-btcusdt-spot-1h version 2").click()
    expect(dialog.locator(".evidence svg[role=img]")).to_have_count(2)
    photographed(site, "canary-800")
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.set_viewport_size({"width": 390, "height": 844})
    photographed(site, "canary-390")
    dialog.get_by_role("button", name="Close").first.click()
    photographed(site, "models-390")
    page.get_by_role("button", name="Look at hmm-btcusdt-spot-1h version 2").click()
    expect(dialog.get_by_role("heading", name="Beside the true regimes")).to_be_visible()
    for name, heading in (("version-390", "States"), ("version-drift-390", "Drift")):
        dialog.get_by_role("heading", name=heading, exact=True).first.scroll_into_view_if_needed()
        photographed(site, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert site.complaints == []
