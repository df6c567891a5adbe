"""Tables of limits, rails, breakers, levels and blackouts."""

from __future__ import annotations

from governance.views.tables import Column, Table

BLACKOUTS = Table(
    "blackouts",
    "Blackouts",
    (
        Column("state", "State", "status"),
        Column("scope", "Scope"),
        Column("starts_at", "From", "time"),
        Column("ends_at", "Until", "time"),
        Column("reason", "Reason", wrap=True),
        Column("created_by", "By"),
        Column("ended_at", "Ended", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/blackouts",
    "No blackout is set.",
    "In a blackout a scope takes no new risk: maintenance, a listing, news. Set one here or with POST /blackouts.",
    tall=False,
)
LIMITS = Table(
    "limits",
    "Limits in force",
    (
        Column("name", "Limit"),
        Column("scope", "Scope"),
        Column("used", "Used", "decimal"),
        Column("value", "Limit", "decimal"),
        Column("unit", "Unit"),
        Column("share", "Used of limit", "bar"),
        Column("headroom", "Headroom", "decimal"),
        Column("in_force_until", "In force until", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/limits",
    "No limit is in force.",
    "Without limits no order passes: seed the demo or set limits in the admin.",
    tall=False,
)
BREAKER_LAMPS = Table(
    "breakers",
    "Circuit breakers",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Breaker"),
        Column("scope", "Scope"),
        Column("reason", "Reason", wrap=True),
    ),
    "/api/v1/breakers",
    "No breaker is defined.",
    "Breakers are made with the first account.",
    compact=True,
)
BREAKERS = Table(
    "breakers",
    "Circuit breakers",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Breaker"),
        Column("scope", "Scope"),
        Column("reading", "Measured"),
        Column("does", "Open, it does", wrap=True),
        Column("reason", "Reason", wrap=True),
        Column("changed_at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/breakers",
    "No breaker is defined.",
    "Breakers are made with the first account.",
    tall=False,
)
STATES = Table(
    "states",
    "Trading states by scope",
    (
        Column("state", "Level", "lamp"),
        Column("scope", "Scope"),
        Column("allowed", "What is still allowed", wrap=True),
        Column("reason", "Reason", wrap=True),
        Column("changed_by", "By"),
        Column("at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/status",
    "No scope has a level of its own.",
    "Halt sets one; it stays until two people lower it.",
    tall=False,
)
RAILS = Table(
    "rails",
    "Rails in the order they are asked",
    (
        Column("rail", "Rail", "mono"),
        Column("check", "Check"),
        Column("code", "Denies with", "mono"),
        Column("limit", "Limit"),
        Column("scope", "Tightest scope"),
        Column("used", "Now", "decimal"),
        Column("value", "Limit value", "decimal"),
        Column("headroom", "Headroom", "decimal"),
        Column("unit", "Unit"),
        Column("denials", "Denials 24 h", "count"),
        Column("last_at", "Last", "time"),
    ),
    "/api/v1/limits",
    "No rail is declared.",
    "Every order passes every rail; the first that denies is the answer.",
)
DENIALS = Table(
    "denials",
    "Denials by code, last 24 hours",
    (Column("code", "Code", "mono"), Column("count", "Orders", "count"), Column("last_at", "Last", "time")),
    "/api/v1/orders?status=DENIED",
    "No order was denied.",
    "A denied order names its rail, what was measured and the limit.",
)
ENFORCEMENTS = Table(
    "enforcements",
    "Kill enforcement at the exchange",
    (
        Column("lamp", "State", "lamp"),
        Column("scope", "Scope"),
        Column("account", "Account"),
        Column("enforcer", "By"),
        Column("cancel_requested", "Cancels asked", "count"),
        Column("open_orders_remaining", "Open left", "count"),
        Column("unknown_remaining", "Unknown", "count"),
        Column("started_at", "Started", "time"),
        Column("confirmed_at", "Confirmed", "time"),
        Column("error", "Error", wrap=True),
    ),
    "/api/v1/status",
    "No kill was enforced yet.",
    "After a halt two processes cancel, each on its own, until the exchange shows no open order twice.",
)
