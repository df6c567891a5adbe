"""Why nothing of a market maker may stand in the book: whatever is not known to be in order."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from django.db.models import Q

from nautilus_site.common.clock import now
from trading.domain.clock import datetime_to_ns, interval_ns
from trading.domain.hedge import position_sides
from trading.domain.subaccounts import PEOPLE
from trading.domain.values import Level
from trading.models import Blackout, CircuitBreaker, StrategyInstance, SubPosition
from trading.services.brackets import bracket_leaves
from trading.services.controls.limits_in_force import limit_values
from trading.services.controls.states import effective_level
from trading.services.market import Market, market_of
from trading.services.models import model_name
from trading.services.scopes import scopes_of
from universe.models import StreamState
from universe.selectors import bar_latest_open_time

SILENT_BARS: Final = 2
"""Bars without a step after which quotes are nobody's any more (ruling 4)."""


class Withdrawn(StrEnum):
    """Why nothing may be quoted."""

    SHARED = "it is not alone on its symbol"
    OFF = "the strategy is switched off"
    SILENT = "the strategy is silent"
    HALTED = "trading is halted or may only reduce"
    BREAKER = "a circuit breaker is open"
    BLACKOUT = "a blackout is in force"
    EXPIRED = "its grant is past its time"
    GRANTED_NOTHING = "its grant is gone"
    UNHEARD = "the market's stream is silent"
    NO_PRICE = "the book has no two sides"
    LEAVING = "protection is closing the position"
    HEDGED = "an account in hedge mode has no one position to quote around"


def quotes_withheld(maker: StrategyInstance, market: Market | None = None) -> str:
    """Why nothing it wants may stand now; empty while quoting is in order."""
    market = market_of(maker.instrument) if market is None else market
    account, instrument, strategy = maker.account, maker.instrument, maker.strategy
    scopes = scopes_of(
        venue=account.venue.name,
        account=account.name,
        symbol=instrument.symbol,
        strategy=strategy.name,
        model=model_name(strategy),
    )
    if not (maker.is_enabled and strategy.is_enabled):
        return Withdrawn.OFF
    if maker.weight * maker.allocation <= 0:
        return Withdrawn.GRANTED_NOTHING
    if _is_shared(maker):
        return Withdrawn.SHARED
    if effective_level(scopes)[0] >= Level.REDUCING:
        return Withdrawn.HALTED
    if CircuitBreaker.objects.filter(scope__in=scopes, state=CircuitBreaker.State.OPEN).exists():
        return Withdrawn.BREAKER
    if Blackout.objects.filter(
        scope__in=scopes, starts_at__lte=now(), ends_at__gt=now(), ended_at=None
    ).exists():
        return Withdrawn.BLACKOUT
    if maker.in_force_until is not None and maker.in_force_until <= now():
        return Withdrawn.EXPIRED
    if account.hedge_mode and len(position_sides(instrument.to_domain().market, hedge=True)) > 1:
        return Withdrawn.HEDGED
    if bracket_leaves(account, instrument):
        return Withdrawn.LEAVING
    if _is_silent(maker):
        return Withdrawn.SILENT
    if _is_unheard(maker):
        return Withdrawn.UNHEARD
    return "" if market.mid is not None else Withdrawn.NO_PRICE


def _is_shared(maker: StrategyInstance) -> bool:
    """Whether another strategy trades the symbol on the account, or still holds some of it."""
    others = StrategyInstance.objects.filter(
        account_id=maker.account_id, instrument_id=maker.instrument_id
    ).exclude(pk=maker.pk)
    if others.filter(is_enabled=True, strategy__is_enabled=True).exists():
        return True
    held = SubPosition.objects.filter(
        position__account_id=maker.account_id, position__instrument_id=maker.instrument_id
    ).exclude(Q(quantity=0) | Q(owner__in=(PEOPLE, maker.strategy.name)))
    step = maker.instrument.to_domain().step_size
    return any(abs(part.quantity) >= step for part in held)


def _is_silent(maker: StrategyInstance) -> bool:
    """Two bars without a step, by our clock or, which may run faster, by that of the market."""
    length_ns = interval_ns(maker.strategy.interval)
    length = timedelta(microseconds=length_ns // 1_000)
    if maker.stepped_at is None or now() - maker.stepped_at > SILENT_BARS * length:
        return True
    latest = bar_latest_open_time(maker.instrument, maker.strategy.interval)
    return (
        latest is not None and datetime_to_ns(latest) + length_ns - maker.seen_ns >= SILENT_BARS * length_ns
    )


def _is_unheard(maker: StrategyInstance) -> bool:
    """Whether nothing has come from the market for longer than an account may go without its own stream."""
    values, _ = limit_values(["global", f"account:{maker.account.name}"])
    heard = StreamState.objects.filter(
        name=f"market:{maker.account.venue.name}",
        connected_at__isnull=False,
        last_message_at__gt=now() - timedelta(seconds=float(values["stream_max_age"])),
    )
    return not heard.exists()
