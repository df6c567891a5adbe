"""Columns mapped from a file are those decoded from Parquet, and never those of another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nautilus_site.common.errors import ApplicationError
from tests.factories.bars import store_bars
from trading.services.backtests import columns
from trading.services.backtests.bars import series_load
from universe.services import kline_files
from universe.services.kline_files import kline_store, klines_read

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    monkeypatch.setattr(columns, "WORTH_KEEPING", 1)
    store_bars(tmp_path)
    return tmp_path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the Parquet files that were decoded."""
    told: list[str] = []

    def noting(row: Any) -> Any:
        told.append(row.path)
        return klines_read(row)

    monkeypatch.setattr(kline_files, "klines_read", noting)
    return told


def loaded() -> Any:
    series, _ = series_load("ETHUSDT", "1h", "spot")
    return series


def test_the_second_load_maps_what_the_first_decoded(decoded: list[str]) -> None:
    first, second = loaded(), loaded()
    assert len(decoded) == 1
    assert first.digest == second.digest
    assert first.instrument == second.instrument
    assert second.close.flags.writeable


def test_writing_to_mapped_columns_changes_nobody_elses(decoded: list[str]) -> None:
    loaded()
    mine = loaded()
    before = mine.digest
    mine.volume[:] = 0.0
    assert loaded().digest == before


def test_other_bars_are_decoded_and_the_old_columns_are_removed(home: Path, decoded: list[str]) -> None:
    before = loaded().digest
    store_bars(home, count=24 * 61, name="more")
    assert loaded().digest != before
    assert len(decoded) == 2
    (folder,) = kline_store().root.rglob("*.columns")
    assert len(list(folder.glob("*.npy"))) == 1


def test_a_file_that_is_not_what_was_catalogued_is_refused_whatever_was_kept(decoded: list[str]) -> None:
    loaded()
    (path,) = kline_store().root.rglob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ApplicationError, match="not what was catalogued"):
        loaded()
