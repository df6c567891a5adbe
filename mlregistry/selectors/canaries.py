"""Canaries as the API and the pages show them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet

from mlregistry.domain.challengers import alpha_share
from mlregistry.models import Canary
from nautilus_site.common.clock import now
from nautilus_site.common.errors import NotFound
from trading.domain.values import decimal_text
from trading.models import Fill, Order, PlanShare
from trading.selectors.notation import utc_text

if TYPE_CHECKING:  # numpy comes with the first canary, not with every process
    from mlregistry.domain.canary import CanaryRules

FEWEST_PAIRS = 30  # of the running variance: `trading.domain.statistics.sequential`


def canary_queryset() -> QuerySet[Canary]:
    """Canaries with everything `canary_members` reads, newest first."""
    return Canary.objects.select_related("version__family", "champion", "follower", "strategy").order_by(
        "-id"
    )


def canary_get(uid: Any) -> Canary:
    """One canary.

    Raises
    ------
    NotFound : UNKNOWN_CANARY.
    """
    found = canary_queryset().filter(uid=uid).first()
    if found is None:
        raise NotFound("UNKNOWN_CANARY", f"no canary has the id {uid}")
    return found


def canaries_trading() -> dict[str, str]:
    """By the name of a canary's strategy, the one whose symbols and capital it has a part of; only those under way."""
    rows = Canary.objects.filter(ended_at=None).order_by("pk")
    return dict(rows.values_list("strategy__name", "follower__name"))


def canary_strategies() -> dict[str, str]:
    """By the name of a canary's strategy, the one beside which it is or was last on trial; those that are over, too."""
    rows = Canary.objects.order_by("pk")
    return dict(rows.values_list("strategy__name", "follower__name"))


def canary_orders(canary: Canary) -> QuerySet[Order]:
    """The orders it had a part in since it began.

    Strategies of a symbol are netted: an order names the one with the largest part, its plan has everybody's.
    """
    plans = PlanShare.objects.filter(decision__instance__strategy=canary.strategy_id).values("plan")
    return Order.objects.filter(
        Q(strategy=canary.strategy_id) | Q(plan__in=plans), created_at__gte=canary.started_at
    )


def canary_fills(canary: Canary, *, since: datetime) -> int:
    """How many fills it had a part in, of orders made since a moment."""
    return Fill.objects.filter(order__in=canary_orders(canary).filter(created_at__gte=since)).count()


def alpha_of(canary: Canary, rules: CanaryRules) -> float:
    """This canary's part of alpha: those that tried the same champion before it have used their halves.

    The k-th challenger of one champion may use alpha / 2^k, the first a half: over all of them, however many come, the
    probability that one is promoted by luck stays at most alpha.
    """
    earlier = Canary.objects.filter(champion=canary.champion_id, pk__lt=canary.pk).count()
    return alpha_share(rules.alpha, earlier)


def canary_standing(canary: Canary) -> dict[str, Any] | None:
    """How far a running canary is: its step, what the step still asks for, the test and its bounds; None once over."""
    if canary.ended_at is not None:
        return None
    from mlregistry.domain.canary import rules_read

    rules, moment = rules_read(canary.rules), now()
    since = canary.step_at or canary.started_at
    return {
        "steps": rules.steps,
        "share": rules.ramp if canary.step > 1 else rules.share,
        "dwell_left_s": max(0.0, round(rules.dwell_s - (moment - since).total_seconds(), 1)),
        "fills": canary_fills(canary, since=since),
        "fills_needed": rules.fills,
        "ends_in_s": max(0.0, round(rules.longest_s - (moment - canary.started_at).total_seconds(), 1)),
        "next_pair_in_s": None
        if canary.mark_at is None
        else max(0.0, round(rules.interval_s - (moment - canary.mark_at).total_seconds(), 1)),
        "pairs_needed": FEWEST_PAIRS,
        "wins_at": math.log(1.0 / alpha_of(canary, rules)),
        "grows_at": math.log(1.0 / rules.ramp_alpha) if canary.step < rules.steps else None,
        "harms_at": math.log(1.0 / rules.harm_alpha),
    }


def canary_members(canary: Canary) -> dict[str, Any]:
    """The public members of a canary; `p_value` is the always-valid one."""
    return {
        "id": str(canary.uid),
        "model": canary.version.family.name,
        "version": canary.version.number,
        "version_id": canary.version_id,
        "champion": canary.champion.number,
        "strategy": canary.strategy.name,
        "champion_strategy": canary.follower.name,
        "state": canary.state,
        "rules": canary.rules,
        "capital": decimal_text(canary.capital),
        "champion_capital": decimal_text(canary.champion_capital),
        "step": canary.step,
        "step_at": utc_text(canary.step_at or canary.started_at),
        "intervals": canary.n,
        "log_e": canary.log_e,
        "best_log_e": canary.best_log_e,
        "harm_log_e": canary.harm_log_e,
        "p_value": math.exp(-max(0.0, canary.best_log_e)),
        "low": canary.low,
        "high": canary.high,
        "standing": canary_standing(canary),
        "rails": canary.rails,
        "reason": canary.reason,
        "started_at": utc_text(canary.started_at),
        "checked_at": utc_text(canary.checked_at),
        "ended_at": utc_text(canary.ended_at),
        "cool_until": utc_text(canary.cool_until),
    }


def canary_detail(canary: Canary) -> dict[str, Any]:
    """A canary with every paired observation, and what both tests said after each."""
    from mlregistry.domain.canary import evidence_path, rules_read

    rows = list(canary.observations.order_by("number"))
    rules = rules_read(canary.rules)
    better, worse = evidence_path(
        [row.canary_return - row.champion_return for row in rows], rules, alpha=alpha_of(canary, rules)
    )
    return {
        **canary_members(canary),
        "observations": [
            {
                "from_at": utc_text(row.from_at),
                "to_at": utc_text(row.to_at),
                "canary_return": row.canary_return,
                "champion_return": row.champion_return,
                "log_e": better[at],
                "harm_log_e": worse[at],
            }
            for at, row in enumerate(rows)
        ],
    }
