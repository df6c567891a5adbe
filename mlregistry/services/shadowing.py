"""Stepping shadow versions over closed bars: the same strategy and parameters, another model, no orders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelVersion, ShadowDecision, ShadowTrack
from mlregistry.selectors.verdicts import champion_followers
from mlregistry.services.artefacts import artefact_place
from nautilus_site.common.clock import now
from trading.domain.clock import datetime_to_ns, interval_ns, ns_to_datetime
from trading.domain.errors import DomainError
from trading.domain.strategies import Observation
from trading.domain.strategies.catalogue import StrategyLoadError
from trading.domain.strategies.parameters import ParameterError, parse_params
from trading.domain.strategies.slower import bars_within, slower_closing
from trading.models import StrategyInstance
from trading.services.strategies.observing import funding_of_bars, strategy_bar
from trading.services.strategy_kinds import strategy_load
from universe.selectors import bars_recent

if TYPE_CHECKING:
    from universe.domain.bars import BarRecord

log = structlog.get_logger(__name__)
CATCH_UP = 1000


def shadows_step() -> int:
    """Step every shadow on every instance its family's champion decides for. Returns the decisions recorded."""
    count = 0
    for version in ModelVersion.objects.filter(stage=Stage.SHADOW).select_related("family").order_by("pk"):
        instances = StrategyInstance.objects.filter(
            strategy__in=champion_followers(version.family.name), is_enabled=True
        )
        for instance_id in instances.order_by("pk").values_list("pk", flat=True):
            count += shadow_step(version=version, instance_id=instance_id)
    return count


@transaction.atomic
def shadow_step(*, version: ModelVersion, instance_id: int) -> int:
    """Step one shadow over every closed bar it has not seen, and record what it wanted at each once it was warm.

    A model or strategy that refuses is noted on its track and decides nothing. Returns the decisions recorded.
    """
    instance = StrategyInstance.objects.select_related("strategy", "instrument", "account").get(
        pk=instance_id
    )
    ShadowTrack.objects.get_or_create(version=version, instance=instance)
    track = (
        ShadowTrack.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .filter(version=version, instance=instance)
        .first()
    )
    if track is None:
        return 0
    try:
        recorded = _advance(version, instance, track)
    except (DomainError, StrategyLoadError, ParameterError, ValueError, OSError) as error:
        if track.error != str(error):
            log.warning("shadow_refused", version=str(version), error=str(error)[:300])
        track.error = str(error)[:500]
        track.save(update_fields=["error"])
        return 0
    if track.error:
        track.error = ""
        track.save(update_fields=["error"])
    return recorded


def _advance(version: ModelVersion, instance: StrategyInstance, track: ShadowTrack) -> int:
    row = instance.strategy
    strategy = strategy_load(row.kind)()
    parameters = {**row.parameters, "model": str(artefact_place(version.digest))}
    params: Any = parse_params(strategy.Params, parameters)
    digest = hashlib.sha256(
        json.dumps([row.kind, row.interval, row.parameters, version.digest], sort_keys=True).encode()
    ).hexdigest()
    step_ns, asked = interval_ns(row.interval), strategy.slower_intervals(params)
    stored = bars_recent(instance.instrument, row.interval, CATCH_UP + bars_within(row.interval, asked))
    seen_ns = -1 if track.last_bar_at is None else datetime_to_ns(track.last_bar_at)
    fresh = [at for at, bar in enumerate(stored) if bar.open_time_ns > seen_ns]
    if not fresh:
        return 0
    warm = (
        track.state is not None
        and track.parameters_digest == digest
        and stored[fresh[0]].open_time_ns - step_ns <= seen_ns
    )
    if not warm:
        fresh = list(range(_unbroken_from(stored, step_ns), len(stored)))
        if len(fresh) < strategy.warmup(params):
            return 0
    state = strategy.load(json.dumps(track.state)) if warm else strategy.initial(params)
    bars = [strategy_bar(bar) for bar in stored]
    wanted: list[ShadowDecision] = []
    rates = funding_of_bars(instance, stored) if strategy.reads_funding(params) else []
    for at in fresh:
        observation = Observation(
            symbol=instance.instrument.symbol,
            interval=row.interval,
            bar=bars[at],
            now_ns=bars[at].close_ns,
            funding=rates[at] if rates else None,
        )
        if asked:
            observation.slower = slower_closing(bars, at, row.interval, asked)
        state, desired = strategy.step(params, state, observation)
        # Bars before the first warm one only fill the memory, as with a live strategy.
        if desired is not None and (warm or at == fresh[-1]):
            wanted.append(
                ShadowDecision(
                    version=version,
                    instance=instance,
                    bar_open_at=ns_to_datetime(stored[at].open_time_ns),
                    price=Decimal(stored[at].close),
                    target=desired.target,
                    confidence=desired.confidence,
                    reason=desired.reason[:60],
                    decided_at=now(),
                )
            )
    made = ShadowDecision.objects.bulk_create(wanted, ignore_conflicts=True)
    track.state, track.parameters_digest = json.loads(strategy.dump(state)), digest
    track.last_bar_at = ns_to_datetime(stored[fresh[-1]].open_time_ns)
    track.save(update_fields=["state", "parameters_digest", "last_bar_at"])
    return len(made)


def shadow_decisions_prune(*, keep: timedelta = timedelta(days=180)) -> int:
    """Delete decisions of versions that are shadows no longer, once they are old. Returns how many."""
    old = ShadowDecision.objects.filter(decided_at__lt=now() - keep).exclude(version__stage=Stage.SHADOW)
    return old.delete()[0]


def _unbroken_from(bars: Sequence[BarRecord], step_ns: int) -> int:
    return max(
        (at for at in range(1, len(bars)) if bars[at].open_time_ns - bars[at - 1].open_time_ns != step_ns),
        default=0,
    )
