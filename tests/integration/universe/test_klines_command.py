"""`manage.py klines`: formats, refusals with line numbers, gaps, the catalogue."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command
from pyarrow import feather
from pyarrow import parquet as pq

from tests.integration.universe.market import START_MS, Market
from universe.models import KlineFile
from universe.services.kline_files import kline_file_check, kline_store, klines_download, klines_read

DATA = Path(__file__).resolve().parents[3].parent / "shared/data"
HOUR_MS = 3_600_000
# Without the time of day in the header, so that every process that collects these cases sees the same bytes.
compressed = partial(gzip.compress, mtime=0)
T0 = 1_700_002_800_000  # 2023-11-14 23:00:00 UTC


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    return tmp_path


def archive_rows(count: int, *, unit: int = 1) -> list[str]:
    """Rows as in Binance's public archive; `unit` 1000 writes microseconds."""
    return [
        f"{(T0 + n * HOUR_MS) * unit},10.5,12.25,9,11,100.5,"
        f"{(T0 + (n + 1) * HOUR_MS - 1) * unit},1050.25,42,60,630,0"
        for n in range(count)
    ]


def plain(*rows: str) -> str:
    return "\n".join(["date,open,high,low,close,volume", *rows]) + "\n"


PLAIN = plain(
    "2023-11-14 23:00:00,10.5,12.25,9,11,100.5",
    "2023-11-15 00:00:00,10.5,12.25,9,11,100.5",
    "2023-11-15 01:00:00,10.5,12.25,9,11,100.5",
)


def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("klines", *[str(a) for a in arguments], stdout=out, stderr=err)
        assert ended.value.code == code
    else:
        call_command("klines", *[str(a) for a in arguments], stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def bring_in(path: Path, code: int = 0, *more: str) -> tuple[str, str]:
    return run("import", path, "--symbol", "BTCUSDT", "--interval", "1h", *more, code=code)


def table() -> pa.Table:
    return klines_read(KlineFile.objects.get())


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("BTCUSDT-1h.csv", content)
    return buffer.getvalue()


def as_feather(path: Path) -> Path:
    dates = pa.array([T0 + n * HOUR_MS for n in range(3)]).cast(pa.timestamp("ms", "UTC"))
    columns = {"open": 10.5, "high": 12.25, "low": 9.0, "close": 11.0, "volume": 100.5}
    feather.write_feather(pa.table({"date": dates, **{k: [v] * 3 for k, v in columns.items()}}), path)
    return path


def as_parquet(path: Path) -> Path:
    columns: dict[str, list[Any]] = {"open_time": [T0 + n * HOUR_MS for n in range(3)]}
    columns |= {"open": [10.5] * 3, "high": ["12.25"] * 3, "low": [Decimal(9)] * 3, "close": [11] * 3}
    pq.write_table(pa.table({**columns, "volume": [100.5] * 3}), path)
    return path


HEADER = (
    "open_time,open,high,low,close,volume,close_time,"
    "quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
FORMATS: dict[str, str | bytes] = {
    "archive.csv": "\n".join(archive_rows(3)),
    "archive_us.csv": "\n".join(archive_rows(3, unit=1000)) + "\n",
    "archive_header.csv": "\n".join([HEADER, *archive_rows(3)]) + "\n",
    "archive.zip": zipped("\n".join(archive_rows(3))),
    "archive.csv.gz": compressed("\n".join(archive_rows(3)).encode()),
    "plain.csv": PLAIN,
    "plain_crlf.csv": PLAIN.replace("\n", "\r\n"),
    "freqtrade.json": json.dumps([[T0 + n * HOUR_MS, 10.5, 12.25, 9.0, 11.0, 100.5] for n in range(3)]),
    "freqtrade.json.gz": compressed(
        json.dumps([[T0 + n * HOUR_MS, 10.5, 12.25, 9, 11, 100.5] for n in range(3)]).encode()
    ),
}


@pytest.mark.parametrize("name", [*FORMATS, "freqtrade.feather", "vendor.parquet", "vendor.parquet.gz"])
def test_every_format_gives_the_same_three_exact_bars(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name in FORMATS:
        write(path, FORMATS[name])
    elif "feather" in name:
        as_feather(path)
    else:
        as_parquet(path)
        if name.endswith(".gz"):
            write(path, compressed(path.read_bytes()))
    bring_in(path)
    bars = table()
    assert bars.column("open_time").to_pylist() == [
        datetime(2023, 11, 14, 23, tzinfo=UTC),
        datetime(2023, 11, 15, 0, tzinfo=UTC),
        datetime(2023, 11, 15, 1, tzinfo=UTC),
    ]
    for column, value in (
        ("open", "10.5"),
        ("high", "12.25"),
        ("low", "9"),
        ("close", "11"),
        ("volume", "100.5"),
    ):
        assert bars.column(column).to_pylist() == [Decimal(value)] * 3
    assert bars.column("trades").to_pylist() == ([42] * 3 if name.startswith("archive") else [None] * 3)


GOOD = "2023-11-14 23:00:00,10,12,9,11,1"


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (
            plain(GOOD, "2023-11-15 01:00:00,10,12,9,11,1", "2023-11-15 00:00:00,10,12,9,11,1"),
            4,
            "comes after",
        ),
        (plain(GOOD, "2023-11-14 23:00:00,10,12,9,11,2"), 3, "second, different bar"),
        (plain(GOOD, "2023-11-15 00:00:00,10,12,9"), 3, "expected 6 columns, had 4"),
        (plain(GOOD, "2023-11-15 00:00:00,10,9.5,9,11,1"), 3, "above high"),
        (plain(GOOD, "2023-11-15 00:00:00,10,12,10.5,11,1"), 3, "below low"),
        (plain(GOOD, "2023-11-15 00:00:00,10,NaN,9,11,1"), 3, "high is not a usable number"),
        (plain(GOOD, "2023-11-15 00:00:00,10,12,9,,1"), 3, "close is not a usable number"),
        (plain(GOOD, "2023-11-15 00:00:00,10,12,9,11,-1"), 3, "volume is negative"),
        (plain(GOOD, "2023-11-15 00:00:00,0,12,0,11,1"), 3, "must be above zero"),
        (plain(GOOD, "2023-11-15 00:00:00,10,12,9,11.00000000001,1"), 3, "more digits"),
        (plain(GOOD, "2023-11-15 00:30:00,10,12,9,11,1"), 3, "not on the grid"),
        (plain(GOOD, "yesterday,10,12,9,11,1"), 3, "expected a time"),
        ("1,2,3\n", 1, "expected a header or the 12 columns"),
        ("date,open,high,low,close\n", 1, "missing columns: volume"),
        ("", 1, "no rows"),
        ("[[1700002800000, 1, 2]]", 1, "expected 6 numbers"),
        (compressed(PLAIN.encode())[:-12], 1, "damaged"),
    ],
)
def test_a_bad_file_is_refused_whole_with_its_line(
    content: str | bytes, line: int, words: str, tmp_path: Path
) -> None:
    _, err = bring_in(write(tmp_path / "bad.csv", content), 1)
    assert f"line {line}: " in err
    assert words in err
    assert "refused" in err
    assert not KlineFile.objects.exists()
    assert not list(kline_store().root.rglob("*.parquet"))


def test_bars_of_another_interval_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "hours.csv", PLAIN)
    _, err = run("import", path, "--symbol", "BTCUSDT", "--interval", "1m", code=1)
    assert "3600 s apart, not 1m" in err


def test_identical_duplicates_are_dropped_and_reported(tmp_path: Path) -> None:
    out, _ = bring_in(write(tmp_path / "twice.csv", plain(GOOD, GOOD, GOOD)))
    assert "dropped identical duplicates at lines 3, 4" in out
    assert table().num_rows == 1


def test_a_gap_is_reported_and_accepted(tmp_path: Path) -> None:
    rows = archive_rows(6)
    out, _ = bring_in(write(tmp_path / "gap.csv", "\n".join(rows[:2] + rows[4:])))
    assert "gap: 2 bars missing, 2023-11-15 01:00 to 2023-11-15 02:00" in out
    assert KlineFile.objects.get().gaps == [
        {
            "first_missing": "2023-11-15T01:00:00+00:00",
            "last_missing": "2023-11-15T02:00:00+00:00",
            "missing": 2,
        }
    ]


def test_files_are_merged_and_a_second_import_changes_nothing(tmp_path: Path) -> None:
    rows = archive_rows(6)
    one, two = write(tmp_path / "a.csv", "\n".join(rows[3:])), write(tmp_path / "b.csv", "\n".join(rows[:4]))
    run("import", one, two, "--symbol", "btc/usdt", "--interval", "1h")
    before = KlineFile.objects.get().sha256
    out, _ = bring_in(two)
    assert "(0 new)" in out
    assert (table().num_rows, KlineFile.objects.get().sha256) == (6, before)


def test_a_richer_source_fills_columns_in_and_a_poorer_one_does_not_empty_them(tmp_path: Path) -> None:
    bring_in(write(tmp_path / "plain.csv", PLAIN))
    bring_in(write(tmp_path / "archive.csv", "\n".join(archive_rows(3))))
    bring_in(write(tmp_path / "plain.csv", PLAIN))
    assert table().column("trades").to_pylist() == [42, 42, 42]


def test_a_file_that_contradicts_the_store_is_refused_and_the_store_kept(tmp_path: Path) -> None:
    bring_in(write(tmp_path / "a.csv", PLAIN))
    other = PLAIN.replace("2023-11-15 00:00:00,10.5,12.25,9,11,", "2023-11-15 00:00:00,10.5,12.25,9,11.5,")
    _, err = bring_in(write(tmp_path / "b.csv", other), 1)
    assert "differs from the stored bar of 2023-11-15 00:00:00" in err
    assert table().column("close").to_pylist() == [Decimal(11)] * 3


def test_check_finds_a_changed_and_a_missing_file(tmp_path: Path) -> None:
    bring_in(write(tmp_path / "a.csv", PLAIN))
    out, _ = run("check", "BTCUSDT", "1h")
    assert "ok, 3 bars" in out
    row = KlineFile.objects.get()
    path = kline_store().root / row.path
    pq.write_table(pq.read_table(path).slice(0, 2), path)
    problems = kline_file_check(row).problems
    assert any("hash" in problem for problem in problems)
    assert any("2 bars, the catalogue says 3" in problem for problem in problems)
    run("check", code=1)
    path.unlink()
    out, _ = run("check", "--json", code=1)
    assert json.loads(out)[0]["problems"] == ["the file is missing"]


def test_list_prints_the_catalogue_as_json(tmp_path: Path) -> None:
    bring_in(write(tmp_path / "a.csv", PLAIN))
    (row,) = json.loads(run("list", "--json")[0])
    assert (row["symbol"], row["interval"], row["rows"], row["missing_bars"]) == ("BTCUSDT", "1h", 3, 0)
    assert row["path"] == "spot/BTCUSDT/1h.parquet"


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "x.csv"),
        ("import", "x.csv", "--symbol", "BTCUSDT", "--interval", "1M"),
        ("download", "BTCUSDT", "1h"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_read(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):  # from a shell: exit code 2
        call_command("klines", *arguments)


def test_a_download_stores_closed_bars_only_and_joins_an_earlier_one() -> None:
    start = datetime.fromtimestamp(START_MS / 1000, UTC)
    first = klines_download(Market(newest=5), symbol="BTCUSDT", interval="1m", start=start)
    later = klines_download(Market(newest=9), symbol="BTCUSDT", interval="1m", start=start)
    assert (first.new_rows, later.new_rows) == (5, 4)
    assert table().column("open").to_pylist() == [Decimal(100 + n) for n in range(9)]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "interval", "rows", "first", "last"),
    [  # counts and spans as the data's own description states them
        ("klines_spot_1h/OPUSDT_1h.csv.gz", "1h", None, "2022-06-01T08:00", "2023-12-30T20:00"),
        ("klines_spot_1h/BTCUSDT_1h.csv.gz", "1h", (19_599, 19_600), "2021-04-04T20:00", "2023-06-30T23:00"),
        ("klines_spot_15m/HOOKUSDT_15m.csv.gz", "15m", None, "2022-12-01T14:30", "2023-12-31"),
        ("freqtrade/futures__XRP_USDT_USDT-5m-futures.feather", "5m", None, "2021-11-15", "2021-11-21"),
    ],
)
def test_recorded_files_are_imported_whole(
    name: str, interval: str, rows: tuple[int, int] | None, first: str, last: str
) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip("no recorded market data beside the checkout")
    run(
        "import",
        path,
        "--symbol",
        path.name.split("_")[0] if "spot" in name else "XRPUSDT",
        "--interval",
        interval,
    )
    row = KlineFile.objects.get()
    assert row.first_open_time.isoformat().startswith(first)
    assert row.last_open_time.isoformat().startswith(last)
    if rows:
        assert rows[0] <= row.rows <= rows[1]
    if name.endswith(".csv.gz"):
        lines = gzip.decompress(path.read_bytes()).decode().strip().split("\n")[1:]
        assert row.rows == len({line.split(",")[0] for line in lines})
        assert sum(table().column("close").to_pylist()) == sum(Decimal(line.split(",")[4]) for line in lines)
