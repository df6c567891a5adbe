"""Wallets, margins and positions as the USD-M REST answers show them."""

from __future__ import annotations

from typing import Any

from testnet.instruments import Instrument
from testnet.usdm.account import FuturesAccount
from testnet.usdm.margin import AssetMargin, terms
from testnet.usdm.market import UsdmMarket
from testnet.usdm.order_json import average_text
from testnet.usdm.positions import BOTH, LONG, SHORT, Position
from testnet.values import trimmed_text, units_text

NOTHING = AssetMargin(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def margin_assets(market: UsdmMarket, account: FuturesAccount) -> list[str]:
    """Assets that contracts are settled in, and any other the account has."""
    assets = {listing.instrument.quote for listing in market.engine.listings.values()}
    return sorted(assets | set(account.wallets), key=lambda asset: (asset != "USDT", asset))


def position_sides(account: FuturesAccount) -> tuple[str, ...]:
    """The position sides of an account's mode."""
    return (BOTH, LONG, SHORT) if account.hedge else (BOTH,)


def totals_json(rows: list[AssetMargin]) -> dict[str, str]:
    """The sums of an account; USDT and other stable coins are taken as equal."""
    return {
        "totalInitialMargin": units_text(sum(row.initial for row in rows)),
        "totalMaintMargin": units_text(sum(row.maintenance for row in rows)),
        "totalWalletBalance": units_text(sum(row.wallet for row in rows)),
        "totalUnrealizedProfit": units_text(sum(row.profit for row in rows)),
        "totalMarginBalance": units_text(sum(row.balance for row in rows)),
        "totalPositionInitialMargin": units_text(sum(row.position_initial for row in rows)),
        "totalOpenOrderInitialMargin": units_text(sum(row.order_initial for row in rows)),
        "totalCrossWalletBalance": units_text(sum(row.cross_wallet for row in rows)),
        "totalCrossUnPnl": units_text(sum(row.cross_profit for row in rows)),
        "availableBalance": units_text(sum(row.available for row in rows)),
        "maxWithdrawAmount": units_text(sum(row.withdrawable for row in rows)),
    }


def asset_json(asset: str, row: AssetMargin, updated_ms: int, *, version: int) -> dict[str, Any]:
    """One margin asset of `account`."""
    body: dict[str, Any] = {
        "asset": asset,
        "walletBalance": units_text(row.wallet),
        "unrealizedProfit": units_text(row.profit),
        "marginBalance": units_text(row.balance),
        "maintMargin": units_text(row.maintenance),
        "initialMargin": units_text(row.initial),
        "positionInitialMargin": units_text(row.position_initial),
        "openOrderInitialMargin": units_text(row.order_initial),
        "crossWalletBalance": units_text(row.cross_wallet),
        "crossUnPnl": units_text(row.cross_profit),
        "availableBalance": units_text(row.available),
        "maxWithdrawAmount": units_text(row.withdrawable),
    }
    if version == 2:
        body["marginAvailable"] = True
    body["updateTime"] = updated_ms
    return body


def balance_json(alias: str, asset: str, row: AssetMargin, updated_ms: int) -> dict[str, Any]:
    """One row of `balance`."""
    return {
        "accountAlias": alias,
        "asset": asset,
        "balance": units_text(row.wallet),
        "crossWalletBalance": units_text(row.cross_wallet),
        "crossUnPnl": units_text(row.cross_profit),
        "availableBalance": units_text(row.available),
        "maxWithdrawAmount": units_text(row.withdrawable),
        "marginAvailable": True,
        "updateTime": updated_ms,
    }


class PositionView:
    """One position with everything derived from it, in the texts of the answers."""

    def __init__(
        self, market: UsdmMarket, account: FuturesAccount, instrument: Instrument, side: str
    ) -> None:
        symbol = instrument.symbol
        self.account = account
        self.instrument = instrument
        self.side = side
        self.position = account.positions.get((symbol, side)) or Position(instrument, side)
        self.mark = market.marks.of(symbol)
        self.margin = market.margin.side(account, instrument, side)
        self.isolated = symbol in account.isolated
        self.leverage = account.leverage(symbol)
        self.limit = trimmed_text(terms(instrument).max_notional(self.leverage))
        self._market = market

    @property
    def is_used(self) -> bool:
        """True for a position held, or asked for by open orders."""
        return bool(self.position.steps or self.margin.bids or self.margin.asks)

    @property
    def amount(self) -> str:
        return self.instrument.qty_text(self.position.steps)

    @property
    def profit(self) -> str:
        return units_text(self.position.profit(self.mark))

    @property
    def notional(self) -> str:
        return units_text(self.position.value(self.mark))

    @property
    def isolated_margin(self) -> str:
        if not self.isolated or not self.position.steps:
            return "0"
        return units_text(self.position.isolated + self.position.profit(self.mark))

    @property
    def isolated_wallet(self) -> str:
        return units_text(self.position.isolated) if self.isolated and self.position.steps else "0"

    def price(self, units: int) -> str:
        """A price with the contract's decimals or more."""
        return average_text(units, self.instrument.tick)

    def margins(self) -> dict[str, str]:
        """What the position and its orders tie up."""
        return {
            "initialMargin": units_text(self.margin.initial),
            "maintMargin": units_text(self.margin.maintenance),
            "positionInitialMargin": units_text(self.margin.position_initial),
            "openOrderInitialMargin": units_text(self.margin.order_initial),
        }

    def of_account_v2(self) -> dict[str, Any]:
        """A row of `v2/account`."""
        position = self.position
        return {
            "symbol": self.instrument.symbol,
            **self.margins(),
            "unrealizedProfit": self.profit,
            "leverage": str(self.leverage),
            "isolated": self.isolated,
            "entryPrice": self.price(position.entry_price()),
            "breakEvenPrice": self.price(position.break_even_price()),
            "maxNotional": self.limit,
            "bidNotional": units_text(self.margin.bids),
            "askNotional": units_text(self.margin.asks),
            "positionSide": self.side,
            "positionAmt": self.amount,
            "notional": self.notional,
            "isolatedWallet": self.isolated_wallet,
            "updateTime": position.updated_ms,
        }

    def of_account_v3(self) -> dict[str, Any]:
        """A row of `v3/account`."""
        return {
            "symbol": self.instrument.symbol,
            "positionSide": self.side,
            "positionAmt": self.amount,
            "unrealizedProfit": self.profit,
            "isolatedMargin": self.isolated_margin,
            "notional": self.notional,
            "isolatedWallet": self.isolated_wallet,
            "initialMargin": units_text(self.margin.initial),
            "maintMargin": units_text(self.margin.maintenance),
            "updateTime": self.position.updated_ms,
        }

    def _liquidation(self) -> str:
        price = self._market.margin.liquidation_price(self.account, self.position)
        return self.price(price) if price else "0"

    def risk_v2(self) -> dict[str, Any]:
        """A row of `v2/positionRisk`."""
        position = self.position
        return {
            "symbol": self.instrument.symbol,
            "positionAmt": self.amount,
            "entryPrice": self.price(position.entry_price()),
            "breakEvenPrice": self.price(position.break_even_price()),
            "markPrice": units_text(self.mark),
            "unRealizedProfit": self.profit,
            "liquidationPrice": self._liquidation(),
            "leverage": str(self.leverage),
            "maxNotionalValue": self.limit,
            "marginType": "isolated" if self.isolated else "cross",
            "isolatedMargin": units_text(position.isolated + position.profit(self.mark))
            if self.isolated
            else "0.00000000",
            "isAutoAddMargin": "false",
            "positionSide": self.side,
            "notional": self.notional,
            "isolatedWallet": self.isolated_wallet,
            "updateTime": position.updated_ms,
        }

    def risk_v3(self) -> dict[str, Any]:
        """A row of `v3/positionRisk`."""
        position = self.position
        grade = self._market.liquidation.adl_grade(self.account, position) if position.steps else 0
        return {
            "symbol": self.instrument.symbol,
            "positionSide": self.side,
            "positionAmt": self.amount,
            "entryPrice": self.price(position.entry_price()),
            "breakEvenPrice": self.price(position.break_even_price()),
            "markPrice": units_text(self.mark),
            "unRealizedProfit": self.profit,
            "liquidationPrice": self._liquidation(),
            "isolatedMargin": self.isolated_margin,
            "notional": self.notional,
            "marginAsset": self.instrument.quote,
            "isolatedWallet": self.isolated_wallet,
            **self.margins(),
            "adl": grade,
            "bidNotional": units_text(self.margin.bids),
            "askNotional": units_text(self.margin.asks),
            "updateTime": position.updated_ms,
        }
