"""Orders for the blotter, filtered as its URL says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from django.http import QueryDict

from governance.selectors.command_center import order_row
from governance.selectors.shell import shell_state
from nautilus_site.common.errors import ApplicationError
from trading.domain.orders import OrderStatus
from trading.domain.values import Side, normalise_symbol
from trading.models import Account, Strategy
from trading.selectors.brackets import bracket_members, bracket_queryset
from trading.selectors.fills import fill_list, fill_members
from trading.selectors.orders import OPEN_STATUSES, order_queryset

PAGE = 200
BRACKETS = 30


@dataclass(frozen=True, slots=True)
class BlotterFilter:
    """What the URL asks for; empty text means all."""

    symbol: str = ""
    account: str = ""
    status: str = ""
    side: str = ""
    strategy: str = ""
    open: str = ""
    before: str = ""

    @classmethod
    def from_query(cls, query: QueryDict) -> BlotterFilter:
        """Read and check the query string; what is not a filter of ours is left alone.

        Raises
        ------
        ApplicationError : INVALID_FILTER.
        """
        values = {field.name: query.get(field.name, "").strip()[:64] for field in fields(cls)}
        if values["symbol"]:
            try:
                values["symbol"] = normalise_symbol(values["symbol"])
            except ValueError as error:
                raise ApplicationError("INVALID_FILTER", str(error)) from None
        for name, known in (("status", set(OrderStatus)), ("side", set(Side)), ("open", {"1"})):
            if values[name] and values[name] not in known:
                raise ApplicationError(
                    "INVALID_FILTER", f"{name}: expected one of {', '.join(sorted(known))}"
                )
        if values["before"] and not (
            values["before"].isascii() and values["before"].isdigit() and len(values["before"]) < 19
        ):
            raise ApplicationError("INVALID_FILTER", "before: expected the number of an order row")
        return cls(**values)

    def members(self) -> dict[str, str]:
        return asdict(self)


def blotter_state(chosen: BlotterFilter) -> dict[str, Any]:
    """The newest orders that match and the latest fills; `older` continues where this page ends."""
    state = shell_state()
    orders = order_queryset(with_events=False)
    for lookup, value in (
        ("instrument__symbol", chosen.symbol),
        ("account__name", chosen.account),
        ("status", chosen.status),
        ("side", chosen.side),
        ("strategy__name", chosen.strategy),
    ):
        if value:
            orders = orders.filter(**{lookup: value})
    if chosen.open:
        orders = orders.filter(status__in=OPEN_STATUSES)
    if chosen.before:
        orders = orders.filter(pk__lt=int(chosen.before))
    rows = list(orders[: PAGE + 1])
    return {
        **state,
        "filter": chosen.members(),
        "orders": [order_row(row) for row in rows[:PAGE]],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "brackets": bracket_rows(chosen.symbol),
        "fills": [fill_members(row) for row in fill_list(symbol=chosen.symbol or None, limit=100)],
    }


def bracket_rows(symbol: str) -> list[dict[str, Any]]:
    """What protects positions now, and the last ones that ended."""
    rows = bracket_queryset()
    if symbol:
        rows = rows.filter(instrument__symbol=symbol)
    return [bracket_row(bracket_members(row)) for row in rows[:BRACKETS]]


def bracket_row(members: dict[str, Any]) -> dict[str, Any]:
    """A bracket as one line: its targets and its resting orders in words."""
    resting = [o for o in members["orders"] if o["status"] in OPEN_STATUSES and o["role"] != "entry"]
    return {
        **{name: value for name, value in members.items() if name not in ("events", "orders")},
        "targets": ", ".join(target["price"] for target in members["take_profit"]),
        "guards": ", ".join(f"{o['role']} {o['quantity']}" for o in resting),
        "unprotected_s": round(members["unprotected_s"]),
    }


def blotter_choices() -> dict[str, list[str]]:
    """What the filter's menus offer."""
    return {
        "accounts": list(Account.objects.order_by("name").values_list("name", flat=True)),
        "strategies": list(Strategy.objects.order_by("name").values_list("name", flat=True)),
        "statuses": [status.value for status in OrderStatus],
    }
