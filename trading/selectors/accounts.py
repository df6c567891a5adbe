"""Accounts and their balances."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.errors import NotFound
from trading.domain.values import normalise_symbol
from trading.models import Account, Balance
from trading.selectors.notation import amount_text, utc_text
from universe.models import Instrument


def account_get(name: str) -> Account:
    """One account by name.

    Raises
    ------
    NotFound : UNKNOWN_ACCOUNT.
    """
    account = Account.objects.select_related("venue").filter(name=name).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {name!r}")
    return account


def accounts_active() -> list[Account]:
    """Every active account with its venue, by name."""
    return list(Account.objects.select_related("venue").filter(is_active=True).order_by("name"))


def accounts_of_scope(scope: str) -> QuerySet[Account]:
    """Active accounts a scope reaches. Of a strategy or a model all: its orders may lie on any."""
    kind, _, rest = scope.partition(":")
    rows = Account.objects.filter(is_active=True).select_related("venue").order_by("pk")
    if kind == "account":
        return rows.filter(name=rest)
    if kind == "venue":
        return rows.filter(venue__name=rest)
    if kind in ("symbol", "strategy_symbol"):
        symbol = rest.rpartition(":")[2]
        return rows.filter(venue__in=Instrument.objects.filter(symbol=symbol).values("venue"))
    return rows


def account_queryset() -> QuerySet[Account]:
    """Accounts with their venue."""
    return Account.objects.select_related("venue").order_by("-id")


def account_members(account: Account) -> dict[str, Any]:
    """The public members of an account. Keys are not among them."""
    return {
        "name": account.name,
        "venue": account.venue.name,
        "market": account.venue.market,
        "environment": account.venue.environment,
        "active": account.is_active,
        "opened_at": utc_text(account.opened_at),
        "reconciled_at": utc_text(account.reconciled_at),
    }


def balance_queryset() -> QuerySet[Balance]:
    """Balances with their account, newest first."""
    return Balance.objects.select_related("account").order_by("-id")


def balance_members(balance: Balance) -> dict[str, Any]:
    """The public members of a balance: what our ledger holds, less what open orders are promised."""
    return {
        "account": balance.account.name,
        "asset": balance.asset,
        "free": amount_text(balance.amount - balance.reserved),
        "locked": amount_text(balance.reserved),
        "venue_free": amount_text(balance.venue_free),
        "venue_locked": amount_text(balance.venue_locked),
        "venue_seen_at": utc_text(balance.venue_seen_at),
    }


def symbol_get(text: str) -> str:
    """The plain spelling of a symbol some venue has.

    Raises
    ------
    NotFound : UNKNOWN_SYMBOL.
    """
    try:
        plain = normalise_symbol(text)
    except ValueError as error:
        raise NotFound("UNKNOWN_SYMBOL", str(error)) from None
    if not Instrument.objects.filter(symbol=plain).exists():
        raise NotFound("UNKNOWN_SYMBOL", f"no venue has a symbol {plain}")
    return plain
