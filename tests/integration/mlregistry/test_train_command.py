"""`manage.py train`: from imported bars to a checked artefact on disk."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from mlregistry.adapters.artefact_store import ArtefactStore
from tests.unit.trading.domain.regime.simulated import REAL, THREE, simulate
from trading.domain.clock import ns_to_datetime
from trading.domain.regime.model import RegimeModel
from trading.domain.regime.two_clock_filter import TwoClockModel

T0_S = 1_672_531_200  # 2023-01-01 00:00 UTC


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    return tmp_path / "home"


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("train", *arguments, stdout=out, stderr=err)
        assert ended.value.code == code
    else:
        call_command("train", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def stored(tmp_path: Path) -> None:
    """Two thousand hourly bars of a planted market, imported like any other file."""
    returns, _ = simulate(THREE, 2000, seed=12)
    volumes = np.exp(np.random.default_rng(12).normal(3.0, 0.4, size=2000))
    close = 20_000.0
    lines = ["date,open,high,low,close,volume"]
    for n, (change, volume) in enumerate(zip(returns[:, 0], volumes, strict=True)):
        before, close = close, round(close * float(np.exp(change)), 2)
        high, low = max(before, close) * 1.0005, min(before, close) * 0.9995
        at = ns_to_datetime((T0_S + n * 3600) * 1_000_000_000)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{volume:.4f}")
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(lines) + "\n")
    call_command(
        "klines", "import", str(path), "--symbol", "BTCUSDT", "--interval", "1h", stdout=io.StringIO()
    )


HMM = ("hmm", "--symbol", "BTCUSDT", "--interval", "1h")
RETURNS = ("--features", "log_return", "--covariance", "diag")


@pytest.mark.long
@pytest.mark.usefixtures("stored")
def test_training_writes_an_artefact_that_loads_and_the_same_again_is_the_same_digest(home: Path) -> None:
    report = json.loads(run(*HMM, *RETURNS, "--states", "3", "--json")[0])
    assert report["states"] == 3
    assert report["labels"] == ["calm", "trend", "turbulent"]
    assert report["rows"] == 1999
    assert (report["train_start"], report["train_end"]) == (
        "2023-01-01T00:59:59.999000+00:00",
        "2023-03-25T07:59:59.999000+00:00",
    )
    assert report["trace"][-1] == report["log_likelihood"]
    assert [states for states, _ in report["bic_by_states"]] == [1, 2, 3, 4]
    artefact = ArtefactStore(home / "models").read(report["digest"])
    assert isinstance(artefact.model, RegimeModel)
    # The data's own hash is part of the lineage, and so is the file it came from.
    assert len(artefact.lineage["bars_sha256"]) == len(artefact.lineage["file_sha256"]) == 64
    assert json.loads(run(*HMM, *RETURNS, "--states", "3", "--json")[0])["digest"] == report["digest"]
    assert json.loads(run(*HMM, *RETURNS, "--states", "2", "--json")[0])["digest"] != report["digest"]


@pytest.mark.long
@pytest.mark.usefixtures("stored")
def test_without_a_number_of_states_the_table_of_candidates_is_shown() -> None:
    out, _ = run(*HMM, *RETURNS)
    assert "held-out score/row" in out
    assert "<- chosen" in out
    assert "log likelihood by iteration" in out
    assert "digest " in out


@pytest.mark.usefixtures("stored")
def test_a_span_limits_the_bars() -> None:
    report = json.loads(
        run(*HMM, *RETURNS, "--states", "2", "--start", "2023-01-11", "--end", "2023-02-10T00:00", "--json")[
            0
        ]
    )
    assert report["rows"] == 30 * 24  # 721 bars, of which the first has no return
    assert report["train_end"] == "2023-02-10T00:59:59.999000+00:00"


@pytest.mark.usefixtures("stored")
def test_a_champion_lends_its_names() -> None:
    champion = json.loads(run(*HMM, *RETURNS, "--states", "3", "--json")[0])
    refit = json.loads(
        run(
            *HMM,
            *RETURNS,
            "--states",
            "3",
            "--end",
            "2023-03-20",
            "--champion",
            champion["digest"][:12],
            "--json",
        )[0]
    )
    assert refit["regime_map"]["champion"] == champion["digest"]
    assert refit["regime_map"]["new"] is False
    assert refit["labels"] == champion["labels"]


@pytest.mark.usefixtures("stored")
def test_the_hierarchical_model_reports_whether_it_beats_the_flat_one(home: Path) -> None:
    arguments = ("hierarchical_hmm", "--symbol", "BTCUSDT", "--interval", "1h", "--slow-interval", "8h")
    report = json.loads(run(*arguments, "--json")[0])
    model = ArtefactStore(home / "models").read(report["digest"]).model
    assert isinstance(model, TwoClockModel)
    assert report["held_out"]["gain"] == pytest.approx(
        report["held_out"]["two_clock"] - report["held_out"]["flat"]
    )
    out, _ = run(*arguments)
    assert ("beats the flat model" in out) == (report["held_out"]["gain"] > 0)
    assert ("DOES NOT BEAT" in out) == (report["held_out"]["gain"] <= 0)


def test_bars_that_are_not_stored_are_asked_for() -> None:
    _, err = run(*HMM, "--states", "3", code=1)
    assert "no spot bars of BTCUSDT 1h are stored" in err
    assert "klines import" in err


@pytest.mark.usefixtures("stored")
def test_a_refused_training_writes_nothing(home: Path) -> None:
    _, err = run(*HMM, "--states", "3", "--end", "2023-01-05", code=1)
    assert "too few" in err
    _, err = run(*HMM, "--states", "3", "--start", "2030-01-01", code=1)
    assert "no bars in that span" in err
    _, err = run(*HMM, "--features", "imbalance", "--states", "2", code=1)
    assert "imbalance needs a column" in err
    _, err = run(*HMM, "--states", "2", "--champion", "abcdef", code=1)
    assert "0 models begin with 'abcdef'" in err
    assert not list((home / "models").glob("*")) if (home / "models").exists() else True


def test_without_a_database_it_says_what_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("mlregistry.selectors.training_bars.kline_file_get", unreachable)
    _, err = run(*HMM, "--states", "3", code=1)
    assert "the database cannot be reached" in err
    assert "make run" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("neural", "--symbol", "BTCUSDT", "--interval", "1h"),
        (*HMM, "--states", "9"),
        (*HMM, "--states", "some"),
        (*HMM, "--features", "momentum"),
        ("hmm", "--interval", "1h"),
        (*HMM, "--start", "yesterday"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


@pytest.mark.realdata
def test_real_bitcoin_hours_give_three_separate_volatility_regimes(home: Path) -> None:
    source = REAL / "klines_spot_1h/BTCUSDT_1h.csv.gz"
    if not source.exists():
        pytest.skip("recorded market data is not beside the checkout")
    call_command(
        "klines", "import", str(source), "--symbol", "BTCUSDT", "--interval", "1h", stdout=io.StringIO()
    )
    report = json.loads(run(*HMM, "--states", "3", "--json")[0])
    model = ArtefactStore(home / "models").read(report["digest"]).model
    assert isinstance(model, RegimeModel)
    deviations = np.sqrt(model.hmm.emission.covariances[:, 0, 0]) * model.scaler.scale[0]
    # Hourly BTC returns of 2021-23 have a standard deviation of 0.7 %; the regimes lie around it.
    assert deviations[0] < 0.007 < deviations[-1]
    assert (np.diff(deviations) > 0).all()
    assert all(stay is not None and stay > 2 for stay in report["durations"])
