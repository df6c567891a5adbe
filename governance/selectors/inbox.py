"""Requests that wait for a second person, and what became of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import Absence, ChangeComment, ChangeHandOver, ChangeRequest, User
from nautilus_site.common.selectors.absences import absence_list, absence_of, minute_text
from nautilus_site.common.selectors.approvals import approval_list
from nautilus_site.common.selectors.break_glass import break_glass_sessions
from nautilus_site.common.selectors.duties import duties_report
from nautilus_site.common.services.change_comments import COMMENTING
from nautilus_site.common.services.deciders import decider_refused, deciders
from nautilus_site.common.services.hand_overs import HANDING, handed_members
from nautilus_site.common.services.powers import person_may
from trading.selectors.notation import age_s, utc_text

_HISTORY = 100
_NAMES = 6


def inbox_state(user: User) -> dict[str, Any]:
    """Pending requests with what this user may do about each, in their hands first, and the latest decided ones."""
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
    on_duty, absences = deciders(), list(absence_list())
    cards = [request_members(request, user, threads[request.pk], on_duty) for request in pending]
    return {
        **state,
        "pending": sorted(cards, key=lambda card: not card["in_my_hands"]),
        "absences": {row.user.username: _absence(row) for row in absences},
        "stand_ins": [p.username for p in on_duty if p.pk != user.pk and absence_of(p) is None]
        if user in on_duty
        else [],
        "break_glass": [
            {**row, "opened_at": utc_text(row["opened_at"]), "ends_at": utc_text(row["ends_at"])}
            for row in break_glass_sessions()
        ],
        **_duties(user),
        "history": [history_row(request) for request in decided.order_by("-created_at")[:_HISTORY]],
    }


def request_members(
    request: ChangeRequest,
    user: User,
    comments: Sequence[ChangeComment] = (),
    on_duty: Sequence[User] | None = None,
) -> dict[str, Any]:
    """A pending request: what changes, what it would do, who may decide it, and who was asked to."""
    moment = now()
    mine = request.requester_id == user.pk
    on_duty = deciders() if on_duty is None else on_duty
    may = [person for person in on_duty if not decider_refused(request, person, on_duty=True)]
    may_decide = user in may
    handed = handed_members(request)
    may_hand_over = may_decide or (mine and person_may(user, HANDING))
    names = ", ".join(_with_absence(person) for person in may[:_NAMES])
    return {
        "id": str(request.pk),
        "kind": request.kind,
        "target": request.target,
        "requester": request.requester.username,
        "mine": mine,
        "may_decide": may_decide,
        "may_withdraw": mine,
        "deciders": names or "nobody: no other person with the needed role is active",
        "handed": {**handed, "at": utc_text(handed["at"])} if handed else None,
        "in_my_hands": handed is not None and handed["holder"] == user.username,
        "may_hand_over": may_hand_over,
        "hand_to": [p.username for p in may if absence_of(p) is None] if may_hand_over else [],
        "may_comment": person_may(user, COMMENTING),
        "thread": _thread(request, comments),
        "reason": request.reason,
        "diff": [_difference(field, change) for field, change in request.diff.items()],
        "effect": _effect_lines(request.effect),
        "created_at": utc_text(request.created_at),
        "expires_at": utc_text(request.expires_at),
        "expires_in_s": age_s(moment, request.expires_at),
    }


def _thread(request: ChangeRequest, comments: Sequence[ChangeComment]) -> list[dict[str, Any]]:
    """What was said about a request, and who put it into whose hands, oldest first."""
    said = [(row.at, {"author": row.author.username, "text": row.text}) for row in comments]
    handed = [
        (row.at, {"author": row.giver.username, "text": row.note, "did": _did(row)})
        for row in request.hand_overs.all()
    ]
    return [
        {"did": "", **line, "at": utc_text(at)} for at, line in sorted((*said, *handed), key=itemgetter(0))
    ]


def _did(row: ChangeHandOver) -> str:
    if row.receiver is None:
        return "gave it back to everybody"
    return "took it" if row.receiver == row.giver else f"handed it to {row.receiver}"


def _with_absence(person: User) -> str:
    absence = absence_of(person)
    return f"{person} (away until {minute_text(absence.until)})" if absence else str(person)


def _absence(row: Absence) -> dict[str, Any]:
    return {"until": utc_text(row.until), "stand_in": row.stand_in.username if row.stand_in else None}


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
