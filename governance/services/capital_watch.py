"""The alarm for an allocator that cannot decide: past their expiry the strategies it decides about only reduce."""

from __future__ import annotations

from datetime import timedelta

from governance.models import AllocationRun, Incident
from governance.selectors.capital_age import refused_since
from governance.selectors.policies import version_in_force
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.policies import values_understood
from governance.services.policy_kinds import CAPITAL
from nautilus_site.common.clock import now

KIND, SCOPE = "allocator_refuses", "capital"


def capital_watch() -> bool:
    """Open an incident once runs were refused for half of the time amounts hold; calm it when one decides again.

    Where the policy in force is not understood it opens at once: waiting does not make that good.
    Tells whether it is alarmed.
    """
    since = refused_since()
    waiting = Incident.objects.filter(kind=KIND, scope=SCOPE, state=Incident.State.OPEN).first()
    if since is None:
        if waiting is not None:
            incident_calm(waiting.pk, actor="allocator", detail="the allocator decides again")
        return False
    version = version_in_force(CAPITAL)
    values = values_understood(version) if version else None
    held = timedelta(seconds=values["expires_sec"]) if values is not None else timedelta()
    if version is None or now() < since + held / 2:
        return False
    if waiting is None:
        newest = AllocationRun.objects.order_by("-id").first()
        good = AllocationRun.objects.filter(in_force_until__isnull=False).order_by("-id").first()
        ends = since + held if values is not None or good is None else good.in_force_until
        incident_open(
            kind=KIND,
            scope=SCOPE,
            severity="warning",
            title=f"nothing was decided about capital since {since:%Y-%m-%d %H:%M}: "
            f"from {ends:%H:%M} on strategies only reduce",
            actor="allocator",
            evidence={
                "since": since.isoformat(),
                "expires_sec": values["expires_sec"] if values is not None else None,
                "why": newest.explanation if newest is not None else "",
            },
        )
    return True
