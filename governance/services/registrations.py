"""What governance tells the shared edge when the apps are ready: its policies, and how their changes are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from governance.domain.policies.capital import CAPITAL_POLICY, capital_values
from governance.domain.policies.located import Node
from governance.domain.policies.rulebook import rulebook_loosened, rulebook_values
from governance.domain.policies.schema import Raises
from governance.domain.policies.weights import weight_values
from governance.selectors.capital_age import capital_gauges
from governance.selectors.hard_stops import hard_stop_holds
from governance.selectors.notifications import notification_gauges
from governance.selectors.schedules import schedule_gauges
from governance.services import (
    capital,
    capital_asking,
    capital_requests,
    capital_reset,
    notifications,
    playbooks,
    policies,
    quotas,
    routing,
    rules,
    schedules,
)
from governance.services.policy_kinds import CAPITAL, RULES, WEIGHTS, PolicyKind, Values, register_policy_kind
from governance.services.schedules.lateness import schedules_unready
from nautilus_site.common.collectors import register_collector
from nautilus_site.common.probes import register_readiness
from nautilus_site.common.services.appliers import WORD, Applier, named, numbered, register_appliers
from trading.services.controls import register_resume_guard

# What governance changes only with a second person: how each is looked at, carried out, told and checked.
APPLIERS: Final[Mapping[str, Applier]] = {
    "capital.allocate": Applier(
        capital_requests.allocation_snapshot,
        capital.apply_allocation,
        capital_requests.allocation_effect,
        permission="capital.propose",
        bars=capital_requests.allocation_bars,
        rows=capital_requests.allocation_rows,
        target=numbered("capital:run"),
    ),
    capital_asking.ENDORSE: Applier(
        capital_requests.allocation_snapshot,
        capital_asking.apply_endorsement,
        capital_asking.endorsement_effect,
        permission="capital.propose",
        bars=capital_requests.allocation_bars,
        rows=capital_requests.allocation_rows,
        target=numbered("capital:run"),
        by_machine=True,
    ),
    "capital.quotas": Applier(
        quotas.quotas_snapshot,
        quotas.apply_quotas,
        quotas.quotas_effect,
        permission="capital.propose",
        bars=quotas.quotas_bars,
        rows=quotas.quotas_rows,
        target=re.compile(f"quotas:{WORD}(,{WORD})*"),
    ),
    "capital.reset": Applier(
        capital_reset.reset_snapshot,
        capital_reset.apply_reset,
        capital_reset.reset_effect,
        permission="capital.propose",
        rows=capital_reset.reset_rows,
        target=re.compile("capital"),
    ),
    "notification.channel": Applier(
        notifications.channel_snapshot,
        notifications.apply_channel,
        notifications.channel_effect,
        permission="platform.propose",
        sealed=frozenset({"sealed"}),
        rows=notifications.channel_rows,
        target=named("channel"),
    ),
    "notification.channel_off": Applier(
        notifications.channel_off_snapshot,
        notifications.apply_channel_off,
        notifications.channel_off_effect,
        permission="platform.propose",
        rows=notifications.channel_rows,
        target=named("channel"),
    ),
    "notification.route": Applier(
        notifications.route_snapshot,
        notifications.apply_route,
        notifications.route_effect,
        clean=notifications.route_clean,
        permission="platform.propose",
        rows=notifications.route_rows,
        target=re.compile(rf"route:{WORD}:[^\s]+"),
    ),
    "playbook.change": Applier(
        playbooks.change_snapshot,
        playbooks.apply_change,
        playbooks.change_effect,
        clean=playbooks.change_clean,
        rows=playbooks.change_rows,
        target=named("playbook"),
    ),
    "policy.activate": Applier(
        policies.policy_snapshot,
        policies.apply_policy,
        policies.policy_effect,
        clean=policies.policy_clean,
        bars_payload=policies.policy_bars,
        rows=policies.policy_rows,
        target=named("policy"),
    ),
    "schedule.change": Applier(
        schedules.change_snapshot,
        schedules.apply_change,
        schedules.change_effect,
        clean=schedules.change_clean,
        permission="platform.propose",
        rows=schedules.change_rows,
        target=numbered("schedule"),
    ),
}


def register() -> None:
    """Register everything; called once per process."""
    register_policy_kind(
        PolicyKind(
            CAPITAL,
            "capital_policy.json",
            capital_values,
            _capital_loosened,
            effect=capital.policy_would_do,
            activated=capital.capital_activated,
        )
    )
    register_policy_kind(
        PolicyKind(
            WEIGHTS,
            "strategy_weights.json",
            weight_values,
            routing.weights_loosened,
            effect=routing.weights_effect,
            check=routing.weights_check,
            activated=routing.weights_activated,
        )
    )
    register_policy_kind(
        PolicyKind(RULES, "policies.yaml", _rulebook_values, rulebook_loosened, effect=rules.rules_effect)
    )
    register_appliers(APPLIERS)
    register_resume_guard(hard_stop_holds, name="hard_stops")
    register_readiness("schedules", schedules_unready)
    register_collector(schedule_gauges, name="schedules")
    register_collector(notification_gauges, name="notifications")
    register_collector(capital_gauges, name="capital")


def _rulebook_values(node: Node) -> dict[str, Any]:
    return rulebook_values(node, rules.VOCABULARY)


def _capital_loosened(before: Values, after: Values) -> list[str]:
    return CAPITAL_POLICY.loosened(before, after, "", Raises.ANY)
