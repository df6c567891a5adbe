"""From signal to order, one at a time: checked, sent under a key of its own, told about in one line."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from trading.daemons.executor.api import NotAnswered, OrderApi
from trading.daemons.executor.sources import Broken
from trading.domain.signals import Signal, SignalGate, SignalRefused, order_body, parse_signal

log = structlog.get_logger(__name__)
RETRY_S: Final = 0.5
RETRY_MAX_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one signal: placed, duplicate, denied (by the platform), refused (by us) or failed."""

    signal: str | None
    result: str
    code: str | None = None
    detail: str | None = None
    order_id: str | None = None
    status: str | None = None

    def members(self) -> dict[str, Any]:
        """Without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Executor:
    """Takes signals and places orders until the source ends or it is told to stop.

    Parameters
    ----------
    name : of this executor; part of every Idempotency-Key, so that two of them may use the same signal ids.
    """

    def __init__(
        self,
        api: OrderApi,
        gate: SignalGate,
        *,
        account: str,
        name: str = "executor",
        tell: Callable[[Outcome], None],
        stopping: threading.Event,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._gate = gate
        self._account = account
        self._name = name
        self._tell = tell
        self._stopping = stopping
        self._now = now

    def run(self, signals: Iterable[Any]) -> None:
        """Work through the source.

        Raises
        ------
        TokenRefused : the platform does not accept the token any more.
        """
        for told in signals:
            if self._stopping.is_set():
                return
            self._tell(self.take(told))

    def take(self, told: Any) -> Outcome:
        """Turn one signal into an order, or say why not."""
        known = told.get("id") if isinstance(told, dict) and isinstance(told.get("id"), str) else None
        try:
            if isinstance(told, Broken):
                raise SignalRefused("SCHEMA", str(told))
            signal = parse_signal(told)
            self._gate.check(signal, self._now())
        except SignalRefused as refusal:
            result = "duplicate" if refusal.code == "DUPLICATE" else "refused"
            return Outcome(known, result, refusal.code, refusal.message)
        return self._send(signal)

    def _send(self, signal: Signal) -> Outcome:
        key = idempotency_key(self._name, signal.id)
        body = order_body(signal, account=self._account)
        wait = RETRY_S
        while True:
            try:
                answer = self._api.place(body, key=key)
            except NotAnswered as failure:
                # The same key again: were it placed already, the platform answers with that order.
                log.warning("signal_not_answered", signal=signal.id, error=str(failure))
                if self._stopping.wait(failure.wait_s or wait):
                    return Outcome(signal.id, "failed", "STOPPED", "stopped before the platform answered")
                wait = min(2 * wait, RETRY_MAX_S)
                try:
                    self._gate.check_age(signal, self._now())
                except SignalRefused as refusal:
                    return Outcome(signal.id, "failed", refusal.code, f"{failure}; {refusal.message}")
                continue
            if answer.status in (200, 201):
                result = "duplicate" if answer.replayed else "placed"
                order = answer.body
                return Outcome(signal.id, result, order_id=order.get("id"), status=order.get("status"))
            code = str(answer.body.get("code") or f"HTTP_{answer.status}")
            detail = str(answer.body.get("detail") or answer.body.get("title") or "")
            return Outcome(signal.id, "denied", code, detail)


def idempotency_key(name: str, signal_id: str) -> str:
    """One key per executor and signal, within the length and alphabet the API takes."""
    digest = hashlib.sha256(f"{name}|{signal_id}".encode()).hexdigest()[:40]
    return f"signal-{digest}"
