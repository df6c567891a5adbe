"""Files of funding rates: the venue's archive, names of our own, and what is refused with its line."""

from __future__ import annotations

import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from trading.domain.ports import FundingRecord
from universe.adapters.funding_files import FundingFileRefused, read_funding_file

# As in data.binance.vision/data/futures/um/monthly/fundingRate.
ARCHIVE = (
    "calc_time,funding_interval_hours,last_funding_rate\n"
    "1672531200000,8,0.00010000\n"
    "1672560000005,8,-0.00003104\n"
)
RECORDS = [
    FundingRecord(1_672_531_200_000, Decimal("0.0001")),
    FundingRecord(1_672_560_000_005, Decimal("-0.00003104")),
]


def zipped(text: str, *names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [ARCHIVE.encode(), zipped(ARCHIVE, "one.csv"), gzip.compress(ARCHIVE.encode(), mtime=0)],
    ids=["csv", "zip", "gzip"],
)
def test_the_archive_is_read_as_it_is_or_compressed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "BTCUSDT-fundingRate-2023-01.zip"
    path.write_bytes(content)
    assert read_funding_file(path) == RECORDS


def test_names_of_our_own_and_of_the_rest_interface_are_read_with_the_mark_price(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("time,rate,mark_price\n2023-01-01T00:00:00,0.0001,16500.5\n2023-01-01T08:00:00Z,0,\n")
    first, second = read_funding_file(path)
    assert first == FundingRecord(1_672_531_200_000, Decimal("0.0001"), Decimal("16500.5"))
    assert second == FundingRecord(1_672_560_000_000, Decimal(0))
    path.write_text("symbol,fundingTime,fundingRate\nBTCUSDT,1672531200000,0.0001\n")
    assert read_funding_file(path) == RECORDS[:1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a header"),
        ("a,b\n1,2\n", "expected a header"),
        ("time,rate\n", "no rows"),
        ("time,rate\n1672531200000,x\n", "line 2"),
        ("time,rate\n1672531200000,1.5\n", "line 2: expected a rate between -1 and 1"),
        ("time,rate\n1672531200000,0.000000001\n", "finer than 1e-8"),
        ("time,rate\n1672531200000,0.1\n1672531200000,0.1\n", "line 3: its time is not after"),
        ("time,rate\nyesterday,0.1\n", "line 2"),
        ("time,rate\n1672531200000\n", "line 2"),
        ("time,rate,mark_price\n1672531200000,0.1,-2\n", "mark price above zero"),
    ],
)
def test_a_file_that_is_not_one_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FundingFileRefused, match=says):
        read_funding_file(path)


def test_a_damaged_zip_and_one_of_two_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(zipped(ARCHIVE, "a.csv", "b.csv"))
    with pytest.raises(FundingFileRefused, match="found 2"):
        read_funding_file(path)
    path.write_bytes(zipped(ARCHIVE, "a.csv")[:60])
    with pytest.raises(FundingFileRefused, match="damaged"):
        read_funding_file(path)
