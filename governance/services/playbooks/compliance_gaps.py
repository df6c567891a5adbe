"""What a day's compliance report rests on, and what was not written down: silence is no good news."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db.models.functions import TruncHour

from governance.models import Rehearsal
from governance.services.playbooks.guard_gaps import guard_gaps
from nautilus_site.common.services.audit_verifications import audit_standing
from trading.models import Account, EquitySnapshot, Statement

_HOUR = timedelta(hours=1)


def gaps_of(day: date, span: tuple[datetime, datetime]) -> list[str]:
    """Say in words what is missing of a day, accounts first; nothing where the report is complete."""
    gaps: list[str] = []
    accounts = list(Account.objects.filter(opened_at__lt=span[1]).order_by("name"))
    if not accounts:
        gaps.append("no account had been opened: nothing was traded or valued")
    signed = set(Statement.objects.filter(day=day).values_list("account_id", flat=True))
    for account in accounts:
        gaps += _unvalued(account, span)
        if account.pk not in signed:
            gaps.append(f"{account.name}: there is no signed statement of the day")
    gaps += guard_gaps(span)
    running = Rehearsal.objects.filter(
        injected_at__lt=span[1], state__in=(Rehearsal.State.WATCHING, Rehearsal.State.STUCK)
    )
    gaps += [f"a rehearsal of {row.playbook.name} is not over" for row in running.select_related("playbook")]
    standing = audit_standing()
    if not standing.intact:
        gaps.append("the audit trail does not verify: what the report says may have been edited")
    if standing.is_overdue:
        found = standing.found
        last = f"since {found.finished_at:%Y-%m-%d %H:%M} UTC" if found and found.finished_at else "ever"
        gaps.append(f"the whole audit trail was not verified {last}")
    return gaps


def _unvalued(account: Account, span: tuple[datetime, datetime]) -> list[str]:
    """Hours of the day in which nothing says what the account was worth; running hours of its first day apart."""
    snapshots = EquitySnapshot.objects.filter(account=account, at__gte=span[0], at__lt=span[1])
    valued = set(
        snapshots.order_by().annotate(hour=TruncHour("at")).values_list("hour", flat=True).distinct()
    )
    opened = account.opened_at or span[1]
    hours = [span[0] + number * _HOUR for number in range(24)]
    missing = [hour for hour in hours if hour not in valued and hour + _HOUR > opened]
    if not missing:
        return []
    if len(missing) == len(hours):
        return [f"{account.name}: its worth was not written down all day"]
    named = ", ".join(f"{hour:%H}" for hour in missing)
    return [f"{account.name}: its worth was not written down in the hours {named} UTC"]
