"""The router: puts the weight set into force, symbol by symbol, and writes every change down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction

from governance.domain.policies.located import node_of
from governance.domain.policies.schema import Raises
from governance.domain.policies.weights import STRATEGY_WEIGHTS, WeightSet, weight_set
from governance.domain.routing import Place, Routed, overfull, raised_by_name, route, set_free_or_raised
from governance.models import Policy, PolicyVersion, RoutingDecision
from governance.selectors.policies import version_in_force
from governance.selectors.routing import places_now
from governance.services.policies import policy_change, policy_values, values_understood
from governance.services.policy_kinds import WEIGHTS, Activated, Values
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from trading.domain.values import decimal_text
from trading.models import Strategy
from trading.selectors.what_if import capital_would_have
from trading.services.strategies import Weighting, ceilings_lift, weights_apply

log = structlog.get_logger(__name__)
ACTOR = "router"


@transaction.atomic
def routing_run() -> list[RoutingDecision]:
    """Bring every weight to what the set, regimes and caps say now. Harmless to repeat."""
    # One router at a time; one that comes second finds the work done.
    policy = (
        Policy.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .filter(pk=WEIGHTS)
        .first()
    )
    version = version_in_force(WEIGHTS)
    if policy is None or version is None:
        return []
    chosen, moment = weight_set(policy_values(version)), now()
    changes = [
        item
        for item in route(chosen, places_now(chosen, version, moment))
        if item.weight != item.place.weight or (item.place.routed is None and item.rule != "band")
    ]
    moved = [item for item in changes if item.weight != item.place.weight]
    try:
        with transaction.atomic():
            weights_apply(weightings=[_weighting(item) for item in moved], actor=f"{ACTOR} by {version}")
    except ApplicationError as error:
        log.warning("weights_not_applied", code=error.code, reason=error.message)
        return []  # somebody changed one just now; the next run sees it
    return RoutingDecision.objects.bulk_create(
        RoutingDecision(
            at=moment,
            version=version,
            strategy=item.place.strategy,
            account=item.place.account,
            symbol=item.place.symbol,
            base=item.base,
            before=item.place.weight,
            weight=item.weight,
            rule=item.rule,
            reason=item.reason,
            regime=dict(item.place.regime) if item.place.regime else None,
        )
        for item in changes
    )


def _weighting(item: Routed) -> Weighting:
    return Weighting(item.place.instance_id, item.place.weight, item.weight, item.reason)


def weights_change(
    *, weights: Mapping[str, Decimal], actor: User, reason: str, expires_in_s: int | None = None
) -> PolicyVersion | ChangeRequest:
    """Set the weights of some strategies, leaving the rest of the set as it is.

    Raises
    ------
    NotFound : UNKNOWN_STRATEGY. ApplicationError : WEIGHTS_ABOVE_ONE, INVALID_POLICY.
    """
    return policy_change(
        name=WEIGHTS,
        node=node_of(weights_merged(weights)),
        actor=actor,
        reason=reason,
        tightening="strategies.disable",  # less weight is what switching off is all of
        expires_in_s=expires_in_s,
    )


def weights_merged(weights: Mapping[str, Decimal]) -> dict[str, Any]:
    """The set's document with some weights replaced.

    A strategy's own weight replaces those of its symbols, too, unless they are given beside it.

    Raises
    ------
    NotFound : UNKNOWN_STRATEGY.
    """
    known = set(Strategy.objects.values_list("name", flat=True))
    for name in weights:
        if name.partition(":")[0] not in known:
            raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name.partition(':')[0]!r}")
    version = version_in_force(WEIGHTS)
    document: dict[str, Any] = dict(version.document) if version else {"weights": {}}
    whole = {name for name in weights if ":" not in name}
    kept = {name: text for name, text in document["weights"].items() if name.partition(":")[0] not in whole}
    document["weights"] = {**kept, **{name: decimal_text(value) for name, value in weights.items()}}
    return document


def weights_loosened(before: Values, after: Values) -> list[str]:
    """What a new set allows more: against the old set, and against the weights in force where that had none."""
    found = STRATEGY_WEIGHTS.loosened({**before, "weights": {}}, {**after, "weights": {}}, "", Raises.ANY)
    old, new = weight_set(before), weight_set(after)
    # Their canaries are the registry's, whichever of the two sets is asked.
    found += [f"weights.{name}" for name in set_free_or_raised(old, new, places_now(new, None, now()))]
    return sorted(set(found))


def weights_check(values: Values) -> None:
    """Refuse a set by which a symbol would be given out more than once.

    Raises
    ------
    ApplicationError : WEIGHTS_ABOVE_ONE.
    """
    chosen = weight_set(values)
    full = overfull(chosen, places_now(chosen, None, now()))
    if full:
        raise ApplicationError(
            "WEIGHTS_ABOVE_ONE",
            f"the strategies of a symbol share it, at most 1 in all: {'; '.join(full)}",
            extra={"symbols": full},
        )


def weights_effect(values: Values) -> Mapping[str, Any]:
    """What would be in force now, and the orders of the last week that had too little weight for it."""
    chosen, version = weight_set(values), version_in_force(WEIGHTS)
    before = values_understood(version) if version else None
    routed = list(route(chosen, _unheld(before, chosen, places_now(chosen, None, now()))))
    judged = [
        capital_would_have(
            f"strategy_symbol:{item.place.strategy}:{item.place.symbol}", item.weight / item.place.weight
        )
        for item in routed
        if item.place.weight
    ]
    return {
        **{
            name: sum(one[name] for one in judged)
            for name in ("denied_last_7_days", "would_have_let_through")
        },
        "weights": {
            f"{item.place.strategy} {item.place.symbol} of {item.place.account}": [
                decimal_text(item.place.weight),
                decimal_text(item.weight),
                item.rule,
            ]
            for item in routed
        },
    }


def _unheld(before: Values | None, chosen: WeightSet, places: list[Place]) -> list[Place]:
    """The places as they are once two people have approved the set."""
    lifted = {
        place.instance_id for place in raised_by_name(weight_set(before) if before else None, chosen, places)
    }
    return [replace(place, ceiling=None) if place.instance_id in lifted else place for place in places]


def weights_activated(event: Activated) -> None:
    """A new set is in force at once, inside the activating transaction.

    What it names with more than before was approved by two people, who thereby lift what was lowered by hand.
    """
    if event.asked_at is not None:
        chosen = weight_set(event.after)
        before = weight_set(event.before) if event.before else None
        named = raised_by_name(before, chosen, places_now(chosen, None, now()))
        ceilings_lift(
            instances=[place.instance_id for place in named],
            asked_at=event.asked_at,
            actor=event.by,
            reason=event.reason,
        )
    routing_run()


def weight_set_in_force() -> WeightSet | None:
    version = version_in_force(WEIGHTS)
    return weight_set(policy_values(version)) if version else None
