"""Training anew on a schedule, where two people approved one; what comes of it is a candidate like any other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from mlregistry.domain.envelope import envelope_read
from mlregistry.models import ModelFamily, ModelVersion, TrainingRun
from mlregistry.services.training import training_request
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from universe.selectors import kline_file_get

log = structlog.get_logger(__name__)
ACTOR = "refit schedule"
UNFINISHED = (TrainingRun.State.QUEUED, TrainingRun.State.RUNNING)


def refits_request() -> list[TrainingRun]:
    """Queue a run for every family whose approved schedule has one due, each in a transaction of its own."""
    runs = []
    for family in ModelFamily.objects.exclude(envelope={}).order_by("name"):
        try:
            run, why = refit_request(family=family)
        except (ApplicationError, ValueError) as error:
            log.warning("refit_refused", family=family.name, error=str(error)[:300])
            continue
        if run is None:
            log.debug("refit_not_due", family=family.name, why=why)
        else:
            runs.append(run)
    return runs


@transaction.atomic
def refit_request(*, family: ModelFamily) -> tuple[TrainingRun | None, str]:
    """Queue the family's next run as its newest version was asked for, on the bars since; or say why not.

    A window of a given length moves with the bars; a window from a given start grows. Its number of states and its seed
    stay. Only what its approved envelope names happens: without a schedule, or past its end, nothing does.

    Raises
    ------
    ApplicationError : INVALID_TRAINING, as `training_request`.
    """
    locked = ModelFamily.objects.select_for_update(no_key=True).get(pk=family.pk)
    envelope, moment = envelope_read(locked.envelope), now()
    if not envelope.allows("refit_days", moment):
        return None, "no schedule is in force"
    if TrainingRun.objects.filter(family=locked, state__in=UNFINISHED).exists():
        return None, "a run is not over yet"
    version = (
        ModelVersion.objects.filter(family=locked)
        .exclude(run=None)
        .select_related("run", "dataset")
        .order_by("-number")
        .first()
    )
    if version is None or version.run is None:
        return None, "none of its versions was trained here as a job"
    # A run that failed counts, too: a schedule does not try again and again.
    last = TrainingRun.objects.filter(family=locked).order_by("-created_at").first()
    newest = max(version.created_at, last.created_at if last else version.created_at)
    if moment - newest < timedelta(days=envelope.refit_days):
        return None, f"the newest is younger than {envelope.refit_days:g} days"
    bars = kline_file_get(locked.symbol, locked.interval, locked.market)
    if bars is None or bars.last_open_time <= version.dataset.end_at:
        return None, "no newer bars are stored"
    asked = {**version.run.asked, **_window(version.run.asked, bars.last_open_time)}
    run = training_request(asked=asked, requester=f"{ACTOR}, approved by {envelope.approval}")
    log.info("refit_requested", family=locked.name, run=str(run.uid), after=str(version))
    return run, ""


def _window(asked: dict[str, Any], until: datetime) -> dict[str, str | None]:
    start, end = (
        datetime.fromisoformat(str(asked[name])) if asked.get(name) else None for name in ("start", "end")
    )
    if start is None or end is None:
        return {"end": None}
    return {"start": (until - (end - start)).isoformat(), "end": until.isoformat()}
