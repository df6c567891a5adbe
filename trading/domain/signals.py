"""Signals of somebody else's model: what one is, and what of it may become an order. No I/O, no clock.

The platform judges every order again; these limits are the sender's own, and the tighter of both holds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from trading.domain.clock import written_moment
from trading.domain.values import Side, normalise_symbol, written_decimal

MEMBERS: Final = frozenset(
    {
        *("id", "at", "symbol", "side", "type", "quantity", "quote_quantity", "price", "reference_price"),
        *("time_in_force", "account", "strategy", "reduce_only"),
    }
)
LONGEST_ID: Final = 64
REMEMBERED: Final = 10_000
_KINDS: Final = frozenset({"MARKET", "LIMIT", "LIMIT_MAKER"})
_MINUTE_S: Final = 60.0


class SignalRefused(Exception):
    """Not an order: `code` says why, the message says it to people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal, read and checked.

    Attributes
    ----------
    at : when it was made, by its maker's clock (UTC).
    reference_price : what its maker believed one unit costs, where it gives a quantity and no limit price.
    """

    id: str
    at: datetime
    symbol: str
    side: Side
    type: str
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    reference_price: Decimal | None
    time_in_force: str | None
    account: str | None
    strategy: str | None
    reduce_only: bool

    @property
    def notional(self) -> Decimal | None:
        """Quote units it would trade; None where it does not say enough to tell."""
        if self.quote_quantity is not None:
            return self.quote_quantity
        price = self.price if self.price is not None else self.reference_price
        return None if self.quantity is None or price is None else self.quantity * price


def parse_signal(told: Any) -> Signal:
    """Read one signal.

    Raises
    ------
    SignalRefused : SCHEMA, with the member that is wrong.
    """
    if not isinstance(told, Mapping):
        raise SignalRefused("SCHEMA", "expected one JSON object per signal")
    unknown = sorted(set(told) - MEMBERS)
    if unknown:
        # A misspelt limit price must not become a market order.
        raise SignalRefused("SCHEMA", f"unknown member {unknown[0]!r}")
    for name in ("id", "at", "symbol", "side"):
        if told.get(name) in (None, ""):
            raise SignalRefused("SCHEMA", f"{name} is missing")
    key = told["id"]
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or len(key) > LONGEST_ID:
        raise SignalRefused("SCHEMA", f"id: expected printable ASCII of at most {LONGEST_ID} characters")
    kind = str(told.get("type") or "MARKET").upper()
    if kind not in _KINDS:
        raise SignalRefused("SCHEMA", f"type: expected one of {', '.join(sorted(_KINDS))}, was {kind!r}")
    side = str(told["side"]).upper()
    if side not in Side.__members__:
        raise SignalRefused("SCHEMA", f"side: expected BUY or SELL, was {told['side']!r}")
    reduce_only = told.get("reduce_only", False)
    if not isinstance(reduce_only, bool):
        raise SignalRefused("SCHEMA", "reduce_only: expected true or false")
    try:
        symbol = normalise_symbol(str(told["symbol"]))
    except ValueError as error:
        raise SignalRefused("SCHEMA", f"symbol: {error}") from None
    signal = Signal(
        id=key,
        at=_moment(told["at"]),
        symbol=symbol,
        side=Side(side),
        type=kind,
        quantity=_amount(told, "quantity"),
        quote_quantity=_amount(told, "quote_quantity"),
        price=_amount(told, "price"),
        reference_price=_amount(told, "reference_price"),
        time_in_force=_word(told, "time_in_force"),
        account=_word(told, "account"),
        strategy=_word(told, "strategy"),
        reduce_only=reduce_only,
    )
    if (signal.quantity is None) == (signal.quote_quantity is None):
        raise SignalRefused("SCHEMA", "give exactly one of quantity and quote_quantity")
    if (kind == "MARKET") == (signal.price is not None):
        raise SignalRefused(
            "SCHEMA",
            "a MARKET signal takes no price" if kind == "MARKET" else f"a {kind} signal needs a price",
        )
    return signal


def order_body(signal: Signal, *, account: str) -> dict[str, Any]:
    """The request to `POST /api/v1/orders` that a signal becomes."""
    body: dict[str, Any] = {
        "account": signal.account or account,
        "symbol": signal.symbol,
        "side": str(signal.side),
        "type": signal.type,
        "reduce_only": signal.reduce_only,
    }
    for name in ("quantity", "quote_quantity", "price"):
        amount: Decimal | None = getattr(signal, name)
        if amount is not None:
            body[name] = f"{amount:f}"
    for name in ("time_in_force", "strategy"):
        if getattr(signal, name) is not None:
            body[name] = getattr(signal, name)
    return body


@dataclass(frozen=True, slots=True)
class SignalLimits:
    """What the sender allows itself.

    Attributes
    ----------
    symbols : those it may trade; every other is refused.  ahead_s : how far a maker's clock may be ahead of ours.
    """

    max_notional: Decimal
    max_per_minute: int
    max_age_s: float
    symbols: Collection[str]
    ahead_s: float = 2.0


@dataclass(slots=True)
class SignalGate:
    """Lets a signal through once, when it keeps to the limits. Refusals cost nothing of the rate."""

    limits: SignalLimits
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _passed: deque[datetime] = field(default_factory=deque)

    def check(self, signal: Signal, now: datetime) -> None:
        """Take the signal, or say why not.

        Raises
        ------
        SignalRefused : DUPLICATE, TOO_OLD, FROM_THE_FUTURE, SYMBOL_NOT_ALLOWED, NOTIONAL_UNKNOWN,
            NOTIONAL_ABOVE_MAX or RATE_LIMITED.
        """
        limits = self.limits
        if signal.id in self._seen:
            raise SignalRefused("DUPLICATE", f"signal {signal.id} was taken already")
        self.check_age(signal, now)
        if signal.symbol not in limits.symbols:
            raise SignalRefused("SYMBOL_NOT_ALLOWED", f"{signal.symbol} is not among the allowed symbols")
        notional = signal.notional
        if notional is None:
            raise SignalRefused(
                "NOTIONAL_UNKNOWN", "a MARKET signal by quantity needs a reference_price to be limited by"
            )
        if notional > limits.max_notional:
            raise SignalRefused("NOTIONAL_ABOVE_MAX", f"{notional:f} is above {limits.max_notional:f}")
        while self._passed and (now - self._passed[0]).total_seconds() >= _MINUTE_S:
            self._passed.popleft()
        if len(self._passed) >= limits.max_per_minute:
            raise SignalRefused("RATE_LIMITED", f"{len(self._passed)} orders within the last minute")
        self._passed.append(now)
        self._seen[signal.id] = None
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def check_age(self, signal: Signal, now: datetime) -> None:
        """Refuse what is too old by now, or made by a clock that is ahead."""
        check_age(signal, now, max_age_s=self.limits.max_age_s, ahead_s=self.limits.ahead_s)


def check_age(signal: Signal, now: datetime, *, max_age_s: float, ahead_s: float) -> None:
    """Refuse a signal that is too old, or made by a clock that is ahead of ours.

    Raises
    ------
    SignalRefused : TOO_OLD, FROM_THE_FUTURE.
    """
    age = (now - signal.at).total_seconds()
    if age > max_age_s:
        raise SignalRefused("TOO_OLD", f"{age:.1f} s old, at most {max_age_s:g} s")
    if age < -ahead_s:
        raise SignalRefused("FROM_THE_FUTURE", f"made {-age:.1f} s ahead of our clock")


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        return written_moment(str(value))
    except (ValueError, OverflowError, OSError):
        raise SignalRefused("SCHEMA", "at: expected ISO 8601 with a zone, or milliseconds") from None


def _amount(told: Mapping[str, Any], name: str) -> Decimal | None:
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        # A float has lost its last digits before it came here.
        raise SignalRefused("SCHEMA", f'{name}: expected a decimal as text, such as "0.01"')
    try:
        amount = written_decimal(value)
    except ValueError:
        raise SignalRefused("SCHEMA", f"{name}: {value[:40]!r} is not a decimal") from None
    if amount <= 0:
        raise SignalRefused("SCHEMA", f"{name}: expected more than zero, was {value[:40]}")
    return amount


def _word(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > 40:
        raise SignalRefused("SCHEMA", f"{name}: expected a short text")
    return value
