"""What rules would have done, and would do at once: for whoever decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from governance.domain.policies.rulebook import Rulebook, rulebook
from governance.domain.rules import Outcome, Rule, rules_judge
from governance.selectors.equity_past import PastEquity, equity_past
from governance.selectors.rule_facts import EQUITY_METRICS, rule_metrics
from governance.services.rules.blindness import blind_rules
from governance.services.rules.vocabulary import TICK, TOPICS, VOCABULARY, facts_of
from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent

EVALUATIONS = 20_000
"""Of rules over past equity, in one request: more rules are looked at with wider steps."""
FINEST = timedelta(minutes=5)
DAYS = 7


def rules_effect(values: Mapping[str, Any]) -> dict[str, Any]:
    """What each rule would do.

    A rule of events: how often it would have fired over the events of the last 24 hours; where its condition needs a
    metric it is judged with what it is now and marked so. A rule of ticks: whether it fires at once, and how often it
    would have over the equity of the last seven days where it looks at nothing else. Cool-downs are counted.
    """
    book, moment = rulebook(values, VOCABULARY), now()
    metrics = rule_metrics(moment)
    counts = _over_events(book, metrics, moment)
    past = _over_equity(book, moment)
    at_once = _at_once(book, metrics, moment)
    blind = {name: why for name, (_, why) in blind_rules(book, metrics).items()}
    told = {
        rule.name: (
            {
                "fires_now": at_once[rule.name],
                "not_judged": blind.get(rule.name),
                "last_7_days": past.get(rule.name),
                "with_metrics_of_now": bool(rule.condition.names) and rule.name not in past,
            }
            if rule.trigger == TICK
            else {
                "would_have_fired": counts.get(rule.name, 0),
                "with_metrics_of_now": bool(rule.condition.names & VOCABULARY.metrics.keys()),
            }
        )
        for rule in book.rules
    }
    return {"last_24_hours": told, "in_words": _in_words(book, told)}


def _over_events(book: Rulebook, metrics: Mapping[str, Any], moment: datetime) -> dict[str, int]:
    fired: dict[str, float] = {}
    counts: dict[str, int] = {}
    rows = OutboxEvent.objects.filter(topic__in=TOPICS, at__gt=moment - timedelta(days=1)).order_by("id")
    for event in rows.iterator(chunk_size=1000):
        meant = facts_of(event.topic, event.data if isinstance(event.data, dict) else {})
        if meant is not None:
            _count(book.rules, meant[0], {**metrics, **meant[1]}, event.at, fired, counts)
    return counts


def _at_once(book: Rulebook, metrics: Mapping[str, Any], moment: datetime) -> dict[str, bool | None]:
    """Whether each rule of ticks fires when it is put into force; None where that is not known."""
    meaning = {Outcome.FIRES: True, Outcome.UNKNOWN: None}
    judged = rules_judge(book.rules, trigger=TICK, facts=metrics, fired_at_s={}, now_s=moment.timestamp())
    return {verdict.rule.name: meaning.get(verdict.outcome, False) for verdict in judged}


def _over_equity(book: Rulebook, moment: datetime) -> dict[str, int]:
    """By name how often rules that look at nothing but equity would have fired."""
    rules = [
        rule
        for rule in book.rules
        if rule.trigger == TICK
        and rule.enabled
        and rule.condition.names
        and rule.condition.names <= EQUITY_METRICS
    ]
    if not rules:
        return {}
    span = timedelta(days=DAYS)
    step = max(FINEST, span * len(rules) / EVALUATIONS)
    fired: dict[str, float] = {}
    counts = {rule.name: 0 for rule in rules}
    for at, facts in _replayed(equity_past(moment - span, moment, step)):
        _count(rules, TICK, facts, at, fired, counts)
    return counts


def _replayed(past: PastEquity) -> list[tuple[datetime, dict[str, Decimal | None]]]:
    """The metrics of equity as they were: peak and day start move with what was transferred, as they do in force."""
    found: list[tuple[datetime, dict[str, Decimal | None]]] = []
    peak, start, day, before = past.peak, Decimal(0), None, None
    for point in past.points:
        moved = Decimal(0) if before is None else point.transferred - before
        before = point.transferred
        peak = point.equity if peak is None else max(peak + moved, point.equity)
        start = start + moved if day == point.day else point.equity
        day = point.day
        found.append(
            (
                point.at,
                {
                    "equity": point.equity,
                    "drawdown": max(Decimal(0), 1 - point.equity / peak) if peak > 0 else None,
                    "day_result": point.equity - start,
                    "day_return": (point.equity - start) / start if start > 0 else None,
                },
            )
        )
    return found


def _count(
    rules: list[Rule] | tuple[Rule, ...],
    trigger: str,
    facts: Mapping[str, Any],
    at: datetime,
    fired: dict[str, float],
    counts: dict[str, int],
) -> None:
    for verdict in rules_judge(rules, trigger=trigger, facts=facts, fired_at_s=fired, now_s=at.timestamp()):
        if verdict.outcome is Outcome.FIRES:
            fired[verdict.rule.name] = at.timestamp()
            counts[verdict.rule.name] = counts.get(verdict.rule.name, 0) + 1


def _in_words(book: Rulebook, told: Mapping[str, Mapping[str, Any]]) -> str:
    """A few sentences for whoever decides; what happens at once comes first."""
    if not told:
        return "No rule is left."
    ticks = [rule for rule in book.rules if rule.trigger == TICK]
    now_ = [f"“{rule.name}” ({rule.action})" for rule in ticks if told[rule.name]["fires_now"]]
    blind = [
        f"“{rule.name}” ({told[rule.name]['not_judged']})" for rule in ticks if told[rule.name]["not_judged"]
    ]
    events = [
        f"“{rule.name}” {_times(told[rule.name]['would_have_fired'])}"
        + (" (metrics as they are now)" if told[rule.name]["with_metrics_of_now"] else "")
        for rule in book.rules
        if rule.trigger != TICK
    ]
    past = [
        f"“{rule.name}” {_times(told[rule.name]['last_7_days'])}"
        for rule in ticks
        if told[rule.name]["last_7_days"] is not None
    ]
    at_once = (
        f"Within seconds of being in force these would fire: {', '.join(now_)}."
        if now_
        else "None would fire at once."
    )
    if not book.autopilot_enabled:
        at_once += " The autopilot is off: it would be kept and nothing done."
    sentences = [
        at_once if ticks else "",
        f"These cannot be judged now: {', '.join(blind)}." if blind else "",
        f"Over the equity of the last 7 days these would have fired: {', '.join(past)}." if past else "",
        f"Over the events of the last 24 hours these would have fired: {', '.join(events)}."
        if events
        else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _times(count: int) -> str:
    return f"{count} time{'' if count == 1 else 's'}"
