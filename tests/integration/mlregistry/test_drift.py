"""Drift day by day on live bars: quiet on more of the same, an alarm on another market, stepping back if approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient

from mlregistry.domain.stages import Stage
from mlregistry.models import DriftReport, ModelVersion
from mlregistry.services.drift import drift_alarmed, drift_measure, drift_measure_all
from mlregistry.services.envelopes import envelope_close, envelope_request
from mlregistry.services.register import version_register
from mlregistry.services.stages import promotion_request
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, OutboxEvent, Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.markets import T0_NS, paying_bars, paying_closes, trained_on
from tests.factories.trading import trading_desk
from trading.domain.ports import KlineRecord
from trading.models import Strategy
from universe.models import Bar, Instrument
from universe.services import bars_store

pytestmark = pytest.mark.django_db
TRAINED = 2400  # a hundred days
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def encoded() -> Any:
    return trained_on(paying_bars(paying_closes(TRAINED)), states=2)


@pytest.fixture
def people() -> tuple[User, User]:
    return tuple(  # type: ignore[return-value]
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )


@pytest.fixture
def champion(tmp_path: Path, settings: Any, encoded: Any, people: tuple[User, User]) -> ModelVersion:
    settings.NAUTILUS_HOME = tmp_path
    trading_desk(symbols=("BTCUSDT",))
    version = version_register(encoded=encoded, metrics={}, actor="test")
    asked = promotion_request(
        version=version, stage=Stage.CHAMPION, reason="x", requester=people[0], override=True
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    version.refresh_from_db()
    return version


def live(count: int, *, first: int = 0, wild: float = 1.0) -> None:
    """Bars that follow the training, from number `first` on; times as wild as then."""
    closes = paying_closes(first + count, seed=77)
    closes = (20_000 * np.exp(wild * np.log(closes / 20_000)))[first:]
    records = []
    for n, close in enumerate(closes.tolist()):
        at, price = T0_NS // 1_000_000 + (TRAINED + first + n) * HOUR_MS, Decimal(f"{close:.2f}")
        records.append(
            KlineRecord(
                open_time_ms=at, open=price, high=price, low=price, close=price, volume=Decimal(25),
                close_time_ms=at + HOUR_MS - 1, quote_volume=price, trades=9, taker_base=Decimal(1),
                taker_quote=price,
            )
        )  # fmt: skip
    bars_store(Instrument.objects.get(), "1h", records, Bar.Source.STREAM)


def test_each_day_has_one_report_and_bars_are_scored_once(champion: ModelVersion) -> None:
    live(600)
    reports = drift_measure(version=champion)
    # The first bar has no return before it.
    assert [report.bars for report in reports] == [23, *[24] * 24]
    assert "alarm" not in {report.verdict for report in reports}
    # Each day by the rows up to its end, 500 at most and 200 at least.
    assert [(report.window, bool(report.psi)) for report in reports[7:10]] == [
        (191, False),
        (215, True),
        (239, True),
    ]
    assert reports[-1].window == 500
    assert set(reports[-1].psi) == {"log_return"}
    assert drift_measure(version=champion) == []
    live(30, first=600)
    again = drift_measure(version=champion)
    assert [report.bars for report in again] == [24, 6]
    assert DriftReport.objects.count() == 27
    assert not drift_alarmed(champion)


def test_the_level_of_the_log_score_goes_on_from_report_to_report(champion: ModelVersion) -> None:
    live(40)
    drift_measure(version=champion)
    live(100, first=40)
    pieces = drift_measure(version=champion)[-1].cusum
    DriftReport.objects.all().delete()
    assert drift_measure(version=champion)[-1].cusum == pytest.approx(pieces, rel=1e-6)


def test_another_market_is_an_alarm_that_is_told_and_moves_nothing_by_itself(champion: ModelVersion) -> None:
    live(600, wild=3.0)
    assert drift_measure_all() > 0
    champion.refresh_from_db()
    assert champion.stage == Stage.CHAMPION
    assert drift_alarmed(champion)
    events = OutboxEvent.objects.filter(topic="models", data__drift="alarm").order_by("pk")
    assert events.exists()
    assert "log score" in events[0].data["reason"]
    assert AuditEntry.objects.filter(action="model.drift_alarm").count() == events.count()
    # Each measure is told, and people are called: the champion trades.
    measures = {name for event in events for name in event.data["measures"]}
    assert measures == {"log score", "occupancy", "psi log_return"}
    calls = OutboxEvent.objects.filter(topic="incidents", data__kind="model_drift").order_by("pk")
    assert calls.count() == events.count()
    assert {call.data["severity"] for call in calls} == {"critical"}
    assert calls[0].data["scope"] == f"model:{champion.family.name}@1"
    report = DriftReport.objects.filter(version=champion).first()
    assert report is not None
    assert report.occupancy_index is not None
    assert report.occupancy_limit is not None
    assert report.occupancy_index > report.occupancy_limit >= 0.25
    for day, told in Counter(
        (event.data["day"], name)
        for event in events
        for name in event.data["measures"]
        if name != "log score"
    ).items():
        assert told == 1, day
    before = events.count()
    drift_measure_all()
    assert events.count() == before


def test_where_it_was_approved_a_drifted_champion_steps_back_to_shadow(
    champion: ModelVersion, people: tuple[User, User]
) -> None:
    follower = Strategy.objects.get(name="trend")
    Strategy.objects.filter(pk=follower.pk).update(
        kind="hmm_policy", model_family=champion.family.name, model_digest=champion.digest
    )
    asked = envelope_request(
        family=champion.family, envelope={"demote_on_drift": True}, reason="careful", requester=people[0]
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    live(600, wild=3.0)
    drift_measure_all()
    champion.refresh_from_db()
    change = champion.stage_changes.first()
    assert change is not None
    assert (champion.stage, change.actor) == (Stage.SHADOW, "drift")
    assert change.evidence["alarms"] > 0
    follower.refresh_from_db()
    assert follower.model_digest == ""


def test_closing_an_envelope_keeps_what_lowers_risk(
    champion: ModelVersion, people: tuple[User, User]
) -> None:
    family = champion.family
    with pytest.raises(ApplicationError, match="within the next 90 days"):
        envelope_request(
            family=family,
            envelope={"champion": True, "until": "2039-01-01T00:00:00+00:00"},
            reason="for ever",
            requester=people[0],
        )
    asked = envelope_request(
        family=family, envelope={"demote_on_drift": True}, reason="careful", requester=people[0]
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    envelope_close(family=family, actor=people[1], reason="holidays")
    family.refresh_from_db()
    assert family.envelope["demote_on_drift"] is True
    assert (family.envelope["canary"], family.envelope["champion"]) == (False, False)


def test_drift_and_envelope_over_the_api(
    champion: ModelVersion,
    token_client: Callable[..., APIClient],
    make_user: Any,
    people: tuple[User, User],
) -> None:
    live(48)
    drift_measure(version=champion)
    owner = token_client(people[0])
    detail = owner.get(f"/api/v1/models/{champion.pk}").json()
    assert [row["day"] for row in detail["drift"]] == ["2023-04-12", "2023-04-11"]
    posterior = owner.get(f"/api/v1/models/{champion.pk}/posterior", {"bars": 5}).json()
    assert posterior["labels"] == ["calm", "turbulent"]
    assert [row["at"] for row in posterior["rows"]][-1].startswith("2023-04-12T23:59:59")
    last_five = Bar.objects.order_by("-open_time").values_list("close", flat=True)[:5]
    assert [row["close"] for row in posterior["rows"]] == [float(close) for close in reversed(last_five)]
    assert all(sum(row["probabilities"]) == pytest.approx(1.0, abs=1e-5) for row in posterior["rows"])
    path = f"/api/v1/models/families/{champion.family.name}/envelope"
    assert owner.get(path).json() == {"model": champion.family.name, "envelope": {}}
    wrong = owner.put(path, {"envelope": {"canary": True}, "reason": "try"}, format="json")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "INVALID_ENVELOPE")
    asked = owner.put(path, {"envelope": {"demote_on_drift": True}, "reason": "try"}, format="json")
    assert (asked.status_code, asked.json()["kind"]) == (202, "model.envelope")
    viewer = token_client(make_user(Role.VIEWER))
    assert viewer.post(f"{path}/close", {"reason": "x"}, format="json").status_code == 403
    assert owner.post(f"{path}/close", {"reason": "x"}, format="json").status_code == 200
