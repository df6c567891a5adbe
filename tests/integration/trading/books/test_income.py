"""Funding, transfers and liquidation fees: booked once by the venue's id, and divided among those they are for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trading.domain.ports import IncomeReport
from trading.models import Account, EquityAnchor, IncomeCursor, LedgerEntry, SubBalance, SubPosition
from trading.services.income import income_baseline, income_book, income_opened, income_sweep

if TYPE_CHECKING:
    from tests.factories.futures import Futures


def row(kind: str, amount: str, *, id_: str, symbol: str | None = None, at: int = 1_000) -> IncomeReport:
    return IncomeReport(id_, kind, "USDT", Decimal(amount), symbol, None, at)


class Venue:
    """Lists income rows from a time on, like the exchange."""

    def __init__(self, *rows: IncomeReport) -> None:
        self.rows = list(rows)

    def income(self, *, start_ms: int, end_ms: int | None = None) -> list[IncomeReport]:
        return [r for r in self.rows if r.time_ms >= start_ms]


def wallets(futures: Futures) -> dict[str, Decimal]:
    rows = SubBalance.objects.filter(account=futures.account, asset="USDT").exclude(amount=0)
    return {r.owner: r.amount for r in rows}


def test_funding_is_booked_once_and_follows_the_quantity_each_owner_has(futures: Futures) -> None:
    """A net +2 of a +3 and b -1 pays 0.6: 0.9 is a's, and b receives 0.3."""
    futures.fill("BUY", "0.3", "60000", strategy="a")
    futures.fill("SELL", "0.1", "60000", strategy="b", realized="0")
    paid = row("FUNDING_FEE", "-0.6", id_="77", symbol="BTCUSDT")
    assert income_book(futures.account, [paid]) == 1
    assert income_book(futures.account, [paid, paid]) == 0
    assert futures.wallet() == Decimal("9999.4")
    assert wallets(futures) == {"": 10_000, "a": Decimal("-0.9"), "b": Decimal("0.3")}
    parts = {part.owner: part.funding for part in SubPosition.objects.all()}
    assert parts == {"a": Decimal("0.9"), "b": Decimal("-0.3")}
    assert futures.position().funding == Decimal("0.6")


def test_results_and_commissions_of_the_income_are_the_fills_own(futures: Futures) -> None:
    futures.fill("BUY", "0.1", "60000", fee="2.4")
    told = [row("COMMISSION", "-2.4", id_="1", symbol="BTCUSDT"), row("REALIZED_PNL", "5", id_="2")]
    assert income_book(futures.account, told) == 0
    assert futures.wallet() == Decimal("9997.6")


def test_a_transfer_moves_day_start_and_peak_with_it(futures: Futures) -> None:
    from nautilus_site.common.clock import now

    Account.objects.update(day_start_equity=10_000, peak_equity=12_000)
    EquityAnchor.objects.create(
        scope="global",
        equity=10_000,
        day_started_on=now().date(),
        day_start_equity=10_000,
        peak_equity=12_000,
        marked_at=now(),
    )
    income_book(futures.account, [row("TRANSFER", "500", id_="9")])
    account = Account.objects.get()
    assert (account.day_start_equity, account.peak_equity) == (10_500, 12_500)
    anchor = EquityAnchor.objects.get(pk="global")
    assert (anchor.day_start_equity, anchor.peak_equity) == (10_500, 12_500)
    assert futures.wallet() == 10_500


def test_what_came_before_the_opening_is_in_the_opening(futures: Futures) -> None:
    venue: Any = Venue(row("TRANSFER", "100", id_="1", at=5), row("FUNDING_FEE", "-1", id_="2", at=5))
    income_opened(futures.account, income_baseline(venue))
    assert income_sweep(futures.account, venue) == 0
    venue.rows.append(row("TRANSFER", "7", id_="3", at=5))  # the same millisecond, and new
    venue.rows.append(row("TRANSFER", "1", id_="4", at=900_000))
    assert income_sweep(futures.account, venue) == 2
    assert income_sweep(futures.account, venue) == 0
    assert futures.wallet() == 10_008
    assert IncomeCursor.objects.get().read_to_ms == 900_000


def test_a_row_that_appears_late_is_still_read(futures: Futures) -> None:
    venue: Any = Venue(row("TRANSFER", "1", id_="1", at=500_000))
    income_opened(futures.account, (0, []))
    income_sweep(futures.account, venue)
    venue.rows.append(row("FUNDING_FEE", "-2", id_="2", symbol="BTCUSDT", at=450_000))
    assert income_sweep(futures.account, venue) == 1
    assert futures.wallet() == 9_999


def test_a_liquidation_fee_is_for_those_who_were_liquidated(futures: Futures) -> None:
    futures.fill("BUY", "0.3", "60000", strategy="a")
    futures.fill("BUY", "0.1", "60000", strategy="b")
    futures.fill(
        "SELL", "0.4", "59000", origin="external", client_order_id="autoclose-1", fee="4", realized="-400"
    )
    income_book(futures.account, [row("INSURANCE_CLEAR", "-10", id_="5", symbol="BTCUSDT")])
    split = {e.sub: e.amount for e in LedgerEntry.objects.filter(owner="account", kind="liquidation")}
    assert split == {"a": Decimal("-7.5"), "b": Decimal("-2.5")}


def test_in_hedge_mode_the_larger_payment_is_the_larger_sides(hedged: Futures) -> None:
    hedged.fill("BUY", "0.3", "60000", position_side="LONG", strategy="a")
    hedged.fill("SELL", "0.1", "60000", position_side="SHORT", strategy="b")
    rows = [
        row("FUNDING_FEE", "-0.9", id_="1", symbol="BTCUSDT"),
        row("FUNDING_FEE", "0.3", id_="2", symbol="BTCUSDT"),
    ]
    income_book(hedged.account, rows)
    assert (hedged.position("LONG").funding, hedged.position("SHORT").funding) == (
        Decimal("0.9"),
        Decimal("-0.3"),
    )
