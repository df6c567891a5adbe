"""A version's filtered regimes beside the true ones, on the paper exchange."""

from __future__ import annotations

from typing import Any

from mlregistry.adapters.testnet_truth import truth_read
from mlregistry.models import ModelVersion, TruthReport
from mlregistry.selectors.artefacts import artefact_loaded
from nautilus_site.common.errors import ApplicationError, NotFound
from trading.domain.clock import NS_PER_MS, interval_ns, ns_to_datetime
from trading.selectors.notation import utc_text

SHOWN = 30
LEAD, MOST = 500, 2500
"""Bars before the first one measured, in which the filter forgets how it began; and how many are measured."""


def truth_accuracy(version: ModelVersion, *, bars: int = MOST) -> dict[str, Any]:
    """Run a version's filter over the newest live bars and compare with what the paper exchange says it was.

    Bars the version was trained on are left out; the filter knows each bar and those before it.

    Raises
    ------
    NotFound : NO_BARS, the symbol is not followed live at this interval.
    ApplicationError : NO_TRUTH, the exchange tells nothing, or of too few of these bars.
    FeaturesRefused, DegenerateFilter : bars that cannot be used.
    """
    from mlregistry.domain.drifting import scored
    from mlregistry.domain.truth import agreement, true_regimes
    from mlregistry.selectors.live_bars import live_columns

    family = version.family
    columns = live_columns(family, bars + LEAD)
    if columns is None:
        raise NotFound(
            "NO_BARS", f"no live {family.market} bars of {family.symbol} {family.interval} are stored"
        )
    artefact = artefact_loaded(version.digest)
    rows = scored(artefact, columns)
    fresh = rows.close_ns > int(version.lineage["train_end_ns"])
    close_ns, states = rows.close_ns[fresh][-bars:], rows.states[fresh][-bars:]
    if not len(close_ns):
        raise ApplicationError("NO_TRUTH", f"no stored bar is newer than those {version} was trained on")
    first_ms = (int(close_ns[0]) - interval_ns(family.interval)) // NS_PER_MS
    told = truth_read(family.symbol, family.market, start_ms=first_ms, end_ms=int(close_ns[-1]) // NS_PER_MS)
    try:
        found = agreement(
            states,
            true_regimes(close_ns, told.rows),
            regimes=told.regimes,
            labels=artefact.model.labels,
        )
    except ValueError as error:
        raise ApplicationError("NO_TRUTH", str(error)) from None
    return {
        "model": family.name,
        "version": version.number,
        "from_at": utc_text(ns_to_datetime(int(close_ns[0]))),
        "to_at": utc_text(ns_to_datetime(int(close_ns[-1]))),
        **found.members(),
    }


def truth_of(version: ModelVersion) -> list[dict[str, Any]]:
    """A version's newest reports, newest first; empty where nothing tells the truth."""
    return [truth_members(row) for row in TruthReport.objects.filter(version=version)[:SHOWN]]


def truth_members(report: TruthReport) -> dict[str, Any]:
    """The public members of a report."""
    return {
        "day": report.day.isoformat(),
        "rows": report.rows,
        "accuracy": report.accuracy,
        "always": report.always,
        "probability": report.probability,
        "matched": report.matched,
        "recall": report.recall,
        "confusion": report.confusion,
        "from_at": utc_text(report.from_at),
        "to_at": utc_text(report.to_at),
        "measured_at": utc_text(report.measured_at),
    }


def truth_newest(versions: list[int]) -> dict[int, TruthReport]:
    """The newest report of each version that has one."""
    rows = (
        TruthReport.objects.filter(version__in=versions).order_by("version_id", "-day").distinct("version_id")
    )
    return {row.version_id: row for row in rows}
