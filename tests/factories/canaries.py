"""A strategy that trades a champion beside its canary, and what both earned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
from django.utils import timezone

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.canaries import canary_check
from mlregistry.services.stages import promotion_request
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from trading.domain.ports import KlineRecord
from trading.models import Position, StrategyInstance, SubPosition
from universe.models import Bar
from universe.services import bars_store

HOUR_MS: Final = 3_600_000
LIVE_MS: Final = 1_700_006_400_000
FAMILY: Final = "hmm-btcusdt-spot-1h"
FAST: Final = {
    "dwell_s": 0,
    "fills": 0,
    "interval_s": 10,
    "share": 0.2,
    "cap": 500,
    "n_opt": 50,
    "quote_s": 1e6,
}


def promote(version: ModelVersion, stage: Stage, people: tuple[User, User], **rules: Any) -> ModelVersion:
    asked = promotion_request(
        version=version, stage=stage, reason="drill", requester=people[0], override=True, canary=rules
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    version.refresh_from_db()
    return version


def live_bars(desk: Desk, count: int, *, first: int = 0, last_return: float | None = None) -> None:
    closes = 60_000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0015, 0.004, first + count)))[first:]
    if last_return is not None:
        closes[-1] = closes[-2] * (1 + last_return)
    records = []
    for n, close in enumerate(closes.tolist()):
        price = Decimal(f"{close:.2f}")
        at = LIVE_MS + (first + n) * HOUR_MS
        records.append(
            KlineRecord(
                open_time_ms=at, open=price, high=price, low=price, close=price, volume=Decimal(25),
                close_time_ms=at + HOUR_MS - 1, quote_volume=price * 25, trades=9, taker_base=Decimal(1),
                taker_quote=price,
            )
        )  # fmt: skip
    bars_store(desk.instruments["BTCUSDT"], "1h", records, Bar.Source.STREAM)


def instance(strategy: str) -> StrategyInstance:
    return StrategyInstance.objects.get(strategy__name=strategy)


def earned(strategy: str, result: float) -> None:
    position, _ = Position.objects.get_or_create(
        account=StrategyInstance.objects.first().account,  # type: ignore[union-attr]
        instrument=StrategyInstance.objects.first().instrument,  # type: ignore[union-attr]
    )
    SubPosition.objects.update_or_create(
        position=position, owner=strategy, defaults={"realized": Decimal(f"{result:.8f}")}
    )


def both_decided() -> None:
    StrategyInstance.objects.update(last_bar_at=timezone.now())


def run(canary: Canary, edge: float, intervals: int) -> Canary:
    """Let both trade: the canary earns `edge` more per interval, in units of the noise."""
    rng, own, other, start = np.random.default_rng(3), 0.0, 0.0, timezone.now()
    both_decided()
    for n in range(intervals + 1):
        earned("trend-canary", own)
        earned("trend", other)
        canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=10 * n))
        canary.refresh_from_db()
        if canary.state != Canary.State.RUNNING:
            break
        common = rng.normal(0.0, 0.0002)
        other += 2500 * common
        own += 500 * (common + 0.0001 * (edge + rng.normal()))
    return canary
