"""One person stops the use of an exchange key at once. Another is used as ever: asked for, approved, looked at."""

from __future__ import annotations

from typing import Final

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.values import Level
from trading.models import CandidateKey, Credential
from trading.services.controls import kill_raise
from trading.services.key_tests import key_name, key_to_operate

log = structlog.get_logger(__name__)
Purpose = Credential.Purpose
STOPS: Final[dict[str, Level | None]] = {
    Purpose.EXECUTOR: Level.CANCEL,  # what rests at the exchange is cancelled with the watchdog's key
    Purpose.WATCHDOG: Level.HALT_NEW,  # nothing new while the second way to stop is gone
    Purpose.FEED: Level.HALT_NEW,  # nor while fills are heard of by reconciliation alone
    Purpose.EXPORTER: None,  # it only measures
}
"""The level its account is raised to with the revocation, in the same transaction; lowering it takes two people."""


@transaction.atomic
def key_revoke(*, credential_id: int, last_four: str, actor: User, reason: str) -> Credential:
    """Forget the secret of a key in use and halt what must not go on without it.

    The level comes first: what was judged before is not sent after it, whoever holds an open connection. A key that was
    approved for the same place and waits to be looked at comes into use all the same, unless it is this very key.

    Raises
    ------
    ApplicationError : REASON_REQUIRED.  And as `key_to_operate`.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    seen = Credential.objects.select_related("account").filter(pk=credential_id).first()
    if seen is None:
        raise NotFound("KEY_NOT_FOUND", "no such key")
    level = STOPS[seen.purpose]
    if level is not None:  # before the row of the key: levels are locked first everywhere
        why = f"the {seen.purpose} key …{seen.last_four} is revoked: {reason.strip()}"
        kill_raise(scope=f"account:{seen.account.name}", level=level, reason=why[:500], actor=actor)
    row = key_to_operate(credential_id=credential_id, last_four=last_four, actor=actor)
    row.revoked_at, row.revoked_by, row.sealed_secret = now(), actor.username, b""
    row.save(update_fields=["revoked_at", "revoked_by", "sealed_secret"])
    CandidateKey.objects.filter(
        account=row.account, purpose=row.purpose, api_key=row.api_key, state=CandidateKey.State.WAITING
    ).update(state=CandidateKey.State.SUPERSEDED, sealed_secret=b"", decided_at=row.revoked_at)
    audit_record(
        action="credential.revoked",
        target=key_name(row),
        actor=actor,
        reason=reason.strip(),
        before={"last_four": row.last_four},
        after={"account_level": level.name if level is not None else None},
    )
    publish(
        "approvals",
        {
            "id": str(row.pk),
            "kind": "credential",
            "state": "revoked",
            "target": f"key:{key_name(row)}",
            "last_four": row.last_four,
            "by": actor.username,
            "reason": reason.strip(),
            "at": row.revoked_at,
        },
    )
    log.warning("key_revoked", account=row.account.name, purpose=row.purpose, by=actor.username)
    return row
