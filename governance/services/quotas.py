"""Amounts from a file: less is in force at once, more is a request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from governance.domain.policies.located import DocumentError, Node
from governance.domain.policies.quotas import quota_parts_of_a_cent, quota_values
from governance.selectors.capital import grants_now, more_capital, quotas_changed_at
from governance.selectors.policies import version_in_force
from governance.services.capital import pool_check
from governance.services.policies import invalid, policy_values
from governance.services.policy_kinds import CAPITAL
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.change_requests import change_request_create, longest_target
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.values import decimal_text
from trading.models import Strategy, StrategyInstance
from trading.services.strategies import AS_IT_IS, Amount, allocations_apply, capital_rows, strategies_bar

FILE = "capital_allocations"
_KIND = "capital.quotas"
_LONGEST_TARGET = longest_target(_KIND)


def quotas_document() -> dict[str, Any]:
    """What every strategy with a symbol has now, as the file says it."""
    names = list(Strategy.objects.order_by("name").values_list("name", flat=True))
    return {"capital_quota_usd": dict(sorted(grants_now(names).items())), "updated_at": now()}


@transaction.atomic
@one_at_a_time
def quotas_change(*, node: Node, actor: User, reason: str) -> tuple[list[str], ChangeRequest | None]:
    """Lower at once what the file has lower, and ask for what it has higher. Returns both.

    Raises
    ------
    ApplicationError : INVALID_POLICY, REASON_REQUIRED. NotFound : UNKNOWN_STRATEGY. Conflict : NOTHING_CHANGED,
        FILE_OUTDATED; nothing is changed then.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    try:
        values = quota_values(node)
    except DocumentError as error:
        raise invalid(error) from None
    wanted: dict[str, Decimal] = values["capital_quota_usd"]
    current = grants_now(list(wanted))
    unknown = sorted(wanted.keys() - current.keys())
    if unknown:
        raise NotFound("UNKNOWN_STRATEGY", f"{', '.join(unknown)}: no such strategy, or it trades no symbol")
    changed = {name: amount for name, amount in wanted.items() if amount != current[name]}
    parts = quota_parts_of_a_cent(node, changed)
    if parts:
        raise invalid(DocumentError(parts))
    if not changed:
        raise Conflict("NOTHING_CHANGED", "every strategy has exactly this")
    if values["updated_at"] is not None:
        late = [
            name
            for name in changed
            if (quotas_changed_at(name) or values["updated_at"]) > values["updated_at"]
        ]
        if late:
            raise Conflict("FILE_OUTDATED", f"{', '.join(sorted(late))} changed after the file was written")
    lower = {
        name: Amount(current[name], amount) for name, amount in changed.items() if amount < current[name]
    }
    if lower:
        # One person lets nothing hold longer than it did, and needs no policy that is understood to lower it.
        reasons = dict.fromkeys(lower, reason)
        allocations_apply(amounts=lower, until=AS_IT_IS, actor=str(actor), reasons=reasons, by_people=True)
    higher = {name: amount for name, amount in changed.items() if amount > current[name]}
    return sorted(lower), _asked(higher, current, actor, reason) if higher else None


def _asked(
    higher: Mapping[str, Decimal], current: Mapping[str, Decimal], actor: User, reason: str
) -> ChangeRequest:
    target = "quotas:" + ",".join(sorted(higher))
    if len(target) > _LONGEST_TARGET:
        raise ApplicationError("TOO_MANY", "too many strategies rise at once: ask for some of them")
    return change_request_create(
        kind=_KIND,
        target=target,
        payload={name: decimal_text(amount) for name, amount in sorted(higher.items())},
        diff={name: [decimal_text(current[name]), decimal_text(higher[name])] for name in sorted(higher)},
        seen={name: decimal_text(current[name]) for name in sorted(higher)},
        reason=reason,
        requester=actor,
    )


def quotas_snapshot(target: str) -> dict[str, Any]:
    """What the strategies have: the request is void once any of it changed."""
    names = target.partition(":")[2].split(",")
    grants = grants_now(names)
    if grants.keys() != set(names):
        raise NotFound("UNKNOWN_STRATEGY", "no such strategy, or it trades no symbol")
    return {name: decimal_text(total) for name, total in sorted(grants.items())}


def quotas_rows(target: str) -> Rows:
    """What that is read from; the strategies first, as wherever capital moves."""
    names = target.partition(":")[2].split(",")
    return [
        capital_rows(Strategy.objects.filter(name__in=names)),
        StrategyInstance.objects.filter(strategy__name__in=names),
    ]


def quotas_bars(target: str, person: User) -> str:
    """Whoever owns one of the strategies does not decide that it has more."""
    return strategies_bar(target.partition(":")[2].split(","), person)


def quotas_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What these strategies have together, now and then, and as a share of equity."""
    return more_capital({name: Decimal(text) for name, text in payload.items()})


def apply_quotas(request: ChangeRequest, approver: User) -> None:
    """Grant exactly what was approved, while the pool holds it; runs inside the approving transaction.

    Raises
    ------
    Conflict : ABOVE_POOL.
    """
    wanted = {name: Decimal(text) for name, text in request.payload.items()}
    pool_check(wanted)
    current = grants_now(list(wanted))
    _granted(
        {name: Amount(current[name], amount) for name, amount in wanted.items()},
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
    )


def _granted(amounts: Mapping[str, Amount], *, actor: str, reason: str) -> None:
    """What the allocator renews holds as long as it grants; the rest until somebody changes it."""
    version = version_in_force(CAPITAL)
    policy: dict[str, Any] = policy_values(version) if version else {"enabled": ()}
    reasons = dict.fromkeys(amounts, reason)
    governed = {name: amount for name, amount in amounts.items() if name in policy["enabled"]}
    others = {name: amount for name, amount in amounts.items() if name not in governed}
    if governed:
        until = now() + timedelta(seconds=policy["expires_sec"])
        allocations_apply(amounts=governed, until=until, actor=actor, reasons=reasons, by_people=True)
    if others:
        allocations_apply(amounts=others, until=None, actor=actor, reasons=reasons, by_people=True)
