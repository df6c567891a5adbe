"""The regime models that strategies run on: found by digest, read once, checked whole, refused in clear words."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading.domain.strategies.parameters import ParameterError

if TYPE_CHECKING:  # numpy comes with the first model, not with the list of strategies
    from trading.domain.regime.artefact import Artefact
    from trading.domain.regime.model import RegimeModel
    from trading.domain.regime.two_clock_filter import TwoClockModel

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PREFIX: Final = re.compile(r"[0-9a-f]{4,64}")
_PROJECT: Final = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model as strategies use it.

    Attributes
    ----------
    train_end_ns : close of the last bar it was trained on; nothing up to there may be traded with it.
    visits : (K,) expected training bars in each state.
    """

    digest: str
    artefact: Artefact
    train_end_ns: int
    visits: tuple[float, ...]

    def flat(self) -> RegimeModel:
        """Return the model where it is a flat one.

        Raises
        ------
        ParameterError : it is a two-clock model.
        """
        from trading.domain.regime.model import RegimeModel

        if not isinstance(self.artefact.model, RegimeModel):
            raise ParameterError("model", f"{self.digest[:12]} is a two-clock model; expected a flat one")
        return self.artefact.model

    def two_clock(self) -> TwoClockModel:
        """Return the model where it is a two-clock one.

        Raises
        ------
        ParameterError : it is a flat model.
        """
        from trading.domain.regime.two_clock_filter import TwoClockModel

        if not isinstance(self.artefact.model, TwoClockModel):
            raise ParameterError("model", f"{self.digest[:12]} is a flat model; expected a two-clock one")
        return self.artefact.model


def model_reads_funding(text: str) -> bool:
    """Return whether the model a parameter names reads the funding rate; no model reads nothing.

    Raises
    ------
    ParameterError : as `served_model`.
    """
    from trading.domain.regime.two_clock_filter import TwoClockModel

    if not text:
        return False
    model = served_model(text).artefact.model
    slow = model.slow_features.names if isinstance(model, TwoClockModel) else ()
    return "funding" in (*model.features.names, *slow)


def models_folder() -> Path:
    """Return where models are kept: `models` below `NAUTILUS_HOME`, or below `var` of the project."""
    home = os.environ.get("NAUTILUS_HOME")
    return (Path(home).expanduser() if home else _PROJECT / "var") / "models"


def served_model(text: str) -> ServedModel:
    """Return the model that a strategy's parameter names.

    Parameters
    ----------
    text : its digest (SHA-256, hexadecimal), an unambiguous beginning of it, or the path of its folder, which is
        named by the digest.

    Raises
    ------
    ParameterError : no text, no such model, or an artefact that is damaged, altered or without a training window.
    """
    return _served(text, str(models_folder()))


@lru_cache(maxsize=64)
def _served(text: str, root: str) -> ServedModel:
    # A digest fixes the content, so what was read once never has to be read again; a refusal is not kept.
    if not text:
        raise ParameterError("model", "missing; name a trained model by its digest or by its folder")
    return _read(_find(text, Path(root)))


def _find(text: str, root: Path) -> Path:
    if "/" in text:
        folder = Path(text).expanduser().resolve()
        if not _DIGEST.fullmatch(folder.name):
            raise ParameterError("model", f"expected a folder named by the model's digest, was {text!r}")
        return folder
    if not _PREFIX.fullmatch(text):
        raise ParameterError("model", f"expected a digest in hexadecimal or a path, was {text!r}")
    found = sorted(folder for folder in root.glob(f"{text}*") if _DIGEST.fullmatch(folder.name))
    if len(found) != 1:
        raise ParameterError("model", f"{len(found)} models below {root} begin with {text!r}; expected one")
    return found[0]


def _read(folder: Path) -> ServedModel:
    from trading.domain.regime.artefact import decode
    from trading.domain.regime.errors import ArtefactRefused

    try:
        document, arrays = (folder / "model.json").read_bytes(), (folder / "arrays.npz").read_bytes()
    except OSError as error:
        raise ParameterError("model", f"{folder} cannot be read: {error.strerror}") from error
    try:
        artefact = decode(document, arrays, folder.name)
    except ArtefactRefused as error:
        raise ParameterError("model", f"{folder.name[:12]} is refused: {error}") from error
    train_end_ns, visits = _lineage(folder.name, artefact.lineage)
    return ServedModel(folder.name, artefact, train_end_ns, visits)


def _lineage(digest: str, lineage: Any) -> tuple[int, tuple[float, ...]]:
    try:
        return int(lineage["train_end_ns"]), tuple(float(count) for count in lineage["visits"])
    except (KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            "model", f"{digest[:12]} does not say on which bars it was trained: {error!r}"
        ) from error
