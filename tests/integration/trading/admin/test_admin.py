"""The admin: facts cannot be changed, intent goes through services, roles decide, the flag does not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

import nautilus_site.urls  # noqa: F401  the admin's pages are found there
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest
from tests.integration.trading.api.world import World
from trading.domain.values import Level
from trading.models import (
    Blackout,
    BookSnapshot,
    BreakerPolicy,
    CircuitBreaker,
    CorrelationGroup,
    Divergence,
    EquitySnapshot,
    LedgerEntry,
    ListingGrant,
    MarginTerms,
    ObservedStep,
    OrderCommand,
    Plan,
    PlanShare,
    Position,
    PositionTransfer,
    ProcessHeartbeat,
    ReconcileRun,
    ResearchJob,
    RiskLimit,
    Statement,
    StrategyInstance,
    SubBalance,
    SubPosition,
    SweepState,
    SymbolAllowance,
    TradeCursor,
    TradingState,
    TrialTally,
    VenueEvent,
)

pytestmark = pytest.mark.django_db

MODELS = sorted(
    (m for m in apps.get_app_config("trading").get_models() if m in admin.site._registry),
    key=lambda m: m.__name__,
)
INTENT = {
    "Blackout",
    "CorrelationGroup",
    "BreakerPolicy",
    "RiskLimit",
    "Strategy",
    "StrategyInstance",
    "TradingState",
    "CircuitBreaker",
    "SweepPeriod",
    "SymbolAllowance",
}


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:trading_{model._meta.model_name}_{page}", args=args)


def breaker(**changes: Any) -> CircuitBreaker:
    columns = {"name": "venue_error_rate", "scope": "venue:binance-spot", "changed_at": now()}
    return CircuitBreaker.objects.create(**{**columns, **changes})


@pytest.fixture
def rows(world: World) -> dict[str, Any]:
    """One row of every model, so that every page has something to show."""
    moment = now()
    decision = world.decision(bar_open_at=moment - timedelta(days=30))
    plan = Plan.objects.create(
        account=world.account, instrument=world.btc, version=1, price=60000,
        position_quantity=0, target_quantity=Decimal("0.01"), created_at=moment,
    )  # fmt: skip
    order = world.order(decision=decision, plan=plan)
    PlanShare.objects.create(plan=plan, decision=decision, share=1)
    OrderCommand.objects.create(
        order=order, kind="cancel", intent_key="cancel:1", requested_by="trader", requested_at=moment
    )
    fill = world.fill(order, trade_id=1, price="60000", quantity="0.01")
    LedgerEntry.objects.create(
        account=world.account, transaction="t1", owner="account", asset="BTC", amount=1,
        kind="trade", fill=fill, at=moment,
    )  # fmt: skip
    world.hold(world.btc, "0.01", "600")
    EquitySnapshot.objects.create(
        account=world.account, at=moment, equity=1, cash=1, market_value=0, unrealized=0,
        realized=0, commission=0,
    )  # fmt: skip
    run = ReconcileRun.objects.create(account=world.account, trigger="start", started_at=moment)
    Divergence.objects.create(
        account=world.account, kind="balance", subject="BTC", first_seen_at=moment, last_seen_at=moment
    )
    VenueEvent.objects.create(
        account=world.account, kind="executionReport", digest="d", payload={}, received_at=moment
    )
    ProcessHeartbeat.objects.create(
        name="web", kind="web", pid=1, host="h", started_at=moment, beat_at=moment
    )
    ResearchJob.objects.create(kind="backtest", request={}, content_sha256="0" * 64, created_at=moment)
    TrialTally.objects.create(
        at=moment, strategy="trend", symbol="BTCUSDT", interval="1h", data_sha256="0" * 64, grid="fast",
        count=1, effective=1, sharpe_mean=0, sharpe_variance=0,
    )  # fmt: skip
    Blackout.objects.create(
        scope="global", starts_at=moment, ends_at=moment + timedelta(hours=1), reason="upgrade",
        created_by="trader", created_at=moment,
    )  # fmt: skip
    CorrelationGroup.objects.create(name="majors", symbols=["BTCUSDT"], changed_at=moment)
    ListingGrant.objects.create(strategy=world.strategy, account=world.account, changed_at=moment)
    ObservedStep.objects.create(
        instance=StrategyInstance.objects.earliest("pk"), trigger="book", seen_ns=1, parameters_digest="0" * 64,
        seen={}, stepped_at=moment,
    )  # fmt: skip
    breaker()
    books_rows(world)
    return {"run": run, "order": order}


def books_rows(world: World) -> None:
    """What owners hold, and how far the books were compared and written down."""
    moment = now()
    position = Position.objects.get(account=world.account, instrument=world.btc)
    SubPosition.objects.create(position=position, owner="trend", quantity=1)
    SubBalance.objects.create(account=world.account, owner="trend", asset="BTC", amount=1)
    PositionTransfer.objects.create(
        position=position, kind="cross", side="BUY", taker="trend", giver="", quantity=1, quote=1,
        after_trade_id=0, at=moment,
    )  # fmt: skip
    BookSnapshot.objects.create(account=world.account, at=moment, content={}, digest="0" * 64)
    Statement.objects.create(
        account=world.account, day=moment.date(), created_at=moment, agrees=True, content={},
        digest="0" * 64, signature="", path="statements/day.json",
    )  # fmt: skip
    SweepState.objects.create(account=world.account, sweep="S3")
    TradeCursor.objects.create(account=world.account, instrument=world.btc, opened_at=moment)
    MarginTerms.objects.create(account=world.account, instrument=world.btc, seen_at=moment)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_page_opens_for_a_trader_and_has_no_way_to_delete(rows: Any, trader: Any, model: Any) -> None:
    client = browser(trader)
    row = model.objects.first()
    assert client.get(url(model, "changelist")).status_code == 200
    assert client.get(url(model, "change", row.pk)).status_code == 200
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert client.get(url(model, "add")).status_code == (200 if model is Blackout else 403)
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_viewer_opens_no_page_even_with_the_superuser_flag(rows: Any, viewer: Any, model: Any) -> None:
    viewer.is_staff = viewer.is_superuser = True
    viewer.save()
    client = browser(viewer)
    assert client.get(url(model, "changelist")).status_code in (302, 403)
    assert client.get(url(model, "change", model.objects.first().pk)).status_code in (302, 403)


@pytest.mark.parametrize("model", [m for m in MODELS if m.__name__ not in INTENT], ids=lambda m: m.__name__)
def test_posting_to_a_fact_changes_nothing_even_for_a_superuser(
    rows: Any, admin_person: Any, model: Any
) -> None:
    admin_person.is_superuser = True
    admin_person.save()
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    answer = browser(admin_person).post(url(model, "change", row.pk), {"status": "FILLED", "quantity": "9"})
    assert answer.status_code == 403
    assert model.objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", [m for m in MODELS if m.__name__ in INTENT], ids=lambda m: m.__name__)
def test_a_model_owner_with_the_superuser_flag_changes_no_intent(
    rows: Any, model_owner: Any, model: Any
) -> None:
    model_owner.is_superuser = True
    model_owner.save()
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    data = {"value": "1", "weight": "0", "allocation": "0", "state": "closed", "level": "0", "reason": "x"}
    browser(model_owner).post(url(model, "change", row.pk), data)
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_tightening_a_limit_applies_at_once_and_is_audited(world: World, risk_officer: Any) -> None:
    limit = RiskLimit.objects.get(name="max_notional")
    answer = browser(risk_officer).post(
        url(RiskLimit, "change", limit.pk), {"value": "1000", "reason": "thin books"}
    )
    assert answer.status_code == 302
    limit.refresh_from_db()
    assert limit.value == 1000
    assert AuditEntry.objects.filter(action="limit.changed", reason="thin books").exists()
    assert not ChangeRequest.objects.exists()


def test_loosening_a_limit_becomes_a_request_and_leads_to_it(world: World, risk_officer: Any) -> None:
    limit = RiskLimit.objects.get(name="max_notional")
    answer = browser(risk_officer).post(
        url(RiskLimit, "change", limit.pk), {"value": "9000", "reason": "bigger account"}
    )
    created = ChangeRequest.objects.get()
    limit.refresh_from_db()
    assert limit.value == 5000
    assert created.diff == {"value": ["5000", "9000"]}
    assert str(created.pk) in answer["Location"]


def test_a_change_without_a_reason_is_refused(world: World, risk_officer: Any) -> None:
    limit = RiskLimit.objects.get(name="max_notional")
    answer = browser(risk_officer).post(url(RiskLimit, "change", limit.pk), {"value": "1000", "reason": " "})
    assert answer.status_code == 200
    limit.refresh_from_db()
    assert limit.value == 5000


def test_a_trader_may_ask_for_a_looser_limit_but_not_tighten_one(world: World, trader: Any) -> None:
    limit = RiskLimit.objects.get(name="max_notional")
    client = browser(trader)
    client.post(url(RiskLimit, "change", limit.pk), {"value": "1000", "reason": "r"})
    limit.refresh_from_db()
    assert limit.value == 5000
    client.post(url(RiskLimit, "change", limit.pk), {"value": "9000", "reason": "r"})
    assert ChangeRequest.objects.get().kind == "limit.loosen"


def test_disabling_a_strategy_is_immediate_and_enabling_it_is_a_request(world: World, trader: Any) -> None:
    client, page = browser(trader), url(type(world.strategy), "change", world.strategy.pk)
    client.post(page, {"reason": "noisy"})  # an unchecked box
    world.strategy.refresh_from_db()
    assert world.strategy.is_enabled is False
    client.post(page, {"is_enabled": "on", "reason": "calm again"})
    world.strategy.refresh_from_db()
    assert world.strategy.is_enabled is False
    assert ChangeRequest.objects.get().kind == "strategy.enable"


def test_less_capital_applies_at_once_and_more_is_a_request(world: World, trader: Any) -> None:
    client, page = browser(trader), url(type(world.instance), "change", world.instance.pk)
    client.post(page, {"weight": "0.5", "allocation": "800", "reason": "less"})
    world.instance.refresh_from_db()
    assert (world.instance.weight, world.instance.allocation) == (Decimal("0.5"), Decimal(800))
    client.post(page, {"weight": "0.5", "allocation": "900", "reason": "more"})
    world.instance.refresh_from_db()
    assert world.instance.allocation == 800
    assert ChangeRequest.objects.get().diff["allocation"] == ["800", "900"]


def test_raising_a_level_is_immediate_and_lowering_it_is_a_request(world: World, risk_officer: Any) -> None:
    state = TradingState.objects.get(scope="global")
    client, page = browser(risk_officer), url(TradingState, "change", state.pk)
    client.post(page, {"level": str(Level.CANCEL.value), "reason": "stop"})
    state.refresh_from_db()
    assert (state.level, state.reason) == (Level.CANCEL, "stop")
    client.post(page, {"level": "0", "reason": "go"})
    state.refresh_from_db()
    assert state.level == Level.CANCEL
    assert ChangeRequest.objects.get().kind == "trading_state.lower"


def test_opening_a_breaker_is_immediate_and_closing_it_is_a_request(world: World, risk_officer: Any) -> None:
    row = breaker()
    client, page = browser(risk_officer), url(CircuitBreaker, "change", row.pk)
    client.post(page, {"state": "open", "reason": "maintenance"})
    row.refresh_from_db()
    assert row.state == "open"
    client.post(page, {"state": "closed", "reason": "over"})
    row.refresh_from_db()
    assert row.state == "open"
    assert ChangeRequest.objects.get().kind == "breaker.reset"


def rule_form(row: CircuitBreaker, **changes: Any) -> dict[str, Any]:
    """The form as a browser sends it: a box that is not ticked is left out."""
    values = {**row.rule_members, **changes}
    return {name: value for name, value in values.items() if value is not False} | {"reason": "a calm week"}


def test_a_stricter_rule_applies_at_once_and_a_looser_one_is_a_request(
    world: World, risk_officer: Any
) -> None:
    row = breaker()
    client, page = browser(risk_officer), url(BreakerPolicy, "change", row.pk)
    client.post(page, rule_form(row, threshold=40, action="REDUCING"))
    row.refresh_from_db()
    assert (row.threshold, row.action) == (40, "REDUCING")
    for looser in ({"threshold": 60}, {"is_enabled": False}, {"action": "open"}, {"window_s": 30}):
        ChangeRequest.objects.all().delete()
        client.post(page, rule_form(row, **looser))
        row.refresh_from_db()
        assert (row.threshold, row.action, row.is_enabled, row.window_s) == (40, "REDUCING", True, 60)
        request = ChangeRequest.objects.get()
        assert (request.kind, request.payload) == ("breaker.rule", looser)


def test_a_rule_that_cannot_work_or_would_reset_a_cancel_by_itself_is_refused(
    world: World, risk_officer: Any
) -> None:
    row = breaker()
    client, page = browser(risk_officer), url(BreakerPolicy, "change", row.pk)
    for impossible in ({"threshold": -1}, {"cooldown_s": 400}, {"action": "CANCEL"}):
        client.post(page, rule_form(row, **impossible))
        row.refresh_from_db()
        assert (row.threshold, row.cooldown_s, row.action) == (50, 10, "open")
    assert not ChangeRequest.objects.exists()


def test_removing_a_symbol_is_immediate(world: World, trader: Any) -> None:
    row = SymbolAllowance.objects.get(instrument=world.eth)
    browser(trader).post(url(SymbolAllowance, "change", row.pk), {"removed": "on", "reason": "delisting"})
    assert not SymbolAllowance.objects.filter(pk=row.pk).exists()
    assert AuditEntry.objects.filter(action="symbol.disallowed").exists()


@pytest.mark.parametrize("name", ["order", "fill", "decision"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    rows: Any, world: World, trader: Any, name: str, django_assert_max_num_queries: Any
) -> None:
    client, page = browser(trader), reverse(f"admin:trading_{name}_changelist")
    client.get(page)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        client.get(page)
    for number in range(10):
        world.fill(world.order(), trade_id=100 + number, price="60000", quantity="0.001")
        world.decision(bar_open_at=now() - timedelta(minutes=number + 1))
    with django_assert_max_num_queries(len(few)):
        assert client.get(page).status_code == 200


def test_a_symbol_joins_a_group_at_once_and_leaves_it_by_request(
    world: World, risk_officer: Any, trader: Any
) -> None:
    client = browser(risk_officer)
    assert client.get(reverse("admin:trading_correlationgroup_add")).status_code == 200
    form = {"name": "majors", "symbols": '["BTC/USDT"]', "reason": "they fall together"}
    client.post(reverse("admin:trading_correlationgroup_add"), {**form, "symbols": '["NOPEUSDT"]'})
    assert not CorrelationGroup.objects.exists()
    client.post(reverse("admin:trading_correlationgroup_add"), form)
    group = CorrelationGroup.objects.get()
    assert (group.symbols, group.changed_by) == (["BTCUSDT"], risk_officer.username)
    page = url(CorrelationGroup, "change", group.pk)
    browser(trader).post(page, {"symbols": '["BTCUSDT", "ETHUSDT"]', "reason": "a trader may only ask"})
    group.refresh_from_db()
    assert group.symbols == ["BTCUSDT"]
    client.post(page, {"symbols": '["BTCUSDT", "ETHUSDT"]', "reason": "so does this one"})
    group.refresh_from_db()
    assert group.symbols == ["BTCUSDT", "ETHUSDT"]
    client.post(page, {"symbols": '["ETHUSDT"]', "reason": "it went its own way"})
    group.refresh_from_db()
    assert group.symbols == ["BTCUSDT", "ETHUSDT"]
    request = ChangeRequest.objects.get()
    assert (request.kind, request.payload) == ("group.shrink", {"symbols": ["ETHUSDT"]})
