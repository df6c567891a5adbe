"""Limits in force beside what is used of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Min, QuerySet

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import NotFound
from trading.domain.orders import OrderStatus
from trading.models import (
    Account,
    CorrelationGroup,
    ExposureBucket,
    LossMeasure,
    Order,
    RiskLimit,
    VenueClock,
)
from trading.selectors.notation import amount_text, utc_text
from trading.selectors.orders import OPEN_STATUSES
from trading.selectors.rates import orders_made_by_account
from universe.models import StreamState


@dataclass(frozen=True, slots=True)
class Use:
    """What is measured against the limits, read once for all of them."""

    now: datetime
    buckets: dict[str, Decimal]
    made: dict[str, int]
    open_orders: dict[tuple[str, str], int]
    reconciled_at: dict[str, datetime | None]
    oldest_unknown_at: datetime | None
    losses: dict[str, LossMeasure]
    stream_at: datetime | None
    clock: VenueClock | None
    groups: tuple[frozenset[str], ...]

    @classmethod
    def read(cls) -> Use:
        """Read everything in nine queries."""
        now = wall_now()
        accounts = {row.pk: row for row in Account.objects.filter(is_active=True)}
        made = orders_made_by_account(now)
        open_rows = (
            Order.objects.filter(status__in=OPEN_STATUSES)
            .order_by()
            .values("account__name", "instrument__symbol")
            .annotate(count=Count("id"))
        )
        unknown = Order.objects.filter(status=OrderStatus.UNKNOWN).aggregate(oldest=Min("sent_at"))
        return cls(
            now=now,
            buckets={row.scope: row.used for row in ExposureBucket.objects.all()},
            made={row.name: made.get(pk, 0) for pk, row in accounts.items()},
            open_orders={
                (row["account__name"], row["instrument__symbol"]): row["count"] for row in open_rows
            },
            reconciled_at={row.name: row.reconciled_at for row in accounts.values()},
            oldest_unknown_at=unknown["oldest"],
            losses={row.scope: row for row in LossMeasure.objects.all()},
            stream_at=StreamState.objects.filter(
                name__startswith="user:", connected_at__isnull=False
            ).aggregate(oldest=Min("last_message_at"))["oldest"],
            clock=VenueClock.objects.order_by("measured_at").first(),
            groups=tuple(frozenset(row.symbols) for row in CorrelationGroup.objects.all()),
        )


def limit_queryset() -> QuerySet[RiskLimit]:
    """Limits, newest first."""
    return RiskLimit.objects.order_by("-id")


def limit_get(name: str, scope: str) -> RiskLimit:
    """One limit by name and scope.

    Raises
    ------
    NotFound : UNKNOWN_LIMIT.
    """
    limit = RiskLimit.objects.filter(name=name, scope=scope).first()
    if limit is None:
        raise NotFound("UNKNOWN_LIMIT", f"no limit {name!r} is set for {scope}")
    return limit


def limit_loosens(name: str, scope: str, value: Decimal) -> bool:
    """Whether a value would be looser than the one in force; a first value of a scope only tightens."""
    limit = RiskLimit.objects.filter(name=name, scope=scope).first()
    if limit is None:
        return False
    return bool(value > limit.value if limit.tighter == "lower" else value < limit.value)


def limit_list() -> list[dict[str, Any]]:
    """Every limit with its members, by name and scope."""
    use = Use.read()
    return [limit_members(row, use) for row in RiskLimit.objects.order_by("name", "scope")]


def limit_members(limit: RiskLimit, use: Use) -> dict[str, Any]:
    """The public members of a limit; `used` is null where the limit bounds single orders."""
    measure = _MEASURES.get(limit.name)
    used = measure(use, limit.scope) if measure else None
    left = None if used is None else limit.value - used if limit.tighter == "lower" else used - limit.value
    return {
        "name": limit.name,
        "scope": limit.scope,
        "value": amount_text(limit.value),
        "used": amount_text(used),
        "headroom": amount_text(left),
        "unit": limit.unit,
        "policy_version": limit.policy_version,
        "in_force_until": utc_text(limit.in_force_until),
        "tighter": limit.tighter,
        "description": limit.description,
        "changed_by": limit.changed_by,
        "changed_at": utc_text(limit.changed_at),
    }


def _exposure(kind: str) -> Callable[[Use, str], Decimal]:
    """The fullest bucket of a kind within the scope: a limit is as used as its most used bucket."""

    def measure(use: Use, scope: str) -> Decimal:
        wanted = scope.partition(":")[2] if scope.partition(":")[0] == kind else None
        return max(
            (
                used
                for bucket, used in use.buckets.items()
                if bucket.partition(":")[0] == kind
                and (wanted is None or bucket == scope or wanted in bucket.split(":")[1:])
            ),
            default=Decimal(0),
        )

    return measure


def _group(use: Use, scope: str) -> Decimal:
    """The fullest group: what the symbols of each hold together."""
    sums = (
        sum((used for bucket, used in use.buckets.items() if _symbol_of(bucket) in symbols), Decimal(0))
        for symbols in use.groups
    )
    return max(sums, default=Decimal(0))


def _symbol_of(bucket: str) -> str | None:
    kind, _, rest = bucket.partition(":")
    return rest.rpartition(":")[2] if kind == "symbol" else None


def _global(use: Use, scope: str) -> Decimal:
    # The global cap may be kept in several shards; what is used of it is their sum.
    shards = (used for bucket, used in use.buckets.items() if bucket.partition(":")[0] == "global")
    return sum(shards, Decimal(0))


def _orders_per_minute(use: Use, scope: str) -> Decimal:
    account = scope.removeprefix("account:") if scope.startswith("account:") else None
    counts = (count for name, count in use.made.items() if account in (None, name))
    return Decimal(max(counts, default=0))


def _open_orders(use: Use, scope: str) -> Decimal:
    kind, _, name = scope.partition(":")
    counts = (
        count
        for (account, symbol), count in use.open_orders.items()
        if kind == "global" or (kind, name) in (("account", account), ("symbol", symbol))
    )
    return Decimal(max(counts, default=0))


def _reconcile_age(use: Use, scope: str) -> Decimal | None:
    account = scope.removeprefix("account:") if scope.startswith("account:") else None
    moments = [at for name, at in use.reconciled_at.items() if account in (None, name)]
    known = [at for at in moments if at is not None]
    # An account that was never reconciled has no age, and no number would be true.
    return None if not moments or len(known) < len(moments) else _seconds(use.now, min(known))


def _unknown_age(use: Use, scope: str) -> Decimal:
    return Decimal(0) if use.oldest_unknown_at is None else _seconds(use.now, use.oldest_unknown_at)


def _seconds(now: datetime, then: datetime) -> Decimal:
    return Decimal(max(0, int((now - then).total_seconds() * 1000))) / 1000


def _daily_loss(use: Use, scope: str) -> Decimal | None:
    row = use.losses.get(scope)
    return None if row is None else max(row.day_start - row.value, Decimal(0))


def _drawdown(use: Use, scope: str) -> Decimal | None:
    row = use.losses.get(scope)
    return None if row is None else Decimal(row.drawdown_ppm) / 1_000_000


def _loss_streak(use: Use, scope: str) -> Decimal:
    streaks = (
        row.streak
        for name, row in use.losses.items()
        if name.startswith("strategy:") and scope in (name, "global")
    )
    return Decimal(max(streaks, default=0))


def _equity_age(use: Use, scope: str) -> Decimal | None:
    row = use.losses.get(scope)
    return None if row is None or row.measured_at is None else _seconds(use.now, row.measured_at)


def _stream_age(use: Use, scope: str) -> Decimal | None:
    return None if use.stream_at is None else _seconds(use.now, use.stream_at)


def _clock_age(use: Use, scope: str) -> Decimal | None:
    return None if use.clock is None else _seconds(use.now, use.clock.measured_at)


def _clock_offset(use: Use, scope: str) -> Decimal | None:
    return None if use.clock is None else abs(Decimal(use.clock.offset_ms)) / 1000


_MEASURES: dict[str, Callable[[Use, str], Decimal | None]] = {
    "exposure_symbol": _exposure("symbol"),
    "exposure_strategy": _exposure("strategy"),
    "exposure_strategy_symbol": _exposure("strategy_symbol"),
    "exposure_group": _group,
    "exposure_account": _exposure("account"),
    "exposure_global": _global,
    "orders_per_minute": _orders_per_minute,
    "max_open_orders": _open_orders,
    "reconcile_max_age": _reconcile_age,
    "unknown_max_age": _unknown_age,
    "daily_loss": _daily_loss,
    "max_drawdown": _drawdown,
    "max_loss_streak": _loss_streak,
    "equity_max_age": _equity_age,
    "stream_max_age": _stream_age,
    "clock_max_age": _clock_age,
    "clock_max_offset": _clock_offset,
}
