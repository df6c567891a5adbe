"""What the allocator would decide under other members of the capital policy. Nothing is changed and nothing asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.allocation.wording import wording
from governance.domain.policies.located import DocumentError, node_of
from governance.domain.policies.schema import canonical
from governance.models import CapitalState
from governance.selectors.capital import flow_members
from governance.selectors.policies import version_in_force
from governance.services.capital import decided_now
from governance.services.policies import invalid, policy_loosened, policy_read
from governance.services.policy_kinds import CAPITAL
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from trading.domain.values import decimal_text, from_units


def capital_what_if(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The decision of now with some members of the policy in force replaced, strategy by strategy, and the flow.

    Raises
    ------
    Conflict : NO_VERSION, no capital policy is in force; UNKNOWN_EQUITY, nothing can be decided now.
    ApplicationError : INVALID_POLICY, with every problem.
    """
    version = version_in_force(CAPITAL)
    if version is None:
        raise Conflict("NO_VERSION", "no capital policy is in force")
    try:
        values = policy_read(CAPITAL, node_of({**version.document, **changes}))
    except DocumentError as error:
        raise invalid(error) from None
    known = decided_now(values, CapitalState.objects.filter(pk=1).first(), now())
    if isinstance(known, str):
        raise Conflict("UNKNOWN_EQUITY", f"nothing can be decided: {known}")
    decision, evidence = known
    amounts = {choice.strategy: from_units(choice.amount) for choice in decision.choices}
    return {
        "policy_version": version.number,
        "document": canonical(values),
        "allows_more": policy_loosened(version, values),
        "explanation": decision.explanation,
        "method": decision.method,
        "multiplier": decision.throttle.multiplier,
        "drawdown": evidence.drawdown,
        "flow": flow_members(
            from_units(evidence.equity), from_units(decision.reserve), from_units(decision.pool), amounts
        ),
        "choices": [
            {
                "strategy": choice.strategy,
                "weight": choice.weight,
                "before": decimal_text(from_units(choice.before)),
                "amount": decimal_text(from_units(choice.amount)),
                "proposed": None if choice.proposed is None else decimal_text(from_units(choice.proposed)),
                "rule": choice.rule,
                "rule_in_words": wording(choice.rule).words,
                "rule_is_set_by": list(wording(choice.rule).members),
                "reason": choice.reason,
            }
            for choice in decision.choices
        ],
    }
