"""Measuring drift of what serves, is canary or shadow; alarms, and stepping back where that was approved."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import structlog
from django.db import transaction

from mlregistry.domain.envelope import envelope_read
from mlregistry.domain.stages import Stage
from mlregistry.models import DriftReport, ModelVersion
from mlregistry.services.canary_locks import canaries_held
from mlregistry.services.incidents import people_call
from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.clock import NS_PER_MS, datetime_to_ns, ns_to_datetime
from trading.domain.errors import DomainError

if TYPE_CHECKING:
    from mlregistry.domain.drifting import Scored
    from trading.domain.regime.artefact import Artefact

log = structlog.get_logger(__name__)
BARS = 3000
WATCHED = (Stage.SHADOW, Stage.CANARY, Stage.CHAMPION)


def drift_measure_all() -> int:
    """Measure every version that is watched. Returns the reports written."""
    count = 0
    versions = ModelVersion.objects.filter(stage__in=WATCHED).select_related("family")
    for version in versions.order_by("pk"):
        try:
            count += len(drift_measure(version=version))
        except (DomainError, ValueError, OSError) as error:
            # One that cannot be measured must not hide the others; it stays without reports, which its page shows.
            log.warning("drift_not_measured", version=str(version), error=str(error)[:300])
    return count


def drift_measure(*, version: ModelVersion) -> list[DriftReport]:
    """Score the bars that closed since the last report, and write each day's report.

    Raises
    ------
    FeaturesRefused, DegenerateFilter, ArtefactRefused : bars or bytes that cannot be used.
    """
    from mlregistry.domain.drifting import scored
    from mlregistry.selectors.artefacts import artefact_loaded
    from mlregistry.selectors.live_bars import live_columns

    columns = live_columns(version.family, BARS)
    if columns is None:
        return []
    artefact = artefact_loaded(version.digest)
    rows = scored(artefact, columns)
    return _write(version, artefact, rows)


@transaction.atomic
def _write(version: ModelVersion, artefact: Artefact, rows: Scored) -> list[DriftReport]:
    from mlregistry.domain.drifting import control, shape_of
    from trading.domain.regime.drift import Drift

    canaries_held([version.family_id])  # before the version: an alarm may send it back, and end them
    locked = (
        ModelVersion.objects.select_for_update(of=("self",), no_key=True)
        .select_related("family")
        .get(pk=version.pk)
    )
    last = DriftReport.objects.filter(version=version).first()
    known_ns = int(version.lineage["train_end_ns"])
    if last is not None:
        # The column keeps microseconds; a bar's close is on the millisecond.
        known_ns = max(known_ns, datetime_to_ns(last.last_bar_at) + NS_PER_MS // 2)
    fresh = [at for at in range(len(rows.scores)) if int(rows.close_ns[at]) > known_ns]
    level = last.cusum if last is not None else 0.0
    by_day: dict[date, list[int]] = {}
    for at in fresh:
        by_day.setdefault(ns_to_datetime(int(rows.close_ns[at])).date(), []).append(at)
    reports = []
    for day, places in by_day.items():
        scores = [float(rows.scores[at]) for at in places]
        watched = control(artefact.reference, scores, level)
        level = watched.level
        # A day that is made up for is judged by what was known at its end.
        shape = shape_of(artefact, rows.first(places[-1] + 1))
        report = DriftReport.objects.filter(version=version, day=day).first() or DriftReport(
            version=version, day=day, bars=0, cusum_peak=0.0, verdict=Drift.STABLE
        )
        mean = sum(scores) / len(scores)
        if report.score_mean is not None:
            mean = (report.score_mean * report.bars + sum(scores)) / (report.bars + len(scores))
        report.bars += len(scores)
        report.score_mean, report.score_reference = mean, artefact.reference.mean
        report.cusum, report.threshold = watched.level, artefact.reference.threshold
        report.cusum_peak = max(report.cusum_peak, watched.peak)
        report.alarms += watched.alarms
        report.window = shape.rows
        report.psi = {name: round(value, 6) for name, value in shape.psi.items()}
        report.occupancy = {
            name: [round(trained, 6), round(seen, 6)] for name, (trained, seen) in shape.occupancy.items()
        }
        if shape.states is not None:
            report.occupancy_index = round(shape.states.index, 6)
            report.occupancy_limit = round(shape.states.alarm, 6)
        raised = shape.alarms()
        if watched.alarms:
            raised["log score"] = f"its log score raised {report.alarms} alarms"
        # Each measure is told once a day; the log score each time, since it begins anew after every alarm.
        fresh_alarms = {
            name: told for name, told in raised.items() if name not in report.alarmed or name == "log score"
        }
        report.alarmed = sorted({*report.alarmed, *raised})
        report.verdict = Drift.ALARM if report.alarms else shape.verdict
        report.last_bar_at = ns_to_datetime(int(rows.close_ns[places[-1]]))
        report.measured_at = now()
        report.save()
        reports.append(report)
        if fresh_alarms:
            _alarm(locked, report, fresh_alarms)
    return reports


def _alarm(version: ModelVersion, report: DriftReport, raised: dict[str, str]) -> None:
    """Call people, and send a champion back to shadow where its family's approved envelope has it."""
    told = f"{'; '.join(raised.values())} on {report.day}"
    evidence = {
        "day": report.day.isoformat(),
        "measures": sorted(raised),
        "psi": report.psi,
        "occupancy": report.occupancy,
        "occupancy_index": report.occupancy_index,
        "alarms": report.alarms,
        "cusum": report.cusum,
    }
    audit_record(
        action="model.drift_alarm",
        target=f"model:{version}",
        actor="drift",
        reason=told,
        after=evidence,
    )
    publish(
        "models",
        {
            "family": version.family.name,
            "version": version.number,
            "stage": version.stage,
            "drift": "alarm",
            "reason": told,
            **evidence,
        },
    )
    people_call(
        version,
        kind="model_drift",
        # What trades is paged for; what only decides is told.
        severity="critical" if version.stage in (Stage.CHAMPION, Stage.CANARY) else "warning",
        title=f"{version} ({version.stage}) drifted: {', '.join(sorted(raised))}",
        text=told,
        evidence=evidence,
    )
    log.warning("model_drift_alarm", version=str(version), stage=version.stage, reason=told)
    envelope = envelope_read(version.family.envelope)
    if version.stage == Stage.CHAMPION and envelope.demote_on_drift:
        from mlregistry.services.stages import version_move

        moved = version_move(
            version_id=version.pk, stage=Stage.SHADOW, actor="drift", reason=told, evidence=evidence
        )
        version.stage = moved.stage


def drift_alarmed(version: ModelVersion, *, since: datetime | None = None) -> bool:
    """Whether a version's log score or a feature raised an alarm, in a report written since a moment if given."""
    alarms = DriftReport.objects.filter(version=version, verdict="alarm")
    return (alarms if since is None else alarms.filter(measured_at__gte=since)).exists()
