"""What rules do: through the services people use, and only what lowers risk or tells somebody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from governance.domain.playbooks import PLAYBOOKS
from governance.domain.rules import Rule
from governance.services.playbooks import incident_open, playbook_run
from governance.services.rules.vocabulary import PLAYBOOK, VOCABULARY
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.outbox import publish
from trading.domain.values import Level, decimal_text
from trading.models import Strategy
from trading.services.controls import kill_raise, latched_level
from trading.services.controls.limits import limit_tighten
from trading.services.controls.limits_in_force import limits_in_force
from trading.services.strategies import strategy_disable

GLOBAL = "global"
Facts = Mapping[str, Any]


class Standing(Exception):
    """What the action would do is in force already."""


def rule_act(rule: Rule, facts: Facts, *, evidence: str) -> str:
    """Do what the rule says; returns what changed.

    Raises
    ------
    Standing : nothing was left to do. ApplicationError : the service refused.
    """
    reason = f"rule {rule.name}: {evidence}"[:500]
    if rule.action.startswith(PLAYBOOK):
        return _playbook(rule, facts, reason)
    changed = _ACTIONS[rule.action](rule, facts, reason)
    if rule.action != "notify":  # which is nothing but an incident
        incident_open(
            kind="rule",
            scope=_scope(rule, facts),
            severity="warning",
            title=f"rule {rule.name}: {changed}",
            actor=_actor(rule),
            evidence={"reason": reason, "changed": changed},
        )
    return changed


def _playbook(rule: Rule, facts: Facts, reason: str) -> str:
    """Take a playbook's steps on what the event was about, as if it had been triggered there."""
    name = rule.action.removeprefix(PLAYBOOK)
    of = PLAYBOOKS[name].of
    scope = GLOBAL if of == GLOBAL else f"{of}:{_named(facts, of)}"
    run = playbook_run(name=name, scope=scope, reason=reason)
    if run is None:
        raise Standing(f"{name} acted on {scope} a short while ago")
    return f"{name} on {scope}, incident {run.incident_id}" + (": held back" if run.held_back else "")


def _scope(rule: Rule, facts: Facts) -> str:
    needs = VOCABULARY.action(rule.action).needs
    return f"{rule.name}:{facts.get(needs)}"[:160] if needs else rule.name


def _raise(scope: str, level: Level, rule: Rule, reason: str) -> str:
    """Latch the level on the scope itself; what a breaker demands, or a wider scope, may end without it."""
    before = latched_level(scope)
    if before >= level:
        raise Standing(f"{scope} is at {before.name}")
    state = kill_raise(scope=scope, level=level, reason=reason, actor=_actor(rule))
    return f"{scope} from {before.name} to {Level(state.level).name}"


def _pause_trading(rule: Rule, facts: Facts, reason: str) -> str:
    return _raise(GLOBAL, Level.REDUCING, rule, reason)


def _halt_trading(rule: Rule, facts: Facts, reason: str) -> str:
    return _raise(GLOBAL, Level.HALT_NEW, rule, reason)


def _pause_symbol(rule: Rule, facts: Facts, reason: str) -> str:
    return _raise(f"symbol:{_named(facts, 'symbol')}", Level.REDUCING, rule, reason)


def _pause_strategy(rule: Rule, facts: Facts, reason: str) -> str:
    return _raise(f"strategy:{_named(facts, 'strategy')}", Level.REDUCING, rule, reason)


def _disable_strategy(rule: Rule, facts: Facts, reason: str) -> str:
    name = _named(facts, "strategy")
    if Strategy.objects.filter(name=name, is_enabled=False).exists():
        raise Standing(f"{name} is switched off")
    strategy_disable(name=name, actor=_actor(rule), reason=reason)
    return f"{name} switched off"


def _tighten(limit: str, floor: str) -> Callable[[Rule, Facts, str], str]:
    def act(rule: Rule, facts: Facts, reason: str) -> str:
        before = limits_in_force({GLOBAL}).values[limit]
        lowest = rule.parameters[floor]
        after = max((before * rule.parameters["factor"]).quantize(Decimal("0.01")), lowest)
        if after >= before:
            raise Standing(f"{limit} is {decimal_text(before)}, the floor {decimal_text(lowest)}")
        limit_tighten(name=limit, scope=GLOBAL, value=after, reason=reason, actor=_actor(rule))
        return f"{limit} from {decimal_text(before)} to {decimal_text(after)}"

    return act


def _notify(rule: Rule, facts: Facts, reason: str) -> str:
    publish(
        "incidents",
        {"kind": "rule", "severity": "warning", "title": rule.name, "detail": reason, "rule": rule.name},
    )
    return "told"


def _named(facts: Facts, name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str) or not value:
        raise ApplicationError("UNKNOWN_TARGET", f"the event did not say which {name}")
    return value


def _actor(rule: Rule) -> str:
    return f"rule {rule.name}"


_ACTIONS: dict[str, Callable[[Rule, Facts, str], str]] = {
    "pause_trading": _pause_trading,
    "halt_trading": _halt_trading,
    "pause_symbol": _pause_symbol,
    "pause_strategy": _pause_strategy,
    "disable_strategy": _disable_strategy,
    "reduce_max_order_size": _tighten("max_notional", "floor_usd"),
    "reduce_exposure": _tighten("exposure_global", "floor_usd"),
    "reduce_order_rate": _tighten("orders_per_minute", "floor"),
    "notify": _notify,
}
ACTIONS = frozenset(_ACTIONS) | {name for name in VOCABULARY.actions if name.startswith(PLAYBOOK)}
