"""Measuring live filters against the true regimes, where the market's maker tells them."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.conf import settings

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, TruthReport
from mlregistry.selectors.truth import truth_accuracy
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)
WATCHED = (Stage.SHADOW, Stage.CANARY, Stage.CHAMPION)
KEPT = ("rows", "accuracy", "always", "probability", "matched", "recall", "confusion")


def truth_measure_all() -> int:
    """Measure every version that decides; nothing where no truth is told. Returns the reports written."""
    if settings.BINANCE_ENV != "local":
        return 0
    count = 0
    for version in ModelVersion.objects.filter(stage__in=WATCHED).select_related("family").order_by("pk"):
        try:
            truth_measure(version=version)
            count += 1
        except (ApplicationError, DomainError, ValueError, OSError) as error:
            # Too few bars since training, or a paper exchange that is away: its page says that nothing was measured.
            log.info("truth_not_measured", version=str(version), error=str(error)[:300])
    return count


def truth_measure(*, version: ModelVersion) -> TruthReport:
    """Compare the newest bars since training with what it truly was, and keep the day's report.

    Raises
    ------
    ApplicationError : NO_BARS, NO_TRUTH.  FeaturesRefused, DegenerateFilter, ArtefactRefused.
    """
    found = truth_accuracy(version)
    from_at, to_at = (datetime.fromisoformat(found[name]) for name in ("from_at", "to_at"))
    report, _ = TruthReport.objects.update_or_create(
        version=version,
        day=to_at.date(),
        defaults={
            **{name: found[name] for name in KEPT},
            "from_at": from_at,
            "to_at": to_at,
            "measured_at": now(),
        },
    )
    return report
