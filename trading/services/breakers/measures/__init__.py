"""What breakers judge by: each measure is one function over rows of a scope and a window, higher is worse.

A measure that cannot be taken raises, and whoever evaluates opens the breaker for it. Nothing here guesses zero:
where there is nothing to judge yet, the reading has no samples.
"""

from collections.abc import Callable
from datetime import datetime

from trading.domain.breakers import Reading
from trading.services.breakers.measures import books, market, orders, venue

Measure = Callable[[str, datetime, datetime], Reading]
"""(scope, start of the window, now)."""

MEASURES: dict[str, Measure] = {
    "venue_error_rate": venue.error_rate,
    "venue_rate_limit": venue.rate_limit,
    "venue_ban": venue.ban,
    "venue_overload": venue.overload,
    "key_rejected": venue.key_rejected,
    "ack_latency_p99": venue.ack_latency_p99,
    "clock_offset": venue.clock_offset,
    "commit_latency_p99": venue.commit_latency_p99,
    "market_data_age": market.data_age,
    "user_stream_gap": market.user_stream_gap,
    "spread": market.spread,
    "volatility_jump": market.volatility_jump,
    "unknown_orders": orders.unknown,
    "reject_rate": orders.reject_rate,
    "order_to_fill": orders.order_to_fill,
    "slippage": orders.slippage,
    "fill_outside": orders.fill_outside,
    "reconcile_divergence": books.divergences,
    "drawdown": books.drawdown,
    "daily_loss": books.daily_loss,
    "pnl_velocity": books.pnl_velocity,
    "margin_ratio": books.margin_ratio,
    "margin_call": books.margin_calls,
}
