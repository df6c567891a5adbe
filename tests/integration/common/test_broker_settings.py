"""Messages are hints: what Celery may lose, repeat or delay is bounded by settings, and these are they."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from celery import current_app
from kombu.message import Message

from nautilus_site.celery import app, reconnect_when_an_acknowledgement_is_lost
from nautilus_site.common.services import hints

TRADING_PREFIXES = ("trading.tasks.",)


def test_a_task_is_acknowledged_after_its_work_and_comes_again_when_its_worker_is_lost() -> None:
    assert app.conf.task_acks_late is True
    assert app.conf.task_reject_on_worker_lost is True
    assert app.conf.worker_cancel_long_running_tasks_on_connection_loss is True


def test_a_worker_takes_one_message_at_a_time() -> None:
    assert app.conf.worker_prefetch_multiplier == 1


def test_the_hard_time_limit_is_below_half_of_the_visibility_timeout() -> None:
    visibility = app.conf.broker_transport_options["visibility_timeout"]
    assert 0 < app.conf.task_soft_time_limit < app.conf.task_time_limit < visibility / 2


def test_messages_are_json_and_nothing_else_is_accepted() -> None:
    assert app.conf.task_serializer == "json"
    assert app.conf.accept_content == ["json"]


def test_nothing_that_touches_orders_is_retried_by_the_broker() -> None:
    app.loader.import_default_modules()
    names = [name for name in current_app.tasks if name.startswith(TRADING_PREFIXES)]
    assert len(names) > 5
    for name in names:
        task = current_app.tasks[name]
        assert not getattr(task, "autoretry_for", ()), name
        assert task.acks_late is True, name
        assert task.reject_on_worker_lost is True, name
    assert app.conf.task_publish_retry is False


def test_results_are_not_kept_so_that_nothing_waits_for_them() -> None:
    assert app.conf.task_ignore_result is True


class Refusing:
    """A broker that hangs up on whoever calls, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    broker = Refusing()
    # By item: read as an attribute, the second would be remembered as what the first has made of it.
    monkeypatch.setitem(app.conf, "broker_url", broker.url)
    monkeypatch.setitem(app.conf, "broker_write_url", broker.url)
    monkeypatch.setattr(hints, "_failed_at", float("-inf"))
    app.amqp._producer_pool = None
    app._pool = None
    yield broker
    broker.close()
    app._pool = None
    app.amqp._producer_pool = None


def test_a_broker_that_is_away_is_asked_once_and_then_left_alone(
    refusing: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hints.send_hint("trading.tasks.orders_drain", queue="trading", account_id=1, shard=0) is False
    tried = refusing.calls
    assert tried >= 1
    with hints.hints_withheld():
        monkeypatch.setattr(hints, "_failed_at", float("-inf"))
        assert hints.send_hint("trading.tasks.orders_drain", queue="trading", account_id=1, shard=0) is False
    assert refusing.calls == tried
    monkeypatch.setattr(hints, "_failed_at", time.monotonic())
    for _ in range(20):
        assert hints.send_hint("trading.tasks.orders_drain", queue="trading", account_id=1, shard=0) is False
    assert refusing.calls == tried


def test_a_hint_that_grows_worthless_says_when_and_any_other_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []

    class App:
        def send_task(self, name: str, *, expires: float | None, **_: object) -> None:
            sent.append(expires)

    monkeypatch.setattr(hints, "current_app", App())
    monkeypatch.setattr(hints, "_failed_at", float("-inf"))
    assert hints.send_hint("a.task", queue="trading", number=1)
    assert hints.send_hint("a.task", queue="trading", worthless_after_s=1.0, number=1)
    assert sent == [None, 1.0]


class StandsStill:
    """A channel to a broker that does not answer."""

    no_ack_consumers: frozenset[str] = frozenset()

    def basic_ack(self, *_: object, **__: object) -> None:
        raise TimeoutError("nobody answered")


def test_a_worker_that_cannot_acknowledge_connects_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone the message would be the one a worker may have in hand, and it would take no other."""
    monkeypatch.setattr(Message, "ack_log_error", Message.ack_log_error)
    message = Message(channel=StandsStill(), delivery_tag="tag")
    message.ack_log_error(logging.getLogger("test"), (TimeoutError,))
    reconnect_when_an_acknowledgement_is_lost()
    with pytest.raises(TimeoutError):
        message.ack_log_error(logging.getLogger("test"), (TimeoutError,))


@pytest.mark.parametrize(("process", "lets_go"), [("worker-trading", "3s"), ("web", "0")])
def test_a_worker_that_freezes_in_a_transaction_lets_go_of_its_rows(process: str, lets_go: str) -> None:
    code = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        "    cursor.execute('SHOW idle_in_transaction_session_timeout')\n"
        "    print(cursor.fetchone()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-X", f"nautilus-{process}", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == lets_go
