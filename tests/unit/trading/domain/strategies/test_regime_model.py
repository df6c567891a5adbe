"""Models are found by digest or folder, read once, and refused in clear words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.trading.domain.strategies.regimes import artefact, flat_model, two_clock_model, write
from trading.domain.strategies import ParameterError, parse_params, registry
from trading.domain.strategies.regime_model import model_reads_funding, models_folder, served_model

BUILT_IN = registry()
ON_A_MODEL = ["hmm_policy", "ma_hmm_ensemble", "hierarchical_hmm"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAUTILUS_HOME", str(tmp_path))
    return tmp_path / "models"


def test_a_model_is_found_by_its_digest_its_beginning_and_its_folder(home: Path) -> None:
    digest = write(home, artefact(flat_model()))
    assert models_folder() == home
    for text in (digest, digest[:8], str(home / digest)):
        assert served_model(text).digest == digest


def test_a_model_is_read_once(home: Path) -> None:
    digest = write(home, artefact(flat_model()))
    first = served_model(digest)
    (home / digest / "model.json").unlink()
    assert served_model(digest) is first


def test_a_model_that_appears_later_is_found_then(home: Path) -> None:
    made = artefact(flat_model(means=(0.0005, -0.001)))
    digest = write(home / "elsewhere", made)
    with pytest.raises(ParameterError, match="0 models"):
        served_model(digest)
    write(home, made)
    assert served_model(digest).digest == digest


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_without_a_model_a_strategy_refuses_to_start(name: str) -> None:
    strategy = BUILT_IN[name]()
    with pytest.raises(ParameterError, match="missing") as refused:
        strategy.initial(parse_params(BUILT_IN[name].Params, {}))
    assert refused.value.field == "model"


@pytest.mark.parametrize("name", ON_A_MODEL)
def test_parameters_that_name_no_model_are_refused(name: str, home: Path) -> None:
    for text in ("0123abcd", "../models", "not hexadecimal"):
        with pytest.raises(ParameterError) as refused:
            parse_params(BUILT_IN[name].Params, {"model": text})
        assert refused.value.field == "model"


def test_two_models_with_the_same_beginning_are_not_guessed_between(home: Path) -> None:
    for digest in ("ab" * 32, "ab" * 31 + "cd"):
        (home / digest).mkdir(parents=True)
    with pytest.raises(ParameterError, match="2 models"):
        served_model("abab")


@pytest.mark.parametrize("name", ["model.json", "arrays.npz"])
def test_an_altered_artefact_is_refused(name: str, home: Path) -> None:
    digest = write(home, artefact(flat_model()))
    path = home / digest / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ParameterError, match="refused"):
        served_model(digest)


def test_half_an_artefact_is_refused(home: Path) -> None:
    digest = write(home, artefact(flat_model()))
    (home / digest / "arrays.npz").unlink()
    with pytest.raises(ParameterError, match="cannot be read"):
        served_model(digest)


def test_a_model_that_does_not_say_when_it_was_trained_is_refused(home: Path) -> None:
    digest = write(home, artefact(flat_model(), train_end_ns=None))
    with pytest.raises(ParameterError, match="on which bars it was trained"):
        served_model(digest)


def test_a_model_says_whether_it_looks_at_funding(home: Path) -> None:
    looks = write(home, artefact(flat_model(features=("log_return", "funding"))))
    assert model_reads_funding(looks)
    assert not model_reads_funding(write(home, artefact(flat_model())))
    assert not model_reads_funding("")


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("hmm_policy", two_clock_model, "two-clock"),
        ("ma_hmm_ensemble", two_clock_model, "two-clock"),
        ("hierarchical_hmm", flat_model, "flat"),
    ],
)
def test_a_model_of_the_other_kind_is_refused(name: str, made: Any, message: str, home: Path) -> None:
    digest = write(home, artefact(made(), held_out={"gain": 1.0}))
    with pytest.raises(ParameterError, match=message):
        parse_params(BUILT_IN[name].Params, {"model": digest})
