"""Stored bars to run strategies over."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from django.core.management import call_command

START = 1_700_002_800  # 2023-11-14 23:00 UTC


def store_bars(
    folder: Path, *, symbol: str = "ETHUSDT", count: int = 24 * 60, seed: int = 5, name: str = "bars"
) -> None:
    """Import `count` hours of a random walk from 2,000 on, in cents."""
    rng = np.random.default_rng(seed)
    closes = np.round(2_000 * np.exp(np.cumsum(rng.normal(0, 0.01, count))), 2)
    opens = np.concatenate(([2_000.0], closes[:-1]))
    rows = ["date,open,high,low,close,volume"]
    for n, (o, c) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        at = datetime.fromtimestamp(START + 3600 * n, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append(f"{at},{o:.2f},{max(o, c) + 1:.2f},{max(0.01, min(o, c) - 1):.2f},{c:.2f},12.5")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(rows) + "\n")
    call_command("klines", "import", str(path), "--symbol", symbol, "--interval", "1h", stdout=io.StringIO())
