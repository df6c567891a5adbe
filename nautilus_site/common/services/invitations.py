"""The first password of a new person, or another one for who has lost theirs: they alone know it.

An admin makes the link, a risk officer the code, each shown once and kept as a digest. Were one of them enough, whoever
made it could log in as somebody else, and be two people.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import Invitation, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.powers import person_may

LIFE = timedelta(hours=24)
MOST_FAILURES = 10
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_INVALID = ApplicationError(
    "INVITATION_INVALID",
    "link and code do not belong together, or one of them is used, replaced or over: ask for new ones",
)


@transaction.atomic
def invitation_link(*, username: str, actor: User) -> str:
    """The secret of a fresh link for a person; an earlier one ends. Shown once, for 24 hours.

    Raises
    ------
    Forbidden : PERMISSION_DENIED, OWN_ACCOUNT, OTHER_HALF.  NotFound : USER_NOT_FOUND.
    Conflict : PERSON_OFF.
    """
    invitation = _for_half(username, actor, "users.manage")
    if invitation.code_by_id == actor.pk:
        raise Forbidden("OTHER_HALF", "you made the code of this person: somebody else makes the link")
    text = secrets.token_urlsafe(32)
    invitation.link_digest, invitation.link_by = _digest(text), actor
    invitation.link_expires_at = now() + LIFE
    invitation.save()
    _record("invitation.link", invitation, actor)
    return text


@transaction.atomic
def invitation_code(*, username: str, actor: User) -> str:
    """A fresh code for a person; an earlier one ends. Shown once, for 24 hours and ten attempts.

    Raises
    ------
    As `invitation_link`.
    """
    invitation = _for_half(username, actor, "change.decide")
    if invitation.link_by_id == actor.pk:
        raise Forbidden("OTHER_HALF", "you made the link of this person: somebody else makes the code")
    letters = "".join(secrets.choice(_LETTERS) for _ in range(10))
    invitation.code_hash, invitation.code_by = make_password(letters), actor
    invitation.code_expires_at, invitation.failures = now() + LIFE, 0
    invitation.save()
    _record("invitation.code", invitation, actor)
    return f"{letters[:5]}-{letters[5:]}"


def invitation_use(*, link: str, code: str, password: str) -> User:
    """Set the person's password. Works once, with both halves; sessions opened with an earlier password end.

    Raises
    ------
    ApplicationError : INVITATION_INVALID, which never says which half was wrong.
    ValidationError : a password that is too weak; this uses up nothing.
    """
    user, problem = _use(link, code, password)
    if user is None:
        raise problem or _INVALID
    return user


@transaction.atomic
def _use(link: str, code: str, password: str) -> tuple[User | None, ValidationError | None]:
    # The person before the invitation, as where a half is made: whoever made another one meanwhile is waited for.
    user = (
        User.objects.select_for_update(of=("self",), no_key=True)
        .filter(invitation__link_digest=_digest(link), is_active=True)
        .first()
    )
    if user is None:
        return None, None
    moment = now()
    invitation = (
        Invitation.objects.select_for_update(no_key=True)
        .filter(user=user, link_digest=_digest(link), used_at=None)
        .first()
    )
    if invitation is None or invitation.failures >= MOST_FAILURES or not invitation.code_hash:
        return None, None
    ends = (invitation.link_expires_at, invitation.code_expires_at)
    if any(end is None or end <= moment for end in ends):
        return None, None
    letters = code.upper().replace("-", "").replace(" ", "")
    if not check_password(letters, invitation.code_hash):
        invitation.failures += 1
        invitation.save(update_fields=["failures"])
        _record("invitation.refused", invitation, user)
        return None, None
    try:
        validate_password(password, user)
    except ValidationError as error:
        return None, error
    had_one = user.has_usable_password()
    user.set_password(password)
    user.save(update_fields=["password"])
    invitation.used_at, invitation.link_digest, invitation.code_hash = moment, None, ""
    invitation.save()
    _record("invitation.used", invitation, user)
    if had_one:
        told = {"kind": "password", "state": "replaced", "target": f"user:{user.username}"}
        by = [str(invitation.link_by), str(invitation.code_by)]
        publish("approvals", {**told, "at": moment, "by": by})
    return user, None


def _for_half(username: str, actor: User, permission: str) -> Invitation:
    """The invitation of a person who may get one from this actor, locked."""
    if not person_may(actor, permission):
        raise Forbidden("PERMISSION_DENIED", f"you lack the permission {permission}")
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    if user.pk == actor.pk:
        raise Forbidden("OWN_ACCOUNT", "nobody invites themselves")
    if not user.is_active:
        raise Conflict("PERSON_OFF", f"{username} is switched off")
    invitation, _ = Invitation.objects.select_for_update(no_key=True).get_or_create(user=user)
    return _begun_anew(invitation) if invitation.used_at is not None else invitation


def _begun_anew(invitation: Invitation) -> Invitation:
    """The row of a person who used both halves before, for halves of now: a password may be lost more than once.

    Nothing of the earlier ones stays, nor who made them: each half is made by somebody of now.
    """
    invitation.used_at = None
    invitation.link_digest, invitation.link_by, invitation.link_expires_at = None, None, None
    invitation.code_hash, invitation.code_by, invitation.code_expires_at = "", None, None
    invitation.failures = 0
    return invitation


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _record(action: str, invitation: Invitation, actor: User) -> None:
    audit_record(action=action, target=f"user:{invitation.user.username}", actor=actor)
