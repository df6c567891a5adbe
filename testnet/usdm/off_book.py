"""Trades that never see the book: takeovers, deleveraging and settlement, at a price the venue sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from testnet.accounts import MARKET, Accounts
from testnet.engine import Engine
from testnet.journal import Journal
from testnet.orders import NewOrder, Order, PositionTerms
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.tape import Trade
from testnet.usdm.clearing import UsdmClearing
from testnet.usdm.positions import BOTH, Position

# The client ids of orders the venue places for an account, by the venue's word for them.
FORCED: dict[str, tuple[str, ...]] = {"LIQUIDATION": ("autoclose-",), "ADL": ("adl_autoclose-",)}


class OffBookHost(EngineSink, Protocol):
    """What such trades need of the exchange."""

    journal: Journal
    accounts: Accounts


class OffBook:
    """Lets a position pass from one account to another, as an order and a fill on either side."""

    def __init__(self, engine: Engine, host: OffBookHost, clearing: UsdmClearing) -> None:
        self._engine = engine
        self._host = host
        self._clearing = clearing

    def exchange(
        self,
        account_id: str,
        position: Position,
        other_id: str,
        other_side: str,
        prefix: str,
        ticks: int,
        steps: int,
    ) -> None:
        """Close steps of a position against another account (its position side, for hedge mode)."""
        own = venue_order(
            position,
            "autoclose-" if prefix.startswith("adl") else prefix,
            self._engine.order_id + 1,
            ticks,
            steps,
        )
        taker = self._open(account_id, own)
        maker = None
        if other_id != MARKET:
            side = "SELL" if own.side == "BUY" else "BUY"
            terms = PositionTerms(
                position_side=other_side, reduce_only=prefix.startswith("adl") and other_side == BOTH
            )
            maker = self._open(
                other_id, _request(position, prefix, self._engine.order_id + 1, ticks, steps, side, terms)
            )
        listing = self._engine.listings[position.symbol]
        trade = Trade(
            listing.tape.next_trade_id(),
            ticks,
            steps,
            steps * ticks * listing.instrument.quote_per,
            self._host.now_ms(),
            taker.side == "SELL",
        )
        self._host.journal.append(
            {
                "t": "u.off",
                "s": position.symbol,
                "id": trade.trade_id,
                "p": ticks,
                "q": steps,
                "at": trade.time_ms,
                "taker": taker.order_id,
                "maker": maker.order_id if maker is not None else 0,
            }
        )
        self._engine.settle(listing, trade, taker.side, taker, maker)
        self._clearing.announce(taker)

    def _open(self, account_id: str, request: NewOrder) -> Order:
        return self._engine.admit(self._host.accounts.by_id[account_id], request)

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal record."""
        return {"u.off": self._on_trade}

    def _on_trade(self, record: Record) -> None:
        listing = self._engine.listings[record["s"]]
        taker = self._engine.by_id[record["taker"]]
        quote = record["p"] * record["q"] * listing.instrument.quote_per
        trade = Trade(record["id"], record["p"], record["q"], quote, record["at"], taker.side == "SELL")
        self._engine.settle(listing, trade, taker.side, taker, self._engine.by_id.get(record["maker"]))
        listing.tape.trade_id = max(listing.tape.trade_id, trade.trade_id)


def venue_order(position: Position, prefix: str, number: int, ticks: int, steps: int) -> NewOrder:
    """The venue's own order to close a position: a limit at a price, what is not taken expires."""
    side = "SELL" if position.steps > 0 else "BUY"
    terms = PositionTerms(position_side=position.side, reduce_only=position.side == BOTH)
    return _request(position, prefix, number, ticks, steps, side, terms)


def _request(
    position: Position, prefix: str, number: int, ticks: int, steps: int, side: str, terms: PositionTerms
) -> NewOrder:
    instrument = position.instrument
    return NewOrder(
        symbol=instrument.symbol,
        side=side,
        type="LIMIT",
        time_in_force="IOC",
        price=ticks * instrument.tick,
        quantity=steps * instrument.step,
        quote_quantity=0,
        client_order_id=f"{prefix}{number}",
        response_type="ACK",
        position=terms,
    )
