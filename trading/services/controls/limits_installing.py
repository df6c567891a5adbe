"""The limits a platform begins with: one row for each kind, for everything."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record_each
from nautilus_site.common.tables import Table, insert_missing
from trading.models import RiskLimit
from trading.services.controls.limit_kinds import LIMITS
from trading.services.scopes import GLOBAL

_LIMITS = Table(RiskLimit)


@transaction.atomic
def limits_install(*, actor: User | str, values: dict[str, Decimal] | None = None) -> None:
    """Create the global row of every limit that has none yet."""
    there = set(RiskLimit.objects.filter(scope=GLOBAL).values_list("name", flat=True))
    missing = [
        RiskLimit(
            name=kind.name,
            scope=GLOBAL,
            value=(values or {}).get(kind.name, kind.default),
            unit=kind.unit,
            tighter=kind.tighter,
            description=kind.description,
            changed_by=str(actor),
            changed_at=now(),
        )
        for kind in LIMITS.values()
        if kind.name not in there
    ]
    created = [name for name, _ in insert_missing(_LIMITS, missing, unique=("name", "scope"))]
    audit_record_each(action="limit.installed", targets=[f"{name}@{GLOBAL}" for name in created], actor=actor)


def limits_complete(*, actor: User | str) -> None:
    """Add what a newer version judges by to a platform that has limits.

    One that has none was never set up: there no order passes, and the first limits are people's to set.
    """
    if RiskLimit.objects.filter(scope=GLOBAL).exists():
        limits_install(actor=actor)
