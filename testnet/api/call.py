"""One request on its way through the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from testnet.accounts import Account, ApiKey
from testnet.api.limits import RateLimits
from testnet.api.params import Params
from testnet.clock import wall_ms
from testnet.exchange import Exchange

Json = Any


@dataclass(slots=True)
class Venue:
    """What every request may use."""

    exchange: Exchange
    limits: RateLimits
    clock_skew_ms: int = 0

    def server_ms(self) -> int:
        """Server time: the wall, plus whatever skew is being injected."""
        return wall_ms() + self.clock_skew_ms


@dataclass(slots=True)
class Call:
    """A request after its parameters were read; account and key are set once it is authenticated."""

    venue: Venue
    params: Params
    account: Account | None = None
    key: ApiKey | None = None
    zero_balances: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.venue.exchange

    @property
    def owner(self) -> Account:
        """The authenticated account."""
        if self.account is None:
            raise RuntimeError("an endpoint without security asked for its account")
        return self.account


Weight = Callable[[Params], int]
Parse = Callable[[Call], Any]
Run = Callable[[Call, Any], Json]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing clients may ask: `parse` complains about parameters, `run` does the work after security.

    `security` is NONE, USER_STREAM (a key without signature), USER_DATA or TRADE; `market` decides the
    limits that are charged and the words of some refusals. With `places_order` the answer carries the
    order counts.
    """

    method: str
    path: str
    weight: Weight
    parse: Parse
    run: Run
    security: str = "NONE"
    ws_method: str | None = None
    places_order: bool = False
    market: str = "spot"


def fixed(weight: int) -> Weight:
    """A weight that does not depend on the parameters."""
    return lambda params: weight


def nothing(call: Call) -> None:
    """Parse for endpoints without parameters."""
