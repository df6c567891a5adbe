"""Reading a registered model: its bytes from the database, checked, and what it looks like to a person."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlregistry.models import ModelArtefact

if TYPE_CHECKING:  # numpy comes with the first model, not with every web process
    from trading.domain.regime.artefact import Artefact, EncodedArtefact


def artefact_recorded(digest: str) -> EncodedArtefact:
    """The bytes as the database has them, not checked.

    Raises
    ------
    ArtefactRefused : no such model is registered.
    """
    from trading.domain.regime.artefact import EncodedArtefact
    from trading.domain.regime.errors import ArtefactRefused

    row = ModelArtefact.objects.filter(digest=digest).first()
    if row is None:
        raise ArtefactRefused(f"no model {digest[:12]} is registered")
    if row.pruned_at is not None:
        raise ArtefactRefused(f"the bytes of model {digest[:12]} were pruned on {row.pruned_at:%Y-%m-%d}")
    return EncodedArtefact(bytes(row.document), bytes(row.arrays), digest)


@lru_cache(maxsize=32)
def artefact_loaded(digest: str) -> Artefact:
    """A model, checked once in a process: a digest fixes the content.

    Raises
    ------
    ArtefactRefused : it was altered, or is not registered.
    """
    from trading.domain.regime.artefact import decode

    encoded = artefact_recorded(digest)
    return decode(encoded.document, encoded.arrays, digest)


def portrait(artefact: Artefact) -> dict[str, Any]:
    """States, transitions and features as JSON members; of a two-clock model the macro chain."""
    import numpy as np

    from trading.domain.regime.model import RegimeModel, expected_durations, stationary_law

    model = artefact.model
    if not isinstance(model, RegimeModel):
        chain = np.asarray(model.hmm.chain.macro_transition)
        return {
            "labels": list(model.labels),
            "transition": [[round(float(p), 6) for p in row] for row in chain],
            "durations": [_finite(value) for value in expected_durations(chain)],
            "stationary": [round(float(p), 6) for p in stationary_law(chain)],
            "features": list(model.features.names),
            "means": None,
            "deviations": None,
        }
    emission = model.hmm.emission
    scale = np.asarray(model.scaler.scale)
    return {
        "labels": list(model.labels),
        "transition": [[round(float(p), 6) for p in row] for row in model.hmm.transition],
        "durations": [_finite(value) for value in model.hmm.expected_durations()],
        "stationary": [round(float(p), 6) for p in model.hmm.stationary()],
        "features": list(model.features.names),
        "means": (np.asarray(emission.means) * scale + np.asarray(model.scaler.center)).tolist(),
        "deviations": (np.sqrt(np.diagonal(emission.covariances, axis1=1, axis2=2)) * scale).tolist(),
    }


def _finite(value: float) -> float | None:
    return round(float(value), 3) if value < float("inf") else None
