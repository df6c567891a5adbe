"""Regime models as research reads them: by digest, from the artefacts on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BarSeries
from trading.domain.clock import NS_PER_S, interval_ns
from trading.domain.regime.artefact import decode
from trading.domain.regime.errors import ArtefactRefused, DegenerateFilter, FeaturesRefused
from trading.domain.regime.model import RegimeModel
from trading.domain.report import Regimes
from trading.domain.report.regimes import known_regimes
from trading.domain.statistics.figures import IntArray
from trading.services.backtests.funding import funding_stored

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def model_load(prefix: str) -> tuple[RegimeModel, str]:
    """Return the checked model whose digest begins with `prefix`, and its digest.

    Raises
    ------
    ApplicationError : code UNKNOWN_MODEL, none or several; MODEL_REFUSED, damaged; NOT_TESTABLE, of two clocks.
    """
    root = Path(settings.NAUTILUS_HOME) / "models"
    wanted = re.fullmatch(r"[0-9a-f]{4,64}", prefix) is not None
    names = sorted(folder.name for folder in root.glob(f"{prefix}*")) if wanted else []
    found = [name for name in names if _DIGEST.fullmatch(name)]
    if len(found) != 1:
        raise ApplicationError("UNKNOWN_MODEL", f"{len(found)} models begin with {prefix!r}")
    try:
        document, arrays = ((root / found[0] / name).read_bytes() for name in ("model.json", "arrays.npz"))
        model = decode(document, arrays, found[0]).model
    except (OSError, ArtefactRefused) as error:
        raise ApplicationError("MODEL_REFUSED", f"model {found[0][:12]}: {error}") from error
    if not isinstance(model, RegimeModel):
        raise ApplicationError(
            "NOT_TESTABLE", f"model {found[0][:12]} has two clocks; only flat ones can be read"
        )
    return model, found[0]


def require_interval(model: RegimeModel, digest: str, interval: str) -> None:
    """Refuse bars of another length than the model was trained on.

    Raises
    ------
    ApplicationError : code NOT_TESTABLE.
    """
    if interval_ns(interval) != model.interval_ns:
        seconds = model.interval_ns // NS_PER_S
        raise ApplicationError(
            "NOT_TESTABLE", f"model {digest[:12]} was trained on bars of {seconds} s, not {interval}"
        )


def regimes_load(prefix: str, series: BarSeries, times_ns: IntArray) -> Regimes:
    """Return the filtered regimes of a model at these times, to colour a report with.

    Raises
    ------
    ApplicationError : as `model_load` and `require_interval`; code NOT_TESTABLE, a bar the model cannot use.
    """
    model, digest = model_load(prefix)
    require_interval(model, digest, series.interval)
    try:
        return known_regimes(model, series, times_ns, funding_stored(series))
    except (FeaturesRefused, DegenerateFilter) as error:
        raise ApplicationError("NOT_TESTABLE", str(error)) from error


def regimes_of(
    params: Mapping[str, Any], series: BarSeries, times_ns: IntArray, *, asked: str | None = None
) -> Regimes | None:
    """Return the regimes to colour a report with: of the model asked for, else of the one the strategy decides by.

    Parameters
    ----------
    params : of the strategy; its `model` may be of a kind that has no flat regimes, then there are none.

    Raises
    ------
    ApplicationError : as `regimes_load`, for a model that was asked for.
    """
    if asked:
        return regimes_load(asked, series, times_ns)
    own = params.get("model")
    if not isinstance(own, str) or not own:
        return None
    try:
        # It may be named by its folder, whose name is its digest.
        return regimes_load(Path(own).name, series, times_ns)
    except ApplicationError:
        return None
