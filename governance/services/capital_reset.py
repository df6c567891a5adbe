"""Giving out capital again after the hard drawdown: asked for by one, lifted at the lowest step by a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.allocation import ThrottleState, throttle_reset
from governance.models import CapitalState
from governance.services.capital import state_locked
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.models import EquityAnchor


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
    """The drawdown that stands, and the part of their capital strategies would begin with again."""
    state = CapitalState.objects.filter(pk=1).first()
    anchor = EquityAnchor.objects.filter(scope="global").first()
    fallen = 1 - anchor.equity / anchor.peak_equity if anchor and anchor.peak_equity > 0 else None
    lifted = throttle_reset(ThrottleState(state.multiplier, state.stopped)) if state else None
    return {
        "drawdown_now": f"{fallen * 100:.1f} %" if fallen is not None else None,
        "of_their_capital_at_first": f"{lifted.multiplier * 100:g} %" if lifted else None,
    }


def apply_reset(request: ChangeRequest, approver: User) -> None:
    """Lift the stop at the lowest step; runs inside the approving transaction."""
    state = state_locked()
    assert state is not None
    after = throttle_reset(ThrottleState(state.multiplier, state.stopped))
    state.multiplier, state.stopped, state.updated_at = after.multiplier, after.stopped, now()
    state.save(update_fields=["multiplier", "stopped", "updated_at"])
    audit_record(
        action="capital.reset",
        target="capital",
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        before="stopped",
        after=after.multiplier,
    )
