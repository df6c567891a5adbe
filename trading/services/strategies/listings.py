"""Taking up new listings: what a strategy may put into each, and the instance that is made when one opens.

The grant is given before anything is listed, by two people; lowering it takes one. When a symbol opens, the strategy
gets it with that capital for a day, and the symbol is allowed on the account: that is what was approved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import one_at_a_time
from trading import metrics
from trading.domain.strategies.catalogue import StrategyLoadError
from trading.domain.values import CENT, decimal_text, is_whole_cents, written_decimal
from trading.models import Account, ListingGrant, Order, Strategy, StrategyInstance, SymbolAllowance
from trading.services.strategies.ceilings import capital_room
from trading.services.strategies.loading import strategy_loaded
from trading.services.strategies.switching import strategy_locked
from trading.services.strategy_kinds import strategy_load
from universe.models import Listing, Venue

HELD_FOR: Final = timedelta(days=1)
"""What it is given of a listing holds so long; afterwards it only reduces."""
WATCHED: Final = timedelta(minutes=15)
"""A symbol that may have appeared longer before we saw it is not taken up: nobody was looking."""
TRIED_FOR: Final = timedelta(minutes=2)
"""A lost hint is made good for so long."""
MOST_PER_DAY: Final = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """Of a grant: capital for each listing in quote currency, and how many may be bought of those of 24 hours."""

    allocation: Decimal
    per_day: int

    def members(self) -> dict[str, Any]:
        """As requests and audit entries carry it."""
        return {"allocation": decimal_text(self.allocation), "per_day": self.per_day}


@one_at_a_time
def listing_grant_change(
    *,
    strategy: Strategy,
    account: Account,
    terms: Terms,
    actor: User,
    reason: str,
    expires_in_s: int | None = None,
) -> ListingGrant | ChangeRequest:
    """Change what a strategy may put into new listings: at once where it may do less, by request where more.

    Raises
    ------
    ApplicationError : INVALID_VALUE, REASON_REQUIRED.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    _check(strategy, terms)
    before = _terms(ListingGrant.objects.filter(strategy=strategy, account=account).first())
    diff = {name: [getattr(before, name), value] for name, value in asdict(terms).items()}
    diff = {name: [str(a), str(b)] for name, (a, b) in diff.items() if a != b}
    if not _raises(before, terms):
        with transaction.atomic():
            return _set(strategy, account, terms, by=str(actor), actor=actor, reason=reason, diff=diff)
    return change_request_create(
        kind="strategy.listing_grant",
        target=f"{strategy.name}:{account.name}",
        payload=terms.members(),
        diff={**diff, "allows": ["", f"symbols as they are listed, on {account.name}"]},
        reason=reason,
        requester=actor,
        expires_in_s=expires_in_s,
    )


def listing_grant_raises(strategy: Strategy, account: Account, terms: Terms) -> bool:
    """Whether terms would let it do more than it may now."""
    return _raises(_terms(ListingGrant.objects.filter(strategy=strategy, account=account).first()), terms)


def listing_grant_snapshot(target: str) -> dict[str, Any]:
    """What is in force, and what the strategy decides by: a request is void when any of it changes meanwhile."""
    strategy, account = _by_target(target)
    terms = _terms(ListingGrant.objects.filter(strategy=strategy, account=account).first())
    return {**terms.members(), "kind": strategy.kind, "parameters": strategy.parameters}


def listing_grant_rows(target: str) -> Rows:
    """What that is read from."""
    strategy, account = _by_target(target)
    return [
        Strategy.objects.filter(pk=strategy.pk),
        ListingGrant.objects.filter(strategy=strategy, account=account),
    ]


def listing_grant_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Check proposed terms.

    Raises
    ------
    ApplicationError : INVALID_VALUE.  NotFound : UNKNOWN_STRATEGY, UNKNOWN_ACCOUNT.
    """
    strategy, _ = _by_target(target)
    terms = _payload(payload)
    _check(strategy, terms)
    return terms.members()


def apply_listing_grant(request: ChangeRequest, approver: User) -> None:
    """Grant as approved; runs inside the approving transaction."""
    strategy, account = _by_target(request.target)
    both = f"{request.requester} and {approver}"
    _set(
        strategy,
        account,
        _payload(request.payload),
        by=both,
        actor=both,
        reason=request.reason,
        diff=request.diff,
    )


def listings_due() -> list[int]:
    """Listings that opened a moment ago and were not taken up where they may be: their hint was lost."""
    grants = ListingGrant.objects.filter(strategy__is_enabled=True, per_day__gt=0, allocation__gt=0)
    if not grants.exists():
        return []
    rows = Listing.objects.filter(opened_at__gt=now() - TRIED_FOR, seen_at__lte=F("missed_at") + WATCHED)
    taken = StrategyInstance.objects.filter(
        instrument__listing__in=rows, strategy__in=grants.values("strategy")
    ).values("instrument")
    return list(rows.exclude(instrument__in=taken).order_by("pk").values_list("pk", flat=True))


def listing_venues() -> list[Venue]:
    """Venues on which somebody waits for listings."""
    return list(
        Venue.objects.filter(
            account__in=ListingGrant.objects.filter(
                strategy__is_enabled=True, per_day__gt=0, allocation__gt=0, account__is_active=True
            ).values("account")
        )
        .order_by("pk")
        .distinct()
    )


@transaction.atomic
def listing_take_up(*, listing_id: int) -> list[StrategyInstance]:
    """Give a new listing to every strategy that may trade it. Safe to repeat: one instance per symbol."""
    listing = (
        Listing.objects.select_for_update(of=("self",), no_key=True)
        .select_related("instrument__venue")
        .filter(pk=listing_id, opened_at__isnull=False)
        .first()
    )
    if listing is None:
        return []
    if listing.seen_at - listing.missed_at > WATCHED:
        return []
    grants = ListingGrant.objects.select_related("strategy", "account").filter(
        account__venue=listing.instrument.venue,
        account__is_active=True,
        strategy__is_enabled=True,
        quote_asset=listing.instrument.quote_asset,
        allocation__gt=0,
    )
    # The strategies before their grants, as wherever a grant is changed: a ceiling counts all a strategy has.
    list(
        Strategy.objects.select_for_update(no_key=True)
        .filter(pk__in=grants.values("strategy"))
        .order_by("pk")
    )
    taken = [
        _instance(grant, listing)
        for grant in grants.order_by("pk").select_for_update(of=("self",), no_key=True)
    ]
    return [instance for instance in taken if instance is not None]


def _instance(grant: ListingGrant, listing: Listing) -> StrategyInstance | None:
    strategy, account, instrument = grant.strategy, grant.account, listing.instrument
    others = StrategyInstance.objects.filter(account=account, instrument=instrument)
    if others.exists():  # taken up already, or somebody's own
        return None
    if _entries(strategy, account) >= grant.per_day:
        return None
    allocation = min(grant.allocation, capital_room(strategy)).quantize(CENT, rounding=ROUND_DOWN)
    if allocation <= 0:  # somebody lowered what it may have in all, and it has that
        return None
    instance = StrategyInstance.objects.create(
        strategy=strategy,
        account=account,
        instrument=instrument,
        allocation=allocation,
        in_force_until=now() + HELD_FOR,
        steps_at_books=True,
    )
    SymbolAllowance.objects.get_or_create(
        account=account, instrument=instrument, defaults={"added_by": None, "added_at": now()}
    )
    assert listing.listed_at is not None, "an opened listing has its age"
    metrics.LISTINGS_TAKEN_UP.labels(strategy=strategy.name).inc()
    audit_record(
        action="strategy.listing_taken_up",
        target=f"strategy:{strategy.name}",
        actor=grant.granted_by,
        reason=f"{instrument.symbol} was listed",
        after={
            "account": account.name,
            "symbol": instrument.symbol,
            "allocation": decimal_text(allocation),
            "listed_at": listing.listed_at.isoformat(),
        },
    )
    publish("trading_state", {"strategy": strategy.name, "enabled": True, "symbol": instrument.symbol})
    return instance


def _entries(strategy: Strategy, account: Account) -> int:
    """Listings of the last 24 hours that it has bought or may still buy.

    One that it gave up unbought, because it came too late or its book was too thin, leaves its place to the next one.
    """
    since = now() - timedelta(days=1)
    instances = StrategyInstance.objects.filter(
        strategy=strategy, account=account, instrument__listing__opened_at__gt=since
    )
    orders = Order.objects.filter(
        account=account, strategy=strategy, instrument__in=instances.values("instrument")
    )
    bought = set(
        orders.filter(Q(executed_quantity__gt=0) | Q(ended_at=None)).values_list("instrument_id", flat=True)
    )
    loaded = strategy_loaded(strategy)
    return sum(
        instance.instrument_id in bought
        or instance.state is None
        or loaded is None  # nobody can say: it counts
        or not loaded.steps.gave_up(loaded.steps.load(json.dumps(instance.state)))
        for instance in instances
    )


def _set(
    strategy: Strategy,
    account: Account,
    terms: Terms,
    *,
    by: str,
    actor: User | str,
    reason: str,
    diff: Mapping[str, Any],
) -> ListingGrant:
    strategy_locked(strategy.name)
    grant, _ = ListingGrant.objects.update_or_create(
        strategy=strategy,
        account=account,
        defaults={
            "allocation": terms.allocation,
            "per_day": terms.per_day,
            "granted_by": by,
            "changed_at": now(),
        },
    )
    audit_record(
        action="strategy.listing_grant_changed",
        target=f"strategy:{strategy.name}",
        actor=actor,
        reason=reason,
        after={"account": account.name, **dict(diff)},
    )
    return grant


def _raises(before: Terms, after: Terms) -> bool:
    return after.allocation > before.allocation or after.per_day > before.per_day


def _check(strategy: Strategy, terms: Terms) -> None:
    try:
        known = strategy_load(strategy.kind).trades_listings
    except StrategyLoadError as error:
        raise ApplicationError("INVALID_VALUE", f"strategy: {error}") from None
    if not known:
        raise ApplicationError("INVALID_VALUE", f"strategy: {strategy.kind} does not trade listings")
    if terms.allocation < 0:
        raise ApplicationError("INVALID_VALUE", "allocation: expected zero or more")
    if not is_whole_cents(terms.allocation):
        raise ApplicationError("INVALID_VALUE", "allocation: expected whole cents")
    if not 0 <= terms.per_day <= MOST_PER_DAY:
        raise ApplicationError("INVALID_VALUE", f"per_day: expected 0 to {MOST_PER_DAY}")


def _terms(grant: ListingGrant | None) -> Terms:
    return Terms(Decimal(0), 0) if grant is None else Terms(grant.allocation, grant.per_day)


def _payload(payload: Mapping[str, Any]) -> Terms:
    per_day = payload.get("per_day")
    if not isinstance(per_day, int) or isinstance(per_day, bool):
        raise ApplicationError("INVALID_VALUE", f"per_day: expected 0 to {MOST_PER_DAY}")
    try:
        return Terms(written_decimal(payload.get("allocation", "")), per_day)
    except ValueError:
        raise ApplicationError("INVALID_VALUE", "allocation: expected an amount") from None


def _by_target(target: str) -> tuple[Strategy, Account]:
    name, _, account_name = target.partition(":")
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    account = Account.objects.filter(name=account_name).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {account_name!r}")
    return strategy, account
