"""Compare a recorded feed with the generated market.

python -m testnet.market.compare --recorded FILE [--symbol BTCUSDT] [--market spot|usdm]
        [--minutes N] [--regime NAME] [--seed N] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from testnet.instruments import UnknownInstrument, catalog_instrument
from testnet.market.compare import generated, recording
from testnet.market.compare.portrait import Figures
from testnet.market.compare.recording import BadRecording
from testnet.market.compare.table import Row, render, rows
from testnet.market.regimes import NAMES, REGIMES
from testnet.opening import BadStart
from testnet.usdm.catalog import catalog_perpetual


def build_parser() -> argparse.ArgumentParser:
    """Every option."""
    parser = argparse.ArgumentParser(
        prog="python -m testnet.market.compare",
        description="Spread, depth, trades and volatility of a recorded feed and of the generated market.",
    )
    add = parser.add_argument
    add("--recorded", type=Path, required=True, metavar="FILE", help="lines of `<ns> <json>`, also gzipped")
    add("--symbol", type=str.upper, default="BTCUSDT", help="whose streams to read and generate (BTCUSDT)")
    add("--market", choices=("spot", "usdm"), default="spot", help="the recording's market (spot)")
    add("--minutes", type=_minutes, help="how much of the recording to use (all)")
    add("--warm-up", type=_minutes, default=0.25, help="minutes at its start that only build the book (0.25)")
    add("--regime", choices=NAMES, help="hidden regime to generate (the one nearest in volatility)")
    add("--seed", type=int, default=1, help="seed of the generated market (1)")
    add("--json", action="store_true", help="print JSON instead of a table")
    return parser


def nearest_regime(volatility_60s_bps: float, relative: float) -> str:
    """The regime whose volatility per minute is nearest on a log scale.

    `relative` is the symbol's own volatility against the regimes'.
    """
    return min(
        REGIMES, key=lambda regime: abs(math.log(regime.volatility * relative * 1e4 / volatility_60s_bps))
    ).name


def compare(options: argparse.Namespace) -> tuple[list[Row], str]:
    """Both portraits and the regime that was generated."""
    instrument, character = catalog_instrument(options.symbol)
    if options.market == "usdm":
        instrument, _ = catalog_perpetual(options.symbol)
    seconds = None if options.minutes is None else options.minutes * 60
    sitter = recording.portray(
        options.recorded, options.symbol, instrument.tick, warm_up_s=options.warm_up * 60, seconds=seconds
    )
    recorded: Figures = sitter.figures()
    volatility = recorded["volatility_60s_bps"]
    regime = options.regime
    if regime is None:
        usable = volatility > 0  # also False for NaN, of a recording below a minute
        regime = nearest_regime(volatility, character.volatility) if usable else NAMES[0]
    made = generated.portray(
        options.symbol, regime, seconds=sitter.seconds, seed=options.seed, market=options.market
    )
    return rows(recorded, made.figures()), regime


def main(argv: list[str] | None = None) -> int:
    """Print the comparison; 0 done, 1 the recording or symbol cannot be used."""
    options = build_parser().parse_args(argv)
    try:
        table, regime = compare(options)
    except (BadRecording, BadStart, UnknownInstrument, OSError) as error:
        sys.stderr.write(f"cannot compare: {error}\n")
        return 1
    if options.json:
        figures = {row.name: {"recorded": row.recorded, "generated": row.generated} for row in table}
        clean = {
            name: {source: None if math.isnan(value) else value for source, value in pair.items()}
            for name, pair in figures.items()
        }
        sys.stdout.write(
            json.dumps(
                {"market": options.market, "symbol": options.symbol, "regime": regime, "figures": clean}
            )
            + "\n"
        )
    else:
        name = f"{options.market}:{options.symbol}"
        title = f"{name}: {options.recorded.name} against regime {regime}, seed {options.seed}"
        sys.stdout.write(render(table, title) + "\n")
    return 0


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1_440:
        raise argparse.ArgumentTypeError("expected 0 to 1440 minutes")
    return value


if __name__ == "__main__":
    sys.exit(main())
