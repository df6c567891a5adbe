"""Whose a key is: the account at the exchange it belongs to, which must be the one these books are kept for."""

from __future__ import annotations

from trading.domain.ports import ExecutionVenue
from trading.models import Account


def identity_note(account: Account, identity: str) -> None:
    """Keep the exchange's name of the account, as its first key in use tells it; what is kept stays."""
    if identity:
        Account.objects.filter(pk=account.pk, venue_identity="").update(venue_identity=identity)


def key_owner(account: Account, venue: ExecutionVenue, *, known: str = "") -> tuple[str, list[str]]:
    """The account that the key `venue` is reached with is of, and what speaks against its being this one.

    `known` is the account as the keys in use tell it, where nothing is kept yet; empty where no key is in use.

    Raises
    ------
    VenueError : the exchange did not answer.
    """
    kept = Account.objects.values_list("venue_identity", flat=True).get(pk=account.pk) or known
    theirs = venue.identity()
    if not theirs:
        return "", ["the exchange does not tell whose key it is"]
    if kept and theirs != kept:
        return theirs, [
            f"the key is of another account at the exchange ({theirs}) than {account.name} ({kept})"
        ]
    return theirs, []
