"""What the router decides from, and what it decided."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db.models import QuerySet

from governance.domain.policies.weights import WeightSet
from governance.domain.regimes import regime_probabilities
from governance.domain.routing import Place, percent
from governance.domain.routing.wording import CHANGED_SINCE, words
from governance.domain.schedules import CLOCK_AHEAD_S
from governance.models import PolicyVersion, RoutingDecision
from governance.selectors.policies import version_in_force
from mlregistry.selectors.canaries import canaries_trading
from trading.models import Decision, StrategyInstance
from trading.selectors.notation import amount_text, utc_text


def places_now(chosen: WeightSet, version: PolicyVersion | None, moment: datetime) -> list[Place]:
    """Every instance with its weight, what this set last gave it, and the regime of its symbol where one counts."""
    rows = StrategyInstance.objects.select_related("strategy", "account", "instrument", "ceiling").order_by(
        "pk"
    )
    canaries = canaries_trading()
    followed = {champion: canary for canary, champion in canaries.items()}
    capital = {(row.strategy.name, row.account_id, row.instrument_id): row.allocation for row in rows}
    last = (
        {
            (row.strategy, row.account, row.symbol): row.weight
            for row in RoutingDecision.objects.filter(version=version)
            .order_by("strategy", "account", "symbol", "-id")
            .distinct("strategy", "account", "symbol")
        }
        if version is not None
        else {}
    )
    regimes = _regimes(chosen, moment)
    found = []
    for row in rows:
        key = (row.strategy.name, row.account.name, row.instrument.symbol)
        champion = canaries.get(row.strategy.name, "")
        regime_of = chosen.regimes.get(row.strategy.name) or chosen.regimes.get(champion) or {}
        source = regime_of.get("source")
        ceiling = getattr(row, "ceiling", None)
        found.append(
            Place(
                row.pk,
                *key,
                row.weight,
                last.get(key),
                ceiling.most if ceiling else None,
                ceiling.by if ceiling else "",
                regimes.get((source, key[2])) if source else None,
                champion,
                _share(row, champion or followed.get(row.strategy.name, ""), capital),
            )
        )
    return found


def _share(row: StrategyInstance, partner: str, capital: dict[tuple[str, int, int], Decimal]) -> Fraction:
    """Of the capital that two strategies on trial against each other have at one place, the part of this one."""
    other = capital.get((partner, row.account_id, row.instrument_id))
    if other is None:
        return Fraction(1)
    both = row.allocation + other
    return Fraction(row.allocation) / Fraction(both) if both else Fraction(1, 2)


def _regimes(chosen: WeightSet, moment: datetime) -> dict[tuple[str, str], dict[str, float]]:
    """By source and symbol: the probabilities of the newest decision, if it is young enough and has any.

    The newest is the one written last. One from the future was noted before the clock was put back: how old it is
    nobody knows.
    """
    sources = {regime["source"] for regime in chosen.regimes.values()}
    if not sources:
        return {}
    rows = (
        Decision.objects.filter(
            instance__strategy__name__in=sources,
            decided_at__gt=moment - timedelta(seconds=chosen.regime_max_age_sec),
            decided_at__lte=moment + timedelta(seconds=CLOCK_AHEAD_S),
        )
        .order_by("instance__strategy__name", "instance__instrument__symbol", "-id")
        .distinct("instance__strategy__name", "instance__instrument__symbol")
        .values_list("instance__strategy__name", "instance__instrument__symbol", "features")
    )
    return {(source, symbol): regime_probabilities(features) for source, symbol, features in rows}


def weights_members() -> dict[str, Any]:
    """The weight set and what is in force, place by place with the router's newest reason."""
    version = version_in_force("strategy_weights")
    newest = {
        (row.strategy, row.account, row.symbol): row
        for row in RoutingDecision.objects.order_by("strategy", "account", "symbol", "-id").distinct(
            "strategy", "account", "symbol"
        )
    }
    rows = StrategyInstance.objects.select_related("strategy", "account", "instrument", "ceiling").order_by(
        "strategy__name", "instrument__symbol", "account__name"
    )
    largest: dict[str, Decimal] = {}
    in_force = []
    for row in rows:
        key = (row.strategy.name, row.account.name, row.instrument.symbol)
        decided, ceiling = newest.get(key), getattr(row, "ceiling", None)
        largest[key[0]] = max(row.weight, largest.get(key[0], Decimal(0)))
        in_force.append(
            {
                "strategy": key[0],
                "account": key[1],
                "symbol": key[2],
                "weight": amount_text(row.weight),
                "base": amount_text(decided.base) if decided else None,
                "ceiling": amount_text(ceiling.most) if ceiling else None,
                "lowered_by": ceiling.by if ceiling else None,
                **_because(decided, row.weight),
            }
        )
    return {
        "version": version.number if version else None,
        "weights": {name: amount_text(weight) for name, weight in largest.items()},
        "document": version.document if version else None,
        "in_force": in_force,
    }


def _because(decided: RoutingDecision | None, weight: Decimal) -> dict[str, str | None]:
    """Why a weight is what it is: the router's reason, unless it was set after that."""
    if decided is None:
        return {"rule": None, "rule_in_words": None, "reason": None}
    if decided.weight != weight:
        reason = (
            f"the router gave it {percent(decided.weight)}; a person, or the end of its trial, has set "
            f"{percent(weight)} since"
        )
        return {"rule": CHANGED_SINCE, "rule_in_words": words(CHANGED_SINCE), "reason": reason}
    return {"rule": decided.rule, "rule_in_words": words(decided.rule), "reason": decided.reason}


def routing_queryset() -> QuerySet[RoutingDecision]:
    return RoutingDecision.objects.select_related("version").order_by("-id")


def routing_members(row: RoutingDecision) -> dict[str, Any]:
    """One routing decision."""
    return {
        "id": row.pk,
        "at": utc_text(row.at),
        "strategy": row.strategy,
        "account": row.account,
        "symbol": row.symbol,
        "base": amount_text(row.base),
        "before": amount_text(row.before),
        "weight": amount_text(row.weight),
        "rule": row.rule,
        "rule_in_words": words(row.rule),
        "reason": row.reason,
        "regime": row.regime,
        "weight_set": row.version.number,
    }
