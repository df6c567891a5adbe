"""The history of funding rates: files, the venue, the stream, and what `manage.py funding` says of them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from nautilus_site.common.errors import ApplicationError, Conflict
from trading.domain.errors import VenueUnavailable
from trading.domain.ports import FundingRecord
from universe.models import FundingRate, Instrument, Quote
from universe.selectors import funding_in_force
from universe.services import (
    MarkUpdate,
    funding_fetch,
    funding_follow,
    funding_holes,
    funding_import,
    funding_store,
    marks_store,
)

T0 = datetime(2023, 1, 1, tzinfo=UTC)
T0_MS = 1_672_531_200_000
HOUR_MS = 3_600_000


def record(hours: float, rate: str, *, late_ms: int = 0) -> FundingRecord:
    return FundingRecord(T0_MS + round(hours * HOUR_MS) + late_ms, Decimal(rate))


def stored() -> list[tuple[float, str, str]]:
    """(hours since the first, rate, source)."""
    rows = FundingRate.objects.order_by("symbol", "funding_at")
    return [
        ((row.funding_at - T0).total_seconds() / 3600, f"{row.rate.normalize():f}", row.source)
        for row in rows
    ]


@dataclass
class Settling:
    """A venue that settled these."""

    records: list[FundingRecord]
    asked: list[int | None] = field(default_factory=list)

    def funding_rates(self, symbol: str, *, start_ms: int | None = None) -> list[FundingRecord]:
        self.asked.append(start_ms)
        return [one for one in self.records if start_ms is None or one.time_ms >= start_ms]


def test_a_settlement_is_stored_once_whatever_milliseconds_its_sources_stamp_it_with(db: None) -> None:
    assert funding_store("BTCUSDT", [record(0, "0.0001"), record(8, "0.0002", late_ms=9)], "import").new == 2
    again = funding_store("BTCUSDT", [record(8, "0.0002", late_ms=3)], "rest")
    assert (again.new, again.revised) == (0, 0)
    assert stored() == [(0, "0.0001", "import"), (8, "0.0002", "import")]
    funding_store("ETHUSDT", [record(8, "0.0003")], "rest")
    assert FundingRate.objects.count() == 3


def test_the_venue_corrects_what_the_stream_foresaw_and_the_stream_corrects_nothing(
    bitcoin: Instrument,
) -> None:
    moment, settles = timezone.now(), T0 + timedelta(hours=8)

    def mark(second: float, rate: str, next_at: datetime) -> None:
        at = moment + timedelta(seconds=second)
        marks_store([MarkUpdate(bitcoin.pk, Decimal(100), Decimal(100), Decimal(rate), next_at, at)])

    mark(0, "0.00011", settles)
    mark(1, "0.00012", settles)
    assert stored() == []
    mark(2, "0.00005", settles + timedelta(hours=4))
    assert stored() == [(8, "0.00012", "stream")]
    stored_now = funding_store("BTCUSDT", [record(8, "0.00013", late_ms=4)], "rest")
    assert (stored_now.new, stored_now.revised) == (0, 1)
    # After a silence nobody knows what the last rate before the settlement was: the venue has to be asked.
    mark(30, "0.00007", settles + timedelta(hours=8))
    assert stored() == [(8, "0.00013", "rest")]


def test_a_fetch_asks_from_the_newest_rate_the_venue_confirmed(db: None) -> None:
    venue = Settling([record(0, "0.0001"), record(8, "0.0002"), record(16, "0.0003")])
    assert funding_fetch("BTCUSDT", venue).new == 3
    funding_store("BTCUSDT", [record(24, "0.0009")], "stream")
    venue.records.append(record(24, "0.0004", late_ms=2))
    fetched = funding_fetch("BTCUSDT", venue)
    assert (fetched.new, fetched.revised) == (0, 1)
    assert venue.asked == [None, T0_MS + 16 * HOUR_MS]
    assert stored()[-1] == (24, "0.0004", "rest")


def test_contracts_the_feed_follows_are_kept_up_and_one_that_fails_does_not_hold_the_others(
    db: None, bitcoin: Instrument
) -> None:
    Instrument.objects.update(market="usdm")
    other = Instrument.objects.get(pk=bitcoin.pk)
    other.pk, other.symbol = None, "AAAUSDT"
    other.save()
    for one in (bitcoin, other):
        Quote.objects.create(
            instrument=one, mark_price=1, funding_rate=0, next_funding_at=T0, mark_received_at=timezone.now(),
            bid_quantity=0, ask_quantity=0, received_at=timezone.now(),
        )  # fmt: skip

    class Half(Settling):
        def funding_rates(self, symbol: str, *, start_ms: int | None = None) -> list[FundingRecord]:
            if symbol == "AAAUSDT":
                raise VenueUnavailable(None, "no answer")
            return super().funding_rates(symbol, start_ms=start_ms)

    assert funding_follow(Half([record(0, "0.0001")])) == 1
    assert funding_follow(Half([record(0, "0.0001")])) == 0
    Quote.objects.update(mark_received_at=timezone.now() - timedelta(hours=1))
    unasked = Half([])
    funding_follow(unasked)
    assert unasked.asked == []


def test_closes_know_the_last_rate_and_none_where_there_is_no_history(db: None) -> None:
    import numpy as np

    closes = np.array([(T0_MS + h * HOUR_MS) * 1_000_000 - 1_000_000 for h in (8, 9, 17, 30)], dtype=np.int64)
    assert len(funding_in_force("BTCUSDT", closes)) == 0
    funding_store("BTCUSDT", [record(0, "0.0001"), record(8, "0.0002"), record(16, "0.0003")], "rest")
    known = funding_in_force("BTCUSDT", closes)
    assert known[:3].tolist() == [0.0001, 0.0002, 0.0003]
    assert np.isnan(known[3])


def write(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("\n".join(["calc_time,funding_interval_hours,last_funding_rate", *rows]) + "\n")
    return path


def test_a_file_that_contradicts_the_venue_is_refused_whole(tmp_path: Path, db: None) -> None:
    funding_store("BTCUSDT", [record(8, "0.0002")], "rest")
    path = write(tmp_path, "a.csv", f"{T0_MS},8,0.0001", f"{T0_MS + 8 * HOUR_MS + 5},8,0.0005")
    with pytest.raises(Conflict, match=r"0\.0002"):
        funding_import(path, symbol="BTCUSDT")
    assert len(stored()) == 1
    with pytest.raises(ApplicationError, match="between -1 and 1"):
        funding_store("BTCUSDT", [record(0, "1")], "rest")


def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("funding", *map(str, arguments), stdout=out, stderr=err)
        assert ended.value.code == code
    else:
        call_command("funding", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_imports_lists_and_finds_what_is_missing(tmp_path: Path, db: None) -> None:
    good = write(tmp_path, "a.csv", f"{T0_MS},8,0.0001", f"{T0_MS + 8 * HOUR_MS + 5},8,0.0002")
    bad = write(tmp_path, "b.csv", f"{T0_MS},8,none")
    out, err = run("import", good, bad, "--symbol", "BTCUSDT.P", code=1)
    assert "a.csv: 2 rates (2 new, 0 revised)" in out
    assert "b.csv: line 2" in err
    assert run("validate", "BTCUSDT")[0] == "BTCUSDT: ok, no settlement is missing\n"
    later = write(tmp_path, "c.csv", f"{T0_MS + 24 * HOUR_MS},8,0.0003")
    assert json.loads(run("import", later, "--symbol", "BTCUSDT", "--json")[0])["files"][0]["new"] == 1
    assert json.loads(run("list", "--json")[0]) == [
        {"symbol": "BTCUSDT", "rates": 3, "first": T0.isoformat(), "last": "2023-01-02T00:00:00+00:00"}
    ]
    assert "2023-01-01 08:00 and 2023-01-02 00:00" in run("validate", "BTCUSDT", code=1)[0]
    assert [one.before for one in funding_holes("BTCUSDT")] == [T0 + timedelta(hours=8)]
    assert "no funding of ETHUSDT" in run("validate", "ETHUSDT", code=1)[1]
