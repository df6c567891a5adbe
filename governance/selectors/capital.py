"""What the allocator decides from: trading's own rows; and what it decided, for API and pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import F, Max, Min, Q, QuerySet, Subquery, Sum, Value

from governance.domain.allocation.decision import NOT_RENEWED, Standing, units
from governance.domain.allocation.wording import wording
from governance.domain.schedules import CLOCK_AHEAD_S
from governance.models import Allocation, AllocationRun
from mlregistry.selectors.canaries import canary_strategies
from nautilus_site.common.models import AuditEntry
from trading.domain.values import Level, from_units
from trading.models import Account, Ceiling, EquityAnchor, Strategy, StrategyInstance, TradingState
from trading.selectors.notation import amount_text, utc_text
from trading.selectors.what_if import capital_share, capital_would_have, usd_text
from trading.services.controls.states import highest_level

FRESH = timedelta(minutes=2)


class EquityNow(NamedTuple):
    """Attributes
    ----------
    equity : over all accounts.  drawdown : from its peak, 0 to 1.
    moved : what came in by deposits so far, less what went out; as of the same moment.
    """

    equity: Decimal
    drawdown: float
    moved: Decimal


def equity_now(moment: datetime) -> EquityNow | str:
    """Equity over all accounts and its drawdown from the peak, or why neither is known."""
    # In one statement: between two, a transfer could have moved one number and not yet the other.
    moved = Subquery(
        Account.objects.order_by().values(one=Value(1)).annotate(all=Sum("transferred")).values("all")
    )
    anchor = EquityAnchor.objects.filter(pk="global").annotate(moved=moved).first()
    if anchor is None:
        return "the equity over all accounts was never measured"
    age_s = (moment - anchor.marked_at).total_seconds()
    if age_s > FRESH.total_seconds():
        return f"the equity over all accounts was measured {age_s:.0f} s ago"
    if age_s < -CLOCK_AHEAD_S:
        return (
            f"the equity over all accounts was measured {-age_s:.0f} s ahead of the clock, which was put back"
        )
    if anchor.peak_equity <= 0:
        return "the peak of the equity is not above zero"
    drawdown = max(0.0, float(1 - anchor.equity / anchor.peak_equity))
    return EquityNow(anchor.equity, drawdown, anchor.moved or Decimal(0))


def standings_now(moment: datetime) -> list[Standing]:
    """Every strategy as it stands, by name."""
    places = (
        StrategyInstance.objects.order_by()
        .values("strategy_id")
        .annotate(total=Sum("allocation"), until=Min("in_force_until"))
    )
    granted = {row["strategy_id"]: row["total"] for row in places}
    until = {row["strategy_id"]: row["until"] for row in places}
    changed = dict(
        Allocation.objects.exclude(amount=F("before"))
        .order_by()
        .values_list("strategy")
        .annotate(at=Max("run__at"))
    )
    trials = canary_strategies()
    ceilings = dict(Ceiling.objects.exclude(strategy=None).values_list("strategy__name", "most"))
    by_name = dict(Strategy.objects.values_list("name", "pk"))
    lent = {champion: granted.get(by_name.get(canary, 0), Decimal(0)) for canary, champion in trials.items()}
    levels = {row.scope: row for row in TradingState.objects.all()}
    found = []
    for strategy in Strategy.objects.order_by("name"):
        scopes = ("global", f"strategy:{strategy.name}")
        level, _ = highest_level({s: levels[s].effective for s in scopes if s in levels})
        own = levels.get(scopes[1])
        since = changed.get(strategy.name)
        current, ceiling = granted.get(strategy.pk, Decimal(0)), ceilings.get(strategy.name)
        too_fine = from_units(units(current)) != current
        found.append(
            Standing(
                strategy=strategy.name,
                current=units(current) + too_fine,
                since_change_s=None if since is None else (moment - since).total_seconds(),
                switched_on=strategy.is_enabled,
                has_places=strategy.pk in granted,
                halted=level > Level.ACTIVE,
                killed=own is not None and own.effective >= Level.CANCEL,
                ceiling=None if ceiling is None else units(ceiling),
                on_trial_beside=trials.get(strategy.name, ""),
                lent=units(lent.get(strategy.name, Decimal(0))),
                too_fine=too_fine,
                until=until.get(strategy.pk),
            )
        )
    return found


def grants_now(names: list[str]) -> dict[str, Decimal]:
    """What strategies have over all their symbols; those without a symbol are not in it."""
    rows = (
        StrategyInstance.objects.filter(strategy__name__in=names)
        .order_by()
        .values_list("strategy__name")
        .annotate(total=Sum("allocation"))
    )
    return {name: total or Decimal(0) for name, total in rows}


def more_capital(wanted: Mapping[str, Decimal]) -> dict[str, Any]:
    """What strategies have together, now and then, and last week's orders the difference would have let through."""
    has = grants_now(list(wanted))
    judged = [
        capital_would_have(f"strategy:{name}", amount / has[name] if has.get(name) else None)
        for name, amount in wanted.items()
    ]
    after = sum(wanted.values(), Decimal(0))
    return {
        "together_now": usd_text(sum(has.values(), Decimal(0))),
        "together_then": usd_text(after),
        "share_of_equity_then": capital_share(after),
        **{
            name: sum(one[name] for one in judged)
            for name in ("denied_last_7_days", "would_have_let_through")
        },
    }


def quotas_changed_at(strategy: str) -> datetime | None:
    """When what a strategy has over all its symbols last changed, whoever did it."""
    return (
        AuditEntry.objects.filter(
            Q(action="strategy.allocation_changed", target=f"strategy:{strategy}")
            | Q(action="strategy.grant_changed", target__in=_instances(strategy))
        )
        .order_by("-id")
        .values_list("at", flat=True)
        .first()
    )


def _instances(strategy: str) -> list[str]:
    ids = StrategyInstance.objects.filter(strategy__name=strategy).values_list("pk", flat=True)
    return [f"instance:{pk}" for pk in ids]


def flow_members(
    equity: Decimal, reserve: Decimal, pool: Decimal, amounts: Mapping[str, Decimal]
) -> dict[str, Any]:
    """Where the equity goes: to the reserve, outside the pool, and by strategy; quote currency, text.

    What is given out beyond a pool that has become smaller is told as such: it is there until it falls.
    """
    given = sum(amounts.values(), Decimal(0))
    kept = max(Decimal(0), min(reserve, equity))
    return {
        "equity": amount_text(equity),
        "reserve": amount_text(kept),
        "withheld": amount_text(max(Decimal(0), equity - kept - pool)),
        "pool": amount_text(pool),
        "free": amount_text(max(Decimal(0), pool - given)),
        "over": amount_text(max(Decimal(0), given - pool)),
        "strategies": [
            {"strategy": name, "amount": amount_text(amount)}
            for name, amount in sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
            if amount
        ],
    }


def run_queryset() -> QuerySet[AllocationRun]:
    return AllocationRun.objects.select_related("version").order_by("-id")


def allocation_queryset() -> QuerySet[Allocation]:
    return Allocation.objects.select_related("run__version").order_by("-id")


def allocation_members(row: Allocation) -> dict[str, Any]:
    """One strategy of one run."""
    return {
        "id": row.pk,
        "run": row.run_id,
        "at": utc_text(row.run.at),
        "strategy": row.strategy,
        "weight": row.weight,
        "before": amount_text(row.before),
        "desired": amount_text(row.desired),
        "amount": amount_text(row.amount),
        "proposed": amount_text(row.proposed),
        "rule": row.rule,
        "rule_in_words": wording(row.rule).words,
        "rule_is_set_by": list(wording(row.rule).members),
        "reason": row.reason,
        "outcome": row.run.outcome,
        "method": row.run.method,
        "in_force_until": None if row.rule in NOT_RENEWED else utc_text(row.run.in_force_until),
        "policy_version": row.run.version.number,
    }


def run_members(row: AllocationRun) -> dict[str, Any]:
    """One run without its strategies."""
    return {
        "id": row.pk,
        "at": utc_text(row.at),
        "trigger": row.trigger,
        "outcome": row.outcome,
        "method": row.method,
        "equity": amount_text(row.equity),
        "reserve": amount_text(row.reserve),
        "pool": amount_text(row.pool),
        "total": amount_text(row.total),
        "drawdown": row.drawdown,
        "multiplier": row.multiplier,
        "in_force_until": utc_text(row.in_force_until),
        "explanation": row.explanation,
        "policy_version": row.version.number,
    }
