"""More time for a canary that is not decided: asked for by its owner, approved by a second person, the rules kept.

Only the longest time moves. What the test promises holds at whatever moment one stops, also at one that was chosen
after looking: under no difference the mixture's evidence is a supermartingale, so it ever reaches 1 / alpha with a
probability of alpha at most, however long one waits (Ville 1939; Howard et al. 2021). Alpha, the length of an interval
and the point the test is sharpest at were fixed before the first pair, and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from mlregistry.models import Canary
from mlregistry.selectors.canaries import canary_get
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading.domain.values import decimal_text
from trading.selectors.notation import utc_text

if TYPE_CHECKING:  # numpy comes with the first canary, not with every process
    from mlregistry.domain.canary import CanaryRules

KIND: Final = "model.extend_canary"
LONGEST_S: Final = 2 * 365 * 86_400.0
"""A canary that two years do not decide has no difference worth its capital."""


def extension_request(*, canary: Canary, more_s: float, reason: str, requester: User) -> ChangeRequest:
    """Ask for a canary to go on beyond the time its rules gave it. Nothing changes until somebody else approves.

    Parameters
    ----------
    more_s : seconds beyond the end it has now.

    Raises
    ------
    ApplicationError : INVALID_CANARY, not more, or beyond two years in all.  Conflict : CANARY_OVER, CANARY_WON.
    """
    rules = _rules(_undecided(canary))
    return change_request_create(
        kind=KIND,
        target=f"canary:{canary.uid}",
        payload={"longest_s": rules.longest_s + _more(rules, more_s)},
        reason=reason,
        requester=requester,
    )


def extension_snapshot(target: str) -> dict[str, Any]:
    """What must not change until it is approved: a canary that ended, won or grew meanwhile is another."""
    canary = _canary(target)
    return {
        "state": canary.state,
        "longest_s": canary.rules["longest_s"],
        "step": canary.step,
        "capital": decimal_text(canary.capital),
    }


def extension_rows(target: str) -> Rows:
    """What that is read from."""
    return [Canary.objects.filter(pk=_canary(target).pk)]


def extension_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Check a proposal from whichever door.

    Raises
    ------
    ApplicationError : INVALID_CANARY.  Conflict : as `extension_request`.
    """
    asked, rules = payload.get("longest_s"), _rules(_undecided(_canary(target)))
    if set(payload) != {"longest_s"} or isinstance(asked, bool) or not isinstance(asked, int | float):
        raise ApplicationError("INVALID_CANARY", "expected longest_s, a number of seconds, and nothing else")
    return {"longest_s": rules.longest_s + _more(rules, asked - rules.longest_s)}


def extension_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the second person should know: the capital that stays at risk until when, and how the test stands."""
    canary = _canary(target)
    return {
        "canary": str(canary),
        "capital": f"{canary.capital:.2f} USDT",
        "ends_at": utc_text(canary.started_at + timedelta(seconds=float(payload["longest_s"]))),
        "ended_at_before": utc_text(canary.started_at + timedelta(seconds=float(canary.rules["longest_s"]))),
        "intervals": canary.n,
        "log_e": canary.log_e,
        "harm_log_e": canary.harm_log_e,
    }


def apply_extension(request: ChangeRequest, approver: User) -> None:
    """Let the canary go on as approved; runs inside the approving transaction."""
    canary = Canary.objects.select_for_update(of=("self",), no_key=True).get(pk=_canary(request.target).pk)
    rules = _rules(_undecided(canary))
    asked = float(request.payload["longest_s"])
    _more(rules, asked - rules.longest_s)
    canary.rules = {**canary.rules, "longest_s": asked}
    canary.save(update_fields=["rules"])
    audit_record(
        action="model.canary_extended",
        target=f"model:{canary.version}",
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        before={"longest_s": rules.longest_s},
        after={"longest_s": asked, "approval": str(request.pk), "n": canary.n, "log_e": canary.log_e},
    )
    publish(
        "models",
        {"canary": str(canary.uid), "family": canary.version.family.name, "state": canary.state},
    )


def _rules(canary: Canary) -> CanaryRules:
    from mlregistry.domain.canary import rules_read

    return rules_read(canary.rules)


def _more(rules: CanaryRules, more_s: float) -> float:
    if not 0 < more_s <= LONGEST_S - rules.longest_s:
        raise ApplicationError(
            "INVALID_CANARY",
            f"expected more time than none, and at most {LONGEST_S / 86_400:g} days in all; asked for {more_s:g} s "
            f"beyond {rules.longest_s / 86_400:g} days",
        )
    return more_s


def _undecided(canary: Canary) -> Canary:
    if canary.state == Canary.State.WON:
        raise Conflict(
            "CANARY_WON", "the canary has won: it goes on until somebody decides, its time does not end"
        )
    if canary.state != Canary.State.RUNNING:
        raise Conflict("CANARY_OVER", f"the canary is {canary.state} already")
    # One whose time is over ends at the next look; that it was not looked at yet is no reason to let it go on.
    if now() > canary.started_at + timedelta(seconds=float(canary.rules["longest_s"])):
        raise Conflict("CANARY_OVER", "the canary's time is over already")
    return canary


def _canary(target: str) -> Canary:
    kind, _, rest = target.partition(":")
    try:
        return canary_get(UUID(rest if kind == "canary" else ""))
    except ValueError:
        raise NotFound("UNKNOWN_CANARY", f"no {target}") from None
