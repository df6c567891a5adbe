"""Scopes: what a level, a limit or a breaker applies to, as one line of text."""

from __future__ import annotations

import re

from nautilus_site.common.errors import ApplicationError
from trading.domain.values import normalise_symbol

GLOBAL = "global"
_NAME = r"[A-Za-z0-9_.\-]{1,60}"
_FORMS = {
    "venue": re.compile(rf"venue:({_NAME})"),
    "account": re.compile(rf"account:({_NAME})"),
    "strategy": re.compile(rf"strategy:({_NAME})"),
    "symbol": re.compile(r"symbol:(.{1,30})"),
    "strategy_symbol": re.compile(rf"strategy_symbol:({_NAME}):(.{{1,30}})"),
    "model": re.compile(rf"model:({_NAME}@{_NAME})"),
}

SCOPE = "|".join([GLOBAL, *(form.pattern for form in _FORMS.values())])
"""What a scope looks like; `parse_scope` says which of them are written in the one way they are stored."""


def parse_scope(text: str) -> str:
    """Return the canonical form of a scope.

    Raises
    ------
    ApplicationError : INVALID_SCOPE.
    """
    if text == GLOBAL:
        return GLOBAL
    kind = text.partition(":")[0]
    form = _FORMS.get(kind)
    match = form.fullmatch(text) if form else None
    if match is None:
        expected = "global, venue:V, account:A, strategy:N, symbol:S, strategy_symbol:N:S or model:N@V"
        raise ApplicationError("INVALID_SCOPE", f"expected {expected}, was {text[:80]!r}")
    try:
        if kind == "symbol":
            return f"symbol:{normalise_symbol(match[1])}"
        if kind == "strategy_symbol":
            return f"strategy_symbol:{match[1]}:{normalise_symbol(match[2])}"
    except ValueError as error:
        raise ApplicationError("INVALID_SCOPE", str(error)) from None
    return text


def scopes_of(*, venue: str, account: str, symbol: str, strategy: str | None, model: str = "") -> list[str]:
    """Every scope an order lies in, widest first; `model` is `name@version`, empty where none was asked."""
    scopes = [GLOBAL, f"venue:{venue}", f"account:{account}", f"symbol:{symbol}"]
    if strategy:
        scopes += [f"strategy:{strategy}", f"strategy_symbol:{strategy}:{symbol}"]
    if model:
        scopes.append(f"model:{model}")
    return scopes
