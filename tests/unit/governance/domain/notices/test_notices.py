"""From events to notices, which routes they take, what the messages say, how long a failed one waits."""

from __future__ import annotations

import pytest

from governance.domain.notices import (
    Line,
    Rule,
    Severity,
    at_least,
    digest_message,
    lines_that_fit,
    notice_of,
    retry_after_s,
    route_for,
    single_message,
)

KILL = {"scope": "global", "level": 3, "level_name": "CANCEL", "reason": "drill", "changed_by": "risk"}


def test_a_kill_is_critical_and_a_resume_is_good_news_of_the_same_subject() -> None:
    killed = notice_of("trading_state", KILL)
    resumed = notice_of("trading_state", {**KILL, "level_name": "ACTIVE"})
    assert killed is not None
    assert resumed is not None
    assert (killed.kind, killed.severity) == ("kill.cancel", Severity.critical)
    assert (resumed.kind, resumed.severity) == ("kill.active", Severity.success)
    assert killed.subject == resumed.subject
    assert killed.news != resumed.news


@pytest.mark.parametrize(
    ("topic", "data", "kind", "severity"),
    [
        (
            "breakers",
            {"name": "drawdown", "scope": "account:a", "state": "open"},
            "breaker.drawdown",
            "warning",
        ),
        (
            "breakers",
            {"name": "drawdown", "scope": "account:a", "state": "closed"},
            "breaker.drawdown",
            "success",
        ),
        ("incidents", {"kind": "margin_call", "account": "a"}, "incident.margin_call", "critical"),
        ("incidents", {"kind": "divergence", "severity": "page"}, "incident.divergence", "critical"),
        ("incidents", {"kind": "drawdown", "severity": "warning"}, "incident.drawdown", "warning"),
        (
            "approvals",
            {"id": "1", "kind": "limit.loosen", "target": "x", "state": "pending"},
            "approval.pending",
            "info",
        ),
        (
            "orders",
            {"status": "DENIED", "code": "PRICE_STALE", "symbol": "BTCUSDT"},
            "rail.price_stale",
            "warning",
        ),
        ("models", {"family": "hmm", "version": 7, "stage": "champion"}, "model.champion", "info"),
        (
            "reconcile",
            {"account": "a", "sweep": "S3", "outcome": "divergent"},
            "reconcile.divergent",
            "warning",
        ),
    ],
)
def test_events_people_should_hear_of_become_notices(
    topic: str, data: dict[str, object], kind: str, severity: str
) -> None:
    notice = notice_of(topic, data)
    assert notice is not None
    assert (notice.kind, notice.severity.value) == (kind, severity)


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("orders", {"status": "FILLED"}),
        ("fills", {}),
        ("equity", {"equity": "1"}),
        ("trading_state", {"limit": "max_notional"}),
        ("trading_state", {"strategy": "trend", "enabled": False}),
        ("breakers", {"name": "drawdown", "scope": "a", "state": "half_open"}),
        ("reconcile", {"outcome": "clean"}),
        ("models", {"family": "hmm", "stage": "candidate"}),
        ("unheard-of", {}),
    ],
)
def test_what_is_for_screens_only_is_told_to_nobody(topic: str, data: dict[str, object]) -> None:
    assert notice_of(topic, data) is None


def test_an_incident_of_unknown_gravity_is_critical() -> None:
    notice = notice_of("incidents", {"severity": "odd"})
    assert notice is not None
    assert notice.severity is Severity.critical


def test_the_most_narrow_route_decides() -> None:
    rules = [Rule(1, "*", "warning"), Rule(2, "breaker.*", "critical"), Rule(3, "breaker.drawdown", "info")]
    chosen = {
        kind: route_for(kind, rules)
        for kind in ("breaker.drawdown", "breaker.spread", "breaker", "kill.cancel")
    }
    assert {kind: rule.key for kind, rule in chosen.items() if rule} == {
        "breaker.drawdown": 3,
        "breaker.spread": 2,
        "breaker": 2,
        "kill.cancel": 1,
    }
    assert route_for("breakers.x", [Rule(2, "breaker.*", "info")]) is None


def test_good_news_ranks_with_information() -> None:
    assert at_least("success", "info")
    assert at_least("info", "success")
    assert not at_least("success", "warning")
    assert at_least("critical", "warning")


def test_waits_grow_to_half_an_hour_and_jitter_adds_a_fifth_at_most() -> None:
    assert [retry_after_s(n) for n in (1, 2, 3, 4, 5, 6, 50)] == [10, 30, 90, 300, 900, 1800, 1800]
    assert retry_after_s(1, jitter=1.0) == pytest.approx(12.0)
    with pytest.raises(ValueError, match="one attempt"):
        retry_after_s(0)
    with pytest.raises(ValueError, match="jitter"):
        retry_after_s(1, jitter=1.5)


def line(severity: str, title: str, at: str = "2026-11-30 12:00:00", repeats: int = 0) -> Line:
    return Line(Severity(severity), title, "because", "http://x/risk/", at, repeats)


def test_a_message_says_where_how_grave_what_and_how_often() -> None:
    message = single_message(line("critical", "global is at CANCEL", repeats=2), environment="local")
    assert message.title == "[LOCAL] CRITICAL: global is at CANCEL"
    assert message.body == (
        "because\nheard 2 more times since it was last told\n2026-11-30 12:00:00 UTC\nhttp://x/risk/"
    )


def test_a_digest_puts_the_gravest_first() -> None:
    lines = [line("info", "b"), line("critical", "a"), line("warning", "c")]
    assert [row.split()[2] for row in digest_message(lines, environment="live").body.splitlines()[:3]] == [
        "CRITICAL",
        "WARNING",
        "INFO",
    ]
    with pytest.raises(ValueError, match="one line"):
        digest_message([], environment="live")


def test_a_digest_holds_what_fits_and_refuses_to_leave_anything_out() -> None:
    many = [line("warning", "w" * 100) for _ in range(100)]
    fitting = lines_that_fit(many)
    full = digest_message(many[:fitting], environment="live")
    assert full.body.count("WARNING") == fitting
    assert 3000 < len(full.body) < 3600
    with pytest.raises(ValueError, match=f"{fitting} of {fitting + 1}"):
        digest_message(many[: fitting + 1], environment="live")
    assert lines_that_fit([line("warning", "w" * 5000)]) == 1, "cut by who stores it, never left out"
