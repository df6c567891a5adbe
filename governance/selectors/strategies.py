"""The state of the strategies page: what is defined, what each has made, what its symbols want."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from governance.selectors.quoting import quoting_rows
from governance.selectors.shell import shell_state
from mlregistry.models import ModelFamily
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest
from trading.models import Account, Strategy, SubPosition
from trading.selectors.notation import amount_text
from trading.selectors.portfolio import portfolio_get
from trading.selectors.strategies import strategies_members
from universe.models import Instrument

_RESULTS = ("exposure_net", "realized_pnl", "unrealized_pnl", "fees", "funding", "net_pnl")
_LARGEST_CHOICE = 1_000


def strategies_state() -> dict[str, Any]:
    """Strategies by name with their results, their symbols, and where more could be added."""
    rows = list(Strategy.objects.select_related("owner").order_by("name"))
    models = {row.name: (row.model_family, row.model_version) for row in rows}
    owners = {row.name: row.owner.username if row.owner else None for row in rows}
    members = strategies_members(rows)
    results = {row["strategy"]: row for row in portfolio_get()["by_strategy"] if row["strategy"]}
    waiting = _waiting()
    held = _held()
    return {
        **shell_state(),
        "strategies": [
            _strategy(row, models[row["name"]], owners[row["name"]], results.get(row["name"], {}), waiting)
            for row in members
        ],
        "instances": [
            _instance(row, instance, held, waiting) for row in members for instance in row["instances"]
        ],
        "quoting": quoting_rows(held),
        "places": places(),
        "families": list(ModelFamily.objects.order_by("name").values_list("name", flat=True)),
    }


def places() -> list[dict[str, Any]]:
    """Accounts with the symbols they may trade."""
    allowed: dict[str, list[str]] = {
        name: []
        for name in Account.objects.filter(is_active=True).order_by("name").values_list("name", flat=True)
    }
    pairs = (
        Instrument.objects.filter(symbolallowance__account__name__in=list(allowed))
        .order_by("symbol")
        .values_list("symbolallowance__account__name", "symbol")[:_LARGEST_CHOICE]
    )
    for account, symbol in pairs:
        allowed[account].append(symbol)
    return [{"account": account, "symbols": symbols} for account, symbols in allowed.items()]


def _waiting() -> set[str]:
    """Targets of which a change waits for somebody."""
    pending = ChangeRequest.objects.filter(
        kind__startswith="strategy.", state=ChangeRequest.State.PENDING, expires_at__gt=now()
    )
    return set(pending.values_list("target", flat=True))


def _held() -> dict[tuple[str, str, str], Decimal]:
    parts = SubPosition.objects.exclude(owner="").values_list(
        "owner", "position__account__name", "position__instrument__symbol", "quantity"
    )
    held: dict[tuple[str, str, str], Decimal] = {}
    for owner, account, symbol, quantity in parts:
        held[owner, account, symbol] = held.get((owner, account, symbol), Decimal(0)) + quantity
    return held


def _strategy(
    row: dict[str, Any],
    model: tuple[str, int | None],
    owner: str | None,
    results: dict[str, Any],
    waiting: set[str],
) -> dict[str, Any]:
    instances = row["instances"]
    family, version = model
    decided = [i["last_decision"]["decided_at"] for i in instances if i["last_decision"]]
    lamp = {"tone": "good", "text": "on"} if row["enabled"] else {"tone": "off", "text": "off"}
    if row["enabled"] and family and version is None:
        lamp = {"tone": "bad", "text": "no model"}
    elif f"strategy:{row['name']}" in waiting or any(t.startswith(f"{row['name']}:") for t in waiting):
        lamp = {"tone": "warn", "text": f"{lamp['text']}, change waits"}
    return {
        "id": row["name"],
        **{name: row[name] for name in ("name", "kind", "interval", "enabled", "parameters", "description")},
        "lamp": lamp,
        "owner": owner,
        "model_family": family,
        "model": f"{family}@{version}" if family and version is not None else family or None,
        "listing_grants": row["listing_grants"],
        "listings": ", ".join(
            f"{grant['per_day']} a day, {grant['allocation']} each on {grant['account']}"
            for grant in row["listing_grants"]
            if grant["per_day"] and Decimal(grant["allocation"])
        )
        or None,
        "symbols": len([i for i in instances if i["enabled"]]),
        "allocation": amount_text(sum((Decimal(i["allocation"]) for i in instances), Decimal(0))),
        **{name: results.get(name) for name in _RESULTS},
        "decided_at": max(decided, default=None),
        "updated_at": row["updated_at"],
    }


def _instance(
    row: dict[str, Any],
    instance: dict[str, Any],
    held: dict[tuple[str, str, str], Decimal],
    waiting: set[str],
) -> dict[str, Any]:
    decision = instance["last_decision"] or {}
    on = instance["enabled"] and row["enabled"]
    lamp = {"tone": "good", "text": "on"} if on else {"tone": "off", "text": "off"}
    if f"instance:{instance['id']}" in waiting:
        lamp = {"tone": "warn", "text": f"{lamp['text']}, change waits"}
    elif on and Decimal(instance["allocation"]) == 0:
        lamp = {"tone": "warn", "text": "no capital"}
    return {
        "id": instance["id"],
        "lamp": lamp,
        "strategy": row["name"],
        "enabled": instance["enabled"],
        **{name: instance[name] for name in ("account", "symbol", "weight", "allocation", "target")},
        "position": amount_text(held.get((row["name"], instance["account"], instance["symbol"]), Decimal(0))),
        "reason": decision.get("reason"),
        "confidence": decision.get("confidence"),
        "last_bar_at": instance["last_bar_at"],
    }
