"""Creating the playbooks' rows where they are missing; what people have changed stays."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from governance.domain.playbooks import PLAYBOOKS, PlaybookSpec
from governance.models import EventCursor, Playbook
from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.models import RiskLimit

# The paper account is larger than the one the earlier system's limits were made for: there the hard stop stands where
# the rails' own limit does, as the wall behind it.
_DEMO_LIMITS = {"daily_loss": "daily_loss", "position": "exposure_symbol", "leverage": "leverage_max"}


def playbooks_ensure() -> int:
    """Install what is missing as soon as limits are in force: without them nothing trades."""
    if Playbook.objects.count() >= len(PLAYBOOKS) or not RiskLimit.objects.filter(scope="global").exists():
        return 0
    return playbooks_install()


@transaction.atomic
def playbooks_install(*, actor: str = "install") -> int:
    """Create what is not there yet. Returns how many."""
    known = set(Playbook.objects.values_list("name", flat=True))
    missing = [spec for spec in PLAYBOOKS.values() if spec.name not in known]
    for spec in missing:
        row, created = Playbook.objects.get_or_create(
            name=spec.name,
            defaults={
                "family": spec.family,
                "threshold": _threshold(spec),
                "unit": spec.unit,
                "window_s": spec.window_s,
                "confirm": spec.rule.confirm,
                "min_samples": spec.rule.min_samples,
                "cooldown_s": spec.rule.cooldown_s,
                "max_scopes": spec.max_scopes,
                "blind_after": spec.blind_after,
                "severity": spec.severity,
                "actions": [dict(action) for action in spec.actions],
                "changed_by": actor,
                "changed_at": now(),
            },
        )
        if created:
            audit_record(
                action="playbook.installed",
                target=f"playbook:{row.name}",
                actor=actor,
                after={"threshold": row.threshold},
            )
    EventCursor.objects.get_or_create(name="incidents", defaults={"event_id": 0, "moved_at": now()})
    return len(missing)


def _threshold(spec: PlaybookSpec) -> float:
    limit = _DEMO_LIMITS.get(spec.name)
    if settings.BINANCE_ENV != "local" or limit is None:
        return spec.rule.threshold
    row = RiskLimit.objects.filter(name=limit, scope="global").first()
    return max(spec.rule.threshold, float(row.value)) if row is not None else spec.rule.threshold
