"""Telling people of tokens that end soon, before a script of theirs stops in the night."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, AuditEntry
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish

SOON: Final = timedelta(days=14)
_TOLD: Final = "token.expiring"


def tokens_expiring_tell() -> int:
    """Tell of every live token that ends within 14 days, once each. Returns of how many.

    One that was made for no longer than that is not news.
    """
    moment = now()
    rows = ApiToken.objects.select_related("user").filter(
        revoked_at=None, expires_at__gt=moment, expires_at__lte=moment + SOON, user__is_active=True
    )
    return sum(_tell(row) for row in rows if row.expires_at - row.created_at > SOON)


@transaction.atomic
def _tell(token: ApiToken) -> bool:
    ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)  # two at once tell once
    if AuditEntry.objects.filter(action=_TOLD, target=f"token:{token.pk}").exists():
        return False
    audit_record(
        action=_TOLD,
        target=f"token:{token.pk}",
        actor="clock",
        after={"user": token.user.username, "name": token.name, "expires_at": token.expires_at},
    )
    publish(
        "approvals",
        {
            "id": str(token.pk),
            "kind": "token",
            "state": "expiring",
            "target": token.name,
            "user": token.user.username,
            "expires_at": token.expires_at,
        },
    )
    return True
