"""Reading instruments."""

from __future__ import annotations

from django.db.models import QuerySet

from nautilus_site.common.errors import NotFound
from trading.domain.values import split_symbol
from universe.models import Instrument


def instrument_get(symbol: str, market: str = "spot") -> Instrument:
    """Return one instrument by any common spelling of its symbol.

    A spelling that names its market (`BTCUSDT.P`) wins over `market`.

    Raises
    ------
    NotFound : code UNKNOWN_SYMBOL; no symbol, or none we have seen.
    """
    try:
        plain, named = split_symbol(symbol)
    except ValueError as error:
        raise NotFound("UNKNOWN_SYMBOL", str(error), extra={"symbol": symbol}) from None
    wanted = named.value if named is not None else market
    instrument = (
        Instrument.objects.select_related("venue")
        .filter(symbol=plain, market=wanted)
        .order_by("venue_id")
        .first()
    )
    if instrument is None:
        raise NotFound("UNKNOWN_SYMBOL", f"no {wanted} instrument {plain}", extra={"symbol": symbol})
    return instrument


def instruments_tradable(market: str | None = None) -> QuerySet[Instrument]:
    """Instruments the venue takes new orders for, by symbol."""
    found = Instrument.objects.select_related("venue").filter(status="TRADING")
    return found if market is None else found.filter(market=market)


def instruments_listed() -> QuerySet[Instrument]:
    """Every instrument ever seen, with its quote."""
    return Instrument.objects.select_related("venue", "quote").order_by("-id")
