"""Reading on through the events, judging every rule, doing what fires, keeping what was seen and done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from governance.services.rules.blindness import blind_rules, blind_watch
from governance.services.rules.keeping import failed_calm, failed_tell, is_news
from governance.services.rules.vocabulary import TICK, TOPICS, VOCABULARY, facts_of
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import OutboxEvent
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)
BATCH = 500
LONGEST_COOLDOWN = timedelta(days=7)
ATTEMPTS = 3
"""Failures of one rule in one run; with the next run it is tried again."""
_ACTED = (RuleFiring.Outcome.DONE, RuleFiring.Outcome.OBSERVED)


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
        blind_watch(cursor, {}, None, now())
        _move(cursor, max(newest, cursor.event_id))
        return []
    book = rulebook(policy_values(version), VOCABULARY)
    moment = now()
    metrics = rule_metrics(moment)
    run = _Run(version, book, moment, _last_acted(moment))
    events = list(
        OutboxEvent.objects.filter(
            topic__in=TOPICS, event_id__gt=cursor.event_id, event_id__lte=newest
        ).order_by("event_id")[:BATCH]
    )
    made: list[RuleFiring] = []
    for event in events:
        meant = facts_of(event.topic, event.data if isinstance(event.data, dict) else {})
        if meant is not None:
            made += _judged(run, meant[0], {**metrics, **meant[1]}, event.event_id)
    made += _judged(run, TICK, metrics, None)
    made += blind_watch(cursor, blind_rules(book, metrics), version, moment)
    last = events[-1].event_id if len(events) == BATCH else max(newest, cursor.event_id)
    _move(cursor, last or cursor.event_id)
    return made


@dataclass(frozen=True, slots=True)
class _Run:
    """One judging. `acted` is by rule name when it last did something, `failed` how often it failed in this run."""

    version: PolicyVersion
    book: Rulebook
    moment: datetime
    acted: dict[str, float]
    failed: Counter[str] = field(default_factory=Counter)


def _judged(run: _Run, trigger: str, facts: Mapping[str, Any], event_id: int | None) -> list[RuleFiring]:
    made = []
    now_s = run.moment.timestamp()
    for verdict in rules_judge(
        run.book.rules, trigger=trigger, facts=facts, fired_at_s=run.acted, now_s=now_s
    ):
        name = verdict.rule.name
        if verdict.outcome is not Outcome.FIRES or run.failed[name] >= ATTEMPTS:
            continue
        outcome, detail = _act(run, verdict, facts)
        # Only what it did cools a rule down: with nothing to do, or unable to, it stays on the watch.
        if outcome in _ACTED:
            run.acted[name] = now_s
        if outcome == RuleFiring.Outcome.FAILED:
            run.failed[name] += 1
            failed_tell(verdict.rule, detail)
        else:
            failed_calm(name)
        if outcome in _ACTED or is_news(verdict.rule, outcome, detail, run.moment):
            made.append(_kept(run, verdict, event_id, outcome, detail))
    return made


def _act(run: _Run, verdict: Verdict, facts: Mapping[str, Any]) -> tuple[RuleFiring.Outcome, str]:
    if not run.book.autopilot_enabled:
        return RuleFiring.Outcome.OBSERVED, "the autopilot is off"
    rule = verdict.rule
    told = ", ".join(f"{name} {value}" for name, value in canonical(dict(verdict.evidence)).items())
    try:
        with transaction.atomic():
            return RuleFiring.Outcome.DONE, rule_act(rule, facts, evidence=told or rule.trigger)
    except Standing as standing:
        return RuleFiring.Outcome.STANDING, str(standing)
    except (ApplicationError, DomainError, DatabaseError) as error:
        # One rule that cannot act holds up no other; people are called to it.
        log.warning("rule_failed", rule=rule.name, error=f"{type(error).__name__}: {error}"[:300])
        return RuleFiring.Outcome.FAILED, f"{type(error).__name__}: {error}"[:300]


def _kept(
    run: _Run, verdict: Verdict, event_id: int | None, outcome: RuleFiring.Outcome, detail: str
) -> RuleFiring:
    rule = verdict.rule
    return RuleFiring.objects.create(
        version=run.version,
        rule=rule.name,
        trigger=rule.trigger,
        event_id=event_id,
        at=run.moment,
        evidence=canonical(dict(verdict.evidence)),
        action=rule.action,
        outcome=outcome,
        detail=detail,
    )


def _last_acted(moment: datetime) -> dict[str, float]:
    """By rule name, over all versions: a new file does not end a cool-down."""
    rows = (
        RuleFiring.objects.filter(at__gt=moment - LONGEST_COOLDOWN, outcome__in=_ACTED)
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
    cursor.save(update_fields=["event_id", "moved_at", "unknown"])
