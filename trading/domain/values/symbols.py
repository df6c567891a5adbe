"""One spelling per symbol, whatever a person, a chart or another platform writes."""

from __future__ import annotations

import re
from typing import Final

from trading.domain.values.enums import Market

_PLAIN: Final = re.compile(r"[A-Z0-9]{4,20}")
_DELIVERY: Final = re.compile(r"[_-]\d{6}$")


def split_symbol(text: str) -> tuple[str, Market | None]:
    """Return the plain symbol and the market its spelling names, or None where it names none.

    Understood: `btc/usdt`, `BTC-USDT`, `btc_usdt`, `BTCUSDT.BINANCE`; and as USD-M perpetual
    `BTCUSDT.P`, `BTCUSDT-PERP`, `BTCUSDT-PERP.BINANCE`, `BTC/USDT:USDT`.

    Raises
    ------
    ValueError : the text is no symbol, or names a delivery contract.
    """
    if not text.isascii():
        raise ValueError(f"expected a symbol such as BTCUSDT, was {text!r}")
    symbol = text.strip().upper().removesuffix(".BINANCE")
    market: Market | None = None
    base, colon, settle = symbol.partition(":")
    if colon:
        # ccxt names a linear perpetual by its settlement asset, which is its quote asset.
        if not settle or not base.endswith(f"/{settle}"):
            raise ValueError(f"expected a symbol such as BTC/USDT:USDT, was {text!r}")
        symbol, market = base, Market.usdm
    for suffix in (".P", "-PERP", "_PERP"):
        if symbol.endswith(suffix):
            symbol, market = symbol.removesuffix(suffix), Market.usdm
            break
    if _DELIVERY.search(symbol):
        raise ValueError(f"{text!r} is a delivery contract; only spot pairs and perpetuals are traded")
    parts = re.split(r"[/_-]", symbol)
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"expected a symbol such as BTCUSDT, was {text!r}")
    symbol = "".join(parts)
    if not _PLAIN.fullmatch(symbol):
        raise ValueError(f"expected a symbol such as BTCUSDT, was {text!r}")
    return symbol, market


def normalise_symbol(text: str) -> str:
    """Return the plain upper-case symbol, e.g. `BTCUSDT` for ` btc_usdt `.

    Raises
    ------
    ValueError : as `split_symbol`.
    """
    return split_symbol(text)[0]
