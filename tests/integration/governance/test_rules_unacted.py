"""Rules that are met and do nothing, cannot act or cannot be judged; and what is shown before one is in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.domain.policies.located import node_of
from governance.models import Incident, RuleCursor, RuleFiring
from governance.services.policies import policy_verdict
from governance.services.rules import judging, rules_run
from governance.services.unpriced import unpriced_watch
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.domain.values import Level
from trading.models import Account, Balance, EquityAnchor, EquitySnapshot, TradingState
from trading.services.controls import kill_raise
from trading.services.equity import equity_mark
from universe.models import Quote


def rule(name: str, action: str, condition: str = "true", **more: Any) -> dict[str, Any]:
    return {"name": name, "trigger": "tick", "action": action, "condition": condition, **more}


def outcomes() -> list[str]:
    return [firing.outcome for firing in rules_run()]


def level() -> Level:
    return TradingState.objects.get(scope="global").effective


def test_a_rule_that_had_nothing_to_do_acts_as_soon_as_it_has(desk: Desk) -> None:
    in_force("policies", rules=[rule("stop", "pause_trading", "equity > 0", cooldown_seconds=86_400)])
    kill_raise(scope="global", level=Level.REDUCING, reason="drill", actor="test")
    assert outcomes() == ["standing"]
    assert outcomes() == [], "told once"
    TradingState.objects.update(level=Level.ACTIVE, auto_level=Level.ACTIVE)
    assert outcomes() == ["done"]
    assert level() is Level.REDUCING
    TradingState.objects.update(level=Level.ACTIVE, auto_level=Level.ACTIVE)
    assert outcomes() == [], "what it did cools it down"


def test_with_the_autopilot_off_what_is_observed_cools_down(desk: Desk) -> None:
    in_force("policies", rules=[rule("stop", "pause_trading")], autopilot_enabled=False)
    assert (outcomes(), outcomes()) == (["observed"], [])


def test_a_rule_that_could_not_act_tries_again_with_the_next_run_and_calls_people_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_force("policies", rules=[rule("stop", "pause_trading", cooldown_seconds=86_400)])
    tried: list[int] = []

    def busy(*_: Any, **__: Any) -> str:
        tried.append(1)
        raise ApplicationError("BUSY", "not now")

    with monkeypatch.context() as patch:
        patch.setattr(judging, "rule_act", busy)
        assert (outcomes(), outcomes(), outcomes()) == (["failed"], [], [])
    assert len(tried) == 3
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope, incident.state) == ("rule_failed", "stop", "open")
    assert incident.entries.count() == 1
    assert outcomes() == ["done"]
    assert level() is Level.REDUCING
    incident.refresh_from_db()
    assert incident.state == "calm"


def blind_for(seconds: float) -> None:
    row = RuleCursor.objects.get()
    since = now() - timedelta(seconds=seconds)
    row.unknown = {name: since.isoformat() for name in row.unknown}
    row.save()


def test_a_rule_that_cannot_be_judged_is_written_down_once_and_calls_people_until_it_can(desk: Desk) -> None:
    in_force(
        "policies",
        rules=[
            rule("fall", "pause_trading", "drawdown > 0.5"),
            rule("known", "pause_trading", "drawdown > 0.5 and level > 3"),
            {**rule("denied", "notify", "drawdown > 0.5"), "trigger": "order.denied"},
            rule("off", "pause_trading", "drawdown > 0.5", enabled=False),
            rule("nothing", "pause_trading", "1 / level > 9"),
        ],
    )
    EquityAnchor.objects.update(marked_at=now() - timedelta(minutes=3))
    assert outcomes() == [], "little is known for a while after a start"
    blind_for(59)
    assert outcomes() == []
    blind_for(61)
    assert sorted((f.rule, f.outcome, f.detail) for f in rules_run()) == [
        ("denied", "unknown", "nothing was done: drawdown is not known"),
        ("fall", "unknown", "nothing was done: drawdown is not known"),
        ("nothing", "unknown", "nothing was done: a value in it cannot be calculated"),
    ]
    assert outcomes() == [], "once"
    incidents = {row.scope: row for row in Incident.objects.filter(kind="rule_blind")}
    assert sorted(incidents) == ["denied", "fall", "nothing"]
    assert incidents["fall"].title == "rule fall cannot be judged: drawdown is not known"
    EquityAnchor.objects.update(marked_at=now())
    assert outcomes() == []
    assert {row.scope: row.state for row in Incident.objects.filter(kind="rule_blind")} == {
        "denied": "calm", "fall": "calm", "nothing": "open",
    }  # fmt: skip
    assert RuleFiring.objects.count() == 3


@pytest.fixture
def valued(desk: Desk) -> Desk:
    Account.objects.update(opened_at=now() - timedelta(days=30))
    equity_mark()
    return desk


def test_a_coin_no_market_here_has_is_named_and_switches_no_rule_off(valued: Desk) -> None:
    before = EquityAnchor.objects.get(pk="global")
    Balance.objects.create(account=valued.account, asset="AIRDROP", amount=5)
    in_force("policies", rules=[rule("stop", "pause_trading", "exposure_gross >= 0 and equity > 0")])
    assert unpriced_watch() == 1
    assert unpriced_watch() == 1
    equity_mark()
    after = EquityAnchor.objects.get(pk="global")
    assert after.equity == before.equity
    assert after.marked_at > before.marked_at
    assert outcomes() == ["done"]
    incident = Incident.objects.get(kind="unpriced_holding")
    assert (incident.scope, incident.state) == ("account:desk:AIRDROP", "open")
    assert incident.entries.count() == 1
    Balance.objects.filter(asset="AIRDROP").update(amount=0)
    assert unpriced_watch() == 0
    incident.refresh_from_db()
    assert incident.state == "calm"


def test_a_traded_coin_without_a_price_leaves_equity_unknown_and_an_incident_says_which(valued: Desk) -> None:
    Balance.objects.update_or_create(account=valued.account, asset="BTC", defaults={"amount": 1})
    quote = Quote.objects.get(instrument__symbol="BTCUSDT")
    Quote.objects.filter(pk=quote.pk).update(ask=None)
    before = EquityAnchor.objects.get(pk="global").marked_at
    assert equity_mark() == []
    assert EquityAnchor.objects.get(pk="global").marked_at == before
    assert unpriced_watch() == 0, "for a moment"
    EquityAnchor.objects.update(marked_at=now() - timedelta(seconds=61))
    assert unpriced_watch() == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope) == ("equity_unknown", "account:desk")
    assert "no price of BTC" in incident.title
    Quote.objects.filter(pk=quote.pk).update(ask=quote.ask)
    assert unpriced_watch() == 0
    incident.refresh_from_db()
    assert incident.state == "calm"


def effect(*rules: dict[str, Any], **top: Any) -> dict[str, Any]:
    verdict = policy_verdict("policies", node_of({"rules": list(rules), **top}))
    assert verdict["problems"] == []
    return dict(verdict["effect"])


def test_a_rule_of_ticks_is_shown_to_fire_at_once(desk: Desk) -> None:
    shown = effect(
        rule("always", "halt_trading", "equity > 0"),
        rule("never", "halt_trading", "level > 3"),
        rule("off", "halt_trading", "equity > 0", enabled=False),
    )
    told = shown["last_24_hours"]
    assert {name: row["fires_now"] for name, row in told.items()} == {
        "always": True,
        "never": False,
        "off": False,
    }
    assert shown["in_words"].startswith(
        "Within seconds of being in force these would fire: “always” (halt_trading)."
    )
    EquityAnchor.objects.update(marked_at=now() - timedelta(minutes=3))
    shown = effect(rule("always", "halt_trading", "equity > 0"), autopilot_enabled=False)
    assert shown["last_24_hours"]["always"]["fires_now"] is None
    assert "These cannot be judged now: “always” (equity is not known)." in shown["in_words"]
    assert "nothing done" in shown["in_words"]


def snapshot(desk: Desk, at: datetime, equity: int, transferred: int = 0) -> EquitySnapshot:
    amounts = dict.fromkeys(("cash", "market_value", "unrealized", "realized", "commission"), Decimal(0))
    return EquitySnapshot(
        account=desk.account, at=at, market_at=at, equity=equity, transferred=transferred, **amounts
    )


def test_rules_on_equity_are_replayed_over_the_week(valued: Desk) -> None:
    """By hand: 100, up to 110, down to 99 (a tenth below the peak), 20 paid in, 117 (13 below 130), back to 130."""
    EquitySnapshot.objects.all().delete()
    EquityAnchor.objects.filter(pk="global").update(peak_equity=130)
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    told = [(1, 100, 0), (3, 110, 0), (5, 99, 0), (7, 119, 20), (9, 117, 20), (11, 130, 20)]
    EquitySnapshot.objects.bulk_create(
        [snapshot(valued, midnight - timedelta(days=2) + timedelta(hours=h), e, t) for h, e, t in told]
    )
    shown = effect(
        rule("tenth", "pause_trading", "drawdown >= 0.1"),
        rule("deeper", "pause_trading", "drawdown > 0.1"),
        rule("day", "pause_trading", "day_return < -0.005", cooldown_seconds=60),
        rule("long", "pause_trading", "drawdown > 0", cooldown_seconds=86_400),
        rule("now", "pause_trading", "equity < 100 and level == 0"),
    )["last_24_hours"]
    assert {name: row["last_7_days"] for name, row in shown.items()} == {
        "tenth": 2, "deeper": 0, "day": 3, "long": 1, "now": None,
    }  # fmt: skip
    assert [name for name, row in shown.items() if row["with_metrics_of_now"]] == ["now"]


def test_a_peak_from_before_the_week_counts(valued: Desk) -> None:
    EquitySnapshot.objects.all().delete()
    EquityAnchor.objects.filter(pk="global").update(peak_equity=200)
    snapshot(valued, now() - timedelta(days=1), 100).save()
    assert (
        effect(rule("half", "pause_trading", "drawdown >= 0.5"))["last_24_hours"]["half"]["last_7_days"] == 1
    )


def test_many_rules_are_replayed_in_wider_steps(valued: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.services.rules import effect as module

    asked: list[timedelta] = []
    real: Callable[..., Any] = module.equity_past
    monkeypatch.setattr(module, "equity_past", lambda *given: asked.append(given[2]) or real(*given))
    effect(*(rule(f"r{n}", "notify", "drawdown > 0.1") for n in range(100)))
    assert asked == [timedelta(days=7) * 100 / 20_000]
