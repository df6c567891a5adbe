"""Rules that cannot be judged because something they look at is not known: told once, for as long as it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from governance.domain.policies.rulebook import Rulebook
from governance.domain.rules import Rule, evaluate
from governance.models import Incident, PolicyVersion, RuleCursor, RuleFiring
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.rules.vocabulary import BLIND_KIND, TICK

GRACE_S = 60.0
"""Until the first prices and the first reconciliation are there after a start, little is known."""


def blind_rules(book: Rulebook, metrics: Mapping[str, Any]) -> dict[str, tuple[Rule, str]]:
    """By name the rules that cannot be judged now, with why.

    A rule of events is blind while a metric it looks at is not known; what an event itself leaves out is not counted.
    """
    found: dict[str, tuple[Rule, str]] = {}
    for rule in book.rules:
        if not rule.enabled:
            continue
        missing = tuple(
            sorted(name for name in rule.condition.names if name in metrics and metrics[name] is None)
        )
        if rule.trigger == TICK:
            judged = evaluate(rule.condition, metrics)
            if judged.value is None:
                found[rule.name] = rule, _why(judged.missing)
        elif missing:
            found[rule.name] = rule, _why(missing)
    return found


def blind_watch(
    cursor: RuleCursor,
    blind: Mapping[str, tuple[Rule, str]],
    version: PolicyVersion | None,
    moment: datetime,
) -> list[RuleFiring]:
    """Keep since when each is blind; write down and call people to those that stay so, calm what can be judged again.

    The caller holds the cursor and saves it.
    """
    cursor.unknown = {name: cursor.unknown.get(name) or moment.isoformat() for name in blind}
    told = set()
    for incident in Incident.objects.filter(kind=BLIND_KIND, state=Incident.State.OPEN):
        if incident.scope in blind:
            told.add(incident.scope)
        else:
            incident_calm(incident.pk, actor="rules", detail="it is judged again, or is no more")
    made = []
    for name, (rule, why) in blind.items():
        since = datetime.fromisoformat(cursor.unknown[name])
        if name in told or version is None or (moment - since).total_seconds() < GRACE_S:
            continue
        incident_open(
            kind=BLIND_KIND,
            scope=name,
            severity="warning",
            title=f"rule {name} cannot be judged: {why}",
            actor="rules",
            evidence={"condition": rule.condition.text, "why": why, "since": cursor.unknown[name]},
        )
        made.append(
            RuleFiring.objects.create(
                version=version,
                rule=name,
                trigger=rule.trigger,
                at=moment,
                evidence={},
                action=rule.action,
                outcome=RuleFiring.Outcome.UNKNOWN,
                detail=f"nothing was done: {why}",
            )
        )
    return made


def _why(missing: tuple[str, ...]) -> str:
    if not missing:
        return "a value in it cannot be calculated"
    return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known"
