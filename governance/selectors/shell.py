"""What every page shows: the level in force, who waits for approval, where the event stream stands."""

from __future__ import annotations

from typing import Any

from django.db.models import Max

from governance.selectors.hard_stops import holds_told
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, OutboxEvent, User
from nautilus_site.common.roles import permits
from nautilus_site.common.services.powers import permissions_now
from trading.domain.values import Level
from trading.models import Account, Strategy, SymbolAllowance, TradingState
from trading.selectors.controls import global_level, trading_state_members, trading_states
from trading.selectors.notation import utc_text
from trading.services.models import model_name, owns_model
from universe.models import Instrument

TITLES = {
    Level.ACTIVE: "Trading is on",
    Level.REDUCING: "Reducing only",
    Level.HALT_NEW: "New orders halted",
    Level.CANCEL: "Halted, orders cancelled",
    Level.FLATTEN: "Flattening",
}
STILL_ALLOWED = {
    Level.ACTIVE: "Orders that pass every rail may be sent.",
    Level.REDUCING: "Orders that shrink a position may be sent; nothing that adds risk.",
    Level.HALT_NEW: "Only cancels may be sent; working orders and positions stay as they are.",
    Level.CANCEL: "Nothing may be sent except cancels; every working order is cancelled; positions stay.",
    Level.FLATTEN: "Only the flattener may send, to close what the platform holds.",
}
_LONGEST_LIST = 200


def shell_state() -> dict[str, Any]:
    """The part of the state that every page renews.

    `last_event_id` is read first: events after it may already be in what follows, and applying them again
    changes nothing, but none can be missing from both.
    """
    last_event_id = OutboxEvent.objects.aggregate(last=Max("event_id"))["last"]
    moment = now()
    return {
        "last_event_id": last_event_id or 0,
        "at": utc_text(moment),
        "trading": {**trading_summary(trading_states()), "holds": holds_told()},
        "approvals_pending": ChangeRequest.objects.filter(
            state=ChangeRequest.State.PENDING, expires_at__gt=moment
        ).count(),
    }


def trading_summary(states: list[TradingState]) -> dict[str, Any]:
    """The level in force everywhere and what else is stopped, in words of what is still allowed."""
    level = global_level(states)
    narrower = [state for state in states if state.scope != "global" and state.effective > level]
    meaning = STILL_ALLOWED[level]
    if narrower:
        scopes = ", ".join(f"{state.scope} {state.effective.name}" for state in narrower[:4])
        meaning += f" Stricter: {scopes}{' …' if len(narrower) > 4 else ''}."
    return {
        "level": level.value,
        "level_name": level.name,
        "title": TITLES[level],
        "meaning": meaning,
        "scopes": [scope_row(state) for state in states],
    }


def scope_row(state: TradingState) -> dict[str, Any]:
    """One scope's level as a table row."""
    level = state.effective
    tone = "good" if level is Level.ACTIVE else "warn" if level <= Level.HALT_NEW else "bad"
    return {
        **trading_state_members(state),
        "state": {"tone": tone, "text": level.name},
        "allowed": STILL_ALLOWED[level],
    }


def haltable_scopes(person: User) -> list[str]:
    """Every scope this person may halt, widest first: all of them, or a model owner's own models."""
    held = permissions_now(person)
    models = sorted({name for row in Strategy.objects.exclude(model_family="") if (name := model_name(row))})
    if not permits(held, "kill.raise"):
        own = permits(held, "kill.raise:own_model")
        return [f"model:{name}" for name in models if own and owns_model(person, name)]
    accounts = list(Account.objects.select_related("venue").order_by("name")[:_LONGEST_LIST])
    venues = sorted({account.venue.name for account in accounts})
    strategies = Strategy.objects.order_by("name").values_list("name", flat=True)[:_LONGEST_LIST]
    return [
        "global",
        *(f"venue:{name}" for name in venues),
        *(f"account:{account.name}" for account in accounts),
        *(f"strategy:{name}" for name in strategies),
        *(f"symbol:{symbol}" for symbol in traded_symbols()),
        *(f"model:{name}" for name in models),
    ]


def traded_symbols() -> list[str]:
    """Symbols some account may trade, else whatever instruments are known."""
    allowed = (
        SymbolAllowance.objects.order_by()
        .values_list("instrument__symbol", flat=True)
        .distinct()[:_LONGEST_LIST]
    )
    return sorted(allowed) or sorted(Instrument.objects.values_list("symbol", flat=True).distinct()[:50])
