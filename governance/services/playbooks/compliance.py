"""The daily report: what the machine and the people did to trading, from the rows themselves; kept, and on disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F

from governance.models import (
    Allocation,
    AllocationRun,
    ComplianceReport,
    Incident,
    NotificationDelivery,
    PlaybookAction,
    PlaybookRun,
    PolicyActivation,
    Rehearsal,
    RuleFiring,
)
from governance.services.playbooks.compliance_gaps import gaps_of
from governance.services.playbooks.violations import violations_of
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_verifications import audit_standing
from trading.domain.orders import OrderStatus
from trading.domain.values import decimal_text
from trading.models import EquitySnapshot, Fill, Order, Statement

FOLDER = Path("compliance")
AFTER = timedelta(minutes=10)
"""The day's last sweeps and statements are in by then."""
MADE_UP_FOR = timedelta(days=30)
LATE_FOR = timedelta(days=7)
"""So long what comes late is folded in by itself; later by `manage.py playbooks report`."""
_CONTROLS = (
    "kill.",
    "limit.",
    "breaker.",
    "strategy.",
    "blackout.",
    "change_request.",
    "notification.",
    "playbook.",
    "policy.",
    "capital.",
    "schedule.",
    "incident.",
    "model.",
    "reconcile.",
    "user.",
    "token.",
    "credential.",
    "session.locked_out",
    "session.ended",
    "session.all_ended",
)


def compliance_if_due() -> ComplianceReport | None:
    """Generate the oldest report that is missing of days over for ten minutes; None where there is nothing to do.

    Days on which the platform was away are made up for, as far back as anything was written down, a month at most.
    One that was incomplete is made again when what is missing of it has changed: a statement may come late.
    """
    last = (now() - AFTER).date() - timedelta(days=1)
    written = AuditEntry.objects.order_by("id").values_list("at", flat=True).first()
    first = max(min(last, written.date() if written is not None else last), last - MADE_UP_FOR)
    known = set(ComplianceReport.objects.filter(day__gte=first).values_list("day", flat=True))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    day = next((day for day in days if day not in known), None) or _completed(last)
    return compliance_generate(day=day) if day is not None else None


def _completed(last: date) -> date | None:
    """The oldest day of late whose report misses other things now than when it was made."""
    for row in ComplianceReport.objects.filter(day__gt=last - LATE_FOR, day__lte=last).order_by("day"):
        missing = row.content.get("missing")
        if missing and gaps_of(row.day, _span(row.day)) != missing:
            return row.day
    return None


def _span(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time.min, tzinfo=UTC)
    return start, start + timedelta(days=1)


@transaction.atomic
def compliance_generate(*, day: date) -> ComplianceReport:
    """Generate the report of a day, in place of an earlier one of the same day.

    Raises
    ------
    ApplicationError : DAY_NOT_OVER.
    """
    if day >= now().date():
        raise ApplicationError("DAY_NOT_OVER", f"{day} is not over yet (UTC)")
    span = _span(day)
    violations = violations_of(span)
    counted = sum(not row["rehearsal"] for row in violations)
    content = {
        "day": day.isoformat(),
        "environment": settings.BINANCE_ENV,
        "missing": gaps_of(day, span),
        "violations": violations,
        "incidents": _incidents(span),
        "playbook_actions": _actions(span),
        "playbook_runs": _runs(span),
        "rehearsals": _rehearsals(span),
        "rules_fired": _firings(span),
        "policies": _policies(span),
        "capital": _capital(span),
        "controls": _controls(span),
        "approvals": _approvals(span),
        "orders": _orders(span),
        "equity": _equity(span),
        "statements": {
            row.account.name: row.agrees
            for row in Statement.objects.filter(day=day).select_related("account")
        },
        "notifications": dict(
            NotificationDelivery.objects.filter(created_at__gte=span[0], created_at__lt=span[1])
            .order_by()
            .values_list("state")
            .annotate(Count("pk"))
        ),
        **_audit(),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = FOLDER / f"compliance-{day.isoformat()}.json"
    _write(Path(settings.NAUTILUS_HOME) / path, {"report": json.loads(text), "sha256": digest})
    row, _ = ComplianceReport.objects.update_or_create(
        day=day,
        defaults={
            "created_at": now(),
            "violations": counted,
            "content": json.loads(text),
            "digest": digest,
            "path": str(path),
        },
    )
    audit_record(
        action="compliance.reported",
        target=f"compliance:{day.isoformat()}",
        actor="governor",
        after={"sha256": digest, "violations": counted},
    )
    return row


def _incidents(span: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    """Those of the day, and those of earlier days that were not closed when it began."""
    rows = Incident.objects.filter(opened_at__lt=span[1]).exclude(closed_at__lt=span[0]).order_by("pk")
    return [
        {
            "id": row.pk,
            "kind": row.kind,
            "scope": row.scope,
            "severity": row.severity,
            "state": row.state,
            "rehearsal": row.is_rehearsal,
            "opened_at": row.opened_at.isoformat(),
            "closed_at": row.closed_at.isoformat() if row.closed_at else None,
            "review_missing": row.needs_review and row.reviewed_at is None,
            "review": row.review,
        }
        for row in rows
    ]


def _actions(span: tuple[datetime, datetime]) -> dict[str, int]:
    rows = PlaybookAction.objects.filter(at__gte=span[0], at__lt=span[1])
    return dict(Counter(f"{verb} {state}" for verb, state in rows.values_list("verb", "state")))


def _runs(span: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    rows = PlaybookRun.objects.filter(at__gte=span[0], at__lt=span[1]).select_related("playbook")
    return [
        {
            "playbook": row.playbook.name,
            "scope": row.scope,
            "at": row.at.isoformat(),
            "measured": row.measured,
            "threshold": row.threshold,
            "held_back": row.held_back,
            "incident": row.incident_id,
        }
        for row in rows.order_by("pk")
    ]


def _rehearsals(span: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    rows = Rehearsal.objects.filter(injected_at__gte=span[0], injected_at__lt=span[1])
    return [
        {
            "playbook": row.playbook.name,
            "by": row.requested_by.username,
            "state": row.state,
            "score": row.score,
        }
        for row in rows.select_related("playbook", "requested_by").order_by("pk")
    ]


def _firings(span: tuple[datetime, datetime]) -> dict[str, int]:
    rows = RuleFiring.objects.filter(at__gte=span[0], at__lt=span[1])
    return dict(Counter(f"{rule} {outcome}" for rule, outcome in rows.values_list("rule", "outcome")))


def _policies(span: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    rows = PolicyActivation.objects.filter(at__gte=span[0], at__lt=span[1]).select_related("version")
    return [
        {"policy": row.policy_id, "version": row.version.number, "by": row.by, "reason": row.reason}
        for row in rows.order_by("pk")
    ]


def _capital(span: tuple[datetime, datetime]) -> dict[str, Any]:
    runs = AllocationRun.objects.filter(at__gte=span[0], at__lt=span[1])
    moved = Allocation.objects.filter(run__in=runs).exclude(amount=F("before")).select_related("run")
    return {
        "runs": dict(runs.order_by().values_list("outcome").annotate(Count("pk"))),
        "changes": [
            {
                "strategy": row.strategy,
                "from": decimal_text(row.before),
                "to": decimal_text(row.amount),
                "at": row.run.at.isoformat(),
                "reason": row.reason,
            }
            for row in moved.order_by("pk")
        ],
    }


def _controls(span: tuple[datetime, datetime]) -> dict[str, int]:
    actions = AuditEntry.objects.filter(at__gte=span[0], at__lt=span[1]).values_list("action", flat=True)
    return dict(Counter(action for action in actions.iterator() if action.startswith(_CONTROLS)))


def _approvals(span: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    rows = ChangeRequest.objects.filter(decided_at__gte=span[0], decided_at__lt=span[1])
    return [
        {
            "kind": row.kind,
            "target": row.target,
            "state": row.state,
            "requester": row.requester.username,
            "approver": row.approver.username if row.approver else None,
            "reason": row.reason,
        }
        for row in rows.select_related("requester", "approver").order_by("decided_at")
    ]


def _audit() -> dict[str, Any]:
    """Whether the trail verifies, and when all of it was last looked at: the rest of the report rests on it."""
    standing = audit_standing()
    found = standing.found
    return {
        "audit_chain_intact": standing.intact,
        "audit_verified": None
        if found is None
        else {"at": found.finished_at, "rows": found.rows, "found": found.state, "problem": found.problem},
    }


def _orders(span: tuple[datetime, datetime]) -> dict[str, Any]:
    orders = Order.objects.filter(created_at__gte=span[0], created_at__lt=span[1])
    denied = orders.filter(status=OrderStatus.DENIED).order_by().values_list("code").annotate(Count("pk"))
    return {
        "by_status": dict(orders.order_by().values_list("status").annotate(Count("pk"))),
        "denied_by_code": dict(denied),
        "fills": Fill.objects.filter(recorded_at__gte=span[0], recorded_at__lt=span[1]).count(),
    }


def _equity(span: tuple[datetime, datetime]) -> dict[str, Any]:
    """By account what it was worth first and last, what came in or left, and the change without that."""
    told: dict[str, Any] = {}
    rows = EquitySnapshot.objects.filter(at__gte=span[0], at__lt=span[1]).select_related("account")
    for account, name in rows.order_by().values_list("account_id", "account__name").distinct():
        own = rows.filter(account_id=account)
        first, last = own.order_by("at").first(), own.order_by("-at").first()
        if first is not None and last is not None:
            told[name] = {
                "first": str(first.equity),
                "last": str(last.equity),
                "transferred": str(last.transferred - first.transferred),
                "change": str((last.equity - last.transferred) - (first.equity - first.transferred)),
            }
    return told


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)
