"""What a version said of the newest bars, one by one: the filtered probabilities over price."""

from __future__ import annotations

from typing import Any

from mlregistry.models import ModelVersion
from mlregistry.selectors.artefacts import artefact_loaded
from nautilus_site.common.errors import NotFound
from trading.domain.clock import ns_to_datetime
from trading.selectors.notation import utc_text

LEAD, MOST = 500, 1500
"""Bars before the first one shown, in which the filter forgets how it began."""


def posterior_over_price(version: ModelVersion, *, bars: int) -> dict[str, Any]:
    """Return close, filtered probabilities and log score of each of the newest bars that has an observation.

    Each row knows the bars up to its own and none after it.

    Raises
    ------
    NotFound : NO_BARS, the symbol is not followed live at this interval.
    FeaturesRefused, DegenerateFilter : bars that cannot be used.
    """
    from mlregistry.domain.drifting import scored
    from mlregistry.selectors.live_bars import live_columns

    family = version.family
    columns = live_columns(family, min(bars, MOST) + LEAD)
    if columns is None:
        raise NotFound(
            "NO_BARS", f"no live {family.market} bars of {family.symbol} {family.interval} are stored"
        )
    artefact = artefact_loaded(version.digest)
    rows = scored(artefact, columns)
    closes = dict(zip(columns.close_ns.tolist(), columns.close.tolist(), strict=True))
    shown = range(max(0, len(rows.scores) - min(bars, MOST)), len(rows.scores))
    return {
        "model": family.name,
        "version": version.number,
        "symbol": family.symbol,
        "interval": family.interval,
        "labels": list(artefact.model.labels),
        "rows": [
            {
                "at": utc_text(ns_to_datetime(int(rows.close_ns[row]))),
                "close": closes[int(rows.close_ns[row])],
                "probabilities": [round(float(p), 6) for p in rows.states[row]],
                "log_score": round(float(rows.scores[row]), 6),
            }
            for row in shown
        ],
    }
