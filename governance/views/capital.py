"""`/capital/`: who has how much, why, and what the machine did not do by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from governance.domain.policies.capital import METHODS
from governance.selectors.capital_page import capital_state
from governance.views.page import Page
from governance.views.tables import Column, Table
from nautilus_site.common.models import User

ALLOCATIONS = Table(
    "allocations",
    "In force",
    (
        Column("lamp", "Decided by", "lamp"),
        Column("strategy", "Strategy"),
        Column("weight", "Wanted share", "percent"),
        Column("desired", "Wanted", "money"),
        Column("before", "Had", "money"),
        Column("amount", "Has", "money"),
        Column("proposed", "For two people", "money"),
        Column("in_force_until", "Until", "time"),
        Column("reason", "Because", wrap=True),
    ),
    "/api/v1/allocations",
    "The allocator has not decided yet.",
    "It runs by itself once a capital policy is in force: `manage.py policy install`, then `manage.py capital run`.",
    tall=False,
)
CHANGES = Table(
    "changes",
    "Changes",
    (
        Column("at", "At", "time"),
        Column("strategy", "Strategy"),
        Column("before", "From", "money"),
        Column("amount", "To", "money"),
        Column("lamp", "Decided by", "lamp"),
        Column("reason", "Because", wrap=True),
    ),
    "/api/v1/allocations",
    "No amount was changed yet.",
    "Every change of an amount stays here with its reason.",
    tall=False,
)
RUNS = Table(
    "runs",
    "Runs",
    (
        Column("lamp", "Outcome", "lamp"),
        Column("at", "At", "time"),
        Column("equity", "Equity", "money"),
        Column("pool", "Pool", "money"),
        Column("total", "Given out", "money"),
        Column("drawdown", "Drawdown", "percent"),
        Column("method", "Method"),
        Column("policy_version", "Policy", "count"),
        Column("trigger", "By"),
        Column("explanation", "Explanation", wrap=True),
    ),
    "/api/v1/allocations/runs",
    "The allocator has not run yet.",
    "Runs that change nothing are kept for a week.",
)
WEIGHTS = Table(
    "weights",
    "Weights",
    (
        Column("strategy", "Strategy"),
        Column("symbol", "Symbol"),
        Column("account", "Account"),
        Column("base", "Approved", "percent"),
        Column("weight", "In force", "percent"),
        Column("rule_in_words", "Decided by"),
        Column("reason", "Because", wrap=True),
    ),
    "/api/v1/strategy/weights",
    "No strategy has a symbol.",
    "Add one on the page Strategies.",
    tall=False,
)
ROUTING = Table(
    "routing",
    "Routing",
    (
        Column("at", "At", "time"),
        Column("strategy", "Strategy"),
        Column("symbol", "Symbol"),
        Column("before", "From", "percent"),
        Column("weight", "To", "percent"),
        Column("rule_in_words", "Decided by"),
        Column("reason", "Because", wrap=True),
    ),
    "/api/v1/strategy/routing",
    "The router has not decided yet.",
    "It acts once a weight set is in force, and when a regime changes.",
)
ACTIVATIONS = Table(
    "activations",
    "Policies",
    (
        Column("at", "In force from", "time"),
        Column("policy", "Policy"),
        Column("version", "Version", "count"),
        Column("by", "By"),
        Column("reason", "Reason", wrap=True),
    ),
    "/api/v1/policies",
    "No policy is in force.",
    "`manage.py policy import capital_policy.json` brings one; a second person approves it.",
    tall=False,
    compact=True,
)


LEADERBOARD = Table(
    "leaderboard",
    "Leaderboard",
    (
        Column("rank", "Rank", "count"),
        Column("strategy", "Strategy"),
        Column("periods", "Hours", "count"),
        Column("total", "Return", "percent"),
        Column("deepest", "Deepest fall", "percent"),
        Column("sharpe", "Sharpe, a year", "decimal"),
        Column("low", "At least", "decimal"),
        Column("high", "At most", "decimal"),
        Column("probability", "Better than luck", "percent"),
        Column("verdict", "So it is", wrap=True),
    ),
    "/api/v1/leaderboard",
    "There is no strategy.",
    "Define one on the page Strategies.",
    tall=False,
)
WHAT_IF = Table(
    "what_if",
    "What would be decided",
    (
        Column("lamp", "Decided by", "lamp"),
        Column("strategy", "Strategy"),
        Column("weight", "Wanted share", "percent"),
        Column("before", "Has", "money"),
        Column("amount", "Would have", "money"),
        Column("proposed", "For two people", "money"),
        Column("reason", "Because", wrap=True),
    ),
    "/api/v1/policies/capital_policy",
    "Nothing to decide about.",
    "The policy names the strategies it decides about (its member `enabled`).",
    tall=False,
    compact=True,
)


class Capital(Page):
    name = "capital"
    title = "Capital"
    template = "governance/capital.html"
    topics = ("trading_state", "approvals")
    tables = (ALLOCATIONS, LEADERBOARD, WHAT_IF, WEIGHTS, CHANGES, ROUTING, RUNS, ACTIVATIONS)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return capital_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"methods": METHODS}
