"""Gauges read from Postgres when Prometheus asks, so that every process exports the same truth."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.db.models import Max, Sum
from prometheus_client.core import GaugeMetricFamily, Metric

from nautilus_site.common.clock import now as wall_now
from trading.domain.values import Level
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    Divergence,
    EquityAnchor,
    Position,
    ProcessHeartbeat,
    StrategyInstance,
    SymbolAllowance,
    VenueCallWindow,
)
from trading.selectors.books import books_snapshots_intact
from trading.selectors.brackets import unprotected_by_symbol
from trading.selectors.controls import global_level, trading_states
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import total_worth, worth_by_account
from trading.selectors.rates import queue_depths, rate_uses
from universe.models import Instrument, Quote, StreamState, Venue

_BREAKER_STATE = {"closed": 0, "half_open": 1, "open": 2}
_ERROR_WINDOW_S = 60

Samples = Mapping[tuple[str, ...], float]


def trading_gauges() -> Iterable[Metric]:
    """Every gauge of the trading app. A figure that is not known is left out, never reported as zero."""
    now = wall_now()
    yield from _money()
    yield from _controls()
    yield from _prices(now)
    yield from _reconciliation(now)
    yield from _liveness(now)
    yield from _rates(now)
    yield from _grants()
    yield from _protection()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, labels: list[str], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in sorted(samples.items()):
        family.add_metric(list(values), value)
    return family


def _protection() -> Iterator[Metric]:
    yield _labelled(
        "unprotected_position_seconds",
        "How long a position that should have a stop at the venue has had none.",
        ["symbol"],
        unprotected_by_symbol(),
    )


def _money() -> Iterator[Metric]:
    accounts = list(Account.objects.filter(is_active=True).select_related("venue"))
    loaded = bool(accounts) and all(account.opened_at is not None for account in accounts)
    yield _gauge(
        "snapshot_loaded",
        "1 once every active account is opened and the newest snapshot of its books is intact.",
        loaded and books_snapshots_intact(account.pk for account in accounts),
    )
    if not loaded:
        return  # an equity of zero would look like a total loss
    worths = worth_by_account(
        accounts, Balance.objects.all(), Position.objects.select_related("instrument"), marks_read()
    )
    total = total_worth(worths.values())
    yield _gauge("equity_usd", "Cash plus holdings at the middle of bid and ask.", float(total.equity))
    yield _gauge("cash_usd", "Cash by our ledger.", float(total.cash))
    yield _gauge("available_usd", "Cash not promised to open orders.", float(total.available))
    yield _gauge("market_value_usd", "Holdings at the middle of bid and ask.", float(total.market_value))
    yield _gauge("exposure_usd", "Gross exposure of the positions.", float(total.exposure_gross))
    yield _gauge("pnl_unrealized_total", "Unrealised result of the positions, USD.", float(total.unrealized))


def _controls() -> Iterator[Metric]:
    level = global_level(trading_states())
    yield _gauge("trading_enabled", "1 while the global level is ACTIVE.", level is Level.ACTIVE)
    yield _gauge(
        "trading_state", "Global level: 0 ACTIVE, 1 REDUCING, 2 HALT_NEW, 3 CANCEL, 4 FLATTEN.", level.value
    )
    breakers = CircuitBreaker.objects.values_list("name", "scope", "state")
    yield _labelled(
        "breaker_state",
        "0 closed, 1 half-open, 2 open.",
        ["breaker", "scope"],
        {(name, scope): _BREAKER_STATE[state] for name, scope, state in breakers},
    )
    since = int(time.time()) - _ERROR_WINDOW_S
    calls = VenueCallWindow.objects.filter(second__gt=since).order_by().values("venue")
    rows = calls.annotate(of=Sum("calls"), failed=Sum("errors"))
    rates = dict.fromkeys(Venue.objects.values_list("name", flat=True), 0.0)
    rates |= {row["venue"]: 100.0 * row["failed"] / row["of"] for row in rows if row["of"]}
    yield _labelled(
        "venue_error_rate_pct",
        "Failed calls of the last minute, per cent.",
        ["venue"],
        {(venue,): rate for venue, rate in rates.items()},
    )


def _prices(now: datetime) -> Iterator[Metric]:
    # Only what may be traded or is held: the venue lists thousands of symbols, and labels must stay few.
    allowed = SymbolAllowance.objects.values("instrument_id")
    held = Position.objects.values("instrument_id")
    instruments = {
        row.pk: (row.symbol, row.venue.name)
        for row in Instrument.objects.select_related("venue").filter(pk__in=allowed.union(held))
    }
    prices: dict[tuple[str, ...], float] = {}
    ages: dict[tuple[str, ...], float] = {}
    for quote in Quote.objects.filter(pk__in=instruments):
        key = instruments[quote.instrument_id]
        ages[key] = max(0.0, (now - quote.received_at).total_seconds())
        if quote.bid is not None and quote.ask is not None:
            prices[key] = float((quote.bid + quote.ask) / 2)
    labels = ["symbol", "venue"]
    yield _labelled("mark_price_usd", "Middle of bid and ask.", labels, prices)
    yield _labelled(
        "mark_price_freshness_seconds", "Age of the price by the wall clock, since it arrived.", labels, ages
    )
    sizes: dict[tuple[str, ...], float] = {}
    for instrument_id, quantity in Position.objects.values_list("instrument_id", "quantity"):
        found = instruments.get(instrument_id)
        if found is not None:
            sizes[found] = sizes.get(found, 0.0) + float(quantity)
    yield _labelled("position_size", "Signed position in base units, over all accounts.", labels, sizes)


def _reconciliation(now: datetime) -> Iterator[Metric]:
    moments = list(Account.objects.filter(is_active=True).values_list("reconciled_at", flat=True))
    known = [moment for moment in moments if moment is not None]
    # Never reconciled is infinitely late: every alert on this gauge must fire.
    lag = (now - min(known)).total_seconds() if known and len(known) == len(moments) else math.inf
    yield _gauge("reconcile_lag_seconds", "Since the account longest not found clean was.", lag)
    open_count = Divergence.objects.filter(resolved_at=None).count()
    yield _gauge("reconcile_drift", "Differences to the venue that nothing explains yet.", open_count)


def _liveness(now: datetime) -> Iterator[Metric]:
    yield _gauge("metrics_heartbeat", "When these gauges were read, epoch seconds.", now.timestamp())
    beat = ProcessHeartbeat.objects.filter(kind="exporter").aggregate(latest=Max("beat_at"))["latest"]
    if beat is not None:
        yield _gauge("exporter_heartbeat_epoch", "Last sign of life of the exporter.", beat.timestamp())
    streams = StreamState.objects.exclude(last_message_at=None).values_list("name", "last_message_at")
    yield _labelled(
        "stream_age_seconds",
        "Since the last message of a stream, wall time.",
        ["stream"],
        {(name,): max(0.0, (now - at).total_seconds()) for name, at in streams if at is not None},
    )


def _rates(now: datetime) -> Iterator[Metric]:
    yield _labelled(
        "rate_limit_used_ratio",
        "Share of what may be sent in a minute that is used.",
        ["venue", "kind"],
        {(use.venue, use.kind): use.ratio for use in rate_uses(now)},
    )
    depths = queue_depths()
    if depths is not None:
        yield _labelled(
            "celery_queue_depth",
            "Messages waiting.",
            ["queue"],
            {(queue,): float(depth) for queue, depth in depths.items()},
        )


def _grants() -> Iterator[Metric]:
    rows = (
        StrategyInstance.objects.order_by()
        .values("strategy__name")
        .annotate(weight=Max("weight"), allocation=Sum("allocation"))
    )
    weights: dict[tuple[str, ...], float] = {(row["strategy__name"],): float(row["weight"]) for row in rows}
    allocations: dict[tuple[str, ...], float] = {
        (row["strategy__name"],): float(row["allocation"]) for row in rows
    }
    equities = EquityAnchor.objects.filter(scope__startswith="strategy:").values_list("scope", "equity")
    yield _labelled(
        "strategy_equity_usd",
        "Capital granted and what was made of it, fees and funding taken off.",
        ["strategy"],
        {(scope.partition(":")[2],): float(equity) for scope, equity in equities},
    )
    yield _labelled("strategy_weight", "Largest weight among the instances.", ["strategy"], weights)
    yield _labelled("strategy_allocation_usd", "Capital granted, all instances.", ["strategy"], allocations)
