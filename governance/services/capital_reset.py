"""Giving out capital again after the hard drawdown: asked for by one, lifted at the lowest step by a second.

From then on a fall is measured from the equity of that moment: people have accepted the one before it. Measured from
the old peak the next run would stop again, and without capital nothing is ever won back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.allocation import ThrottleState, throttle_reset
from governance.domain.allocation.throttle import FIRST_SHARE
from governance.models import CapitalState
from governance.selectors.capital import equity_now
from governance.selectors.policies import version_in_force
from governance.services.capital import state_locked
from governance.services.policies import values_understood
from governance.services.policy_kinds import CAPITAL
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.domain.values import decimal_text
from trading.models import EquityAnchor
from trading.selectors.what_if import usd_text


def reset_request(*, requester: User, reason: str) -> ChangeRequest:
    """Ask for the allocator to give out capital again after the hard drawdown.

    Raises
    ------
    Conflict : NOT_STOPPED.
    """
    if not reset_snapshot("capital")["stopped"]:
        raise Conflict("NOT_STOPPED", "the drawdown throttle has not stopped")
    return change_request_create(
        kind="capital.reset",
        target="capital",
        payload={"stopped": False},
        diff={"stopped": [True, False]},
        reason=reason,
        requester=requester,
    )


def reset_snapshot(target: str) -> dict[str, Any]:
    state = CapitalState.objects.filter(pk=1).first()
    return {"stopped": state.stopped if state else False}


def reset_rows(target: str) -> Rows:
    """What that is read from."""
    return [CapitalState.objects.filter(pk=1)]


def reset_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The drawdown that stands, what strategies would begin with again, and where the next stop would be."""
    state = CapitalState.objects.filter(pk=1).first()
    anchor = EquityAnchor.objects.filter(scope="global").first()
    fallen = 1 - anchor.equity / anchor.peak_equity if anchor and anchor.peak_equity > 0 else None
    version = version_in_force(CAPITAL)
    values = values_understood(version) if version else None
    lifted = throttle_reset(ThrottleState(state.multiplier, state.stopped)) if state else None
    stop = anchor.equity * (1 - values["drawdown_hard_pct"]) if anchor and values else None
    return {
        "drawdown_now": f"{fallen * 100:.1f} %" if fallen is not None else None,
        "of_their_capital_at_first": f"{lifted.multiplier * 100:g} %" if lifted else None,
        "and_each_day_more": f"{FIRST_SHARE * 100:g} %",
        "measured_from_then_on": usd_text(anchor.equity) if anchor else None,
        "stops_again_at_about": usd_text(stop) if stop is not None else None,
    }


def apply_reset(request: ChangeRequest, approver: User) -> None:
    """Lift the stop at the lowest step and measure from here on; runs inside the approving transaction.

    Raises
    ------
    Conflict : UNKNOWN_EQUITY, there is nothing to measure from.
    """
    state, moment = state_locked(), now()
    assert state is not None
    equity = equity_now(moment)
    if isinstance(equity, str):
        raise Conflict("UNKNOWN_EQUITY", f"from what a fall would be measured is not known: {equity}")
    after = throttle_reset(ThrottleState(state.multiplier, state.stopped))
    state.multiplier, state.stopped, state.updated_at = after.multiplier, after.stopped, moment
    state.lifted_at, state.peak_since = moment, equity.equity - equity.moved
    state.save(update_fields=["multiplier", "stopped", "lifted_at", "peak_since", "updated_at"])
    audit_record(
        action="capital.reset",
        target="capital",
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        before="stopped",
        after={"multiplier": after.multiplier, "measured_from": decimal_text(equity.equity)},
    )
