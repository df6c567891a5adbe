"""Reading on through the events, judging every rule, doing what fires, keeping what was seen and done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Max

from governance.domain.policies.rulebook import Rulebook, rulebook
from governance.domain.policies.schema import canonical
from governance.domain.rules import Outcome, Verdict, rules_judge
from governance.models import PolicyVersion, RuleCursor, RuleFiring
from governance.selectors.policies import version_in_force
from governance.selectors.rule_facts import rule_metrics
from governance.services.policies import policy_values
from governance.services.policy_kinds import RULES
from governance.services.rules.acting import Standing, rule_act
from governance.services.rules.vocabulary import TICK, VOCABULARY, facts_of
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import OutboxEvent
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)
BATCH = 500
LONGEST_COOLDOWN = timedelta(days=7)
_TOPICS = ("orders", "breakers", "trading_state", "incidents")


@transaction.atomic
def rules_run() -> list[RuleFiring]:
    """Judge the rules over every event since the last time, and once over the metrics alone.

    The cursor moves in the transaction of what the events led to; a second worker leaves it to the first. Without
    rules in force events are passed over.
    """
    cursor = _cursor_locked()
    if cursor is None:
        return []
    version = version_in_force(RULES)
    newest = OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0
    if version is None:
        _move(cursor, max(newest, cursor.event_id))
        return []
    book = rulebook(policy_values(version), VOCABULARY)
    moment = now()
    metrics = rule_metrics(moment)
    fired = _last_fired(version, moment)
    events = list(
        OutboxEvent.objects.filter(
            topic__in=_TOPICS, event_id__gt=cursor.event_id, event_id__lte=newest
        ).order_by("event_id")[:BATCH]
    )
    made: list[RuleFiring] = []
    for event in events:
        meant = facts_of(event.topic, event.data if isinstance(event.data, dict) else {})
        if meant is not None:
            made += _judged(version, book, meant[0], {**metrics, **meant[1]}, fired, moment, event.event_id)
    made += _judged(version, book, TICK, metrics, fired, moment, None)
    last = events[-1].event_id if len(events) == BATCH else max(newest, cursor.event_id)
    _move(cursor, last or cursor.event_id)
    return made


def _judged(
    version: PolicyVersion,
    book: Rulebook,
    trigger: str,
    facts: Mapping[str, Any],
    fired: dict[str, float],
    moment: datetime,
    event_id: int | None,
) -> list[RuleFiring]:
    made = []
    verdicts = rules_judge(
        book.rules, trigger=trigger, facts=facts, fired_at_s=fired, now_s=moment.timestamp()
    )
    for verdict in verdicts:
        if verdict.outcome is Outcome.FIRES:
            fired[verdict.rule.name] = moment.timestamp()
            made.append(_fire(version, verdict, facts, moment, event_id, act=book.autopilot_enabled))
    return made


def _fire(
    version: PolicyVersion,
    verdict: Verdict,
    facts: Mapping[str, Any],
    moment: datetime,
    event_id: int | None,
    *,
    act: bool,
) -> RuleFiring:
    rule, evidence = verdict.rule, canonical(dict(verdict.evidence))
    outcome, detail = RuleFiring.Outcome.OBSERVED, "the autopilot is off"
    if act:
        told = ", ".join(f"{name} {value}" for name, value in evidence.items()) or rule.trigger
        try:
            with transaction.atomic():
                detail = rule_act(rule, facts, evidence=told)
            outcome = RuleFiring.Outcome.DONE
        except Standing as standing:
            outcome, detail = RuleFiring.Outcome.STANDING, str(standing)
        except (ApplicationError, DomainError, DatabaseError) as error:
            # One rule that cannot act holds up no other; it is seen on the page and counted as fired.
            log.warning("rule_failed", rule=rule.name, error=f"{type(error).__name__}: {error}"[:300])
            outcome, detail = RuleFiring.Outcome.FAILED, f"{type(error).__name__}: {error}"[:300]
    return RuleFiring.objects.create(
        version=version,
        rule=rule.name,
        trigger=rule.trigger,
        event_id=event_id,
        at=moment,
        evidence=evidence,
        action=rule.action,
        outcome=outcome,
        detail=detail,
    )


def _last_fired(version: PolicyVersion, moment: datetime) -> dict[str, float]:
    """By rule name, over all versions: a new file does not end a cool-down."""
    rows = (
        RuleFiring.objects.filter(at__gt=moment - LONGEST_COOLDOWN)
        .order_by()
        .values_list("rule")
        .annotate(at=Max("at"))
    )
    return {name: at.timestamp() for name, at in rows}


def _cursor_locked() -> RuleCursor | None:
    """The cursor, or None while another worker has it. A new one begins at the newest event: the past is over."""
    if not RuleCursor.objects.exists():
        newest = OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0
        RuleCursor.objects.get_or_create(pk=1, defaults={"event_id": newest, "moved_at": now()})
    return RuleCursor.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=1).first()


def _move(cursor: RuleCursor, event_id: int) -> None:
    cursor.event_id, cursor.moved_at = event_id, now()
    cursor.save(update_fields=["event_id", "moved_at"])


def rules_effect(values: Mapping[str, Any]) -> dict[str, Any]:
    """How often each rule would have fired over the events of the last 24 hours, cool-downs counted.

    Rules whose condition needs a metric are judged with what it is now and marked so.
    """
    book, moment = rulebook(values, VOCABULARY), now()
    metrics = rule_metrics(moment)
    fired: dict[str, float] = {}
    counts: dict[str, int] = {}
    rows = OutboxEvent.objects.filter(topic__in=_TOPICS, at__gt=moment - timedelta(days=1)).order_by("id")
    for event in rows.iterator(chunk_size=1000):
        meant = facts_of(event.topic, event.data if isinstance(event.data, dict) else {})
        if meant is None:
            continue
        judged = rules_judge(
            book.rules,
            trigger=meant[0],
            facts={**metrics, **meant[1]},
            fired_at_s=fired,
            now_s=event.at.timestamp(),
        )
        for verdict in judged:
            if verdict.outcome is Outcome.FIRES:
                fired[verdict.rule.name] = event.at.timestamp()
                counts[verdict.rule.name] = counts.get(verdict.rule.name, 0) + 1
    told = {
        rule.name: {
            "would_have_fired": counts.get(rule.name, 0),
            "with_metrics_of_now": bool(rule.condition.names & VOCABULARY.metrics.keys()),
        }
        for rule in book.rules
    }
    return {"last_24_hours": told, "in_words": _in_words(told)}


def _in_words(told: Mapping[str, Mapping[str, Any]]) -> str:
    """One sentence for whoever decides."""
    times = [
        f"“{name}” {rule['would_have_fired']} time{'' if rule['would_have_fired'] == 1 else 's'}"
        + (" (metrics as they are now)" if rule["with_metrics_of_now"] else "")
        for name, rule in told.items()
    ]
    return (
        f"Over the events of the last 24 hours these would have fired: {', '.join(times)}."
        if times
        else "No rule is left."
    )
