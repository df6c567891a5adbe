"""Figures read from Postgres when Prometheus asks; each app registers its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import structlog
from django.db import transaction
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nautilus_site.common.models import BreakGlass, ChangeRequest
from nautilus_site.common.services.audit_chain import audit_verify_tail

log = structlog.get_logger(__name__)

CollectorFactory = Callable[[], Iterable[Metric]]
_factories: dict[str, CollectorFactory] = {}


def register_collector(factory: CollectorFactory, *, name: str | None = None) -> None:
    """Have `factory()` called at each scrape; it returns metric families. Registering a name again replaces
    it.
    """
    _factories[name or factory.__name__] = factory


class RegisteredCollectors(Collector):
    """Runs every registered factory. One that fails is reported as `collector_up{name} 0` and hides no other."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "collector_up", "Whether a collector could be read at this scrape.", labels=["name"]
        )
        for name, factory in sorted(_factories.items()):
            try:
                # A savepoint, so that a failed query does not fail the next collector's.
                with transaction.atomic():
                    metrics = list(factory())
            except Exception as error:  # noqa: BLE001  the boundary of the scrape: reported, never a 500
                log.warning(
                    "collector_failed", name=name, error=type(error).__name__, detail=str(error)[:200]
                )
                up.add_metric([name], 0)
                continue
            up.add_metric([name], 1)
            yield from metrics
        yield up


def approvals() -> Iterable[Metric]:
    """Change requests that wait for a decision."""
    pending = ChangeRequest.objects.filter(state=ChangeRequest.State.PENDING).count()
    yield GaugeMetricFamily(
        "approvals_pending", "Change requests waiting for a second person.", value=pending
    )


def break_glass() -> Iterable[Metric]:
    """Whether the sealed way in stands open, which is an alarm."""
    is_open = BreakGlass.objects.filter(ended_at=None, opened_at__isnull=False).exists()
    yield GaugeMetricFamily("break_glass_open", "Whether break-glass is open: 1 is an alarm.", value=is_open)


def audit_chain() -> Iterable[Metric]:
    """Whether the newest part of the audit chain still holds; `audit verify` checks all of it."""
    yield GaugeMetricFamily(
        "audit_chain_ok",
        "1 while the newest sealed audit entries match their chain.",
        value=int(audit_verify_tail()),
    )


register_collector(approvals, name="approvals")
register_collector(break_glass, name="break_glass")
register_collector(audit_chain, name="audit_chain")
