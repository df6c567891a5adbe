"""Reading the latest top of book."""

from __future__ import annotations

from collections.abc import Iterable

from universe.models import Quote


def quote_get(symbol: str, market: str = "spot") -> Quote | None:
    """Return the latest quote of a plain symbol, or None when none was ever received."""
    return (
        Quote.objects.select_related("instrument")
        .filter(instrument__symbol=symbol, instrument__market=market)
        .first()
    )


def quotes_by_symbol(symbols: Iterable[str], market: str = "spot") -> dict[str, Quote]:
    """Return the quotes that exist, by plain symbol."""
    found = Quote.objects.select_related("instrument").filter(
        instrument__symbol__in=list(symbols), instrument__market=market
    )
    return {quote.instrument.symbol: quote for quote in found}
