"""How long ago the allocator last decided: past their expiry the strategies it decides about only reduce."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Min
from prometheus_client.core import GaugeMetricFamily, Metric

from governance.models import AllocationRun
from governance.selectors.policies import version_in_force
from nautilus_site.common.clock import now


def decided_last() -> datetime | None:
    """When a run last decided and renewed; None while none did."""
    good = AllocationRun.objects.exclude(outcome=AllocationRun.Outcome.REFUSED)
    return good.order_by("-id").values_list("at", flat=True).first()


def refused_since() -> datetime | None:
    """Since when nothing was decided, while the newest run was refused; None while the allocator runs.

    Not later than the first refusal: a time ahead of that was noted before the clock was put back.
    """
    newest = AllocationRun.objects.order_by("-id").first()
    if newest is None or newest.outcome != AllocationRun.Outcome.REFUSED:
        return None
    good = AllocationRun.objects.exclude(outcome=AllocationRun.Outcome.REFUSED).order_by("-id").first()
    if good is None:
        return AllocationRun.objects.order_by("id").values_list("at", flat=True).first()
    first = AllocationRun.objects.filter(pk__gt=good.pk).aggregate(at=Min("at"))["at"]
    return min(good.at, first or good.at)


def capital_gauges() -> Iterable[Metric]:
    """The age of the last run that decided. Without a policy or a run there is none."""
    last = decided_last()
    if last is not None and version_in_force("capital_policy") is not None:
        yield GaugeMetricFamily(
            "allocator_age_seconds",
            "Since the allocator last decided and renewed what strategies have.",
            value=(now() - last).total_seconds(),
        )
