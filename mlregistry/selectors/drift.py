"""Drift reports as the API and the pages show them."""

from __future__ import annotations

from typing import Any

from mlregistry.models import DriftReport, ModelVersion
from trading.selectors.notation import utc_text

SHOWN = 60


def drift_members(report: DriftReport) -> dict[str, Any]:
    """The public members of a report."""
    return {
        "day": report.day.isoformat(),
        "verdict": report.verdict,
        "bars": report.bars,
        "window": report.window,
        "psi": report.psi,
        "occupancy": report.occupancy,
        "occupancy_index": report.occupancy_index,
        "occupancy_limit": report.occupancy_limit,
        "alarmed": report.alarmed,
        "score_mean": report.score_mean,
        "score_reference": report.score_reference,
        "cusum": report.cusum,
        "cusum_peak": report.cusum_peak,
        "threshold": report.threshold,
        "alarms": report.alarms,
        "measured_at": utc_text(report.measured_at),
    }


def drift_of(version: ModelVersion) -> list[dict[str, Any]]:
    """A version's newest reports, newest first."""
    return [drift_members(row) for row in DriftReport.objects.filter(version=version)[:SHOWN]]


def drift_newest(versions: list[int]) -> dict[int, DriftReport]:
    """The newest report of each version that has one."""
    rows = (
        DriftReport.objects.filter(version__in=versions).order_by("version_id", "-day").distinct("version_id")
    )
    return {row.version_id: row for row in rows}
