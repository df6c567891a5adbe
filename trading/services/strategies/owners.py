"""Whoever a strategy belongs to does not decide that it may trade, or with more: not even as a risk officer."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from nautilus_site.common.models import User
from trading.models import Strategy


def strategy_bars(target: str, person: User) -> str:
    """Why this person may not decide about `strategy:NAME`. Empty: they may."""
    return _owned(Strategy.objects.filter(name=target.partition(":")[2]), person)


def instance_bars(target: str, person: User) -> str:
    """The same about the strategy of `instance:ID`."""
    return _owned(Strategy.objects.filter(instances__pk=int(target.partition(":")[2])), person)


def listing_bars(target: str, person: User) -> str:
    """The same about the strategy of `NAME:ACCOUNT`."""
    return _owned(Strategy.objects.filter(name=target.partition(":")[0]), person)


def strategies_bar(names: Iterable[str], person: User) -> str:
    """The same about whatever is done to several strategies at once."""
    return _owned(Strategy.objects.filter(name__in=list(names)).order_by("name"), person)


def _owned(strategies: QuerySet[Strategy], person: User) -> str:
    name = strategies.filter(owner=person).values_list("name", flat=True).first()
    return f"{person} owns the strategy {name}" if name else ""
