"""USD-M accounts while the market runs: funding at its hour, the ledger as oracle, equal runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.testnet.conftest import StartVenue, Venue
from tests.testnet.usdm.rest import futures_client, limit, mark, market, price
from tests.testnet.usdm.test_kill import whole

pytestmark = pytest.mark.asyncio
HOUR_MS = 3_600_000


def balances_of(ledger: dict[str, Any]) -> tuple[int, int]:
    """Wallets minus costs, and transfers, of all accounts."""
    wallets = sum(
        whole(wallet["wallet"]) for row in ledger["balances"].values() for wallet in row["usdm"].values()
    )
    costs = sum(whole(row["cost"]) for row in ledger["positions"])
    transfers = sum(whole(row["amount"]) for row in ledger["transfers"] if row["market"] == "usdm")
    return wallets - costs, transfers


async def test_funding_is_paid_at_the_published_rate_and_mark(venue: Venue) -> None:
    client = futures_client(venue)
    opened = await market(client, "BUY", "0.100", newOrderRespType="RESULT")
    assert opened.body["status"] == "FILLED"
    # The exchange opens at 15:07 UTC of market time; funding is due at 16:00.
    await venue.advance(HOUR_MS + 60_000)
    paid = (await client.signed("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")).body
    published = (
        await venue.anonymous().public("GET", "/fapi/v1/fundingRate", symbol="BTCUSDT", limit=1)
    ).body[0]
    assert len(paid) == 1
    assert paid[0]["time"] == published["fundingTime"]
    expected = 0.1 * float(published["markPrice"]) * float(published["fundingRate"])
    assert float(paid[0]["income"]) == pytest.approx(-expected, abs=1e-6)


async def test_ledger_balances_while_the_background_market_trades(venue: Venue) -> None:
    clients = [futures_client(venue), futures_client(venue)]
    control = venue.anonymous()
    for minute in range(6):
        for number, client in enumerate(clients):
            side = "BUY" if (minute + number) % 2 else "SELL"
            assert (await market(client, side, "0.050")).status == 200
            near = mark(venue) * (10_000 + (5 if side == "SELL" else -5)) // 10_000
            assert (await limit(client, side, "0.020", price(venue, near))).status == 200
        await venue.advance(60_000)
        ledger = (await control.raw("GET", "/testnet/v1/ledger")).body
        equity, transfers = balances_of(ledger)
        assert equity == transfers
        assert sum(whole(row["quantity"]) for row in ledger["positions"]) == 0
    fills = [row for row in ledger["fills"] if row["market"] == "usdm"]
    assert {row["maker"] for row in fills} == {True, False}
    assert {row["commission_asset"] for row in fills} == {"USDT"}


async def test_control_api_opens_and_funds_futures_accounts(venue: Venue) -> None:
    control = venue.anonymous()
    async with venue.session.post(
        venue.url + "/testnet/v1/accounts",
        json={
            "balances": {"USDT": "5"},
            "futures_balances": {"USDT": "250.5"},
            "futures_taker_commission": "0.001",
            "bnb_burn": True,
        },
    ) as answer:
        made = await answer.json()
        assert answer.status == 200, made
    async with venue.session.post(
        f"{venue.url}/testnet/v1/accounts/{made['account_id']}/transfer",
        json={"market": "usdm", "asset": "USDT", "amount": "-50.5"},
    ) as answer:
        assert answer.status == 200, await answer.json()
    ledger = (await control.raw("GET", "/testnet/v1/ledger", f"account_id={made['account_id']}")).body
    assert ledger["balances"][made["account_id"]]["usdm"] == {"USDT": {"wallet": "200.00000000"}}
    account = venue.exchange.accounts.by_id[made["account_id"]]
    assert account.bnb_burn
    assert venue.exchange.usdm_market.accounts.of(made["account_id"]).taker_rate == 100_000


async def test_equal_requests_in_stepped_time_write_equal_futures_journals(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    journals = []
    for name in ("a", "b"):
        venue = await start_venue(data_dir=tmp_path / name)
        client = futures_client(venue)
        for number in range(6):
            side = "BUY" if number % 3 else "SELL"
            await market(client, side, "0.030")
            await limit(client, side, "0.010", price(venue, mark(venue) * 999 // 1000))
            await client.signed(
                "POST",
                "/fapi/v1/algoOrder",
                algoType="CONDITIONAL",
                symbol="BTCUSDT",
                side="SELL",
                type="STOP_MARKET",
                quantity="0.005",
                triggerPrice=price(venue, mark(venue) * 99_990 // 100_000),
            )
            await venue.advance(60_000)
        venue.exchange.journal.flush()
        lines = (tmp_path / name / "journal.jsonl").read_text().splitlines()
        # Only the drawn keys differ.
        journals.append([line for line in lines if '"t":"key"' not in line])
    assert any('"u.algo.status"' in line for line in journals[0])
    assert journals[0] == journals[1]
