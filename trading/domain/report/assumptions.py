"""What a run assumed, as label and text: nested plain data flattened, limits and shares in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.values import decimal_text, from_units

_FAR: Final = 10**17
_MILLION: Final = 1_000_000
_NS: Final = 1_000_000_000
_COUNTS: Final = frozenset(
    {
        *("orders_per_minute", "orders_per_minute_strategy", "max_open_orders", "max_open_orders_strategy"),
        *("leverage_max", "repeated_executions", "sends_per_decision", "streak"),
    }
)
_SHARES: Final = frozenset({"margin_ratio_max", "liquidation_distance_min", "weight_headroom", "drawdown"})


def assumption_texts(header: Mapping[str, object], path: str = "") -> dict[str, str]:
    """Return nested plain data as label -> text, in its order; empty parts are left out."""
    flat: dict[str, str] = {}
    for key, value in header.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping) and key in ("limits", "losses"):
            flat[name] = limit_words(value)
        elif isinstance(value, Mapping):
            flat.update(assumption_texts(value, f"{name}."))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flat.update(assumption_texts({str(i): item for i, item in enumerate(value)}, f"{name}."))
        elif key == "share" and isinstance(value, int):
            flat[name] = f"{Decimal(value) / PARTS:.4%}"
        elif value is not None:
            flat[name] = str(value)
    return flat


def limit_words(limits: Mapping[str, object]) -> str:
    """Return the kernel's limits as text: amounts in quote currency, times in seconds; far ones are left out."""
    words = []
    for name, value in limits.items():
        if not isinstance(value, int) or value >= _FAR:
            continue
        if name.endswith("_ns"):
            text = f"{decimal_text(Decimal(value) / _NS)} s"
        elif name.endswith("_bps"):
            text = f"{value} bps"
        elif name in _SHARES:
            text = f"{Decimal(value) * 100 / _MILLION:g} %"
        elif name in _COUNTS:
            text = str(value)
        else:
            text = f"{from_units(value):,f}"
        words.append(f"{name.removesuffix('_ns').removesuffix('_bps')} {text}")
    return "; ".join(words) or "none"
