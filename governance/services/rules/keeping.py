"""What is told of rules that met their condition and did nothing: once, not with every judging."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet

from governance.domain.rules import Rule
from governance.models import Incident, RuleFiring
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.rules.vocabulary import FAILED_KIND

QUIET_S = 300.0
"""A rule is judged each five seconds; that it still has nothing to do, or still fails, is written down so often."""


def is_news(rule: Rule, outcome: RuleFiring.Outcome, detail: str, moment: datetime) -> bool:
    """Whether the same has not been written down of the rule for its cool-down, and for a while at least."""
    since = moment - timedelta(seconds=max(QUIET_S, rule.cooldown_s))
    rows = RuleFiring.objects.filter(rule=rule.name, at__gt=since)
    last_act = rows.filter(outcome=RuleFiring.Outcome.DONE).values_list("pk", flat=True).first() or 0
    return not rows.filter(outcome=outcome, detail=detail, pk__gt=last_act).exists()


def failed_tell(rule: Rule, detail: str) -> None:
    """Call people to a rule that should act and cannot, once."""
    if _failed(rule.name).exists():
        return
    incident_open(
        kind=FAILED_KIND,
        scope=rule.name,
        severity="warning",
        title=f"rule {rule.name} could not act: {detail}",
        actor=f"rule {rule.name}",
        evidence={"action": rule.action, "error": detail},
    )


def failed_calm(name: str) -> None:
    """It could act again, or had nothing left to do."""
    for incident in _failed(name):
        incident_calm(incident.pk, actor=f"rule {name}", detail="it could act again")


def _failed(name: str) -> QuerySet[Incident]:
    return Incident.objects.filter(kind=FAILED_KIND, scope=name, state=Incident.State.OPEN)
