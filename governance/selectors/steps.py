"""Whether what a playbook's step put in force is what is in force: only that is the step's to take back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from governance.domain.playbooks import Verb
from governance.models import Playbook, PlaybookAction, PlaybookRun
from trading.domain.values import Level, decimal_text
from trading.models import Blackout, RiskLimit, Strategy, StrategyInstance, TradingState
from trading.selectors.blackouts import blackout_state


class Standing(StrEnum):
    """What became of the effect of a step."""

    in_force = "in_force"
    over = "over"
    """It ended by itself, or was taken back in another way."""
    replaced = "replaced"
    """Somebody has put something stricter in its place since; that is theirs, not this step's."""


@dataclass(frozen=True, slots=True)
class StepStanding:
    """Where a step stands, and why, for people."""

    standing: Standing
    said: str = ""


def step_standing(row: PlaybookAction) -> StepStanding:
    """Compare what a step left behind with what is in force now. Of a step that did something."""
    return _STANDINGS[Verb(row.verb)](row)


def level_was_lowered(playbook: Playbook, scope: str) -> bool:
    """Whether a level the newest run on a scope latched, or found latched, is lower now: people resumed since.

    A step that failed, or was held back, has latched nothing; who sees to its effect answers it.
    """
    run = PlaybookRun.objects.filter(playbook=playbook, scope=scope, incident__kind=playbook.name).first()
    if run is None or run.held_back:
        return False
    steps = run.actions.filter(verb=Verb.kill).exclude(state=PlaybookAction.State.FAILED)
    wanted = {step.scope: Level[step.parameters["level"]] for step in steps}
    latched = dict(TradingState.objects.filter(scope__in=wanted).values_list("scope", "level"))
    return any(latched.get(name, Level.ACTIVE) < level for name, level in wanted.items())


def _kill(row: PlaybookAction) -> StepStanding:
    state = TradingState.objects.filter(scope=row.scope).first()
    level = Level(state.level) if state is not None else Level.ACTIVE
    left = Level[(row.after or {})["level"]]
    if state is None or level < left:
        return StepStanding(Standing.over, f"{row.scope} is at {level.name}")
    if level > left:
        said = f"{state.changed_by} has raised {row.scope} to {level.name} since: that is resumed on its own"
        return StepStanding(Standing.replaced, said)
    return StepStanding(Standing.in_force)


def _blackout(row: PlaybookAction) -> StepStanding:
    window = Blackout.objects.filter(pk=(row.after or {})["blackout"]).first()
    if window is None or blackout_state(window) in ("over", "ended"):
        return StepStanding(Standing.over, "the window is over")
    return StepStanding(Standing.in_force)


def _tighten(row: PlaybookAction) -> StepStanding:
    told = row.after or {}
    limit, left = (
        RiskLimit.objects.filter(name=told["limit"], scope=row.scope).first(),
        Decimal(told["value"]),
    )
    if limit is None:
        return StepStanding(Standing.over, f"{row.scope} has no {told['limit']} of its own any more")
    if limit.value == left:
        return StepStanding(Standing.in_force)
    value = f"{told['limit']} of {row.scope} is {decimal_text(limit.value)}"
    if (limit.value < left) == (limit.tighter == "lower"):
        said = f"{limit.changed_by} has tightened it since: {value}, which is loosened on its own"
        return StepStanding(Standing.replaced, said)
    return StepStanding(Standing.over, value)


def _trim(row: PlaybookAction) -> StepStanding:
    places = list(trimmed_places(row))
    if any(place.weight == left for place, left, _ in places):
        return StepStanding(Standing.in_force)
    lower = [place for place, left, before in places if place.weight < min(left, before)]
    if lower:
        said = f"{lower[0]} has the weight {decimal_text(lower[0].weight)} by now, which is raised on its own"
        return StepStanding(Standing.replaced, said)
    return StepStanding(Standing.over, "its weights were raised again")


def trimmed_places(row: PlaybookAction) -> list[tuple[StrategyInstance, Decimal, Decimal]]:
    """Every place a trim lowered that is there still, with the weight it left and the one before."""
    before, after = (row.before or {}).get("weights", {}), (row.after or {}).get("weights", {})
    places = StrategyInstance.objects.filter(pk__in=[int(pk) for pk in before]).select_related(
        "strategy", "instrument", "account"
    )
    return [
        (place, Decimal(after[str(place.pk)]), Decimal(before[str(place.pk)]))
        for place in places.order_by("pk")
        if Decimal(after.get(str(place.pk), "1")) < Decimal(before[str(place.pk)])
    ]


def _disable(row: PlaybookAction) -> StepStanding:
    name = row.scope.partition(":")[2]
    if Strategy.objects.filter(name=name, is_enabled=False).exists():
        return StepStanding(Standing.in_force)
    return StepStanding(Standing.over, f"{name} is switched on")


_STANDINGS: dict[Verb, Callable[[PlaybookAction], StepStanding]] = {
    Verb.kill: _kill,
    Verb.blackout: _blackout,
    Verb.tighten: _tighten,
    Verb.trim: _trim,
    Verb.disable: _disable,
}
