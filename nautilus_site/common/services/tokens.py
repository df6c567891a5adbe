"""Making and checking bearer tokens. The text is shown once; only its digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from nautilus_site.common.addresses import address_within, networks_clean
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY, permits
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.powers import permissions_now

PREFIX = "nhmm_"
MAXIMUM_LIFE = timedelta(days=90)


def token_create(
    *,
    user: User,
    name: str,
    actor: User | str,
    scopes: list[str] | None = None,
    addresses: Sequence[str] = (),
    life: timedelta = MAXIMUM_LIFE,
) -> str:
    """Create a token and return its text, which cannot be had again. See `token_issue`."""
    return token_issue(user=user, name=name, actor=actor, scopes=scopes, addresses=addresses, life=life)[1]


@transaction.atomic
def token_issue(
    *,
    user: User,
    name: str,
    actor: User | str,
    scopes: list[str] | None = None,
    addresses: Sequence[str] = (),
    life: timedelta = MAXIMUM_LIFE,
) -> tuple[ApiToken, str]:
    """Create a token: its row, and its text, which cannot be had again.

    Scopes are permissions (`read:fills`, `orders.place`) out of what the owner's role allows. Addresses are those it
    is taken from; none: any.

    Raises
    ------
    ApplicationError : UNKNOWN_SCOPE, INVALID_ADDRESS, INVALID_EXPIRY, NAME_REQUIRED.
    """
    if not name.strip():
        raise ApplicationError("NAME_REQUIRED", "a token needs a name to be told from the others")
    for scope in scopes or []:
        if not _of_tokens(scope):
            raise ApplicationError("UNKNOWN_SCOPE", f"{scope!r} is not a permission that a token may have")
    if not timedelta(0) < life <= MAXIMUM_LIFE:
        raise ApplicationError("INVALID_EXPIRY", "a token lives at most 90 days")
    text = PREFIX + secrets.token_urlsafe(32)
    moment = now()
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        digest=token_digest(text),
        scopes=scopes or [],
        addresses=networks_clean(addresses),
        created_at=moment,
        expires_at=moment + life,
    )
    audit_record(
        action="token.created",
        target=f"token:{token.pk}",
        actor=actor,
        after={
            "user": user.username,
            "name": token.name,
            "scopes": scopes or [],
            "addresses": token.addresses,
        },
    )
    return token, text


def own_token_issue(
    *, person: User, name: str, scopes: list[str], life: timedelta, addresses: Sequence[str] = ()
) -> tuple[ApiToken, str]:
    """A person makes a token of their own. A scope their role does not hold is refused, not left without effect.

    Raises
    ------
    Forbidden : SCOPE_NOT_HELD, and what `token_issue` raises.
    """
    held = permissions_now(person)
    missing = [scope for scope in scopes if _of_tokens(scope) and not permits(held, scope)]
    if missing:
        raise Forbidden("SCOPE_NOT_HELD", f"your role does not hold {', '.join(missing)}")
    return token_issue(user=person, name=name, actor=person, scopes=scopes, addresses=addresses, life=life)


def token_scopes(person: User) -> list[str]:
    """What a token of this person may be narrowed to, sorted."""
    return sorted(permissions_now(person) - PERSON_ONLY)


def _of_tokens(scope: str) -> bool:
    """Whether a token may be narrowed to it: a permission or a part of one, and none that only people have."""
    whole = scope.partition(":")[0]
    return whole in PERMISSIONS and whole not in PERSON_ONLY


def token_digest(text: str) -> str:
    """sha256 of the token: it is long and random, so a plain digest cannot be reversed."""
    return hashlib.sha256(text.encode()).hexdigest()


def token_user(text: str, *, address: str) -> tuple[User, ApiToken] | None:
    """The active owner of a live token that is taken from this address, or None."""
    moment = now()
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=token_digest(text), revoked_at=None, expires_at__gt=moment, user__is_active=True)
        .first()
    )
    if token is None or (token.addresses and not address_within(address, token.addresses)):
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


def token_revoke_as(*, token_id: int, person: User, held: frozenset[str] | None = None) -> ApiToken:
    """Revoke one's own token, or anybody's for those who answer for people. Taking power away takes one person.

    `held` is what the person's credentials allow, where that is less than all they may.

    Raises
    ------
    NotFound : TOKEN_NOT_FOUND, also for a token of somebody else.  Conflict : TOKEN_REVOKED.
    """
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    held = permissions_now(person) if held is None else held
    if token is None or not (token.user_id == person.pk or answers_for_people(held)):
        raise NotFound("TOKEN_NOT_FOUND", "no such token")
    if not token_revoke(token_id=token_id, actor=person):
        raise Conflict("TOKEN_REVOKED", "the token is revoked already")
    token.refresh_from_db()
    return token


def answers_for_people(held: frozenset[str]) -> bool:
    """Whether who holds these proposes or decides what people may do, and so sees everybody's tokens and sessions."""
    return permits(held, "users.manage") or permits(held, "change.decide")
