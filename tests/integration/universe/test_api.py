"""`/universe`, `/symbols/{symbol}` and `/bars`."""

from __future__ import annotations

from typing import Any

from tests.integration.universe.market import START_MS, bar
from universe.models import Instrument
from universe.services import bars_store


def test_a_symbol_shows_its_filters_as_text(bitcoin: Instrument, token_client: Any, viewer: Any) -> None:
    answer = token_client(viewer).get("/api/v1/symbols/btc-usdt")
    assert answer.status_code == 200
    assert (answer.json()["symbol"], answer.json()["filters"]["step_size"]) == ("BTCUSDT", "0.00001")
    assert answer.json()["quote"] is None


def test_an_unknown_symbol_is_404_and_an_anonymous_reader_401(
    bitcoin: Instrument, token_client: Any, viewer: Any, client: Any
) -> None:
    answer = token_client(viewer).get("/api/v1/symbols/NOSUCHUSDT")
    assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_SYMBOL")
    assert client.get("/api/v1/symbols/BTCUSDT").status_code == 401


def test_the_universe_is_filtered_by_field(bitcoin: Instrument, token_client: Any, viewer: Any) -> None:
    reader = token_client(viewer)
    assert [i["symbol"] for i in reader.get("/api/v1/universe?status=TRADING").json()["results"]] == [
        "BTCUSDT"
    ]
    assert reader.get("/api/v1/universe?status=HALT").json()["results"] == []


def test_bars_come_ascending_and_bad_parameters_are_400(
    bitcoin: Instrument, token_client: Any, viewer: Any
) -> None:
    bars_store(bitcoin, "1m", [bar(n) for n in range(5)], "rest")
    reader = token_client(viewer)
    bars = reader.get("/api/v1/bars?symbol=BTCUSDT&interval=1m&limit=2").json()["results"]
    assert [(b["time"], b["open"]) for b in bars] == [
        (START_MS // 1000 + 180, "103"),
        (START_MS // 1000 + 240, "104"),
    ]
    for query in ("", "?symbol=BTCUSDT&interval=7m", "?symbol=BTCUSDT&limit=0", "?symbol=BTCUSDT&limit=9999"):
        assert reader.get(f"/api/v1/bars{query}").status_code == 400
