"""A market maker's inventory stays within its cap whatever fills, and its quotes never cross."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.strategies import Bar, Execution, Observation, parse_params, registry

MarketMaker = registry()["market_maker"]
S = 1_000_000_000
BAR = Bar(0, 60 * S, 100.0, 100.0, 100.0, 100.0, 1.0)
MOVES = st.tuples(
    st.floats(-30.0, 30.0), st.sampled_from([-1, 0, 1]), st.floats(0.05, 1.0), st.integers(1, 200)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(MOVES, min_size=5, max_size=60),
    st.integers(1, 8),
    st.booleans(),
    st.sampled_from(["glft", "avellaneda_stoikov"]),
)
def test_inventory_never_passes_its_cap_and_quotes_never_cross(
    moves: list[tuple[float, int, float, int]], limit: int, short: bool, formula: str
) -> None:
    params = parse_params(
        MarketMaker.Params,
        {
            "lot": 2.0, "inventory_limit": limit, "allow_short": short, "formula": formula,
            "maker_fee_bps": 0.0, "volatility_spike": 100.0, "run_fills": 64, "widest_bps": 500.0,
        },
    )  # fmt: skip
    strategy, now, mid, position = MarketMaker(), 0, 100.0, 0.0
    state, fills, quoted = strategy.initial(params), (), 0
    for move, side, part, spread in moves:
        now += S
        mid *= 1.0 + move / 10_000.0
        bid, ask = round(mid - spread / 100.0, 2), round(mid + spread / 100.0, 2)
        seen = Observation(
            "BTCUSDT", "1m", BAR, now, bid=bid, ask=ask, bid_size=1.0, ask_size=1.0,
            position=position, fills=fills, trigger="book",
        )  # fmt: skip
        state, desired = strategy.step(params, state, seen)
        fills = ()
        if desired.quotes is None:
            continue
        quoted += 1
        quotes = desired.quotes
        assert not quotes.bid_size or quotes.bid_price < ask
        assert not quotes.ask_size or quotes.ask_price > bid
        size = quotes.bid_size if side > 0 else quotes.ask_size if side < 0 else 0.0
        if size:
            price = quotes.bid_price if side > 0 else quotes.ask_price
            fills = (Execution(side * size * part, price, 0.0, True, now),)
            position += side * size * part
        assert -limit * 2.0 * short - 1e-9 <= position <= limit * 2.0 + 1e-9
    assert quoted > 0
