"""`manage.py policy`: files out and in again, mistakes with their place, and who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from governance.domain.policies.located import node_of
from governance.selectors.capital import grants_now
from governance.selectors.policies import version_in_force
from governance.services.policies import policy_revert
from governance.services.quotas import quotas_change
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.models import Strategy, StrategyInstance

DOCUMENTS: dict[str, dict[str, Any]] = {
    "capital_policy": {"enabled": ["trend"], "caps": {"trend": "1234.5"}, "step_up_pct": "0.25"},
    "strategy_weights": {"weights": {"trend": "0.5", "trend:ETHUSDT": 0}, "band": "0.1"},
    "policies": {
        "rules": [{"name": "r", "trigger": "tick", "condition": "drawdown > 0.1", "action": "notify"}]
    },
}


def command(*words: str) -> str:
    out = StringIO()
    call_command("policy", *words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_what_is_exported_imports_as_the_same(
    name: str, suffix: str, desk: Desk, risk_officer: User, tmp_path: Path
) -> None:
    version = in_force(name, **DOCUMENTS[name])
    path = tmp_path / f"{name}.{suffix}"
    command("export", str(path))
    assert "as it should be" in command("check", str(path))
    with pytest.raises(CommandError, match="NOTHING_CHANGED"):
        command("import", str(path), "--as", risk_officer.username, "--reason", "again")
    assert version_in_force(name) == version


def test_a_stricter_file_is_in_force_at_once_and_a_looser_one_waits(
    desk: Desk, trader: User, risk_officer: User, tmp_path: Path
) -> None:
    in_force("capital_policy", max_quota_usd=10_000, reserve_equity_usd=5_000)
    path = tmp_path / "capital_policy.json"
    path.write_text('{"max_quota_usd": 9000.5, "reserve_equity_usd": 6000}')
    with pytest.raises(CommandError, match=r"PERMISSION_DENIED.*limits\.tighten"):
        command("import", str(path), "--as", trader.username, "--reason", "careful")
    told = json.loads(
        command("import", str(path), "--as", risk_officer.username, "--reason", "careful", "--json")
    )
    assert (told["state"], told["version"]) == ("in_force", 2)
    path.write_text('{"max_quota_usd": 9000.5, "reserve_equity_usd": 5999}')
    told = json.loads(command("import", str(path), "--as", trader.username, "--reason", "bold", "--json"))
    assert told["diff"] == {"reserve_equity_usd": ["6000", "5999"]}
    request = ChangeRequest.objects.get(pk=told["approval"])
    assert request.effect["allows_more"] == ["reserve_equity_usd"]
    assert "amounts" in request.effect
    change_request_approve(request_id=request.pk, approver=risk_officer)
    version = version_in_force("capital_policy")
    assert version is not None
    assert (version.number, version.document["reserve_equity_usd"]) == (3, "5999")
    entry = AuditEntry.objects.filter(action="policy.activated").latest("id")
    assert entry.actor_name == f"{trader} and {risk_officer}"
    assert entry.after["changed"] == {"reserve_equity_usd": ["6000", "5999"]}
    # One click back is a tightening again.
    back = policy_revert(name="capital_policy", number=2, actor=risk_officer, reason="too bold")
    assert back.document["reserve_equity_usd"] == "6000"  # type: ignore[union-attr]


def test_mistakes_are_told_with_file_line_and_column(desk: Desk, trader: User, tmp_path: Path) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(
        "rules:\n  - name: r\n    trigger: order.denied\n    condition: code == 'MAX_ORDERS_PER_MIN'\n"
        "    action: notify\n"
    )
    out = StringIO()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("policy", "check", str(path), stdout=out, stderr=out)
    assert "line 4, column 24: rules[0].condition: code is never 'MAX_ORDERS_PER_MIN'" in out.getvalue()
    out = StringIO()
    with pytest.raises(CommandError, match="1 problems"):
        call_command("policy", "import", str(path), "--as", trader.username, "--reason", "x", stderr=out)
    assert f"{path}:4:24: rules[0].condition" in out.getvalue()


def test_who_may_not_ask_imports_nothing(desk: Desk, viewer: User, tmp_path: Path) -> None:
    path = tmp_path / "capital_policy.json"
    path.write_text("{}")
    for name, part in ((viewer.username, "may not ask"), ("nobody", "no active user")):
        with pytest.raises(CommandError, match=part):
            command("import", str(path), "--as", name, "--reason", "x")
    with pytest.raises(CommandError, match="UNKNOWN_POLICY"):
        command("check", str(tmp_path / "other.json"))


def test_allocations_go_out_and_come_in_again(
    desk: Desk, trader: User, risk_officer: User, tmp_path: Path
) -> None:
    """`capital_allocations.json`: lower at once, higher by two people, never over the pool."""
    in_force("capital_policy", base_equity_frac=1)
    path = tmp_path / "capital_allocations.json"
    command("export", str(path))
    document = json.loads(path.read_text())
    assert document["capital_quota_usd"] == {"swing": 9000, "trend": 9000}
    with pytest.raises(CommandError, match="NOTHING_CHANGED"):
        command("import", str(path), "--as", trader.username, "--reason", "same")
    document["capital_quota_usd"] = {"swing": 6000, "trend": 12000}
    path.write_text(json.dumps(document))
    told = json.loads(command("import", str(path), "--as", trader.username, "--reason", "shift", "--json"))
    assert told["lowered"] == ["swing"]
    assert grants_now(["swing", "trend"]) == {"swing": 6000, "trend": 9000}
    change_request_approve(request_id=told["approval"], approver=risk_officer)
    assert grants_now(["trend"]) == {"trend": 12_000}
    assert set(StrategyInstance.objects.values_list("in_force_until", flat=True)) == {None}
    document["capital_quota_usd"] = {"swing": 5000}
    path.write_text(json.dumps(document))
    with pytest.raises(CommandError, match="FILE_OUTDATED"):
        command("import", str(path), "--as", trader.username, "--reason", "old file")


def test_a_file_cannot_grant_more_than_the_pool(desk: Desk, trader: User, risk_officer: User) -> None:
    in_force("capital_policy", base_equity_frac="0.2", min_pool_usd=0)  # a pool of 20,000
    node = node_of({"capital_quota_usd": {"trend": 12_000}})
    _, request = quotas_change(node=node, actor=trader, reason="more")
    assert request is not None
    with pytest.raises(Conflict, match=r"21,000\.00 of a pool of 20,000\.00"):
        change_request_approve(request_id=request.pk, approver=risk_officer)
    assert grants_now(["trend"]) == {"trend": Decimal(9000)}


def test_more_for_more_strategies_than_one_request_can_name_is_refused(desk: Desk, trader: User) -> None:
    """The audit trail names the kind beside the target, in 160 characters."""
    names = [f"{letter * 35}" for letter in "abcd"]
    for name in names:
        strategy = Strategy.objects.create(name=name, kind="trend", interval="1h", updated_at=now())
        StrategyInstance.objects.create(
            strategy=strategy, account=desk.account, instrument=desk.instruments["BTCUSDT"]
        )
    document = {"capital_quota_usd": dict.fromkeys(names, "1")}
    with pytest.raises(ApplicationError) as refused:
        quotas_change(node=node_of(document), actor=trader, reason="r")
    assert refused.value.code == "TOO_MANY"
    _, made = quotas_change(node=node_of({"capital_quota_usd": {names[0]: "1"}}), actor=trader, reason="r")
    assert made is not None


def test_a_version_is_never_changed_and_the_activations_tell_the_history(desk: Desk) -> None:
    first = in_force("capital_policy", refresh_sec=60)
    second = in_force("capital_policy", refresh_sec=70)
    assert [row.version for row in second.policy.activations.order_by("id")] == [first, second]
    assert second.policy.activations.latest("id").before == first


def test_a_file_is_judged_without_changing_anything(
    desk: Desk, viewer: User, token_client: Callable[..., Any]
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    api = token_client(viewer)
    route = "/api/v1/policies/capital_policy/check"
    wrong = api.post(route, {"text": '{\n "max_quota_usd": "much"}', "format": "json"}, format="json").json()
    assert [(p["line"], p["column"], p["path"]) for p in wrong["problems"]] == [(2, 19, "max_quota_usd")]
    broken = api.post(route, {"text": "{", "format": "json"}, format="json").json()
    assert [(p["line"], p["column"]) for p in broken["problems"]] == [(1, 2)]
    told = api.post(route, {"text": "max_quota_usd: 11000\n", "format": "yaml"}, format="json").json()
    assert (told["problems"], told["allows_more"]) == ([], ["max_quota_usd"])
    assert told["changed"] == {"max_quota_usd": ["10000", "11000"]}
    assert told["effect"]["amounts"]["trend"] == ["9000", "9000", "not_enabled"]
    version = version_in_force("capital_policy")
    assert version is not None
    assert version.number == 1
    full = {"text": "weights: {trend: 0.9, swing: 0.9}", "format": "yaml"}
    StrategyInstance.objects.update(weight=Decimal("0.5"))
    told = api.post("/api/v1/policies/strategy_weights/check", full, format="json").json()
    assert "at most 1 in all" in told["problems"][0]["message"]
    assert api.post("/api/v1/policies/other/check", full, format="json").status_code == 404
    assert api.get("/api/v1/policies/firings").json()["results"] == []


def test_what_any_reader_may_ask_is_answered_in_few_words_whatever_is_in_it(
    desk: Desk, viewer: User, token_client: Callable[..., Any]
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    api = token_client(viewer)
    for text in ('{"min_pool_usd": "1e9999999"}', '{"envelope": {"until": "0001-01-01T00:00:00+14:00"}}'):
        told = api.post(
            "/api/v1/policies/capital_policy/check", {"text": text, "format": "json"}, format="json"
        )
        assert (told.status_code, len(told.json()["problems"])) == (200, 1)
        assert len(told.content) < 1000
    told = api.post(
        "/api/v1/allocations/what-if", {"changes": {"sharpe_demote": "-1e-9999999"}}, format="json"
    )
    assert (told.status_code, len(told.content) < 1000) == (400, True)


TIMES = [
    ("/api/v1/equity", "since"),
    ("/api/v1/orders", "created_after"),
    ("/api/v1/fills", "at_before"),
    ("/api/v1/decisions", "bar_open_after"),
    ("/api/v1/audit", "since"),
    ("/api/v1/audit", "until"),
    ("/api/v1/models/serving", "at"),
    ("/state/audit/", "since"),
    ("/state/audit/", "until"),
]


def test_a_time_at_the_end_of_the_calendar_is_an_answer_and_no_failure(
    desk: Desk, risk_officer: User, client: Any
) -> None:
    client.force_login(risk_officer, backend="django.contrib.auth.backends.ModelBackend")
    client.raise_request_exception = False
    asked = [(*one, at) for one in TIMES for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")]
    codes = {(path, name, at): client.get(path, {name: at}).status_code for path, name, at in asked}
    assert [place for place, code in codes.items() if code not in (200, 400)] == []
