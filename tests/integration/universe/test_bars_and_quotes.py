"""Storing, back-filling and pruning bars; overwriting quotes; the shared weight row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nautilus_site.common.errors import ApplicationError
from tests.integration.universe.market import MINUTE_MS, START_MS, Market, bar
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.errors import VenueUnavailable
from universe.adapters.binance import Priority
from universe.models import Bar, Instrument, Quote, StreamState
from universe.selectors import bar_latest_open_time, bars_recent, quote_get, quotes_by_symbol
from universe.services import (
    MarkUpdate,
    PostgresBackoffStore,
    QuoteUpdate,
    bars_backfill,
    bars_gaps,
    bars_prune,
    bars_store,
    marks_store,
    quotes_store,
    stream_connected,
    stream_disconnected,
    stream_gap_closed,
    stream_heard,
    weight_treasury,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def numbers(instrument: Instrument) -> list[int]:
    """Which minutes of the market are stored."""
    bars = bars_recent(instrument, "1m", 10_000)
    return [(b.open_time_ns - ms_to_ns(START_MS)) // ms_to_ns(MINUTE_MS) for b in bars]


def test_bars_are_stored_once_and_read_back_exactly(bitcoin: Instrument) -> None:
    assert len(bars_store(bitcoin, "1m", [bar(1), bar(0)], "rest")) == 2
    assert bars_store(bitcoin, "1m", [bar(0), bar(1)], "stream") == []
    first = bars_recent(bitcoin, "1m", 10)[0]
    assert (first.open, first.high, first.low, first.close) == (100, 102, 99, 101)
    assert (first.volume, first.quote_volume, first.trades) == (Decimal("2.5"), 250, 7)
    assert Bar.objects.filter(source="rest").count() == 2  # an identical bar is not even rewritten


def test_a_corrected_bar_replaces_the_old_one_and_is_not_new(bitcoin: Instrument) -> None:
    bars_store(bitcoin, "1m", [bar(0)], "stream")
    assert bars_store(bitcoin, "1m", [bar(0, close="100.5")], "rest") == []
    assert bars_recent(bitcoin, "1m", 1)[0].close == Decimal("100.5")


def test_one_impossible_bar_refuses_the_whole_batch(bitcoin: Instrument) -> None:
    with pytest.raises(ApplicationError) as refused:
        bars_store(bitcoin, "1m", [bar(0), replace(bar(1), high=Decimal(1))], "rest")
    assert refused.value.code == "IMPOSSIBLE_BAR"
    assert Bar.objects.count() == 0


def test_the_latest_bars_come_ascending_and_stop_at_a_close(bitcoin: Instrument) -> None:
    bars_store(bitcoin, "1m", [bar(n) for n in range(10)], "rest")
    assert [b.open for b in bars_recent(bitcoin, "1m", 3)] == [107, 108, 109]
    until = ns_to_datetime(ms_to_ns(bar(5).close_time_ms))
    assert [b.open for b in bars_recent(bitcoin, "1m", 2, until)] == [104, 105]
    assert bar_latest_open_time(bitcoin, "1m") == ns_to_datetime(ms_to_ns(bar(9).open_time_ms))
    assert bar_latest_open_time(bitcoin, "5m") is None


def test_a_back_fill_of_an_empty_series_leaves_the_forming_bar_out(bitcoin: Instrument) -> None:
    result = bars_backfill(bitcoin, "1m", Market(newest=20), count=5)
    assert numbers(bitcoin) == [15, 16, 17, 18, 19]
    assert (result.stored, result.gaps) == (5, ())


def test_a_back_fill_closes_holes_before_between_and_after(bitcoin: Instrument) -> None:
    bars_store(bitcoin, "1m", [bar(n) for n in (4, 5, 9, 10)], "stream")
    assert [gap.missing for gap in bars_gaps(bitcoin, "1m")] == [3]
    market = Market(newest=13)
    result = bars_backfill(bitcoin, "1m", market, start_ms=START_MS)
    assert numbers(bitcoin) == list(range(13))
    assert result.stored == 9
    again = bars_backfill(bitcoin, "1m", market, start_ms=START_MS)
    assert (again.stored, again.requests) == (0, 1)  # nothing missing: only the look at the newest bar


def test_bars_the_venue_never_made_stay_a_reported_gap(bitcoin: Instrument) -> None:
    result = bars_backfill(bitcoin, "1m", Market(newest=10, missing={3, 4}), start_ms=START_MS)
    assert numbers(bitcoin) == [0, 1, 2, 5, 6, 7, 8, 9]
    assert [gap.missing for gap in result.gaps] == [2]


def test_market_time_far_from_the_wall_clock_changes_nothing(bitcoin: Instrument) -> None:
    # The market above runs in 2023: by our clock its forming bar closed years ago, and still is not stored.
    bars_backfill(bitcoin, "1m", Market(newest=1), count=1)
    assert numbers(bitcoin) == [0]


def test_pruning_counts_back_from_the_newest_bar(bitcoin: Instrument) -> None:
    day = 24 * 60
    bars_store(bitcoin, "1m", [bar(0), bar(day), bar(2 * day)], "rest")
    assert bars_prune(keep_days={"1m": 1}) == {"1m": 1}
    assert numbers(bitcoin) == [day, 2 * day]


def quote(instrument: Instrument, bid: str | None, ask: str | None, at: datetime) -> QuoteUpdate:
    return QuoteUpdate(
        instrument.pk,
        Decimal(bid) if bid else None,
        Decimal(1),
        Decimal(ask) if ask else None,
        Decimal(2),
        at,
    )


def test_the_newest_quote_wins_within_a_batch_and_against_the_stored(bitcoin: Instrument) -> None:
    late, early = NOW + timedelta(seconds=1), NOW
    assert quotes_store([quote(bitcoin, "11", "12", late), quote(bitcoin, "9", "10", early)]) == 1
    assert quotes_store([quote(bitcoin, "1", "2", early)]) == 0
    stored = quote_get("BTCUSDT")
    assert stored is not None
    assert (stored.bid, stored.ask, stored.received_at) == (11, 12, late)
    assert list(quotes_by_symbol(["BTCUSDT", "ETHUSDT"])) == ["BTCUSDT"]


def test_an_empty_side_is_null_and_a_crossed_or_zero_price_is_refused(bitcoin: Instrument) -> None:
    quotes_store([quote(bitcoin, None, "12", NOW)])
    assert Quote.objects.get().bid is None
    for bid, ask in (("13", "12"), ("0", "12"), ("-1", "12"), ("NaN", "12")):
        with pytest.raises(ValueError, match=r"expected|above"):
            quotes_store([quote(bitcoin, bid, ask, NOW)])


def test_a_ban_seen_by_one_process_reaches_another_through_the_database(db: None) -> None:
    one, other = weight_treasury("binance-spot"), weight_treasury("binance-spot")
    one.saw_limit(60, "HTTP 418")
    one.saw_headers({"X-MBX-USED-WEIGHT-1M": "4800"})
    with pytest.raises(VenueUnavailable):
        other.permit(Priority.EXIT)
    state = PostgresBackoffStore().load("binance-spot")
    assert (state.used, state.limit, state.reason) == (4800, 6000, "HTTP 418")


def test_a_stream_gap_lasts_from_the_last_message_until_it_is_back_filled(db: None) -> None:
    name = "market:binance-spot"
    first = stream_connected(name=name, at=NOW)
    assert first.gap_since == NOW  # nothing proves what came before
    assert stream_gap_closed(name=name, since=NOW)
    heard = NOW + timedelta(seconds=5)
    stream_heard(name=name, at=heard)
    stream_disconnected(name=name, at=NOW + timedelta(seconds=30), reason="cut")
    again = stream_connected(name=name, at=NOW + timedelta(seconds=40))
    assert (again.gap_since, again.reconnects) == (heard, 1)
    assert not stream_gap_closed(name=name, since=NOW)
    assert stream_gap_closed(name=name, since=heard)
    assert StreamState.objects.get(name=name).gap_since is None


def mark(instrument: Instrument, price: str, second: int) -> MarkUpdate:
    return MarkUpdate(
        instrument.pk,
        Decimal(price),
        Decimal(price),
        Decimal("0.0001"),
        NOW + timedelta(hours=8),
        NOW + timedelta(seconds=second),
    )


def test_the_newest_mark_price_stands_beside_the_book_and_does_not_make_it_fresh(
    bitcoin: Instrument,
) -> None:
    assert marks_store([mark(bitcoin, "100", 1), mark(bitcoin, "101", 2)]) == 1
    row = Quote.objects.get(instrument=bitcoin)
    assert (row.mark_price, row.funding_rate, row.bid) == (101, Decimal("0.0001"), None)
    assert row.received_at.year == 1970, "no book was heard yet"
    assert marks_store([mark(bitcoin, "99", 1)]) == 0
    quotes_store([QuoteUpdate(bitcoin.pk, Decimal(98), Decimal(1), Decimal(102), Decimal(1), NOW)])
    row.refresh_from_db()
    assert (row.mark_price, row.bid, row.received_at) == (101, 98, NOW)


@pytest.mark.parametrize("price", ["0", "-1", "NaN"])
def test_a_mark_price_that_is_none_is_refused(bitcoin: Instrument, price: str) -> None:
    with pytest.raises(ValueError, match="mark price"):
        marks_store([mark(bitcoin, price, 1)])
