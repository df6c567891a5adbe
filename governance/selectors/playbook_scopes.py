"""The scopes playbooks look at now: what may be traded, and what is held or guarded even where it may not."""

from __future__ import annotations

from trading.models import Account, Bracket, Position, StrategyInstance, SymbolAllowance
from trading.selectors.marks import marks_read
from trading.selectors.positions import position_is_dust


def scopes_of_kind(of: str) -> list[str]:
    """Every scope of a kind that is looked at now."""
    accounts = Account.objects.filter(is_active=True)
    names: set[str]
    if of == "account":
        names = set(accounts.values_list("name", flat=True))
    elif of == "venue":
        names = set(accounts.values_list("venue__name", flat=True))
    elif of == "symbol":
        names = set(instruments_looked_at().values())
    elif of == "strategy":
        enabled = StrategyInstance.objects.filter(strategy__is_enabled=True)
        names = set(enabled.values_list("strategy__name", flat=True))
    else:
        return ["global"]
    return [f"{of}:{name}" for name in sorted(names)]


def instruments_looked_at(symbol: str | None = None) -> dict[int, str]:
    """Symbols by instrument: traded, held beyond a crumb, or with an open bracket.

    Taking a symbol off the list leaves what is held of it, and whatever can go wrong with that.
    """
    allowed = SymbolAllowance.objects.order_by()
    brackets = Bracket.objects.filter(ended_at=None, account__is_active=True).order_by()
    if symbol is not None:
        allowed = allowed.filter(instrument__symbol=symbol)
        brackets = brackets.filter(instrument__symbol=symbol)
    found: dict[int, str] = dict(allowed.values_list("instrument_id", "instrument__symbol"))
    found |= dict(brackets.values_list("instrument_id", "instrument__symbol"))
    found |= {row.instrument_id: row.instrument.symbol for row in positions_held(symbol)}
    return found


def positions_held(symbol: str | None = None) -> list[Position]:
    """Positions of active accounts, crumbs left out, with account and instrument."""
    rows = Position.objects.exclude(quantity=0).filter(account__is_active=True)
    if symbol is not None:
        rows = rows.filter(instrument__symbol=symbol)
    held = list(rows.select_related("account", "instrument").order_by("pk"))
    if not held:
        return []
    marks = marks_read({row.instrument_id for row in held})
    return [row for row in held if not position_is_dust(row, marks.of(row.instrument_id))]
