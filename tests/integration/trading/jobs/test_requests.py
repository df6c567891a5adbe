"""What may be asked for, and by whom: what cannot be run is refused before there is a job."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.trading.jobs.workers import BODY
from trading.models import ResearchJob


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"legs": [{"strategy": "moving_average", "symbol": "BNBUSDT"}]}, 404, "NO_BARS"),
        ({"legs": [{"strategy": "nobody", "symbol": "ETHUSDT"}]}, 400, "UNKNOWN_STRATEGY"),
        ({"legs": [{"strategy": "/etc/x.py:X", "symbol": "ETHUSDT"}]}, 400, "UNKNOWN_STRATEGY"),
        (
            {"share": "0.5", "legs": [{"strategy": "moving_average", "symbol": "ETHUSDT", "share": "0.6"}]},
            400,
            "BAD_REQUEST",
        ),
        (
            {"grid": ["fast=3:9:3"], "legs": [{"strategy": "moving_average", "symbol": "ETHUSDT"}]},
            400,
            "BAD_REQUEST",
        ),
    ],
)
def test_legs_that_cannot_be_run_are_refused_at_once(
    trader: Any, token_client: Any, change: dict[str, Any], status: int, code: str
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**BODY, **change}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ResearchJob.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"strategy": "/etc/passwd:Root"}, 400, "UNKNOWN_STRATEGY"),
        ({"strategy": "os.path:join"}, 400, "UNKNOWN_STRATEGY"),
        ({"strategy": "nothing"}, 400, "UNKNOWN_STRATEGY"),
        ({"params": {"fast": 50, "slow": 20}}, 400, "BAD_PARAMETER"),
        ({"params": {}, "grid": ["fats=1:2"]}, 400, "BAD_GRID"),
        ({"symbol": "SOLUSDT"}, 404, "NO_BARS"),
        ({"sweep": True}, 400, "UNKNOWN_FIELD"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    changes: dict[str, Any], status: int, code: str, trader: Any, token_client: Any
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**BODY, **changes}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ResearchJob.objects.exists()


def test_traders_and_model_owners_run_backtests_and_nobody_else(make_user: Any, token_client: Any) -> None:
    for role, status in (("trader", 202), ("model_owner", 202), ("viewer", 403), ("risk_officer", 403)):
        user = make_user(role)
        answer = token_client(user).post("/api/v1/backtests", BODY, format="json")
        assert answer.status_code == status, role
        assert token_client(user).get("/api/v1/backtests").status_code == 200
