"""Model artefacts as bytes: a canonical JSON document and an npz of arrays, one digest over both.

The JSON holds the SHA-256 of every array, so its own SHA-256 fixes the whole model; that is the digest models
are known by. Nothing is ever unpickled, and a document that does not describe a valid model is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.drift import ScoreReference
from trading.domain.regime.errors import ArtefactRefused
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock import TwoClockChain, TwoClockHmm
from trading.domain.regime.two_clock_filter import TwoClockModel

FORMAT: Final = "nautilus-regime-1"
FLAT, TWO_CLOCK = "gaussian_hmm", "two_clock_hmm"
_LARGEST_JSON = 4_000_000
_LARGEST_NPZ = 16_000_000
_DTYPE = "<f8"


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """A model and what has to travel with it.

    Attributes
    ----------
    reference : training log scores, for the drift alarm and the gate.
    histograms : by feature name, (edges (B-1,), counts (B,)) of the training rows, for PSI.
    lineage : plain JSON: data window and hash, recipe, seed, scores. No wall-clock time: the same data and
        seed give the same digest.
    """

    model: RegimeModel | TwoClockModel
    reference: ScoreReference
    histograms: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedArtefact:
    """An artefact as its two files and their digest (SHA-256 of `document`, hexadecimal)."""

    document: bytes
    arrays: bytes
    digest: str


def encode(artefact: Artefact) -> EncodedArtefact:
    """Write an artefact; equal artefacts give equal bytes.

    Raises
    ------
    ValueError : the lineage is not plain JSON, or holds a number that is not finite.
    """
    arrays = _arrays_of(artefact.model)
    for name, (edges, counts) in artefact.histograms.items():
        arrays[f"psi_edges.{name}"], arrays[f"psi_counts.{name}"] = edges, counts
    little = {name: np.ascontiguousarray(arrays[name], dtype=_DTYPE) for name in sorted(arrays)}
    document = {
        "format": FORMAT,
        "model": _members_of(artefact.model),
        "reference": {name: getattr(artefact.reference, name) for name in _REFERENCE},
        "lineage": artefact.lineage,
        "arrays": {
            name: {"shape": list(array.shape), "dtype": _DTYPE, "sha256": _sha256(array.tobytes())}
            for name, array in little.items()
        },
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    packed = io.BytesIO()
    np.savez(packed, **little)  # type: ignore[arg-type]
    return EncodedArtefact(text.encode(), packed.getvalue(), _sha256(text.encode()))


def decode(document: bytes, arrays: bytes, digest: str) -> Artefact:
    """Read an artefact back, checking everything before any of it is used.

    Parameters
    ----------
    digest : what the registry says it is.

    Raises
    ------
    ArtefactRefused : another digest, damaged or altered bytes, missing or superfluous arrays, shapes or types
        that differ, numbers that are not finite, rows that do not sum to 1, covariances that are not
        positive definite.
    """
    if len(document) > _LARGEST_JSON or len(arrays) > _LARGEST_NPZ:
        raise ArtefactRefused("larger than any model of this format")
    if _sha256(document) != digest:
        raise ArtefactRefused(f"its digest is {_sha256(document)[:12]}, expected {digest[:12]}")
    try:
        parsed = json.loads(document)
        if parsed["format"] != FORMAT:
            raise ArtefactRefused(f"format {parsed['format']!r}; this version reads {FORMAT}")
        loaded = _read_arrays(arrays, parsed["arrays"])
        model = _model(parsed["model"], loaded)
        reference = ScoreReference(**{name: float(parsed["reference"][name]) for name in _REFERENCE})
        histograms = {
            name.removeprefix("psi_edges."): (loaded[name], loaded[name.replace("edges", "counts", 1)])
            for name in loaded
            if name.startswith("psi_edges.")
        }
        return Artefact(model, reference, histograms, parsed["lineage"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactRefused(f"not a valid model: {error}") from error


_REFERENCE = ("mean", "deviation", "floor", "slack", "threshold")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _arrays_of(model: RegimeModel | TwoClockModel) -> dict[str, FloatArray]:
    if isinstance(model, RegimeModel):
        return {
            "start": model.hmm.start,
            "transition": model.hmm.transition,
            **_emission_arrays("", model.hmm.emission, model.scaler),
        }
    chain = model.hmm.chain
    return {
        "macro_start": chain.macro_start,
        "macro_transition": chain.macro_transition,
        "micro_start": chain.micro_start,
        "micro_transition": chain.micro_transition,
        **_emission_arrays("fast_", model.hmm.fast, model.scaler),
        **_emission_arrays("slow_", model.hmm.slow, model.slow_scaler),
    }


def _emission_arrays(prefix: str, emission: GaussianEmission, scaler: Scaler) -> dict[str, FloatArray]:
    return {
        f"{prefix}means": emission.means,
        f"{prefix}covariances": emission.covariances,
        f"{prefix}center": scaler.center,
        f"{prefix}scale": scaler.scale,
    }


def _members_of(model: RegimeModel | TwoClockModel) -> dict[str, Any]:
    if isinstance(model, RegimeModel):
        return {
            "kind": FLAT,
            "covariance": model.hmm.emission.kind,
            "clip": model.scaler.clip,
            "features": model.features.members(),
            "features_sha256": model.features.digest(),
            "labels": list(model.labels),
            "interval_ns": model.interval_ns,
        }
    return {
        "kind": TWO_CLOCK,
        "covariance": model.hmm.fast.kind,
        "slow_covariance": model.hmm.slow.kind,
        "power": model.hmm.power,
        "clip": model.scaler.clip,
        "slow_clip": model.slow_scaler.clip,
        "features": model.features.members(),
        "features_sha256": model.features.digest(),
        "slow_features": model.slow_features.members(),
        "labels": list(model.labels),
        "micro_labels": list(model.micro_labels),
        "interval_ns": model.interval_ns,
        "slow_interval_ns": model.slow_interval_ns,
    }


def _read_arrays(content: bytes, described: Mapping[str, Any]) -> dict[str, FloatArray]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Judged by the directory, before anything is unpacked.
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _LARGEST_NPZ:
                raise ArtefactRefused("unpacks to more than any model of this format")
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
                raise ArtefactRefused("the arrays are packed in a way this format does not use")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if set(archive.files) != set(described):
                raise ArtefactRefused(f"expected arrays {sorted(described)}, was {sorted(archive.files)}")
            loaded = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:  # zipfile's own, some of them bare
        raise ArtefactRefused(f"the arrays are damaged: {error}") from error
    for name, array in loaded.items():
        wanted = described[name]
        if (
            array.dtype != np.dtype(_DTYPE)
            or wanted["dtype"] != _DTYPE
            or list(array.shape) != wanted["shape"]
        ):
            raise ArtefactRefused(f"{name}: another type or shape than the document says")
        if _sha256(np.ascontiguousarray(array).tobytes()) != wanted["sha256"]:
            raise ArtefactRefused(f"{name}: its numbers are not those the document was made with")
        if not np.isfinite(array).all():
            raise ArtefactRefused(f"{name}: a NaN or infinity")
    return {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in loaded.items()}


def _model(members: Mapping[str, Any], arrays: Mapping[str, FloatArray]) -> RegimeModel | TwoClockModel:
    spec = _spec(members["features"])
    if spec.digest() != members["features_sha256"]:
        raise ArtefactRefused("the features are not those the model was trained on")
    labels, interval_ns = tuple(str(name) for name in members["labels"]), int(members["interval_ns"])
    if members["kind"] == FLAT:
        emission = GaussianEmission(members["covariance"], arrays["means"], arrays["covariances"])
        hmm = GaussianHmm(arrays["start"], arrays["transition"], emission)
        scaler = Scaler(arrays["center"], arrays["scale"], float(members["clip"]))
        return RegimeModel(hmm, scaler, spec, labels, interval_ns)
    if members["kind"] != TWO_CLOCK:
        raise ArtefactRefused(f"unknown kind of model {members['kind']!r}")
    chain = TwoClockChain(
        arrays["macro_start"], arrays["macro_transition"], arrays["micro_start"], arrays["micro_transition"]
    )
    fast = GaussianEmission(members["covariance"], arrays["fast_means"], arrays["fast_covariances"])
    slow = GaussianEmission(members["slow_covariance"], arrays["slow_means"], arrays["slow_covariances"])
    return TwoClockModel(
        TwoClockHmm(chain, fast, slow, float(members["power"])),
        Scaler(arrays["fast_center"], arrays["fast_scale"], float(members["clip"])),
        spec,
        Scaler(arrays["slow_center"], arrays["slow_scale"], float(members["slow_clip"])),
        _spec(members["slow_features"]),
        labels,
        tuple(str(name) for name in members["micro_labels"]),
        interval_ns,
        int(members["slow_interval_ns"]),
    )


def _spec(members: Mapping[str, Any]) -> FeatureSpec:
    return FeatureSpec(
        tuple(str(name) for name in members["names"]),
        int(members["volatility_window"]),
        int(members["volume_window"]),
        float(members["epsilon"]),
    )
