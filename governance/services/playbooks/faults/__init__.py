"""Which fault makes a playbook act, and how it is taken out again. Only the paper exchange can be given one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from governance.adapters.testnet_control import ControlError
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable, StillIn, fault_withdraw
from governance.services.playbooks.faults.orders import reject_spike, unprotected_position, venue_lag
from governance.services.playbooks.faults.prices import (
    corr_spike,
    daily_loss,
    depeg,
    drawdown,
    funding_spike,
    stale_data,
)
from governance.services.playbooks.faults.regimes import entropy_spike, entropy_tend
from governance.services.playbooks.faults.strangers import leverage, open_trades, position
from nautilus_site.common.errors import Conflict

__all__ = ["FAULTS", "Fault", "StillIn", "fault_inject", "fault_tend", "fault_withdraw"]

FAULTS: dict[str, Callable[[Playbook, Fault], None]] = {
    "drawdown": drawdown,
    "venue_lag": venue_lag,
    "reject_spike": reject_spike,
    "entropy_spike": entropy_spike,
    "corr_spike": corr_spike,
    "stale_data": stale_data,
    "depeg": depeg,
    "funding_spike": funding_spike,
    "unprotected_position": unprotected_position,
    "daily_loss": daily_loss,
    "position": position,
    "leverage": leverage,
    "open_trades": open_trades,
}
"""Each puts the cause into the paper exchange, never a row into our tables."""

_TENDED: dict[str, Callable[[dict[str, Any]], None]] = {"entropy_spike": entropy_tend}


def fault_tend(name: str, fault: dict[str, Any]) -> bool:
    """Adjust a stored fault to what has happened since; whether it is of a kind that is. Raises ControlError."""
    if name not in _TENDED:
        return False
    _TENDED[name](fault)
    return True


def fault_inject(playbook: Playbook) -> Fault:
    """Put in what the playbook should notice, all of it or nothing.

    Raises
    ------
    Conflict : NOT_REHEARSABLE, what it needs is not there now; the message says what.
    ControlError : the paper exchange cannot be reached or refuses.
    StillIn : part of it was put in and cannot be taken out again.
    """
    fault = Fault()
    try:
        FAULTS[playbook.name](playbook, fault)
    except (NotRehearsable, ControlError) as error:
        put_in = asdict(fault)
        try:
            fault_withdraw(put_in)
        except ControlError as left:
            raise StillIn(put_in, str(left)) from None
        if isinstance(error, ControlError):
            raise
        raise Conflict("NOT_REHEARSABLE", str(error)) from None
    return fault
