"""The strategies and commands of the page about backtesting do what it says, in the order it says it."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.fakes.instruments import exchange_info_entry
from tests.integration.trading.backtests.test_backtest_command import candles

PAGE = Path(__file__).resolve().parents[4] / "docs/BACKTESTING.md"
COMMAND = re.compile(r"^    manage\.py ((?:backtest|replay|klines) .+)$", re.MULTILINE)


def strategies() -> dict[str, str]:
    """The page's files by the name its commands give them."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = {}
    for block in blocks:
        if name := re.search(r'^    name = "(\w+)"', block, re.MULTILINE):
            found[f"{name[1]}.py"] = block
    return found


@pytest.fixture
def folder(tmp_path: Path, settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    from django.utils import timezone

    from trading.models import Account
    from trading.services.controls import limits_install
    from universe.models import Instrument, Venue

    settings.NAUTILUS_HOME = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    now = timezone.now()
    venue = Venue.objects.create(name="paper", market="spot", environment="local")
    Account.objects.create(name="paper-spot", venue=venue)
    limits_install(actor="test")
    Instrument.objects.create(
        venue=venue, symbol="BTCUSDT",
        market="spot", base_asset="BTC", quote_asset="USDT", status="TRADING", filters=exchange_info_entry(),
        first_seen_at=now, updated_at=now,
    )  # fmt: skip
    rows = [
        "date,open,high,low,close,volume",
        *(",".join(row).replace("2023", "2022") for row in candles(400)),
    ]
    (tmp_path / "BTCUSDT_1h.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode(), mtime=0))
    top = {
        "stream": "btcusdt@bookTicker",
        "data": {"s": "BTCUSDT", "b": "100", "B": "1", "a": "100.1", "A": "1"},
    }
    lines = [f"{1_700_000_000_000_000_000 + n * 10**8} {json.dumps(top)}" for n in range(20)]
    (tmp_path / "recording.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    for name, text in strategies().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_command_of_the_page_runs(folder: Path) -> None:
    commands = COMMAND.findall(PAGE.read_text(encoding="utf-8"))
    assert len(commands) >= 8
    assert set(strategies()) == {"dip.py", "above_mean.py", "join.py"}
    for line in commands:
        if "--engine compiled" in line:
            pytest.importorskip("numba", reason="the compiled engine needs numba; the rest of the page ran")
        out = io.StringIO()
        call_command(*shlex.split(line), stdout=out, stderr=out)
        assert out.getvalue()
    assert (folder / "page.html").exists()
