"""The executor as its own process against a served platform: signals in, orders there, one line about each."""

from __future__ import annotations

import json
import os
import signal as signals
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from nautilus_site.common.services.tokens import token_create
from tests.browser.server import served
from tests.factories.exchange import ROOT
from tests.factories.trading import Desk, trader, trading_desk
from trading.models import Order

PATIENCE_S = 90.0


@pytest.fixture
def desk(transactional_db: None) -> Desk:
    desk = trading_desk()
    # Another process takes its time to start; nothing renews the prices meanwhile.
    desk.limit(price_max_age=3600, reconcile_max_age=3600)
    return desk


@pytest.fixture
def url(transactional_db: None) -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture
def token(desk: Desk) -> str:
    person = trader()
    return token_create(user=person, name="executor", actor=person, scopes=["orders.place"])


def signal(key: str, **changes: Any) -> str:
    return json.dumps(
        {
            "id": key,
            "at": datetime.now(UTC).isoformat(),
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.001",
            "price": "60000",
            **changes,
        }
    )


def start(url: str, token: str, *more: str) -> subprocess.Popen[str]:
    command = [
        *(sys.executable, "manage.py", "hmm_executor", "--url", url, "--account", "desk"),
        *("--symbols", "BTCUSDT", "--max-notional", "100", "--max-per-minute", "3", "--max-age", "120"),
        *more,
    ]
    environment = {**os.environ, "NAUTILUS_TOKEN": token}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    return dict(json.loads(line))


def say(process: subprocess.Popen[str], *lines: str) -> None:
    assert process.stdin is not None
    process.stdin.write("".join(f"{line}\n" for line in lines))
    process.stdin.flush()


def test_signals_on_a_pipe_become_orders_once_and_within_the_executors_own_limits(
    desk: Desk, url: str, token: str
) -> None:
    process = start(url, token)
    old = (datetime.now(UTC) - timedelta(seconds=300)).isoformat()
    say(
        process,
        signal("one"),
        signal("one"),
        signal("old", at=old),
        signal("big", quantity="0.1"),
        signal("other", symbol="ETHUSDT", price="3000"),
        "no json at all",
        signal("two", quantity="0.0012"),
        signal("three", quantity="0.0014"),
        signal("four", quantity="0.0016"),
    )
    answers = [told(process) for _ in range(9)]
    assert [(a.get("signal"), a["result"], a.get("code")) for a in answers] == [
        ("one", "placed", None),
        ("one", "duplicate", "DUPLICATE"),
        ("old", "refused", "TOO_OLD"),
        ("big", "refused", "NOTIONAL_ABOVE_MAX"),
        ("other", "refused", "SYMBOL_NOT_ALLOWED"),
        (None, "refused", "SCHEMA"),
        ("two", "placed", None),
        ("three", "placed", None),
        ("four", "refused", "RATE_LIMITED"),
    ]
    assert {str(o.uid) for o in Order.objects.all()} == {a["order_id"] for a in answers if "order_id" in a}
    process.stdin.close()  # type: ignore[union-attr]
    assert process.wait(PATIENCE_S) == 0

    # Another one that is told the same signals places nothing twice: the platform knows them.
    again = start(url, token)
    say(again, signal("one"))
    assert told(again)["result"] in ("duplicate", "denied")
    assert Order.objects.count() == 3
    again.terminate()
    assert again.wait(PATIENCE_S) == 0


@pytest.mark.long
def test_what_a_rail_denies_is_told_with_its_code(desk: Desk, url: str, token: str) -> None:
    desk.limit(max_notional=10)
    process = start(url, token)
    say(process, signal("one"))
    answer = told(process)
    assert (answer["result"], answer["code"]) == ("denied", "NOTIONAL_ABOVE_MAX")
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_a_forged_token_ends_it_with_a_clear_sentence(desk: Desk, url: str) -> None:
    process = start(url, "nau_forged")
    out, error = process.communicate(signal("one") + "\n", timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "")
    assert "refuses the token" in error
    assert not Order.objects.exists()


@pytest.mark.long
def test_lines_appended_to_a_file_are_followed_and_its_past_is_left_alone(
    desk: Desk, url: str, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "signals.jsonl"
    path.write_text(signal("past") + "\n")
    process = start(url, token, "--follow", str(path))
    try:
        deadline = time.monotonic() + PATIENCE_S
        number = 0
        while not Order.objects.exists() and time.monotonic() < deadline:
            number += 1  # until it has started, what is appended is its past, too
            with path.open("a") as file:
                file.write(signal(f"new{number}") + "\n")
            time.sleep(2)
        assert told(process)["signal"].startswith("new")
    finally:
        process.terminate()
    assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--max-notional", "much"], "--max-notional: expected an amount"),
        (["--symbols", "?"], "--symbols:"),
        (["--token-file", "/nowhere"], "--token-file:"),
    ],
)
def test_wrong_options_are_refused_with_a_sentence(
    options: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAUTILUS_TOKEN", "token")
    monkeypatch.setattr(signals, "signal", lambda number, handler: None)  # those of the test run stay
    with pytest.raises(CommandError, match=sentence):
        call_command(
            *("hmm_executor", "--url", "http://127.0.0.1:1", "--account", "desk"),
            *("--symbols", "BTCUSDT", "--max-notional", "100", *options),
        )
