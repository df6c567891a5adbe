"""What of a day nobody watched: hard stops that were off, figures nobody could read, hours without a judgement."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max, Min

from governance.domain.playbooks import PLAYBOOKS
from governance.models import GuardianHour, Incident, IncidentEntry, Playbook, PlaybookWatch
from governance.selectors.playbook_lamps import never_acts
from governance.services.playbooks.evidence import NOT_MEASURED
from nautilus_site.common.models import AuditEntry
from trading.models import Account

Span = tuple[datetime, datetime]
_HOUR = timedelta(hours=1)
LONGEST_PAUSE_S = 60.0
"""They are judged every five seconds; a restart of everything takes less than this."""


def guard_gaps(span: Span) -> list[str]:
    """Say in words what was not watched, hard stops first; nothing where everything was."""
    rows = {row.name: row for row in Playbook.objects.order_by("family", "name")}
    gaps = [f"{_called(name)} is not there" for name in PLAYBOOKS if name not in rows]
    for row in rows.values():
        gaps += _disarmed(row, span)
    gaps += _unmeasured(span)
    gaps += [gap for row in rows.values() if row.is_armed for gap in [*_never(row), *_unjudged(row, span)]]
    return gaps + _silent(span)


def _called(name: str) -> str:
    spec = PLAYBOOKS.get(name)
    return f"the {'hard stop' if spec is not None and spec.family == 'governor' else 'playbook'} {name}"


def _disarmed(row: Playbook, span: Span) -> list[str]:
    """When it was off, from the audit trail; off is also what is off now though no change was written down."""
    trail = AuditEntry.objects.filter(action="playbook.changed", target=f"playbook:{row.name}").order_by("id")
    changes = [
        (at, bool(after["is_armed"]))
        for at, after in trail.values_list("at", "after")
        if after and "is_armed" in after
    ]
    if changes and changes[-1][1] != row.is_armed:
        told = "armed" if row.is_armed else "not armed"
        return [f"{_called(row.name)} is {told}, which no change in the audit trail says"]
    before = [armed for at, armed in changes if at < span[0]]
    # A change says what it changed to; what was before the first was the other.
    armed = before[-1] if before else not changes[0][1] if changes else row.is_armed
    off, since = [], None if armed else "00:00"
    for at, armed in changes:
        if not span[0] <= at < span[1]:
            continue
        if not armed and since is None:
            since = f"{at:%H:%M}"
        elif armed and since is not None:
            off.append(f"{since} to {at:%H:%M}")
            since = None
    if since is not None:
        off.append(f"{since} to 24:00")
    if off == ["00:00 to 24:00"]:
        return [f"{_called(row.name)} was not armed all day"]
    return [f"{_called(row.name)} was not armed from {', '.join(off)} UTC"] if off else []


def _unmeasured(span: Span) -> list[str]:
    found = (
        Incident.objects.filter(kind="unmeasured", opened_at__lt=span[1])
        .exclude(closed_at__lt=span[0])
        .exclude(calm_at__lt=span[0])
        .order_by("pk")
    )
    gaps = []
    for row in found:
        name, _, scope = row.scope.partition(":")
        gaps.append(f"{_called(name)} could not measure {scope} (incident {row.pk})")
    return gaps + _without_figure(span)


def _without_figure(span: Span) -> list[str]:
    """Hard stops that acted because nobody could tell their figure, once for each incident. A rule needs none."""
    lines = IncidentEntry.objects.filter(
        at__gte=span[0],
        at__lt=span[1],
        detail__detail=NOT_MEASURED,
        incident__playbook__family=Playbook.Family.GOVERNOR,
    )
    told: dict[int, list[IncidentEntry]] = {}
    for line in lines.order_by("pk").select_related("incident"):
        told.setdefault(line.incident_id, []).append(line)
    return [
        f"{_called(of[0].incident.kind)} acted at {of[0].at:%H:%M} UTC without a figure"
        + (f", {len(of)} times until {of[-1].at:%H:%M} UTC" if len(of) > 1 else "")
        for of in told.values()
    ]


def _never(row: Playbook) -> list[str]:
    """That it is armed and judged and cannot act, which looks like a quiet day."""
    why = never_acts(row.name, row.min_samples, row.window_s)
    return [f"{_called(row.name)} {why}"] if why else []


def _unjudged(row: Playbook, span: Span) -> list[str]:
    """Of a hard stop: that it was judged since the day ended. One that cannot be judged leaves no other trace."""
    if row.family != Playbook.Family.GOVERNOR:
        return []
    read_at = PlaybookWatch.objects.filter(playbook=row).aggregate(newest=Max("read_at"))["newest"]
    if read_at is None:
        return [f"{_called(row.name)} was never judged"]
    if read_at < span[1]:
        return [f"{_called(row.name)} was last judged at {read_at:%Y-%m-%d %H:%M} UTC"]
    return []


def _silent(span: Span) -> list[str]:
    """Hours of the day, since an account was open, in which nothing says that playbooks were judged."""
    opened = Account.objects.aggregate(first=Min("opened_at"))["first"]
    if opened is None or opened >= span[1]:
        return []
    known = {row.hour: row for row in GuardianHour.objects.filter(hour__gte=span[0], hour__lt=span[1])}
    hours = [span[0] + number * _HOUR for number in range(24)]
    missing = [hour for hour in hours if hour not in known and hour + _HOUR > opened]
    if len(missing) == len(hours):
        return ["nothing says that playbooks were judged that day"]
    gaps = []
    if missing:
        named = ", ".join(f"{hour:%H}" for hour in missing)
        gaps.append(f"nothing says that playbooks were judged in the hours {named} UTC")
    for hour in hours:
        row = known.get(hour)
        if row is not None and row.longest_pause_s > LONGEST_PAUSE_S:
            gaps.append(f"playbooks were not judged for {row.longest_pause_s:.0f} s until {hour:%H} UTC")
    return gaps
