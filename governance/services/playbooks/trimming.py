"""Trimming contracts: the weights of the strategies that hold them fall, and the planner sells what is over.

What people hold without a strategy is theirs to sell; spot pays no funding and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from django.db.models import QuerySet

from governance.domain.playbooks import Action
from governance.models import PlaybookAction
from governance.selectors.steps import trimmed_places
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, User
from trading.domain.values import Market, decimal_text
from trading.models import StrategyInstance, SubPosition
from trading.selectors.marks import marks_read
from trading.services.strategies import Weighting, grant_change, weights_apply

_GRAIN = Decimal("0.0001")


def trim(row: PlaybookAction, action: Action, scope: str, reason: str) -> None:
    """Lower the weights of a symbol's contracts, or of a strategy's, to a share of what they are. Once."""
    places = list(_places(scope))
    row.before = {"weights": _told(places), "held": _held(places)}
    earlier = (
        PlaybookAction.objects.filter(verb=row.verb, scope=scope, run__playbook=row.run.playbook)
        .exclude(state__in=(row.State.FAILED, row.State.UNDONE, row.State.STANDING))
        .order_by("-pk")
        .first()
    )
    if earlier is not None and not _missing_weights(earlier, places):
        # Trimmed and not undone: a second time would trim what is left again and again.
        row.after, row.state = dict(earlier.after or {}), row.State.STANDING
        return
    factor = Decimal(str(action.factor))
    wanted = {place.pk: (place.weight * factor).quantize(_GRAIN, rounding=ROUND_DOWN) for place in places}
    weights_apply(
        weightings=[Weighting(place.pk, place.weight, wanted[place.pk], reason) for place in places],
        actor=f"playbook {row.run.playbook.name}",
        until_undone=True,
    )
    row.after = {"weights": {str(pk): decimal_text(weight) for pk, weight in wanted.items()}}


def trim_missing(row: PlaybookAction) -> str:
    """What of the effect is not seen: weights above the wanted ones, or contracts that are held still."""
    places = list(_places(row.scope, every=True))
    missing = _missing_weights(row, places)
    if missing:
        return missing
    marks, factor = marks_read(), Decimal(str(row.parameters["factor"]))
    now_held = _held(places)
    for place in places:
        before = (row.before or {})["held"].get(str(place.pk))
        if before is None or not place.is_enabled or not place.strategy.is_enabled or place.makes_market:
            continue  # what is switched off holds its position under protection
        over = abs(Decimal(now_held.get(str(place.pk), "0"))) - abs(Decimal(before)) * factor
        domain, mark = place.instrument.to_domain(), marks.of(place.instrument_id)
        # What the venue does not trade, for its step or its smallest order, stays.
        if domain.floor_steps(max(over, Decimal(0))) and (
            mark is None or over * mark > 2 * domain.min_notional
        ):
            return f"{place.strategy.name} still holds {over:f} {place.instrument.symbol} more than {factor:f} of it"
    return ""


def trim_undo(row: PlaybookAction, requester: User, reason: str) -> list[ChangeRequest]:
    """Ask for the weights that were, of the places that still have the weight it left them."""
    asked = []
    for place, left, before in trimmed_places(row):
        if place.weight != left:
            continue
        made = grant_change(
            instance=place, weight=before, allocation=place.allocation, actor=requester, reason=reason
        )
        if isinstance(made, ChangeRequest):
            asked.append(made)
    return asked


def _places(scope: str, *, every: bool = False) -> QuerySet[StrategyInstance]:
    kind, _, name = scope.partition(":")
    lookup = {"symbol": "instrument__symbol", "strategy": "strategy__name"}.get(kind)
    if lookup is None:
        raise ApplicationError("INVALID_ACTION", f"{scope} is no symbol and no strategy")
    rows = StrategyInstance.objects.filter(**{lookup: name}, instrument__market=Market.usdm)
    rows = rows.select_related("strategy", "account", "instrument").order_by("pk")
    return rows if every else rows.filter(weight__gt=0)


def _told(places: Iterable[StrategyInstance]) -> dict[str, str]:
    return {str(place.pk): decimal_text(place.weight) for place in places}


def _held(places: Iterable[StrategyInstance]) -> dict[str, str]:
    """By instance, what its strategy holds, base quantity."""
    found = {}
    for place in places:
        parts = SubPosition.objects.filter(
            owner=place.strategy.name,
            position__account=place.account_id,
            position__instrument=place.instrument_id,
        )
        total = sum((part.quantity for part in parts), Decimal(0))
        if total:
            found[str(place.pk)] = decimal_text(total)
    return found


def _missing_weights(row: PlaybookAction, places: Iterable[StrategyInstance]) -> str:
    wanted: dict[str, str] = (row.after or {}).get("weights", {})
    for place in places:
        text = wanted.get(str(place.pk))
        if (text is None and place.weight > 0) or (text is not None and place.weight > Decimal(text)):
            return f"{place} has the weight {place.weight:f}"
    return ""
