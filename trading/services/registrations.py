"""What trading tells the shared edge when the apps are ready: appliers, readiness checks, collectors."""

from __future__ import annotations

from datetime import timedelta

from nautilus_site.common.clock import now
from nautilus_site.common.collectors import register_collector
from nautilus_site.common.models import Role
from nautilus_site.common.probes import register_readiness
from nautilus_site.common.services.change_requests import Applier, register_applier
from trading.models import Account
from trading.selectors.gauges import trading_gauges
from trading.services import breakers
from trading.services.controls import allowances, blackouts, groups, limits, overrides, resume
from trading.services.reconcile import adopting, periods
from trading.services.strategies import defining, granting, switching

_RISK = frozenset({Role.RISK_OFFICER})
_ASK = frozenset({Role.TRADER, Role.RISK_OFFICER, Role.ADMIN})
RECONCILED_WITHIN = timedelta(seconds=60)


def register() -> None:
    """Register everything; called once per process."""
    register_applier(
        "trading_state.lower",
        Applier(resume.state_snapshot, resume.apply_lower, approver_roles=_RISK, requester_roles=_ASK),
    )
    register_applier(
        "limit.loosen",
        Applier(
            limits.limit_snapshot,
            limits.apply_loosen,
            effect=limits.limit_effect,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "symbol.allow",
        Applier(
            allowances.allowance_snapshot,
            allowances.apply_allow,
            clean=allowances.allowance_clean,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "order.override",
        Applier(
            overrides.override_snapshot,
            overrides.apply_override,
            clean=overrides.override_clean,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "blackout.end",
        Applier(
            blackouts.blackout_end_snapshot,
            blackouts.apply_blackout_end,
            effect=blackouts.blackout_end_effect,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "group.shrink",
        Applier(groups.group_snapshot, groups.apply_shrink, approver_roles=_RISK, requester_roles=_ASK),
    )
    register_applier(
        "breaker.reset",
        Applier(breakers.breaker_snapshot, breakers.apply_reset, approver_roles=_RISK, requester_roles=_ASK),
    )
    register_applier(
        "breaker.rule",
        Applier(
            breakers.rule_snapshot,
            breakers.apply_rule,
            clean=breakers.rule_request_clean,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "strategy.enable",
        Applier(
            switching.strategy_snapshot, switching.apply_enable, approver_roles=_RISK, requester_roles=_ASK
        ),
    )
    register_applier(
        "strategy.change",
        Applier(
            defining.change_snapshot,
            defining.apply_change,
            clean=defining.change_clean,
            approver_roles=_RISK,
            requester_roles=_ASK | {Role.MODEL_OWNER},
        ),
    )
    register_applier(
        "strategy.instance_enable",
        Applier(
            granting.instance_snapshot,
            granting.apply_instance_enable,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "strategy.grant",
        Applier(granting.grant_snapshot, granting.apply_grant, approver_roles=_RISK, requester_roles=_ASK),
    )
    register_applier(
        "reconcile.adopt",
        Applier(
            adopting.adopt_snapshot,
            adopting.apply_adopt,
            effect=adopting.adopt_effect,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_applier(
        "reconcile.period",
        Applier(
            periods.period_snapshot,
            periods.apply_period,
            clean=periods.period_clean,
            approver_roles=_RISK,
            requester_roles=_ASK,
        ),
    )
    register_readiness("reconciliation", _reconciled)
    register_collector(trading_gauges, name="trading")


def _reconciled() -> str | None:
    """Which active account was not found equal to its venue lately, or None when all were."""
    oldest = now() - RECONCILED_WITHIN
    for account in Account.objects.filter(is_active=True):
        if account.reconciled_at is None:
            return f"account {account.name} was never reconciled"
        if account.reconciled_at < oldest:
            age = int((now() - account.reconciled_at).total_seconds())
            return f"account {account.name} was reconciled {age} s ago"
    return None
