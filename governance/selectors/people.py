"""People, their tokens, and what each role may do."""

from __future__ import annotations

from typing import Any

from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, ChangeRequest, Role, User
from nautilus_site.common.roles import (
    PERMISSIONS,
    PERSON_ONLY,
    ROLE_PERMISSIONS,
    permits,
)
from nautilus_site.common.services.tokens import answers_for_people
from trading.selectors.credentials import candidates_newest, credential_members, credential_queryset
from trading.selectors.notation import utc_text

_MOST = 500


def people_state(user: User) -> dict[str, Any]:
    """Everybody for those who propose or approve changes of people; oneself for the others."""
    everybody = answers_for_people(user)
    people = User.objects.order_by("username")
    tokens = ApiToken.objects.select_related("user").order_by("user__username", "-id")
    if not everybody:
        people, tokens = people.filter(pk=user.pk), tokens.filter(user=user)
    asked = _asked("user.change")
    return {
        **shell_state(),
        "everybody": everybody,
        "people": [person_row(person, person.username in asked) for person in people[:_MOST]],
        "newcomers": sorted(_asked("user.create")) if everybody else [],
        "tokens": [token_row(token) for token in tokens[:_MOST]],
        "keys": key_rows(),
        "matrix": matrix_rows(),
    }


def _asked(kind: str) -> set[str]:
    """Targets for which a change of a kind waits for a decision."""
    waiting = ChangeRequest.objects.filter(kind=kind, state=ChangeRequest.State.PENDING, expires_at__gt=now())
    return set(waiting.values_list("target", flat=True))


def key_rows() -> list[dict[str, Any]]:
    """Exchange keys by their last four."""
    asked = _asked("credential.replace")
    approved = candidates_newest()
    rows = [
        credential_members(row, approved.get((row.account_id, row.purpose))) for row in credential_queryset()
    ]
    return [
        {
            **row,
            "probe": _probe(row["candidate"]),
            "pending": "a change waits" if f"key:{row['account']}:{row['purpose']}" in asked else "",
        }
        for row in rows
    ]


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


def person_row(person: User, is_asked: bool) -> dict[str, Any]:
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
        "last_login": utc_text(person.last_login),
        "joined": utc_text(person.date_joined),
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
    else:
        state = {"tone": "good", "text": "valid"}
    return {
        "id": token.pk,
        "username": token.user.username,
        "revocable": state["text"] == "valid",
        "name": token.name,
        "scopes": ", ".join(token.scopes) or "all that the role may",
        "addresses": ", ".join(token.addresses) or "anywhere",
        "created_at": utc_text(token.created_at),
        "expires_at": utc_text(token.expires_at),
        "last_used_at": utc_text(token.last_used_at),
        "state": state,
    }


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
