"""Making and checking bearer tokens. The text is shown once; only its digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY
from nautilus_site.common.services.audit import audit_record

PREFIX = "nhmm_"
MAXIMUM_LIFE = timedelta(days=90)


@transaction.atomic
def token_create(
    *,
    user: User,
    name: str,
    actor: User | str,
    scopes: list[str] | None = None,
    life: timedelta = MAXIMUM_LIFE,
) -> str:
    """Create a token and return its text, which cannot be had again.

    Scopes are permissions (`read:fills`, `orders.place`) out of what the owner's role allows.
    """
    for scope in scopes or []:
        if scope.partition(":")[0] not in PERMISSIONS or scope in PERSON_ONLY:
            raise ApplicationError("UNKNOWN_SCOPE", f"{scope!r} is not a permission that a token may have")
    if not timedelta(0) < life <= MAXIMUM_LIFE:
        raise ApplicationError("INVALID_EXPIRY", "a token lives at most 90 days")
    text = PREFIX + secrets.token_urlsafe(32)
    moment = now()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=token_digest(text),
        scopes=scopes or [],
        created_at=moment,
        expires_at=moment + life,
    )
    audit_record(
        action="token.created",
        target=f"token:{token.pk}",
        actor=actor,
        after={"user": user.username, "name": name, "scopes": scopes or []},
    )
    return text


def token_digest(text: str) -> str:
    """sha256 of the token: it is long and random, so a plain digest cannot be reversed."""
    return hashlib.sha256(text.encode()).hexdigest()


def token_user(text: str) -> tuple[User, ApiToken] | None:
    """The active owner of a live token, or None."""
    moment = now()
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=token_digest(text), revoked_at=None, expires_at__gt=moment, user__is_active=True)
        .first()
    )
    if token is None:
        return None
    if token.last_used_at is None or moment - token.last_used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=moment)
    return token.user, token


@transaction.atomic
def token_revoke(*, token_id: int, actor: User | str) -> bool:
    """End a token now. False when it was revoked before."""
    revoked = ApiToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=now())
    if revoked:
        audit_record(action="token.revoked", target=f"token:{token_id}", actor=actor)
    return bool(revoked)
