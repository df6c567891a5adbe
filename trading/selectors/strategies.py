"""Strategies with their grants in force and what each of their instances decided last."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from nautilus_site.common.errors import NotFound
from trading.models import Decision, ListingGrant, Strategy, StrategyInstance
from trading.selectors.decisions import decision_members
from trading.selectors.notation import amount_text, utc_text


def strategy_queryset() -> QuerySet[Strategy]:
    """Strategies, newest first."""
    return Strategy.objects.order_by("-id")


def strategy_get(name: str) -> Strategy:
    """One strategy by name.

    Raises
    ------
    NotFound : UNKNOWN_STRATEGY.
    """
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    return strategy


def strategy_list() -> list[dict[str, Any]]:
    """Every strategy with its instances, by name."""
    return strategies_members(list(Strategy.objects.order_by("name")))


def strategies_members(strategies: list[Strategy]) -> list[dict[str, Any]]:
    """The public members of strategies, in three more queries however many there are."""
    # The index on (instance, bar, id) is walked, one step per instance.
    latest = Decision.objects.filter(instance=OuterRef("pk")).order_by("-bar_open_at", "-pk").values("pk")[:1]
    instances = list(
        StrategyInstance.objects.filter(strategy__in=strategies)
        .select_related("strategy", "account", "instrument")
        .annotate(latest_decision_id=Subquery(latest))
        .order_by("instrument__symbol", "account__name")
    )
    wanted = [row.latest_decision_id for row in instances if row.latest_decision_id is not None]
    decisions = {
        decision.pk: decision
        for decision in Decision.objects.filter(pk__in=wanted).select_related(
            "instance__strategy", "instance__account", "instance__instrument"
        )
    }
    by_strategy: dict[int, list[dict[str, Any]]] = {}
    for row in instances:
        decision = decisions.get(row.latest_decision_id)
        by_strategy.setdefault(row.strategy_id, []).append(_instance_members(row, decision))
    grants: dict[int, list[dict[str, Any]]] = {}
    granted = ListingGrant.objects.filter(strategy__in=strategies).select_related("account")
    for grant in granted.order_by("account__name"):
        grants.setdefault(grant.strategy_id, []).append(_grant_members(grant))
    return [
        _strategy_members(strategy, by_strategy.get(strategy.pk, []), grants.get(strategy.pk, []))
        for strategy in strategies
    ]


def _grant_members(grant: ListingGrant) -> dict[str, Any]:
    return {
        "account": grant.account.name,
        "quote_asset": grant.quote_asset,
        "allocation": amount_text(grant.allocation),
        "per_day": grant.per_day,
    }


def _strategy_members(
    strategy: Strategy, instances: list[dict[str, Any]], grants: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": strategy.name,
        "kind": strategy.kind,
        "interval": strategy.interval,
        "parameters": strategy.parameters,
        "enabled": strategy.is_enabled,
        "description": strategy.description,
        "updated_at": utc_text(strategy.updated_at),
        "instances": instances,
        "listing_grants": grants,
    }


def _instance_members(instance: StrategyInstance, decision: Decision | None) -> dict[str, Any]:
    return {
        "id": instance.pk,
        "account": instance.account.name,
        "symbol": instance.instrument.symbol,
        "enabled": instance.is_enabled,
        "weight": amount_text(instance.weight),
        "allocation": amount_text(instance.allocation),
        "in_force_until": utc_text(instance.in_force_until),
        "target": instance.target,
        "quotes": instance.quotes,
        "last_bar_at": utc_text(instance.last_bar_at),
        "last_decision": decision_members(decision) if decision else None,
    }
