"""People, their tokens and sessions, the exchange keys, and what each role may do."""

from __future__ import annotations

from typing import Any

from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, ChangeRequest, Role, SecondFactor, User
from nautilus_site.common.roles import (
    PERMISSIONS,
    PERSON_ONLY,
    ROLE_PERMISSIONS,
    permits,
)
from nautilus_site.common.selectors.absences import absence_of
from nautilus_site.common.selectors.sessions import sessions_listed
from nautilus_site.common.services.powers import permissions_now
from nautilus_site.common.services.token_expiries import SOON
from nautilus_site.common.services.tokens import answers_for_people
from trading.selectors.credentials import (
    candidates_newest,
    credential_members,
    credential_queryset,
    key_ages_allowed,
)
from trading.selectors.notation import utc_text

_MOST = 500


def people_state(user: User, *, session_key: str | None = None) -> dict[str, Any]:
    """Everybody for those who propose or approve changes of people; oneself for the others."""
    everybody = answers_for_people(permissions_now(user))
    whose = None if everybody else user
    people = User.objects.select_related("absence").order_by("username")
    tokens = ApiToken.objects.select_related("user").order_by("user__username", "-id")
    if not everybody:
        people, tokens = people.filter(pk=user.pk), tokens.filter(user=user)
    asked = _asked("user.change", "user.reset_second_factor")
    confirmed = SecondFactor.objects.filter(confirmed_at__isnull=False)
    with_factor = set(confirmed.values_list("user_id", flat=True))
    return {
        **shell_state(),
        "everybody": everybody,
        "people": [
            person_row(person, person.username in asked, has_factor=person.pk in with_factor)
            for person in people[:_MOST]
        ],
        "newcomers": sorted(_asked("user.create")) if everybody else [],
        "tokens": [token_row(token) for token in tokens[:_MOST]],
        "sessions": [session_row(row) for row in sessions_listed(whose, current_key=session_key)[:_MOST]],
        "keys": key_rows(),
        "matrix": matrix_rows(),
        "views": [],  # asked for by role: nothing of it changes while the page is open
    }


def _asked(*kinds: str) -> set[str]:
    """Targets for which a change of one of these kinds waits for a decision."""
    waiting = ChangeRequest.objects.filter(
        kind__in=kinds, state=ChangeRequest.State.PENDING, expires_at__gt=now()
    )
    return set(waiting.values_list("target", flat=True))


def key_rows() -> list[dict[str, Any]]:
    """Exchange keys by their last four."""
    asked = _asked("credential.replace")
    approved = candidates_newest()
    limits = key_ages_allowed()
    rows = [
        credential_members(row, approved.get((row.account_id, row.purpose)), limits)
        for row in credential_queryset()
    ]
    return [
        {
            **row,
            "use": _use(row),
            "rotation_due": _ROTATION[row["rotation"]] | {"at": row["rotate_by"]},
            "test": _tested(row["tested"]),
            "tested_age_s": row["tested"]["age_s"],
            "probe": _probe(row["candidate"]),
            "pending": "a change waits" if f"key:{row['account']}:{row['purpose']}" in asked else "",
        }
        for row in rows
    ]


_ROTATION: dict[str, dict[str, str]] = {
    "later": {"tone": "off", "text": "not yet"},
    "soon": {"tone": "warn", "text": "within 14 days"},
    "due": {"tone": "bad", "text": "now"},
}


def _use(row: dict[str, Any]) -> dict[str, str]:
    """Whether a key is used, in words."""
    if row["state"] == "in_use":
        return {"tone": "good", "text": "in use"}
    return {"tone": "bad", "text": f"revoked by {row['revoked_by']}"}


def _tested(tested: dict[str, Any]) -> dict[str, str]:
    """What the latest look at a key found, in words; how long ago it was is a column of its own."""
    if tested["waits"]:
        return {"tone": "warn", "text": "is being looked at"}
    if tested["at"] is None:
        return {"tone": "off", "text": "never"}
    if tested["wrong"]:
        return {"tone": "bad", "text": tested["wrong"]}
    may = ", ".join(tested["may"])
    return {"tone": "good", "text": f"in order{f'; may {may}' if may else ''}"}


def _probe(candidate: dict[str, Any] | None) -> dict[str, str]:
    """What became of the newest approved key, in words."""
    if candidate is None:
        return {"tone": "off", "text": "–"}
    name, why = f"…{candidate['last_four']}", candidate["result"]
    match candidate["state"]:
        case "in_use":
            return {"tone": "good", "text": f"{name} was looked at and is in use"}
        case "refused":
            return {"tone": "bad", "text": f"{name} refused: {why}"}
        case _:
            return {"tone": "warn", "text": f"{name} is being looked at{f': {why}' if why else ''}"}


def person_row(person: User, is_asked: bool, *, has_factor: bool) -> dict[str, Any]:
    """A person. `pending` says that a change of theirs waits for a decision."""
    invited = person.is_active and not person.has_usable_password()
    state = {"tone": "good", "text": "active"} if person.is_active else {"tone": "off", "text": "off"}
    return {
        "id": person.username,
        "username": person.username,
        "role": person.role,
        "role_name": person.get_role_display(),
        "is_active": person.is_active,
        "is_invited": invited,
        "state": {"tone": "warn", "text": "invited"} if invited else state,
        "has_second_factor": has_factor,
        "factor": {"tone": "good", "text": "set up"} if has_factor else {"tone": "off", "text": "none"},
        "last_login": utc_text(person.last_login),
        "joined": utc_text(person.date_joined),
        "away_until": utc_text(absence.until) if (absence := absence_of(person)) else None,
        "pending": "a change waits" if is_asked else "",
    }


def token_row(token: ApiToken) -> dict[str, Any]:
    """A token by its name; its text was shown once and is kept nowhere."""
    if token.revoked_at is not None:
        state = {"tone": "off", "text": "revoked"}
    elif token.expires_at <= now():
        state = {"tone": "off", "text": "expired"}
    elif not token.user.is_active:
        state = {"tone": "off", "text": "its person is off"}
    elif token.expires_at - now() <= SOON:
        state = {"tone": "warn", "text": "valid, ends within 14 days"}
    else:
        state = {"tone": "good", "text": "valid"}
    return {
        "id": token.pk,
        "username": token.user.username,
        "revocable": state["text"].startswith("valid"),
        "name": token.name,
        "scopes": ", ".join(token.scopes) or "all that the role may",
        "addresses": ", ".join(token.addresses) or "anywhere",
        "created_at": utc_text(token.created_at),
        "expires_at": utc_text(token.expires_at),
        "last_used_at": utc_text(token.last_used_at),
        "state": state,
    }


def session_row(row: dict[str, Any]) -> dict[str, Any]:
    """A session by its digest; its key is nowhere."""
    times = {name: utc_text(row[name]) for name in ("opened_at", "seen_at", "ends_at")}
    mark = {"tone": "good", "text": "this one"} if row["current"] else {"tone": "off", "text": "open"}
    return {**row, **times, "username": row["user"], "mark": mark}


def matrix_rows() -> list[dict[str, Any]]:
    """A row per permission, a member per role: the table that decides, not a copy of it."""
    return [
        {
            "id": permission,
            "permission": permission,
            "meaning": meaning,
            "by": "a person, freshly logged in" if permission in PERSON_ONLY else "a person or a token",
            **{role: "yes" if permits(ROLE_PERMISSIONS[role], permission) else "–" for role in Role.values},
        }
        for permission, meaning in PERMISSIONS.items()
    ]
