"""What a model says of the market now: the forward filter over the stored bars up to the newest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlregistry.models import ModelVersion
from mlregistry.selectors.artefacts import artefact_loaded
from nautilus_site.common.errors import ApplicationError, NotFound
from trading.domain.clock import interval_ns, ns_to_datetime
from trading.selectors.notation import utc_text
from universe.models import Instrument
from universe.selectors import bars_recent

if TYPE_CHECKING:
    from universe.domain.bars import BarRecord

LONGEST = 1500


def model_infer(version: ModelVersion, *, bars: int) -> dict[str, Any]:
    """Filter the last `bars` closed bars and return the probabilities after the newest one.

    Raises
    ------
    ApplicationError : too few bars to fill the model's windows, or a model whose inference needs two clocks.
    NotFound : NO_BARS, the symbol is not followed live at this interval.
    """
    from mlregistry.selectors.live_bars import bar_columns, contract_of
    from trading.domain.regime.features import feature_matrix
    from trading.domain.regime.filter import filter_series
    from trading.domain.regime.model import RegimeModel

    artefact = artefact_loaded(version.digest)
    model = artefact.model
    if not isinstance(model, RegimeModel):
        raise ApplicationError("TWO_CLOCK_MODEL", "inference over the API is for flat models")
    rows = _bars(version, min(bars, LONGEST))

    columns = bar_columns(rows, version.family.interval, contract_of(version.family))
    matrix = feature_matrix(columns, model.features)
    if not len(matrix.x):
        raise ApplicationError(
            "TOO_FEW_BARS", f"{len(rows)} bars do not fill the model's windows; ask for more"
        )
    posterior, scores = filter_series(model.hmm, model.scaler.apply(matrix.x), matrix.lengths)
    return {
        "model": version.family.name,
        "version": version.number,
        "digest": version.digest,
        "bar_close_at": utc_text(ns_to_datetime(rows[-1].close_time_ns)),
        "bars": len(rows),
        "probabilities": {
            label: round(float(p), 9) for label, p in zip(model.labels, posterior[-1], strict=True)
        },
        "log_score": round(float(scores[-1]), 9),
    }


def _bars(version: ModelVersion, count: int) -> list[BarRecord]:
    family = version.family
    instrument = Instrument.objects.filter(symbol=family.symbol, market=family.market).first()
    rows = bars_recent(instrument, family.interval, count) if instrument else []
    step = interval_ns(family.interval)
    # Only the unbroken tail: a hole would make one long return of two bars.
    start = max(
        (n for n in range(1, len(rows)) if rows[n].open_time_ns - rows[n - 1].open_time_ns != step), default=0
    )
    if not rows:
        raise NotFound(
            "NO_BARS", f"no live {family.market} bars of {family.symbol} {family.interval} are stored"
        )
    return rows[start:]
