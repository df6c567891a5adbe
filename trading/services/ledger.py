"""Double entry: every asset of a transaction sums to zero between the account and the venue.

Within the account every line has an owner (`sub`): the strategy it is for, or nobody's, which is the people's. The
balances of the account and of its owners follow in the same statement count, however many transactions are posted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.tables import Table
from trading.domain.errors import InvariantViolation
from trading.domain.subaccounts import PEOPLE, Flows
from trading.domain.values import from_units
from trading.models import Account, Balance, Fill, LedgerEntry
from universe.models import Instrument

# Balances of the account, of its owners, and the lines, in one statement. Owners' rows change under the lock of the
# balance itself, which every poster holds, and sorted, so that no two posters wait for each other.
_ENTRIES = Table(LedgerEntry)


@cache
def _post_sql() -> str:
    return f"""
WITH followed AS (
    UPDATE trading_balance AS balance
       SET amount = balance.amount + change.amount, reserved = balance.reserved + change.promised
      FROM unnest(%(assets)s::text[], %(amounts)s::numeric[], %(promises)s::numeric[])
           AS change (asset, amount, promised)
     WHERE balance.account_id = %(account)s AND balance.asset = change.asset
    RETURNING balance.asset
), owners AS (
    INSERT INTO trading_subbalance AS sub (account_id, owner, asset, amount)
    SELECT %(account)s, change.owner, change.asset, change.amount
      FROM unnest(%(owners)s::text[], %(owner_assets)s::text[], %(owner_amounts)s::numeric[])
           AS change (owner, asset, amount)
        ON CONFLICT (account_id, owner, asset) DO UPDATE SET amount = sub.amount + EXCLUDED.amount
), posted AS ({_ENTRIES.insert})
SELECT asset FROM followed
"""  # noqa: S608  only names of our own columns


KINDS = {
    "trade": LedgerEntry.Kind.TRADE,
    "fee": LedgerEntry.Kind.COMMISSION,
    "realized": LedgerEntry.Kind.REALIZED,
    "cross": LedgerEntry.Kind.CROSS,
    "dust": LedgerEntry.Kind.DUST,
}
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Line:
    """What an asset of the account changes by, why, and whose it is."""

    asset: str
    amount: Decimal
    kind: str
    sub: str = PEOPLE


@dataclass(frozen=True, slots=True)
class Posting:
    """One transaction to book."""

    transaction: str
    lines: Sequence[Line]
    at: datetime
    fill: Fill | None = None
    instrument: Instrument | None = None


def flow_lines(flows: Flows) -> list[Line]:
    """The lines of what the kernel says every wallet changes by."""
    return [
        Line(asset, from_units(units), KINDS[kind], owner)
        for (owner, asset, kind), units in sorted(flows.items())
    ]


def ledger_post(
    *,
    account: Account,
    transaction: str,
    lines: Iterable[Line],
    at: datetime | None = None,
    fill: Fill | None = None,
    instrument: Instrument | None = None,
) -> None:
    """Book one transaction.

    Call inside a transaction that holds the balance rows. Booking the same transaction twice violates a constraint.
    """
    ledger_write(account=account, postings=[Posting(transaction, list(lines), at or now(), fill, instrument)])


def ledger_write(
    *, account: Account, postings: Sequence[Posting], promises: Mapping[str, Decimal] | None = None
) -> None:
    """Book transactions: each line for its owner and its counter line for the venue; balances follow.

    What only changes owner inside the account has no counter line: it sums to zero by itself.

    Parameters
    ----------
    promises : by asset, what is promised to open orders changes by; applied with the amounts, in one statement.
    """
    entries: list[LedgerEntry] = []
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    subs: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for posting in postings:
        counter: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for line in posting.lines:
            if line.amount == 0:
                continue
            entries.append(_entry(account, posting, "account", line))
            counter[line.asset, line.kind] -= line.amount
            changes[line.asset] += line.amount
            subs[line.sub, line.asset] += line.amount
        entries += [
            _entry(account, posting, "venue", Line(asset, amount, kind))
            for (asset, kind), amount in counter.items()
            if amount
        ]
    if sum((entry.amount for entry in entries), ZERO) != 0:
        raise InvariantViolation("ledger transactions do not sum to zero")
    _write(account, entries, changes, promises or {}, {key: amount for key, amount in subs.items() if amount})


def _entry(account: Account, posting: Posting, owner: str, line: Line) -> LedgerEntry:
    return LedgerEntry(
        account=account,
        transaction=posting.transaction,
        owner=owner,
        sub=line.sub if owner == "account" else PEOPLE,
        asset=line.asset,
        amount=line.amount,
        kind=line.kind,
        fill=posting.fill,
        instrument=posting.instrument,
        at=posting.at,
    )


def _write(
    account: Account,
    entries: list[LedgerEntry],
    changes: Mapping[str, Decimal],
    promises: Mapping[str, Decimal],
    subs: Mapping[tuple[str, str], Decimal],
) -> None:
    assets = [
        asset
        for asset in sorted({*changes, *promises})
        if changes.get(asset, ZERO) or promises.get(asset, ZERO)
    ]
    if not assets and not entries:
        return
    keys = sorted(subs)
    parameters: dict[str, Any] = {
        "account": account.pk,
        "assets": assets,
        "amounts": [changes.get(asset, ZERO) for asset in assets],
        "promises": [promises.get(asset, ZERO) for asset in assets],
        "owners": [owner for owner, _ in keys],
        "owner_assets": [asset for _, asset in keys],
        "owner_amounts": [subs[key] for key in keys],
    }
    with connection.cursor() as cursor:
        cursor.execute(_post_sql(), parameters | _ENTRIES.parameters(entries))
        followed = {asset for (asset,) in cursor.fetchall()}
    for asset in sorted(set(assets) - followed):
        Balance.objects.create(account=account, asset=asset, amount=changes.get(asset, ZERO))
