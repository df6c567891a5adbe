"""The limits a backtest is judged by: those in force on an account, as they were when it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from nautilus_site.common.errors import ApplicationError, NotFound
from trading.domain.backtest.limits import NO_LOSSES, LossLimits
from trading.domain.risk import RiskLimits
from trading.domain.values import decimal_text, to_units, written_decimal
from trading.models import Account, CorrelationGroup, StrategyInstance
from trading.services.controls.limit_kinds import LIMITS, OWN_SCOPE
from trading.services.controls.limit_versions import risk_limits
from trading.services.controls.limits_in_force import LimitsInForce, limits_in_force
from trading.services.planning import FALLBACK_LIMIT
from trading.services.scopes import GLOBAL, scopes_of

_FAR: Final = Decimal(10**9)
_WIDEST: Final = {
    **dict.fromkeys(("price_collar", "market_slippage", "price_disagreement"), Decimal(10_000)),
    **dict.fromkeys(("margin_max_ratio", "max_drawdown", "margin_rate"), Decimal(1)),
}
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AskedLimits:
    """Limits a run is to be judged by.

    Attributes
    ----------
    account : whose limits in force; empty for none but `values`.
    values : limits set for this run alone, by name, in place of those in force.
    frozen : what was in force when the run was asked for, so that it is the same run whenever it is made.
    """

    account: str = ""
    values: Mapping[str, Decimal] = field(default_factory=dict)
    frozen: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        return bool(self.account or self.values)

    def as_json(self) -> dict[str, Any]:
        """Return plain data that `asked_limits` reads again."""
        return {
            "account": self.account,
            "values": {name: decimal_text(value) for name, value in self.values.items()},
            **({} if self.frozen is None else {"frozen": dict(self.frozen)}),
        }


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What the settings and the assignments of a run take from the limits.

    Attributes
    ----------
    legs : limits in force and loss limits of each strategy on its symbol, in the order of the legs.
    collar_bps : how far beyond the touch a market order may go.  max_child : largest part of a large order.
    """

    legs: tuple[tuple[RiskLimits, LossLimits], ...]
    losses: LossLimits
    groups: dict[str, tuple[str, ...]]
    collar_bps: int
    max_child: Decimal


def asked_limits(members: Mapping[str, Any] | None) -> AskedLimits:
    """Read what was asked for from plain data.

    Raises
    ------
    ApplicationError : code BAD_LIMIT, no limit of that name, or no number of zero or more.
    """
    members = members or {}
    return AskedLimits(
        str(members.get("account") or ""), limit_values_of(members.get("values") or {}), members.get("frozen")
    )


def limit_values_of(pairs: Mapping[str, Any]) -> dict[str, Decimal]:
    """Read limits by name.

    Raises
    ------
    ApplicationError : code BAD_LIMIT.
    """
    found = {}
    for name, text in pairs.items():
        if name not in LIMITS:
            raise ApplicationError("BAD_LIMIT", f"no limit is called {str(name)[:40]!r}; see GET /limits")
        try:
            value = written_decimal(str(text))
        except ValueError as error:
            raise ApplicationError("BAD_LIMIT", f"{name}: {error}") from None
        if not 0 <= value <= _FAR:
            raise ApplicationError("BAD_LIMIT", f"{name}: expected 0 to {_FAR}, was {text}")
        found[name] = value
    return found


def limits_freeze(
    asked: AskedLimits, legs: Sequence[tuple[str, str]], market: str, *, named: Sequence[str] = ()
) -> AskedLimits:
    """Write down what is in force now for strategies on symbols.

    Parameters
    ----------
    legs : (kind of strategy, symbol).  named : names the strategies have on the account, where they are known;
        else the account's own strategy of that kind on that symbol, else the kind itself.

    Raises
    ------
    NotFound : code UNKNOWN_ACCOUNT.  ApplicationError : code NOT_READY, a limit has no row.
    """
    if not asked or asked.frozen is not None:
        return asked
    if not asked.account:
        widest = {
            name: _WIDEST.get(name, _FAR if k.tighter == "lower" else Decimal(0))
            for name, k in LIMITS.items()
        }
        frozen: dict[str, Any] = {
            "legs": [_values(widest, asked) for _ in legs],
            "losses": _own({}, asked),
            "own": [_streak(asked, None) for _ in legs],
            "groups": {},
        }
        return AskedLimits(asked.account, asked.values, frozen)
    account = Account.objects.select_related("venue").filter(name=asked.account).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {asked.account[:80]!r}")
    if account.market != market:
        raise ApplicationError(
            "BAD_REQUEST", f"{account.name} trades {account.market}, the bars are of {market}"
        )
    found: list[LimitsInForce] = []
    own: list[dict[str, str]] = []
    for at, (kind, symbol) in enumerate(legs):
        name = named[at] if at < len(named) else _deployed(account, kind, symbol)
        in_force = limits_in_force(
            scopes_of(venue=account.venue.name, account=account.name, symbol=symbol, strategy=name)
        )
        found.append(in_force)
        scope = f"strategy:{name}"
        own.append(
            {
                n: decimal_text(in_force.by_scope[n, scope])
                for n in sorted(OWN_SCOPE)
                if (n, scope) in in_force.by_scope
            }
            | _streak(asked, in_force.values["max_loss_streak"])
        )
    shared: dict[str, Decimal] = {}
    for (name, scope), value in found[0].by_scope.items():
        if scope in (GLOBAL, f"account:{account.name}"):
            shared[name] = min(value, shared.get(name, value))
    frozen = {
        "legs": [_values(one.values, asked) for one in found],
        "losses": _own(shared, asked),
        "own": own,
        "groups": {row.name: sorted(row.symbols) for row in CorrelationGroup.objects.order_by("name")},
    }
    return AskedLimits(asked.account, asked.values, frozen)


def limits_of(asked: AskedLimits) -> RunLimits | None:
    """Return what a run takes from frozen limits; None where it is judged by none."""
    frozen = asked.frozen
    if frozen is None:
        return None
    values = [{name: Decimal(text) for name, text in leg.items()} for leg in frozen["legs"]]
    legs = tuple(
        (risk_limits(LimitsInForce(one, {}, None, {})), _losses(own))
        for one, own in zip(values, frozen["own"], strict=True)
    )
    return RunLimits(
        legs=legs,
        losses=_losses(frozen["losses"]),
        groups={name: tuple(symbols) for name, symbols in frozen["groups"].items()},
        collar_bps=min(int(one["market_slippage"]) for one in values),
        max_child=min(one["max_notional"] for one in values) * FALLBACK_LIMIT,
    )


def _deployed(account: Account, kind: str, symbol: str) -> str:
    row = (
        StrategyInstance.objects.select_related("strategy")
        .filter(account=account, instrument__symbol=symbol, strategy__kind=kind)
        .order_by("-is_enabled", "pk")
        .first()
    )
    return kind if row is None else row.strategy.name


def _streak(asked: AskedLimits, in_force: Decimal | None) -> dict[str, str]:
    value = asked.values.get("max_loss_streak", in_force)
    return {} if value is None else {"max_loss_streak": decimal_text(value)}


def _values(values: Mapping[str, Decimal], asked: AskedLimits) -> dict[str, str]:
    return {name: decimal_text(asked.values.get(name, values[name])) for name in LIMITS}


def _own(values: Mapping[str, Decimal], asked: AskedLimits) -> dict[str, str]:
    mine = {name: value for name, value in asked.values.items() if name in OWN_SCOPE}
    return {name: decimal_text(value) for name, value in sorted((dict(values) | mine).items())}


def _losses(texts: Mapping[str, str]) -> LossLimits:
    loss, drawdown, streak = (texts.get(n) for n in ("daily_loss", "max_drawdown", "max_loss_streak"))
    if loss is None and drawdown is None and streak is None:
        return NO_LOSSES
    return LossLimits(
        None if loss is None else to_units(Decimal(loss)),
        None if drawdown is None else int(Decimal(drawdown) * _MILLION),
        None if streak is None else int(Decimal(streak)),
    )
