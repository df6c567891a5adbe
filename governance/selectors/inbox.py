"""Requests that wait for a second person, and what became of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeComment, ChangeRequest, User
from nautilus_site.common.roles import ROLE_PERMISSIONS
from nautilus_site.common.selectors.approvals import approval_list
from nautilus_site.common.selectors.break_glass import break_glass_sessions
from nautilus_site.common.selectors.duties import duties_report
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.change_comments import COMMENTING
from nautilus_site.common.services.change_requests import DECIDING
from nautilus_site.common.services.powers import person_may
from trading.selectors.notation import age_s, utc_text

_HISTORY = 100
_NAMES = 6
_DECIDING = [role for role, held in ROLE_PERMISSIONS.items() if DECIDING in held]


def inbox_state(user: User) -> dict[str, Any]:
    """Pending requests with what this user may do about each, and the latest decided ones."""
    state = shell_state()
    moment = now()
    pending = (
        approval_list()
        .filter(state=ChangeRequest.State.PENDING, expires_at__gt=moment)
        .order_by("expires_at")
    )
    threads = defaultdict(list)
    for comment in ChangeComment.objects.filter(request__in=pending.order_by()).select_related("author"):
        threads[comment.request_id].append(comment)
    decided = approval_list().exclude(state=ChangeRequest.State.PENDING, expires_at__gt=moment)
    return {
        **state,
        "pending": [request_members(request, user, threads[request.pk]) for request in pending],
        "break_glass": [
            {**row, "opened_at": utc_text(row["opened_at"]), "ends_at": utc_text(row["ends_at"])}
            for row in break_glass_sessions()
        ],
        **_duties(user),
        "history": [history_row(request) for request in decided.order_by("-created_at")[:_HISTORY]],
    }


def request_members(
    request: ChangeRequest, user: User, comments: Sequence[ChangeComment] = ()
) -> dict[str, Any]:
    """A pending request: what changes, what it would do, who may decide it."""
    moment = now()
    mine = request.requester_id == user.pk
    return {
        "id": str(request.pk),
        "kind": request.kind,
        "target": request.target,
        "requester": request.requester.username,
        "mine": mine,
        "may_decide": not mine
        and person_may(user, DECIDING)
        and request.kind in registered_kinds()
        and not _barred(request, user),
        "may_withdraw": mine,
        "deciders": _deciders(request),
        "may_comment": person_may(user, COMMENTING),
        "comments": [
            {"id": row.pk, "author": row.author.username, "text": row.text, "at": utc_text(row.at)}
            for row in comments
        ],
        "reason": request.reason,
        "diff": [_difference(field, change) for field, change in request.diff.items()],
        "effect": _effect_lines(request.effect),
        "created_at": utc_text(request.created_at),
        "expires_at": utc_text(request.expires_at),
        "expires_in_s": age_s(moment, request.expires_at),
    }


def _duties(user: User) -> dict[str, Any]:
    """Who may do what to whose requests, for those who may read the audit trail; nothing for others."""
    if not person_may(user, "audit.read"):
        return {"duties": [], "decisions": [], "roles": []}
    report = duties_report()
    return {
        "duties": [
            {
                "id": row["kind"],
                "state": {
                    "tone": "bad" if row["blocked"] else "good",
                    "text": row["blocked"] or "two people could",
                },
                "kind": row["kind"],
                "asks": ", ".join(row["asks"]).replace("_", " "),
                "may_ask": row["may_ask"],
                "decides": ", ".join(row["decides"]).replace("_", " "),
                "may_decide": row["may_decide"],
            }
            for row in report["kinds"]
        ],
        "decisions": [{"id": f"{row['requester']} {row['approver']}", **row} for row in report["decisions"]],
        "roles": [{"name": row["name"], "people": len(row["people"])} for row in report["roles"]],
    }


def history_row(request: ChangeRequest) -> dict[str, Any]:
    """A request that is decided, expired or void, as a table row."""
    overdue = request.state == ChangeRequest.State.PENDING
    return {
        "id": str(request.pk),
        "kind": request.kind,
        "target": request.target,
        "state": ChangeRequest.State.EXPIRED.value if overdue else request.state,
        "requester": request.requester.username,
        "approver": request.approver.username if request.approver else None,
        "reason": request.reason,
        "note": request.decision_note,
        "created_at": utc_text(request.created_at),
        "decided_at": utc_text(request.decided_at),
    }


def _barred(request: ChangeRequest, person: User) -> str:
    """Why this object is not theirs to decide about; a kind nobody has registered is nobody's."""
    try:
        return applier_for(request.kind).barred(request.target, request.payload, person)
    except ApplicationError as error:
        return error.message


def _deciders(request: ChangeRequest) -> str:
    """Who may decide, by name while they are few."""
    people = list(
        User.objects.filter(role__in=_DECIDING, is_active=True)
        .exclude(pk=request.requester_id)
        .order_by("username")[: 2 * _NAMES]
    )
    names = [person.username for person in people if not _barred(request, person)][:_NAMES]
    return ", ".join(names) if names else "nobody: no other person with the needed role is active"


def _difference(field: str, change: Any) -> dict[str, Any]:
    before, after = change if isinstance(change, list) and len(change) == 2 else (None, change)
    return {"field": field, "before": _text(before), "after": _text(after)}


def _effect_lines(effect: dict[str, Any]) -> list[dict[str, str]]:
    """What an effect says, a line each. One that says it in words says it all: its numbers are for the API."""
    if "in_words" in effect:
        return [{"name": "simulated", "value": str(effect["in_words"])}]
    return [{"name": name.replace("_", " "), "value": _text(value)} for name, value in effect.items()]


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def require_user(user: object) -> User:
    """The signed-in user of a page; pages are behind log-in, so anything else is a mistake of ours."""
    if not isinstance(user, User):
        raise ApplicationError("NOT_AUTHENTICATED", "log in first", status=401)
    return user
