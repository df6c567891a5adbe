from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.regime import test_filter, test_two_clock_filter
from trading.domain.regime.artefact import Artefact, EncodedArtefact, decode, encode
from trading.domain.regime.drift import ScoreReference
from trading.domain.regime.errors import ArtefactRefused
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.two_clock_filter import TwoClockModel

REFERENCE = ScoreReference(-2.0, 1.5, -9.0, 0.5, 6.0)
FLAT = Artefact(
    test_filter.MODEL,
    REFERENCE,
    {"log_return": (np.arange(9.0), np.full(10, 15.0))},
    {"seed": 3, "symbol": "BTCUSDT", "scores": [0.1, None]},
)
TWO_CLOCK = Artefact(test_two_clock_filter.MODEL, REFERENCE, {}, {"seed": 3})


def sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def resealed(encoded: EncodedArtefact, change: Any) -> EncodedArtefact:
    """The artefact with an altered document under a digest that fits it again."""
    document = json.loads(encoded.document)
    change(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return EncodedArtefact(text, encoded.arrays, sha256(text))


def with_array(encoded: EncodedArtefact, name: str, array: np.ndarray) -> EncodedArtefact:
    """The artefact with one array replaced, hashes and digest made to fit."""
    with np.load(io.BytesIO(encoded.arrays)) as archive:
        arrays = {key: archive[key] for key in archive.files} | {name: array}
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]

    def change(document: Any) -> None:
        document["arrays"][name] = {
            "shape": list(array.shape), "dtype": "<f8", "sha256": sha256(np.ascontiguousarray(array).tobytes())
        }  # fmt: skip

    sealed = resealed(encoded, change)
    return EncodedArtefact(sealed.document, packed.getvalue(), sealed.digest)


@pytest.mark.parametrize("artefact", [FLAT, TWO_CLOCK], ids=["flat", "two-clock"])
def test_an_artefact_comes_back_whole_and_its_bytes_are_always_the_same(artefact: Artefact) -> None:
    encoded = encode(artefact)
    assert encode(artefact) == encoded
    back = decode(encoded.document, encoded.arrays, encoded.digest)
    assert encode(back) == encoded
    assert back.reference == REFERENCE
    assert back.lineage == artefact.lineage
    assert type(back.model) is type(artefact.model)


def test_a_loaded_model_filters_to_the_same_bits() -> None:
    encoded = encode(FLAT)
    loaded = decode(encoded.document, encoded.arrays, encoded.digest).model
    assert isinstance(loaded, RegimeModel)
    original = test_filter.RegimeFilter(test_filter.MODEL, encoded.digest)
    assert test_filter.run(test_filter.RegimeFilter(loaded, encoded.digest), 0, 150) == test_filter.run(
        original, 0, 150
    )


def test_a_loaded_two_clock_model_filters_to_the_same_bits() -> None:
    encoded = encode(TWO_CLOCK)
    loaded = decode(encoded.document, encoded.arrays, encoded.digest).model
    assert isinstance(loaded, TwoClockModel)
    runs = [
        test_two_clock_filter.run(test_two_clock_filter.TwoClockFilter(model, encoded.digest), 0, 100)
        for model in (loaded, test_two_clock_filter.MODEL)
    ]
    assert runs[0] == runs[1]


def test_any_changed_number_changes_the_digest() -> None:
    other = Artefact(
        FLAT.model, ScoreReference(-2.0, 1.5, -9.0, 0.5, 6.000000000000001), FLAT.histograms, FLAT.lineage
    )
    assert encode(other).digest != encode(FLAT).digest


def test_another_digest_is_refused() -> None:
    encoded = encode(FLAT)
    with pytest.raises(ArtefactRefused, match="its digest is"):
        decode(encoded.document, encoded.arrays, "0" * 64)


def test_altered_arrays_are_refused() -> None:
    encoded = encode(FLAT)
    for at in range(200, len(encoded.arrays), 97):
        spoiled = bytearray(encoded.arrays)
        spoiled[at] ^= 1
        try:
            back = decode(encoded.document, bytes(spoiled), encoded.digest)
        except ArtefactRefused:
            continue
        # A bit of the container that carries no number may change; the model may not.
        assert encode(back) == encoded


def test_truncated_arrays_are_refused() -> None:
    encoded = encode(FLAT)
    for size in (0, 10, len(encoded.arrays) // 2, len(encoded.arrays) - 1):
        with pytest.raises(ArtefactRefused):
            decode(encoded.document, encoded.arrays[:size], encoded.digest)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("transition", np.array([[0.9, 0.2], [0.1, 0.9]]), "sum to 1"),
        ("transition", np.array([[1.1, -0.1], [0.1, 0.9]]), "probabilities"),
        ("transition", np.eye(3), "shape"),
        ("start", np.array([np.nan, 1.0]), "NaN or infinity"),
        ("covariances", -np.stack([np.eye(3)] * 2), "positive definite"),
        ("scale", np.zeros(3), "positive numbers"),
        ("means", np.zeros((2, 4)), "shape"),
        ("surplus", np.zeros(2), None),
    ],
)
def test_a_document_whose_hashes_fit_but_whose_model_is_impossible_is_refused(
    name: str, array: np.ndarray, words: str | None
) -> None:
    altered = with_array(encode(FLAT), name, array)
    if words is None:
        # A described but unused array harms nothing; one the document does not describe is refused.
        document = json.loads(altered.document)
        del document["arrays"][name]
        text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        altered, words = EncodedArtefact(text, altered.arrays, sha256(text)), "expected arrays"
    with pytest.raises(ArtefactRefused, match=words):
        decode(altered.document, altered.arrays, altered.digest)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format="nautilus-regime-0"), "this version reads"),
        (lambda d: d["model"].update(kind="neural"), "unknown kind"),
        (lambda d: d["model"]["features"].update(volatility_window=7), "not those the model was trained on"),
        (lambda d: d["model"].update(labels=["one"]), "2 different labels"),
        (lambda d: d["model"].pop("interval_ns"), "interval_ns"),
        (lambda d: d["reference"].update(deviation=0.0), "positive deviation"),
        (lambda d: d.pop("arrays"), "arrays"),
        (lambda d: d["arrays"]["means"].update(sha256="0" * 64), "not those the document was made with"),
    ],
)
def test_an_impossible_document_is_refused(change: Any, words: str) -> None:
    altered = resealed(encode(FLAT), change)
    with pytest.raises(ArtefactRefused, match=words):
        decode(altered.document, altered.arrays, altered.digest)


def test_a_document_that_is_no_json_is_refused() -> None:
    encoded = encode(FLAT)
    for text in (b"", b"[]", b"\xff\xfe", b'{"format":'):
        with pytest.raises(ArtefactRefused):
            decode(text, encoded.arrays, sha256(text))


class Canary:
    """What a malicious artefact would run on unpickling."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_inside_the_arrays_is_refused_and_never_runs(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    encoded = encode(FLAT)
    packed = io.BytesIO()
    with np.load(io.BytesIO(encoded.arrays)) as archive:
        arrays = {key: archive[key] for key in archive.files}
    np.savez(packed, **(arrays | {"means": np.array([Canary(canary)], dtype=object)}))  # type: ignore[arg-type]
    with pytest.raises(ArtefactRefused):
        decode(encoded.document, packed.getvalue(), encoded.digest)
    with pytest.raises(ArtefactRefused):
        decode(encoded.document, pickle.dumps(Canary(canary)), encoded.digest)
    assert not canary.exists()


def test_arrays_that_would_unpack_to_gigabytes_are_refused_unread() -> None:
    encoded = encode(FLAT)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("means.npy", b"\0" * 20_000_000)
    assert len(packed.getvalue()) < 100_000
    with pytest.raises(ArtefactRefused, match="unpacks to more"):
        decode(encoded.document, packed.getvalue(), encoded.digest)


def test_a_lineage_with_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Artefact(FLAT.model, REFERENCE, {}, {"score": float("nan")}))
