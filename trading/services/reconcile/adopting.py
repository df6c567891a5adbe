"""Taking the venue's figure over into our books: two people, the exact difference, and nothing else ever does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.domain.reconcile import DivergenceKind
from trading.domain.values import PositionSide, decimal_text
from trading.models import Balance, Divergence, LedgerEntry, Position
from trading.services.books.transfers import position_adopt
from trading.services.divergences import divergence_close
from trading.services.exposure import balances_locked
from trading.services.ledger import Line, ledger_post
from universe.models import Instrument

ADOPTABLE = frozenset({DivergenceKind.BALANCE_MISMATCH, DivergenceKind.POSITION_MISMATCH})
SEEN_WITHIN = timedelta(seconds=120)
"""The venue must have said the same a short while before the second person agrees: an old reading is no reading."""


def adopt_request(
    *, divergence_id: int, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Propose to book one confirmed difference as an adjustment. Somebody else decides.

    Raises
    ------
    NotFound, ApplicationError, Conflict.
    """
    row = Divergence.objects.select_related("account").filter(pk=divergence_id).first()
    if row is None:
        raise NotFound("UNKNOWN_DIVERGENCE", f"no difference has the id {divergence_id}")
    _check(row)
    ours, theirs = amounts(row)
    price = _price(row) if row.kind == DivergenceKind.POSITION_MISMATCH else None
    return change_request_create(
        kind="reconcile.adopt",
        target=f"divergence:{row.pk}",
        payload={
            "divergence_id": row.pk,
            "account": row.account.name,
            "kind": row.kind,
            "subject": row.subject,
            "from": decimal_text(ours),
            "to": decimal_text(theirs),
            "price": price,
        },
        diff={
            f"{row.account.name} {row.subject}": [decimal_text(ours), decimal_text(theirs)],
            "adjustment": [None, decimal_text(theirs - ours)],
            **({"at price": [None, price]} if price is not None else {}),
        },
        seen=_members(row),
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def amounts(row: Divergence) -> tuple[Decimal, Decimal]:
    """Both sides of a difference as numbers."""
    try:
        return Decimal(str(row.ours or 0)), Decimal(str(row.theirs or 0))
    except InvalidOperation:
        raise ApplicationError("NOT_ADOPTABLE", "the difference is not an amount") from None


def _price(row: Divergence) -> str:
    """What the difference is booked at: the venue's entry price; where it shows no position, what ours cost."""
    told = row.evidence.get("entry price")
    if told is not None:
        return str(told)
    held = _position(row)
    if held is None or not held.quantity:
        raise ApplicationError("NOT_ADOPTABLE", "neither side says what the position cost")
    return decimal_text((held.cost / abs(held.quantity)).quantize(Decimal("1E-8")))


def _position(row: Divergence) -> Position | None:
    symbol, _, side = row.subject.partition(":")
    return Position.objects.filter(
        account=row.account,
        instrument__symbol=symbol,
        instrument__venue=row.account.venue,
        position_side=side or PositionSide.BOTH,
    ).first()


def _check(row: Divergence) -> None:
    if row.resolved_at is not None:
        raise Conflict("DIVERGENCE_CLOSED", "the difference is gone already")
    if row.kind not in ADOPTABLE:
        raise ApplicationError("NOT_ADOPTABLE", f"a difference of kind {row.kind} has nothing to adopt")
    if row.doubted or row.confirmed_at is None:
        raise Conflict(
            "NOT_CONFIRMED", "not confirmed: two readings 5 s apart and a second kind of evidence are needed"
        )


def adopt_snapshot(target: str) -> dict[str, Any]:
    """What the request hangs on: any change of either side, or its end, makes it void."""
    row = Divergence.objects.filter(pk=int(target.partition(":")[2])).first()
    if row is None:
        return {}
    return _members(row)


def _members(row: Divergence) -> dict[str, Any]:
    return {"ours": row.ours, "theirs": row.theirs, "open": row.resolved_at is None}


def adopt_rows(target: str) -> Rows:
    """What that is read from."""
    return [Divergence.objects.filter(pk=int(target.partition(":")[2]))]


def adopt_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What approving does, in words a person can check."""
    difference = Decimal(payload["to"]) - Decimal(payload["from"])
    what = "balance" if payload["kind"] == DivergenceKind.BALANCE_MISMATCH else "position"
    return {
        "books": f"{what} of {payload['subject']} on {payload['account']} becomes {payload['to']}",
        "adjustment": decimal_text(difference),
        "levels": "stay as they are: resuming is a request of its own",
    }


def apply_adopt(request: ChangeRequest, approver: User) -> None:
    """Book the difference as it was approved; runs inside the approving transaction."""
    payload = request.payload
    row = (
        Divergence.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account__venue")
        .get(pk=payload["divergence_id"])
    )
    _check(row)
    if now() - row.last_seen_at > SEEN_WITHIN:
        raise Conflict(
            "READING_OLD", f"the venue last said so {int((now() - row.last_seen_at).total_seconds())} s ago"
        )
    if row.kind == DivergenceKind.BALANCE_MISMATCH:
        _adopt_balance(row, Decimal(payload["from"]), Decimal(payload["to"]))
    else:
        _adopt_position(row, Decimal(payload["from"]), Decimal(payload["to"]), Decimal(payload["price"]))
    audit_record(
        action="reconcile.adopted",
        target=f"{row.account.name}:{row.subject}",
        actor=approver,
        reason=request.reason,
        before={"ours": row.ours, "requester": request.requester.username},
        after={"theirs": row.theirs, "evidence": row.evidence},
    )
    divergence_close(row, f"adopted by request {request.pk}")


def _adopt_balance(row: Divergence, ours: Decimal, theirs: Decimal) -> None:
    locked = balances_locked(row.account, {row.subject})
    held: Balance = locked[row.subject]
    if held.amount != ours:
        raise Conflict("BOOKS_MOVED", f"our balance is {decimal_text(held.amount.normalize())} by now")
    ledger_post(
        account=row.account,
        transaction=f"adopt:{row.pk}",
        lines=[Line(row.subject, theirs - ours, LedgerEntry.Kind.ADJUSTMENT)],
        at=now(),
    )


def _adopt_position(row: Divergence, ours: Decimal, theirs: Decimal, price: Decimal) -> None:
    held = _position(row)
    quantity = held.quantity if held is not None else Decimal(0)
    if quantity != ours:
        raise Conflict("BOOKS_MOVED", f"our position is {decimal_text(quantity.normalize())} by now")
    symbol, _, side = row.subject.partition(":")
    instrument = Instrument.objects.get(venue=row.account.venue, symbol=symbol)
    position_adopt(row.account, instrument, PositionSide(side or PositionSide.BOTH), theirs - ours, price)


def adopt_pending(divergence_ids: list[int]) -> dict[int, str]:
    """Requests that wait for a decision, by difference."""
    targets = [f"divergence:{pk}" for pk in divergence_ids]
    rows = ChangeRequest.objects.filter(
        kind="reconcile.adopt", target__in=targets, state=ChangeRequest.State.PENDING
    )
    return {int(row.target.partition(":")[2]): str(row.pk) for row in rows}
