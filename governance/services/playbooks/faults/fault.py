"""What was put into the paper exchange, and taking it out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from governance.adapters.testnet_control import ControlError, control
from governance.adapters.testnet_stranger import Stranger, transfer


class NotRehearsable(Exception):
    """What the fault needs is not there; the message says what, for people."""


class StillIn(Exception):
    """Part of a fault was put in, the rest could not be, and the part cannot be taken out again."""

    def __init__(self, fault: dict[str, Any], said: str) -> None:
        super().__init__(said)
        self.fault = fault


@dataclass(slots=True)
class Fault:
    """The scope it should be noticed on, ids of faults that stand, and what takes the rest back, newest last.

    `others` are further scopes it can be seen on; what happens anywhere else is not its doing. `tended` is what a
    fault remembers that is adjusted while it is in.
    """

    scope: str = "global"
    others: list[str] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    undo: list[dict[str, Any]] = field(default_factory=list)
    tended: dict[str, Any] = field(default_factory=dict)

    def stand(self, match: dict[str, Any], effect: dict[str, Any]) -> None:
        """Let every request or event that matches meet an effect until it is withdrawn. Raises ControlError."""
        self.ids.append(control("POST", "/faults", {"match": match, "effect": effect})["id"])

    def market(self, symbol: str, market: str, do: dict[str, Any], back: dict[str, Any]) -> None:
        """Move a market, and know how it goes back. Raises ControlError."""
        told = {"symbol": symbol, "market": market}
        control("POST", "/market", {**told, **do})
        self.undo.append({"do": "market", "body": {**told, **back}})

    def bought(self, stranger: Stranger, account: str, symbol: str, quantity: Decimal) -> None:
        """Note what a stranger bought and can sell again when it is withdrawn."""
        told = {"account": account, "market": stranger.market, "symbol": symbol}
        self.undo.append({"do": "sell", **told, "quantity": f"{quantity:f}"})

    def set_leverage(self, stranger: Stranger, account: str, symbol: str, leverage: int) -> None:
        """Change the leverage of a contract, and know what it was. Raises ControlError."""
        before = stranger.set_leverage(symbol, leverage)
        self.undo.append({"do": "leverage", "account": account, "symbol": symbol, "leverage": before})

    def transfer(self, account: str, market: str, asset: str, amount: Decimal) -> None:
        """Move money, and back when it is withdrawn. Raises ControlError."""
        transfer(account, market, asset, amount)
        told = {"account": account, "market": market, "asset": asset}
        self.undo.append({"do": "transfer", **told, "amount": f"{-amount:f}"})


def fault_withdraw(fault: dict[str, Any]) -> None:
    """Take a stored fault out again, in the opposite order.

    What is out moves to `out`, so that another call goes on with the rest, and nothing is sold or paid back twice.

    Raises
    ------
    ControlError : something is still in; whatever the exchange did not refuse is out.
    """
    refused: list[ControlError] = []
    for kind, do in (("ids", _lift), ("undo", _take_back)):
        left = fault.get(kind) or []
        for step in reversed(list(left)):
            try:
                do(step)
            except ControlError as error:
                if error.status is None:  # nobody answers: the rest would wait for nothing
                    raise
                refused.append(error)
                continue
            left.remove(step)
            fault.setdefault("out", []).append(step)
    if refused:
        raise refused[0]


def _lift(number: Any) -> None:
    try:
        control("DELETE", f"/faults/{number}")
    except ControlError as error:
        if error.status != HTTPStatus.NOT_FOUND:  # somebody else took it out, or the exchange forgot it
            raise


def _take_back(step: dict[str, Any]) -> None:
    if step["do"] == "market":
        control("POST", "/market", step["body"])
    elif step["do"] == "transfer":
        transfer(step["account"], step["market"], step["asset"], Decimal(step["amount"]))
    elif step["do"] == "leverage":
        Stranger(step["account"], "usdm").set_leverage(step["symbol"], step["leverage"])
    else:
        Stranger(step["account"], step["market"]).trade(step["symbol"], "SELL", Decimal(step["quantity"]))
