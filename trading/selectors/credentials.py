"""Exchange keys as people may see them: whose, for what, how old, the last four of the key."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from trading.models import Credential
from trading.selectors.notation import age_s


def credential_queryset() -> QuerySet[Credential]:
    """Every key, without its sealed secret."""
    return (
        Credential.objects.select_related("account__venue")
        .defer("sealed_secret")
        .order_by("account__name", "purpose")
    )


def credential_members(row: Credential) -> dict[str, Any]:
    """A key on the wire. Neither the key nor its secret is in it."""
    return {
        "id": row.pk,
        "account": row.account.name,
        "venue": row.account.venue.name,
        "purpose": row.purpose,
        "last_four": row.last_four,
        "since": row.created_at.isoformat(),
        "age_s": age_s(row.created_at, now()),
    }
