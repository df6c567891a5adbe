"""What served at a moment: the same answer over the API and from the command; and what Prometheus hears of models."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion, StageChange
from mlregistry.selectors.gauges import model_gauges
from nautilus_site.common.models import Role, User
from tests.factories.canaries import FAMILY, instance, live_bars, promote
from tests.factories.trading import Desk
from trading.services.strategies import strategy_step

pytestmark = pytest.mark.django_db


def test_the_api_and_the_command_say_what_served_then(
    canary: Canary,
    challenger: ModelVersion,
    people: tuple[User, User],
    token_client: Callable[..., APIClient],
    make_user: Any,
) -> None:
    promote(challenger, Stage.CHAMPION, people)
    changes = list(StageChange.objects.order_by("pk").values_list("version__number", "to_stage", "at"))
    asked = {stage: at for number, stage, at in changes if number == 2}
    viewer = token_client(make_user(Role.VIEWER))

    def told(at: datetime) -> tuple[list[tuple[int, str]], list[int]]:
        text = at.isoformat().replace("+00:00", "Z")
        body = viewer.get("/api/v1/models/serving", {"at": text}).json()
        call_command("models", "serving", "--at", text, "--json", stdout=(out := io.StringIO()))
        assert json.loads(out.getvalue()) == body
        return (
            [(one["version"], one["since"]) for one in body["champions"]],
            [one["version"] for one in body["canaries"]],
        )

    first = changes[1][2]
    assert told(first - timedelta(microseconds=1)) == ([], [])
    assert told(first)[0][0][0] == 1
    assert told(asked["canary"])[1] == [2]
    assert told(asked["canary"] - timedelta(microseconds=1))[1] == []
    champions, canaries = told(changes[-1][2])
    assert ([number for number, _ in champions], canaries) == ([2], [])
    call_command("models", "serving", stdout=(out := io.StringIO()))
    assert f"champion  {FAMILY}@2" in out.getvalue()
    call_command("models", "serving", "--at", "2020-01-01", stdout=(out := io.StringIO()))
    assert "no model was in force at 2020-01-01" in out.getvalue()


def test_prometheus_hears_what_is_in_force_and_what_it_believes(desk: Desk, canary: Canary) -> None:
    live_bars(desk, 60)
    strategy_step(instance_id=instance("trend").pk)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in model_gauges()
        for sample in metric.samples
    }
    champion = canary.champion
    key = ("model_version_info", ("digest", champion.digest[:12]), ("model", FAMILY), ("version", "1"))
    assert samples[key] == 1.0
    believed = {key: value for key, value in samples.items() if key[0] == "regime_probability"}
    assert sum(believed.values()) == pytest.approx(1.0)
    assert {dict(key[1:])["symbol"] for key in believed} == {"BTCUSDT"}  # type: ignore[arg-type]
