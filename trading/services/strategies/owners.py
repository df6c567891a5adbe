"""Whoever a strategy belongs to does not decide that it may trade, or with more: not even as a risk officer."""

from __future__ import annotations

from nautilus_site.common.models import User
from trading.models import Strategy


def strategy_owner_bars(target: str, person: User) -> str:
    """Why this person may not decide about the strategy of `strategy:NAME`, `instance:ID` or `NAME:ACCOUNT`.

    Empty: they may.
    """
    kind, _, rest = target.partition(":")
    owned = Strategy.objects.filter(owner=person)
    if kind == "instance":
        owned = owned.filter(instances__pk=int(rest))
    else:
        owned = owned.filter(name=rest if kind == "strategy" else kind)
    name = owned.values_list("name", flat=True).first()
    return f"{person} owns the strategy {name}" if name else ""
