"""What was known at the moment a playbook acted, frozen with its incident."""

from __future__ import annotations

from typing import Any, Final

import structlog
from django.db import transaction

from governance.models import Playbook
from nautilus_site.common.clock import now
from trading.domain.breakers import Reading
from trading.models import CircuitBreaker, EquityAnchor, EquitySnapshot, LossMeasure, Position, TradingState
from trading.selectors.denials import denials_by_code
from trading.selectors.marks import marks_read
from trading.selectors.notation import amount_text
from trading.selectors.positions import position_notional

log = structlog.get_logger(__name__)
_POINTS, _POSITIONS = 60, 10
NOT_MEASURED: Final = "it could not be measured"
"""What `detail` says where a playbook acted because nobody could tell its figure, and only there."""


def evidence_snapshot(
    playbook: Playbook, scope: str, reading: Reading | None, *, because: str = ""
) -> dict[str, Any]:
    """The reading, results, positions, levels, open breakers, denials, and the equity of the last two minutes.

    Without a reading `because` says what it acted for; without that, too, it could not be measured. The reading
    alone where the rest cannot be told: no step waits for what people would like to see of it.
    """
    read = {
        "at": now().isoformat(),
        "scope": scope,
        "measured": _finite(reading.value) if reading is not None else None,
        "samples": reading.samples if reading is not None else 0,
        "detail": reading.detail if reading is not None else because or NOT_MEASURED,
        "threshold": playbook.threshold,
        "unit": playbook.unit,
    }
    try:
        with transaction.atomic():
            return {**read, **_surroundings(scope)}
    except Exception as error:
        log.exception("evidence_incomplete", playbook=playbook.name, scope=scope)
        return {**read, "missing": repr(error)[:300]}


def _surroundings(scope: str) -> dict[str, Any]:
    marks = marks_read()
    held = [
        {
            "account": row.account.name,
            "symbol": row.instrument.symbol,
            "quantity": amount_text(row.quantity),
            "notional": amount_text(position_notional(row, marks.of(row.instrument_id))),
        }
        for row in Position.objects.exclude(quantity=0).select_related("account", "instrument")
    ]
    held.sort(key=lambda row: abs(float(row["notional"] or 0)), reverse=True)
    measures = {row.scope: row for row in LossMeasure.objects.filter(scope__in=("global", scope))}
    return {
        "results": {
            name: {
                "value": amount_text(row.value),
                "day_start": amount_text(row.day_start),
                "peak": amount_text(row.peak),
            }
            for name, row in measures.items()
        },
        "positions": held[:_POSITIONS],
        "levels": {row.scope: row.effective.name for row in TradingState.objects.order_by("scope")},
        "breakers_open": [
            f"{row.name} of {row.scope}"
            for row in CircuitBreaker.objects.exclude(state=CircuitBreaker.State.CLOSED).order_by("name")
        ],
        "denials_1h": {row["code"]: row["count"] for row in denials_by_code(hours=1)},
        "equity": _equity(scope),
    }


def _equity(scope: str) -> list[list[Any]]:
    """[time, equity] of the scope's account, else of the one furthest below its peak, oldest first: the chart."""
    anchors = EquityAnchor.objects.filter(scope__startswith="account:")
    anchor = anchors.filter(scope=scope).first() or min(
        anchors, key=lambda row: row.equity - row.peak_equity, default=None
    )
    if anchor is None:
        return []
    rows = EquitySnapshot.objects.filter(account__name=anchor.scope.partition(":")[2]).order_by("-id")
    return [[row.at.isoformat(), amount_text(row.equity)] for row in reversed(rows[:_POINTS])]


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
