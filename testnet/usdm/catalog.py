"""Built-in perpetuals, and terms for the perpetual of any other symbol."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from testnet.instruments import Character, Instrument, UnknownInstrument, catalog_instrument
from testnet.usdm.contracts import Bracket, Perpetual, make_brackets
from testnet.values import SCALE, decimals_of, parse_units

MARGIN_ASSETS = ("USDT", "USDC")
_FIRST_ONBOARD_MS = 1_569_398_400_000  # 2019-09-25 08:00 UTC, as the recorded exchangeInfo has it


class _Terms(NamedTuple):
    """What differs between built-in contracts; the venue's own values."""

    tick: str
    step: str
    price_precision: int
    quantity_precision: int
    min_notional: int
    max_price: int
    max_qty: int
    market_max_qty: int
    table: str
    liquidation_fee: str
    sub_types: tuple[str, ...] = ()


# Ticks, steps, precisions and the smallest notional as the venue announces them today; the rest as in its
# recorded exchangeInfo of July 2021.
_CATALOG: dict[str, _Terms] = {
    "BTCUSDT": _Terms("0.1", "0.001", 2, 3, 100, 1_000_000, 1_000, 120, "BTC", "0.0125", ("PoW",)),
    "ETHUSDT": _Terms("0.01", "0.001", 2, 3, 20, 100_000, 10_000, 2_000, "ETH", "0.0125", ("Layer-1",)),
    "BNBUSDT": _Terms("0.01", "0.01", 3, 2, 5, 100_000, 100_000, 2_000, "MID", "0.015", ("Layer-1",)),
    "SOLUSDT": _Terms("0.01", "0.01", 4, 2, 5, 100_000, 1_000_000, 5_000, "MID", "0.015", ("Layer-1",)),
    "XRPUSDT": _Terms("0.0001", "0.1", 4, 1, 5, 100_000, 10_000_000, 2_000_000, "MID", "0.01", ("Payment",)),
    "DOGEUSDT": _Terms("0.00001", "1", 6, 0, 5, 30, 50_000_000, 30_000_000, "MID", "0.01", ("Meme",)),
    "ADAUSDT": _Terms("0.0001", "1", 5, 0, 5, 800, 2_000_000, 300_000, "MID", "0.015", ("Layer-1",)),
    "AVAXUSDT": _Terms("0.001", "1", 4, 0, 5, 100_000, 10_000_000, 5_000, "MID", "0.015", ("Layer-1",)),
    "LINKUSDT": _Terms(
        "0.001", "0.01", 3, 2, 20, 100_000, 200_000, 20_000, "MID", "0.015", ("Infrastructure",)
    ),
    "LTCUSDT": _Terms("0.01", "0.001", 2, 3, 20, 100_000, 10_000, 5_000, "MID", "0.01", ("PoW",)),
}

# (floor in quote, leverage, maintenance percent), and the last cap. BTC's maintenance ratios and floors are
# recorded ones; the others follow the venue's pattern for large and for middling contracts.
_TABLES: dict[str, tuple[Bracket, ...]] = {
    "BTC": make_brackets(
        (
            (0, 125, "0.4"),
            (50_000, 100, "0.5"),
            (250_000, 50, "1"),
            (3_000_000, 20, "2.5"),
            (20_000_000, 10, "5"),
            (40_000_000, 5, "10"),
            (100_000_000, 4, "12.5"),
            (120_000_000, 3, "15"),
            (200_000_000, 2, "25"),
            (300_000_000, 1, "50"),
        ),
        500_000_000,
    ),
    "ETH": make_brackets(
        (
            (0, 125, "0.4"),
            (50_000, 100, "0.5"),
            (250_000, 75, "0.65"),
            (500_000, 50, "1"),
            (2_000_000, 20, "2.5"),
            (10_000_000, 10, "5"),
            (20_000_000, 5, "10"),
            (40_000_000, 4, "12.5"),
            (80_000_000, 3, "15"),
            (150_000_000, 2, "25"),
            (300_000_000, 1, "50"),
        ),
        500_000_000,
    ),
    "MID": make_brackets(
        (
            (0, 75, "0.65"),
            (10_000, 50, "1"),
            (50_000, 25, "2"),
            (250_000, 10, "5"),
            (1_000_000, 5, "10"),
            (2_000_000, 4, "12.5"),
            (5_000_000, 2, "25"),
            (10_000_000, 1, "50"),
        ),
        20_000_000,
    ),
}
# A new or little known contract starts with low leverage.
_NEW_TABLE = make_brackets(
    (
        (0, 50, "1"),
        (5_000, 25, "2"),
        (25_000, 20, "2.5"),
        (100_000, 10, "5"),
        (250_000, 5, "10"),
        (1_000_000, 2, "25"),
        (3_000_000, 1, "50"),
    ),
    5_000_000,
)
# A perpetual trades several times its spot symbol's amount, with a deeper book.
_DEPTH, _ACTIVITY, _SIZE = 3.0, 1.6, 2.5


def is_built_in(symbol: str) -> bool:
    """True for a symbol whose perpetual has terms of its own here."""
    return symbol in _CATALOG


def catalog_perpetual(symbol: str) -> tuple[Instrument, Character]:
    """The perpetual of a built-in symbol.

    Raises
    ------
    UnknownInstrument : not built in.
    """
    if symbol not in _CATALOG:
        raise UnknownInstrument(f"{symbol}: no built-in perpetual; choose from {', '.join(sorted(_CATALOG))}")
    terms = _CATALOG[symbol]
    spot, character = catalog_instrument(symbol)
    tick, step = parse_units(terms.tick), parse_units(terms.step)
    instrument = replace(
        spot,
        market="usdm",
        tick=tick,
        step=step,
        min_price=tick,
        max_price=terms.max_price * SCALE,
        min_qty=step,
        max_qty=terms.max_qty * SCALE,
        market_max_qty=terms.market_max_qty * SCALE,
        min_notional=terms.min_notional * SCALE,
        perpetual=make_terms(
            terms.price_precision,
            terms.quantity_precision,
            _TABLES[terms.table],
            onboard_ms=_FIRST_ONBOARD_MS,
            liquidation_fee=parse_units(terms.liquidation_fee),
            sub_types=terms.sub_types,
        ),
    )
    return instrument, perpetual_character(character)


def perpetual_of(spot: Instrument, character: Character, onboard_ms: int) -> tuple[Instrument, Character]:
    """A perpetual with a symbol's own tick and step, and the cautious terms of a new contract.

    Raises
    ------
    UnknownInstrument : not quoted in a margin asset.
    """
    if spot.quote not in MARGIN_ASSETS:
        raise UnknownInstrument(f"{spot.symbol}: perpetuals are quoted in {' or '.join(MARGIN_ASSETS)}")
    terms = make_terms(decimals_of(spot.tick), decimals_of(spot.step), _NEW_TABLE, onboard_ms=onboard_ms)
    return replace(spot, market="usdm", perpetual=terms), perpetual_character(character)


def make_terms(
    price_precision: int,
    quantity_precision: int,
    brackets: tuple[Bracket, ...],
    *,
    onboard_ms: int,
    liquidation_fee: int = SCALE * 15 // 1000,
    sub_types: tuple[str, ...] = (),
    funding_hours: int = 8,
) -> Perpetual:
    """Terms with the bands every contract shares; funding is capped at three quarters of maintenance."""
    # Source: the venue's funding pages: cap and floor are 0.75 times the lowest maintenance ratio.
    cap = brackets[0].ratio * 3 // 4
    return Perpetual(
        price_precision=price_precision,
        quantity_precision=quantity_precision,
        onboard_ms=onboard_ms,
        liquidation_fee=liquidation_fee,
        market_take_bound=SCALE * 5 // 100,
        trigger_protect=SCALE * 5 // 100,
        multiplier_up=SCALE * 115 // 100,
        multiplier_down=SCALE * 85 // 100,
        brackets=brackets,
        funding_hours=funding_hours,
        funding_cap=cap,
        funding_floor=-cap,
        underlying_sub_types=sub_types,
    )


def perpetual_character(spot: Character) -> Character:
    """How a perpetual's background market behaves, given its spot symbol's."""
    return replace(
        spot,
        top_notional=spot.top_notional * _DEPTH,
        trades_per_s=spot.trades_per_s * _ACTIVITY,
        trade_notional=spot.trade_notional * _SIZE,
    )
