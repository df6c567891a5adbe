"""A second factor: set up, used, replaced. Setting one up is instant; taking one away is `second_factor_resets.py`."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import timedelta

from django.db import transaction

from nautilus_site.common import totp
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import RecoveryCode, SecondFactor, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.second_factor_secrets import secret_open, secret_seal
from nautilus_site.common.services.sessions import sessions_end

PENDING_LIFE = timedelta(minutes=15)
RECOVERY_CODES = 10
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 16
"""Letters of a recovery code: 80 bits, so that a plain digest of one cannot be reversed."""
_NOTHING = Conflict("NOTHING_TO_CONFIRM", "this took too long, or was done elsewhere: begin again")
_WRONG = ApplicationError(
    "CODE_INVALID", "this is not the code your app shows now: wait for the next one and look at the clock"
)


def second_factor_confirmed(user: User) -> SecondFactor | None:
    """The factor this person is asked for; None for who has none, or has not confirmed it."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()


@transaction.atomic
def second_factor_begin(*, user: User) -> str:
    """Make a secret to be shown and confirmed. A confirmed one counts until then; an unconfirmed one is forgotten.

    Returns what the session keeps: the secret is shown to the session that asked for it and to no other.
    """
    sealed = secret_seal(totp.new_secret(), user_id=user.pk)
    SecondFactor.objects.update_or_create(user=user, defaults={"pending": sealed, "pending_at": now()})
    _record("second_factor.begun", user)
    return _digest_of(sealed)


def second_factor_pending(user: User, begun: str) -> bytes | None:
    """The secret that waits to be confirmed, for a quarter of an hour."""
    row = SecondFactor.objects.filter(user=user, pending_at__gt=now() - PENDING_LIFE).first()
    if row is None or row.pending is None or _digest_of(bytes(row.pending)) != begun:
        return None
    return secret_open(bytes(row.pending), user_id=user.pk)


def second_factor_confirm(*, user: User, begun: str, code: str) -> list[str]:
    """Put the shown secret into force with a code of it; returns the recovery codes. Every session of before ends.

    Raises
    ------
    Conflict : NOTHING_TO_CONFIRM, nothing was shown or too long ago.
    ApplicationError : CODE_INVALID.
    """
    secret = second_factor_pending(user, begun)
    if secret is None:
        raise _NOTHING
    step = totp.step_of(secret, totp.typed(code), now_step=totp.step_at(time.time()))
    if step is None:
        _record("second_factor.refused", user, "a code to confirm it by")
        raise _WRONG
    return _confirm(user, begun, step)


@transaction.atomic
def _confirm(user: User, begun: str, step: int) -> list[str]:
    second_factor_wait(user=user)
    row = SecondFactor.objects.select_for_update(no_key=True).filter(user=user).first()
    # Shown anew meanwhile, or confirmed by the same form sent twice: what was typed belongs to no secret there is.
    if row is None or row.pending is None or _digest_of(bytes(row.pending)) != begun:
        raise _NOTHING
    replaces = row.confirmed_at is not None
    row.sealed, row.confirmed_at, row.last_step = row.pending, now(), step
    row.pending, row.pending_at = None, None
    row.save()
    codes = _new_codes(row)
    sessions_end(user=user)
    _record("second_factor.replaced" if replaces else "second_factor.confirmed", user)
    if replaces:
        second_factor_told(user, "replaced", by=[user.username])
    return codes


def second_factor_wait(*, user: User) -> None:
    """Wait, in this transaction, for whoever gives a code for the same person at this moment.

    So the lock-out counts each wrong one before the next is looked at, however many are sent at once. The person is
    held, whom the log-in is written to afterwards, and an approved reset holds before the factor.
    """
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk"))


def code_use(*, user: User, code: str) -> bool:
    """Whether this code of the app lets them in; it does so once, also for two who give it at the same time."""
    row = second_factor_confirmed(user)
    if row is None or row.sealed is None:
        return False
    secret = secret_open(bytes(row.sealed), user_id=user.pk)
    if secret is None:
        return False
    step = totp.step_of(secret, totp.typed(code), now_step=totp.step_at(time.time()))
    if step is None:
        return False
    # The secret is named: one that was replaced meanwhile opens nothing any more.
    same = SecondFactor.objects.filter(pk=row.pk, sealed=bytes(row.sealed), last_step__lt=step)
    return same.update(last_step=step) == 1


@transaction.atomic
def recovery_code_use(*, user: User, text: str) -> bool:
    """Whether this recovery code lets them in. It does so once."""
    factor = second_factor_confirmed(user)
    if factor is None:
        return False
    # No join: across one Postgres would look at `used_at` before it waits for who uses the same code, and not again.
    unused = RecoveryCode.objects.filter(factor_id=factor.pk, used_at=None, digest=_digest(text))
    if unused.update(used_at=now()) != 1:
        return False
    _record("second_factor.recovery_code_used", user, f"{recovery_codes_left(user)} are left")
    return True


def recovery_codes_left(user: User) -> int:
    """How many have not been used."""
    return RecoveryCode.objects.filter(factor__user=user, used_at=None).count()


@transaction.atomic
def recovery_codes_renew(*, user: User) -> list[str]:
    """Ten new codes; those of before open nothing any more.

    Raises
    ------
    Conflict : NO_SECOND_FACTOR.
    """
    row = SecondFactor.objects.select_for_update(no_key=True).filter(user=user, sealed__isnull=False).first()
    if row is None:
        raise Conflict("NO_SECOND_FACTOR", "set up a second factor first")
    codes = _new_codes(row)
    _record("second_factor.recovery_codes_renewed", user)
    return codes


def second_factor_refused(*, user: User) -> None:
    """Write down that a wrong code was given to log in by."""
    _record("second_factor.refused", user, "a code to log in by")


def second_factor_told(user: User, state: str, *, by: list[str]) -> None:
    """Tell every channel, as of a password that was replaced: whom it concerns should know."""
    told = {"kind": "second_factor", "state": state, "target": f"user:{user.username}"}
    publish("approvals", {**told, "at": now(), "by": by})


def _new_codes(row: SecondFactor) -> list[str]:
    row.recovery_codes.all().delete()
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create([RecoveryCode(factor=row, digest=_digest(code)) for code in codes])
    return ["-".join(code[place : place + 4] for place in range(0, _LENGTH, 4)) for code in codes]


def _digest_of(sealed: bytes) -> str:
    """The name of a sealed secret, which tells nothing of it."""
    return hashlib.sha256(sealed).hexdigest()


def _digest(text: str) -> str:
    letters = "".join(text.upper().split()).replace("-", "")
    return hashlib.sha256(letters.encode()).hexdigest()


def _record(action: str, user: User, reason: str = "") -> None:
    audit_record(action=action, target=f"user:{user.username}", actor=user, reason=reason)
