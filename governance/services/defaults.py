"""First versions of the policies: outside the demo they let the machine do nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from governance.domain.policies.located import node_of
from governance.domain.policies.schema import canonical
from governance.selectors.policies import version_in_force
from governance.services.policies import policy_activate, policy_read
from governance.services.policy_kinds import CAPITAL, RULES, WEIGHTS, policy_names

ACTOR = "install"
CAREFUL: Mapping[str, Mapping[str, Any]] = {
    CAPITAL: {"allocation_mode": "manual"},
    WEIGHTS: {"weights": {}},
    RULES: {"rules": []},
}
_TOLD = {"action": "notify", "cooldown_seconds": 900}
DEMO: Mapping[str, Mapping[str, Any]] = {
    RULES: {
        "rules": [
            {
                "name": "drawdown",
                "trigger": "tick",
                "condition": "drawdown > 0.1",
                "action": "reduce_exposure",
                "priority": 9,
                "cooldown_seconds": 3600,
                "description": "Less exposure after a fall of a tenth from the peak.",
            },
            {
                "name": "denied for exposure",
                "trigger": "order.denied",
                "condition": "code in ('EXPOSURE_GLOBAL', 'EXPOSURE_ACCOUNT') and denied_5m >= 20",
                "description": "Many orders do not fit under the caps.",
                **_TOLD,
            },
            {"name": "unknown orders", "trigger": "tick", "condition": "unknown_orders >= 3", **_TOLD},
            {"name": "venue refuses", "trigger": "order.rejected", "condition": "rejected_5m >= 5", **_TOLD},
        ]
    },
    WEIGHTS: {"weights": {"moving_average": 1, "trend_follow": 1}},
    CAPITAL: {
        "enabled": ["moving_average", "trend_follow"],
        "method": "inverse_volatility",
        "fallback_mode": "equal_split",
        # What the demo's strategies start with: more takes two people.
        "max_quota_usd": 12_500,
        # It is paper money: they begin together, before any of them has shown what it earns.
        "unproven_quota_usd": 12_500,
        "envelope": {"max_total_usd": 30_000, "max_increase_usd": 1_500},
    },
}


def policies_install() -> list[str]:
    """Put a first version into force where there is none. Returns the names of these policies."""
    documents = DEMO if settings.BINANCE_ENV == "local" else CAREFUL
    installed = []
    for name in policy_names():
        if name in documents and version_in_force(name) is None:
            document = canonical(policy_read(name, node_of(documents[name])))
            policy_activate(name=name, document=document, by=ACTOR, creator=None, reason="the first version")
            installed.append(name)
    return installed
