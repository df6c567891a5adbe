"""What an account may set: leverage, margin type, position mode, isolated margin and its rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Protocol

from testnet.engine import Engine
from testnet.errors import ApiError
from testnet.instruments import Instrument
from testnet.journal import Journal
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.usdm.account import FuturesAccount, FuturesAccounts
from testnet.usdm.margin import Margin, Marks, opening_margin, terms
from testnet.usdm.positions import BOTH, LONG, SHORT, Position

ADD, REDUCE = 1, 2


class SettingsHost(EngineSink, Protocol):
    """What settings need of the exchange."""

    journal: Journal


@dataclass(frozen=True, slots=True)
class MarginMove:
    """Isolated margin a user added (1) or took back (2), in 1e-8 units."""

    account_id: str
    symbol: str
    position_side: str
    kind: int
    units: int
    asset: str
    time_ms: int


# True when an account has open orders of any kind, in a symbol or anywhere.
HasOrders = Callable[[str, str | None], bool]


class Settings:
    """Checks, changes and journals."""

    def __init__(
        self,
        engine: Engine,
        host: SettingsHost,
        accounts: FuturesAccounts,
        marks: Marks,
        margin: Margin,
        has_orders: HasOrders,
    ) -> None:
        self._engine = engine
        self._host = host
        self._accounts = accounts
        self._marks = marks
        self._margin = margin
        self._has_orders = has_orders
        self.margin_moves: list[MarginMove] = []

    def set_leverage(self, account_id: str, instrument: Instrument, leverage: int) -> None:
        """Change a symbol's leverage.

        Raises
        ------
        ApiError : -4028 out of range, -4161 less of it with an isolated position, -2027 for a position
            too large for it, -2028 without the margin it would take.
        """
        perpetual, symbol = terms(instrument), instrument.symbol
        if not 1 <= leverage <= perpetual.max_leverage:
            raise ApiError(-4028, f"Leverage {leverage} is not valid")
        account = self._accounts.of(account_id)
        before = account.leverage(symbol)
        if leverage < before and symbol in account.isolated and any(account.held(symbol=symbol)):
            raise ApiError(
                -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions."
            )
        buying, selling = self._margin.notionals(account, symbol)
        if max(buying, selling) > perpetual.max_notional(leverage):
            raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")
        if leverage < before:
            chosen = dict(account.leverages)
            account.leverages[symbol] = leverage
            short = self._margin.asset(account, instrument.quote).free < 0
            account.leverages = chosen
            if short and (buying or selling):
                raise ApiError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
        self._journal(account, {"t": "u.leverage", "s": symbol, "x": leverage})
        account.leverages[symbol] = leverage

    def set_margin_type(self, account_id: str, symbol: str, *, isolated: bool) -> None:
        """Change a symbol between cross and isolated; ApiError -4046, -4047 or -4048."""
        account = self._accounts.of(account_id)
        if (symbol in account.isolated) is isolated:
            raise ApiError(-4046, "No need to change margin type.")
        if self._has_orders(account_id, symbol):
            raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
        if any(account.held(symbol=symbol)):
            raise ApiError(-4048, "Margin type cannot be changed if there exists position.")
        self._journal(account, {"t": "u.margin_type", "s": symbol, "iso": isolated})
        _set_isolated(account, symbol, isolated=isolated)

    def set_hedge(self, account_id: str, *, hedge: bool) -> None:
        """Change between one-way and hedge mode; ApiError -4059, -4067 or -4068."""
        account = self._accounts.of(account_id)
        if account.hedge is hedge:
            raise ApiError(-4059, "No need to change position side.")
        if self._has_orders(account_id, None):
            raise ApiError(-4067, "Position side cannot be changed if there exists open orders.")
        if any(account.held()):
            raise ApiError(-4068, "Position side cannot be changed if there exists position.")
        self._journal(account, {"t": "u.hedge", "on": hedge})
        account.hedge = hedge

    def set_rates(self, account_id: str, maker: int | None, taker: int | None) -> None:
        """Choose commission rates, fractions in 1e-8 units."""
        account = self._accounts.of(account_id)
        maker = account.maker_rate if maker is None else maker
        taker = account.taker_rate if taker is None else taker
        self._journal(account, {"t": "u.rates", "maker": maker, "taker": taker})
        account.maker_rate, account.taker_rate = maker, taker

    def move_margin(
        self, account_id: str, instrument: Instrument, position_side: str, kind: int, units: int
    ) -> Position:
        """Add to, or take back from, the margin of an isolated position.

        Raises
        ------
        ApiError : -4060 side of the other mode, -4055 amount, -4049 cross margin, -4054 no position,
            -4050 or -4051 not enough.
        """
        account, symbol = self._accounts.of(account_id), instrument.symbol
        if position_side not in ((LONG, SHORT) if account.hedge else (BOTH,)):
            raise ApiError(-4060, "Invalid position side.")
        if units <= 0:
            raise ApiError(-4055, "Amount must be positive.")
        if symbol not in account.isolated:
            raise ApiError(-4049, "Add margin only support for isolated position.")
        position = account.position(instrument, position_side)
        if not position.steps:
            raise ApiError(-4054, "Cannot add position margin: position is 0.")
        if kind == ADD and units > self._margin.asset(account, instrument.quote).available:
            raise ApiError(-4050, "Cross balance insufficient.")
        if kind == REDUCE:
            mark = self._marks.of(symbol)
            tied = opening_margin(abs(position.value(mark)), account.leverage(symbol))
            if units > position.isolated + min(0, position.profit(mark)) - tied:
                raise ApiError(-4051, "Isolated balance insufficient.")
        move = MarginMove(
            account_id, symbol, position_side, kind, units, instrument.quote, self._host.now_ms()
        )
        self._journal(
            account,
            {"t": "u.position_margin", "s": symbol, "ps": position_side, "kind": kind, "u": units},
        )
        self._apply_move(account, instrument, move)
        return position

    def _apply_move(self, account: FuturesAccount, instrument: Instrument, move: MarginMove) -> None:
        position = account.position(instrument, move.position_side)
        position.isolated += move.units if move.kind == ADD else -move.units
        position.updated_ms = move.time_ms
        self.margin_moves.append(move)

    def _journal(self, account: FuturesAccount, record: Record) -> None:
        account.updated_ms = self._host.now_ms()
        self._host.journal.append({**record, "a": account.account_id, "at": account.updated_ms})

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """The journal records of settings."""
        return {
            "u.leverage": self._on_leverage,
            "u.margin_type": self._on_margin_type,
            "u.hedge": self._on_hedge,
            "u.rates": self._on_rates,
            "u.position_margin": self._on_margin,
        }

    def _account(self, record: Record) -> FuturesAccount:
        account = self._accounts.of(record["a"])
        account.updated_ms = record["at"]
        return account

    def _on_leverage(self, record: Record) -> None:
        self._account(record).leverages[record["s"]] = record["x"]

    def _on_margin_type(self, record: Record) -> None:
        _set_isolated(self._account(record), record["s"], isolated=record["iso"])

    def _on_hedge(self, record: Record) -> None:
        self._account(record).hedge = record["on"]

    def _on_rates(self, record: Record) -> None:
        account = self._account(record)
        account.maker_rate, account.taker_rate = record["maker"], record["taker"]

    def _on_margin(self, record: Record) -> None:
        instrument = self._engine.listings[record["s"]].instrument
        move = MarginMove(
            record["a"],
            record["s"],
            record["ps"],
            record["kind"],
            record["u"],
            instrument.quote,
            record["at"],
        )
        self._apply_move(self._account(record), instrument, move)

    def state(self) -> Record:
        """The history of margin moves; the settings themselves are the accounts' state."""
        return {"moves": [list(astuple(move)) for move in self.margin_moves]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        self.margin_moves = [MarginMove(*row) for row in state["moves"]]


def _set_isolated(account: FuturesAccount, symbol: str, *, isolated: bool) -> None:
    if isolated:
        account.isolated.add(symbol)
    else:
        account.isolated.discard(symbol)
