"""What the allocator would decide under another policy: told in full, and nothing of it done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from governance.models import AllocationRun
from governance.selectors.capital import flow_members, grants_now
from governance.services import capital
from nautilus_site.common.models import AuditEntry, ChangeRequest
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from tests.integration.governance.test_capital import POLICY

PATH = "/api/v1/allocations/what-if"


def asked(api: Any, **changes: Any) -> Any:
    return api.post(PATH, {"changes": changes}, format="json")


def test_it_tells_amounts_reasons_and_the_flow_and_changes_nothing(
    desk: Desk, token_client: Any, viewer: Any
) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000})
    api = token_client(viewer)
    trail = AuditEntry.objects.count()
    told = asked(api, max_quota_usd="20000", reserve_equity_usd="40000").json()
    # 100,000 less 40,000 are the pool; half of it each, cut to 20,000.
    assert {row["strategy"]: (row["before"], row["amount"], row["rule"]) for row in told["choices"]} == {
        "trend": ("9000", "20000", "cap"),
        "swing": ("9000", "20000", "cap"),
    }
    assert told["flow"] == {
        "equity": "100000", "reserve": "40000", "withheld": "0", "pool": "60000", "free": "20000", "over": "0",
        "strategies": [{"strategy": "swing", "amount": "20000"}, {"strategy": "trend", "amount": "20000"}],
    }  # fmt: skip
    assert told["allows_more"] == ["max_quota_usd"]
    assert "of which 40,000.00 USDT are reserve" in told["explanation"]
    assert grants_now(["trend", "swing"]) == {"trend": 9000, "swing": 9000}
    assert (AllocationRun.objects.count(), ChangeRequest.objects.count()) == (0, 0)
    assert AuditEntry.objects.count() == trail


def test_what_it_says_is_what_a_run_under_that_policy_does(
    desk: Desk, token_client: Any, viewer: Any
) -> None:
    in_force("capital_policy", **POLICY)
    changes = {"method": "equal", "max_quota_usd": 15_000, "base_equity_frac": "0.5"}
    told = asked(token_client(viewer), **changes).json()
    in_force("capital_policy", **{**POLICY, **changes})
    made = capital.capital_run(trigger="test")
    assert made is not None
    assert {row["strategy"]: Decimal(row["amount"]) for row in told["choices"]} == grants_now(
        ["trend", "swing"]
    )
    assert told["explanation"] == made.explanation


def test_a_change_that_is_not_made_is_explained_too(desk: Desk, token_client: Any, viewer: Any) -> None:
    in_force("capital_policy", **{**POLICY, "max_quota_usd": 12_000})
    for choice in asked(token_client(viewer), allocation_mode="manual").json()["choices"]:
        assert choice["amount"] == choice["before"]
        assert "people decide alone" in choice["reason"]


def test_mistakes_and_ignorance_are_told(desk: Desk, token_client: Any, viewer: Any) -> None:
    api = token_client(viewer)
    assert asked(api).json()["code"] == "NO_VERSION"
    in_force("capital_policy", **POLICY)
    answer = asked(api, method="luck", colour="red")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_POLICY")
    said = " ".join(problem["path"] + problem["message"] for problem in answer.json()["problems"])
    assert "method" in said
    assert "colour" in said
    from trading.models import EquityAnchor

    EquityAnchor.objects.all().delete()
    assert asked(api).json()["code"] == "UNKNOWN_EQUITY"


@pytest.mark.parametrize(
    ("equity", "reserve", "pool", "given", "expected"),
    [
        (100, 20, 50, {"a": 30}, {"reserve": "20", "withheld": "30", "free": "20", "over": "0"}),
        (100, 200, 0, {}, {"reserve": "100", "withheld": "0", "free": "0", "over": "0"}),
        (100, 0, 10, {"a": 30}, {"reserve": "0", "withheld": "90", "free": "0", "over": "20"}),
        (-5, 10, 0, {}, {"reserve": "0", "withheld": "0", "free": "0", "over": "0"}),
    ],
)
def test_the_flow_adds_up(
    equity: int, reserve: int, pool: int, given: dict[str, int], expected: dict[str, str]
) -> None:
    flow = flow_members(
        Decimal(equity), Decimal(reserve), Decimal(pool), {name: Decimal(n) for name, n in given.items()}
    )
    assert {name: flow[name] for name in expected} == expected
    whole = sum(Decimal(flow[name]) for name in ("reserve", "withheld", "pool"))
    assert whole == max(equity, 0)
