"""A canary's part in trading: a strategy beside the champion's own, with a capped part of its capital.

The registry decides who is a canary and when it ends; here that is written onto trading's own rows. What the canary
gets the champion gives up, so that together they never have more capital than was granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from django.db import transaction
from django.db.models import F

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.domain.values import CENT, decimal_text
from trading.models import Ceiling, Strategy, StrategyInstance, SubPosition
from trading.selectors.marks import Marks, marks_read
from trading.selectors.portfolio import results_by_place
from trading.services.models import CANARY, CHAMPION, canary_name
from trading.services.strategies.ceilings import capital_moved

MOST_SHARE = Decimal("0.25")
ROOM = Decimal("1.02")
"""What the price may move between a decision and its order without the canary's cap refusing it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What was granted: the canary's strategy, its capital, and what was left to the champion; quote currency."""

    strategy: Strategy
    capital: Decimal
    champion_capital: Decimal


@transaction.atomic
def canary_open(
    *,
    follower: Strategy,
    digest: str,
    version: int,
    share: Decimal,
    cap: Decimal,
    actor: User | str,
    reason: str,
) -> Grant:
    """Let a version trade a share of a strategy's capital, at most `cap` in all, on every symbol it trades.

    Parameters
    ----------
    share : of each instance's allocation, above 0 and at most 1/4.

    Raises
    ------
    ApplicationError : INVALID_VALUE.
    Conflict : NOTHING_TO_SHARE, the strategy is off or has no capital.
    """
    if not 0 < share <= MOST_SHARE or cap <= 0:
        raise ApplicationError(
            "INVALID_VALUE", "expected a share above 0 and at most 0.25, and a cap above zero"
        )
    locked = Strategy.objects.select_for_update(no_key=True).get(pk=follower.pk)
    if locked.model_stage != CHAMPION or not locked.model_digest:
        raise Conflict("NOTHING_TO_SHARE", f"{locked.name} does not decide with a champion")
    instances = list(
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .filter(strategy=locked, is_enabled=True, allocation__gt=0)
        .order_by("pk")
    )
    if not locked.is_enabled or not instances:
        raise Conflict("NOTHING_TO_SHARE", f"{locked.name} is off or has no capital")
    total = sum((instance.allocation for instance in instances), Decimal(0))
    part = min(share, cap / total)
    canary = _canary_strategy(locked, digest, version)
    # What was lowered in an earlier trial is not this one's.
    Ceiling.objects.filter(strategy=canary).delete()
    Ceiling.objects.filter(instance__strategy=canary).delete()
    capital = Decimal(0)
    for instance in instances:
        granted = (instance.allocation * part).quantize(CENT, rounding=ROUND_DOWN)
        if granted <= 0:
            continue
        instance.allocation -= granted
        instance.save(update_fields=["allocation"])
        own, _ = StrategyInstance.objects.get_or_create(
            strategy=canary, account=instance.account, instrument=instance.instrument
        )
        own.allocation, own.weight, own.is_enabled = granted, instance.weight, True
        own.in_force_until, own.state, own.target = instance.in_force_until, None, None
        own.last_bar_at, own.parameters_digest, own.protection = None, "", None
        own.save()
        capital += granted
        _replan(own)
    if capital <= 0:
        raise Conflict(
            "NOTHING_TO_SHARE", f"a share of {decimal_text(part)} of {locked.name} is less than a cent"
        )
    capital_moved(locked, -capital)
    canary.canary_cap = (capital * ROOM).quantize(CENT, rounding=ROUND_DOWN)
    canary.save(update_fields=["canary_cap"])
    audit_record(
        action="strategy.canary_opened",
        target=f"strategy:{canary.name}",
        actor=actor,
        reason=reason,
        after={"of": locked.name, "digest": digest, "capital": decimal_text(capital)},
    )
    publish("trading_state", {"strategy": canary.name, "enabled": True})
    return Grant(canary, capital, total - capital)


@transaction.atomic
def canary_grow(
    *, follower: Strategy, canary: Strategy, share: Decimal, cap: Decimal, actor: User | str, reason: str
) -> Grant:
    """Let an open canary have a larger share of what it and the champion's strategy have together.

    No symbol's capital is lowered: where the share or the cap is less than it has, it keeps that; so it does where
    somebody took capital from it by hand.

    Raises
    ------
    ApplicationError : INVALID_VALUE.
    Conflict : NOTHING_TO_SHARE, the canary has no capital.
    """
    if not 0 < share <= MOST_SHARE or cap <= 0:
        raise ApplicationError(
            "INVALID_VALUE", "expected a share above 0 and at most 0.25, and a cap above zero"
        )
    locked = Strategy.objects.select_for_update(no_key=True).get(pk=follower.pk)
    owns = list(
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .filter(strategy=canary, is_enabled=True, allocation__gt=0)
        .order_by("pk")
    )
    places = {
        (place.account_id, place.instrument_id): place
        for place in StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .filter(strategy=follower, is_enabled=True)
        .order_by("pk")
    }
    pairs = [(own, places.get((own.account_id, own.instrument_id))) for own in owns]
    total = sum((own.allocation + (place.allocation if place else 0) for own, place in pairs), Decimal(0))
    if total <= 0:
        raise Conflict("NOTHING_TO_SHARE", f"{canary.name} has no capital")
    part, capital, moved = min(share, cap / total), Decimal(0), Decimal(0)
    is_held = Ceiling.objects.filter(strategy=canary).exists()
    for own, place in pairs:
        if place is not None and not is_held:
            both = own.allocation + place.allocation
            more = (both * part).quantize(CENT, rounding=ROUND_DOWN) - own.allocation
            if more > 0:
                own.allocation, place.allocation = own.allocation + more, place.allocation - more
                own.save(update_fields=["allocation"])
                place.save(update_fields=["allocation"])
                moved += more
                _replan(own)
        capital += own.allocation
    capital_moved(locked, -moved)
    Strategy.objects.filter(pk=canary.pk).update(
        canary_cap=(capital * ROOM).quantize(CENT, rounding=ROUND_DOWN), updated_at=now()
    )
    audit_record(
        action="strategy.canary_grown",
        target=f"strategy:{canary.name}",
        actor=actor,
        reason=reason,
        after={"of": follower.name, "capital": decimal_text(capital)},
    )
    return Grant(canary, capital, total - capital)


@transaction.atomic
def canary_close(*, follower: Strategy, canary: Strategy, actor: User | str, reason: str) -> Decimal:
    """Give a canary's capital back to the champion's strategy; its weight is zero, so that its position is left.

    Where the champion has no capital a person, a kill or the allocator took it: there the canary's goes back to
    nobody, and is the pool's again. Safe to call twice. Returns what was given back.
    """
    locked = Strategy.objects.select_for_update(no_key=True).get(pk=follower.pk)
    back = lost = Decimal(0)
    for own in (
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .filter(strategy=canary)
        .order_by("pk")
    ):
        # Added to what is there when the row is locked: the allocator may be changing it.
        is_back = StrategyInstance.objects.filter(
            strategy=follower, account=own.account, instrument=own.instrument, allocation__gt=0
        ).update(allocation=F("allocation") + own.allocation)
        if is_back:
            back += own.allocation
        else:
            lost += own.allocation
        own.allocation, own.weight, own.target = Decimal(0), Decimal(0), 0.0
        own.save(update_fields=["allocation", "weight", "target"])
        _replan(own)
    capital_moved(locked, back, lost=lost)
    # What somebody took from the canary its champion has less of already.
    Ceiling.objects.filter(strategy=canary).delete()
    # Without a digest it decides nothing more, and no order of its may add risk.
    Strategy.objects.filter(pk=canary.pk).update(model_digest="", model_version=None, updated_at=now())
    audit_record(
        action="strategy.canary_closed",
        target=f"strategy:{canary.name}",
        actor=actor,
        reason=reason,
        after={"given_back": decimal_text(back), "to_nobody": decimal_text(lost)},
    )
    publish("trading_state", {"strategy": canary.name, "enabled": canary.is_enabled})
    return back


@transaction.atomic
def canary_follow(*, follower: Strategy, canary: Strategy) -> Decimal:
    """Let a canary's capital hold as long as the champion's does, instance by instance.

    Returns what the champion's strategy has now, quote currency; 0 where it is off, or nothing of it may add risk.
    """
    left = Decimal(0)
    moment = now()
    for own in StrategyInstance.objects.filter(strategy=canary, is_enabled=True).order_by("pk"):
        place = StrategyInstance.objects.filter(
            strategy=follower, account=own.account_id, instrument=own.instrument_id
        ).first()
        until = place.in_force_until if place is not None else moment
        if place is None or not place.is_enabled or place.allocation <= 0:
            # What the champion may not do here the canary may not either: from now on it only reduces.
            until = (
                moment if own.in_force_until is None or own.in_force_until > moment else own.in_force_until
            )
        elif until is None or until > moment:
            left += place.allocation
        if until != own.in_force_until:
            StrategyInstance.objects.filter(pk=own.pk).update(in_force_until=until)
    return left if Strategy.objects.filter(pk=follower.pk, is_enabled=True).exists() else Decimal(0)


@transaction.atomic
def canary_retire(*, canary: Strategy) -> bool:
    """Switch a closed canary off once it holds nothing that can be sold. Returns whether it is off."""
    parts = SubPosition.objects.filter(owner=canary.name).exclude(quantity=0)
    # A fee taken in the base asset leaves less than a step.
    steps = {
        part: part.position.instrument.to_domain() for part in parts.select_related("position__instrument")
    }
    if any(domain.floor_steps(abs(part.quantity)) > 0 for part, domain in steps.items()):
        for own in StrategyInstance.objects.filter(strategy=canary):
            _replan(own)
        return False
    StrategyInstance.objects.filter(strategy=canary).update(is_enabled=False)
    Strategy.objects.filter(pk=canary.pk, is_enabled=True).update(is_enabled=False, updated_at=now())
    return True


def results_of(*strategies: Strategy) -> list[Decimal | None]:
    """What each has made so far, net; None where something it holds has no price now."""
    marks = marks_read()
    results = results_by_place(marks, [strategy.name for strategy in strategies])
    found: list[Decimal | None] = []
    for strategy in strategies:
        own = [net for (owner, _, _), net in results.items() if owner == strategy.name]
        found.append(sum(own, Decimal(0)) if _is_priced(strategy, marks) else None)
    return found


@dataclass(frozen=True, slots=True)
class Pair:
    """Both in one account and symbol: what each has made so far there and with how much, quote currency."""

    own: Decimal
    own_capital: Decimal
    other: Decimal
    other_capital: Decimal


def pairs_of(*, follower: Strategy, canary: Strategy) -> dict[str, Pair] | None:
    """Where both have capital, by "account:instrument"; None where something they hold has no price now."""
    marks = marks_read()
    if not (_is_priced(follower, marks) and _is_priced(canary, marks)):
        return None
    results = results_by_place(marks, [follower.name, canary.name])
    places: dict[str, dict[tuple[int, int], Decimal]] = {}
    for row in StrategyInstance.objects.filter(strategy__in=[follower, canary]).select_related("strategy"):
        places.setdefault(row.strategy.name, {})[row.account_id, row.instrument_id] = row.allocation
    own, other = places.get(canary.name, {}), places.get(follower.name, {})
    return {
        f"{account}:{instrument}": Pair(
            results.get((canary.name, account, instrument), Decimal(0)),
            own[account, instrument],
            results.get((follower.name, account, instrument), Decimal(0)),
            other[account, instrument],
        )
        for account, instrument in sorted(own.keys() & other.keys())
    }


def _is_priced(strategy: Strategy, marks: Marks) -> bool:
    held = SubPosition.objects.filter(owner=strategy.name).exclude(quantity=0)
    return all(marks.of(part.position.instrument_id) for part in held.select_related("position"))


def _canary_strategy(follower: Strategy, digest: str, version: int) -> Strategy:
    canary, _ = Strategy.objects.get_or_create(
        name=canary_name(follower), defaults={"kind": follower.kind, "updated_at": now()}
    )
    if canary.model_stage != CANARY and (canary.is_enabled or canary.instances.exists()):
        raise Conflict("NAME_TAKEN", f"a strategy of its own is called {canary.name}")
    canary.kind, canary.interval = follower.kind, follower.interval
    canary.parameters, canary.owner = dict(follower.parameters), follower.owner
    canary.model_family, canary.model_stage = follower.model_family, CANARY
    canary.model_digest, canary.model_version = digest, version
    canary.description = f"canary of {follower.name}"
    canary.is_enabled, canary.updated_at = True, now()
    canary.save()
    return canary


def _replan(instance: StrategyInstance) -> None:
    enqueue_on_commit(
        "trading.tasks.plan_refresh",
        queue="trading",
        account_id=instance.account_id,
        instrument_id=instance.instrument_id,
    )
