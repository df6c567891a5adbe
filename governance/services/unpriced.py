"""Holdings without a price: named in an incident, since what watches equity is blind or leaves them out."""

from __future__ import annotations

from datetime import timedelta

from governance.models import Incident
from governance.services.playbooks.incidents import incident_calm, incident_open
from nautilus_site.common.clock import now
from trading.models import Account, Balance, EquityAnchor, Position
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account

UNKNOWN, FOREIGN = "equity_unknown", "unpriced_holding"
GRACE = timedelta(minutes=1)
"""Prices come a moment after a start, and after a new coin."""


def unpriced_watch() -> int:
    """Open an incident for each account whose worth is not known, and each coin that no market here has.

    Returns how many there are. A coin whose incident people have closed is not told of again while it is held.
    """
    wanted = _wanted()
    told = set()
    for incident in Incident.objects.filter(kind__in=(UNKNOWN, FOREIGN)).exclude(state=Incident.State.CALM):
        place = incident.kind, incident.scope
        if place in wanted:
            is_noted = incident.state == Incident.State.CLOSED and incident.kind == FOREIGN
            told |= {place} if is_noted or incident.state == Incident.State.OPEN else set()
        elif incident.state == Incident.State.OPEN:
            incident_calm(incident.pk, actor="equity", detail="it has a price again, or is gone")
    for (kind, scope), title in wanted.items():
        if (kind, scope) not in told:
            incident_open(
                kind=kind, scope=scope, severity="warning", title=title, actor="equity", evidence={}
            )
    return len(wanted)


def _wanted() -> dict[tuple[str, str], str]:
    """By kind and scope the title of each incident there should be."""
    accounts = list(Account.objects.filter(is_active=True, opened_at__isnull=False).select_related("venue"))
    worths = worth_by_account(
        accounts,
        Balance.objects.filter(account__in=accounts),
        Position.objects.filter(account__in=accounts).select_related("instrument"),
        marks_read(),
    )
    since = now() - GRACE
    marked = set(
        EquityAnchor.objects.filter(scope__startswith="account:", marked_at__gt=since).values_list(
            "scope", flat=True
        )
    )
    found = {}
    for account in accounts:
        worth, scope = worths[account.pk], f"account:{account.name}"
        fresh = scope in marked or (account.opened_at is not None and account.opened_at > since)
        if worth.gaps and not fresh:
            names = ", ".join(sorted(worth.gaps))
            found[UNKNOWN, scope] = (
                f"what {account.name} is worth is not known: no price of {names}; rules and capital wait for it"
            )
        for coin in sorted(worth.unpriced - worth.gaps):
            found[FOREIGN, f"{scope}:{coin}"] = (
                f"{account.name} holds {coin}, which has no market here: it counts as nothing"
            )
    return found
