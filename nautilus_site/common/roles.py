"""Which role may do what: the one table. Views name a permission; nothing else decides by role.

A permission `a:b` is implied by `a`, so a token may be narrowed to `read:metrics` while roles hold `read`.
"""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_site.common.models import Role

PERMISSIONS: dict[str, str] = {
    "read": "see orders, portfolio, strategies, models and the state of the platform",
    "read:metrics": "scrape /metrics from another machine",
    "audit.read": "read and verify the audit trail",
    "orders.place": "place manual orders",
    "orders.cancel": "cancel working orders",
    "kill.raise": "raise a kill level of any scope, open a breaker, set a blackout",
    "kill.raise:own_model": "raise the kill level of a model one had trained or registered",
    "kill.resume": "ask for a lower kill level",
    "breakers.reset": "close an open circuit breaker",
    "limits.tighten": "tighten a limit in force",
    "change.request": "propose changes that somebody else approves, of the kinds one's role may, and take them back",
    "risk.propose": "propose looser limits, policies, breakers and playbooks, strategies switched on, adjusted books",
    "capital.propose": "propose more capital or weight",
    "platform.propose": "propose another schedule, sweep period, notification channel or route",
    "schedules.run": "have a periodic job that raises no risk run at once, out of turn",
    "change.decide": "approve or reject the request of somebody else",
    "strategies.define": "define strategies, change what they decide by",
    "strategies.disable": "disable a strategy or lower its weight",
    "playbooks.operate": "rehearse playbooks, ask for an undo, close incidents",
    "incidents.review": "review a hard stop, which comes before any undo",
    "signals.write": "post an external signal",
    "reconcile.run": "start a reconciliation",
    "backtests.run": "run backtests",
    "models.train": "train models and cancel training",
    "models.infer": "ask a model for its inference",
    "models.propose": "propose the promotion of a model, move one that does not trade",
    "models.rollback": "put the previous model back in force",
    "universe.propose": "ask for a symbol to be allowed",
    "tokens.own": "make API tokens of one's own, and revoke them",
    "sessions.own": "see and end browser sessions of one's own",
    "views.own": "keep views of tables of one's own",
    "views.share": "share a view of a table with everybody",
    "views.delete": "delete a view of a table that somebody else shares",
    "sessions.end": "end browser sessions of others",
    "layouts.own": "arrange the panels of pages for oneself",
    "layouts.publish": "make an arrangement of a page the default of a role",
    "users.manage": "propose people and roles, switch people off, make their invitations",
    "keys.propose": "propose exchange keys",
    "keys.operate": "have an exchange key in use looked at, stop its use",
}

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({"read", "tokens.own", "sessions.own", "layouts.own", "views.own"}),
    Role.TRADER: frozenset(
        {
            "read",
            "tokens.own",
            "sessions.own",
            "layouts.own",
            "views.own",
            "views.share",
            "orders.place",
            "orders.cancel",
            "kill.raise",
            "change.request",
            "risk.propose",
            "capital.propose",
            "platform.propose",
            "schedules.run",
            "strategies.define",
            "strategies.disable",
            "signals.write",
            "reconcile.run",
            "backtests.run",
            "models.infer",
            "playbooks.operate",
            "universe.propose",
        }
    ),
    Role.RISK_OFFICER: frozenset(
        {
            "read",
            "tokens.own",
            "sessions.own",
            "layouts.own",
            "views.own",
            "views.share",
            "audit.read",
            "kill.raise",
            "kill.resume",
            "breakers.reset",
            "limits.tighten",
            "models.rollback",
            "change.request",
            "risk.propose",
            "capital.propose",
            "platform.propose",
            "schedules.run",
            "change.decide",
            "strategies.disable",
            "reconcile.run",
            "playbooks.operate",
            "incidents.review",
            "universe.propose",
            "keys.operate",
            "sessions.end",
        }
    ),
    Role.MODEL_OWNER: frozenset(
        {
            "read",
            "tokens.own",
            "sessions.own",
            "layouts.own",
            "views.own",
            "views.share",
            "kill.raise:own_model",
            "backtests.run",
            "models.train",
            "models.infer",
            "models.propose",
            "models.rollback",
            "change.request",
            "strategies.define",
        }
    ),
    Role.ADMIN: frozenset(
        {
            "read",
            "tokens.own",
            "sessions.own",
            "layouts.own",
            "views.own",
            "views.share",
            "audit.read",
            "kill.raise",
            "change.request",
            "platform.propose",
            "schedules.run",
            "strategies.disable",
            "reconcile.run",
            "playbooks.operate",
            "users.manage",
            "keys.propose",
            "keys.operate",
            "sessions.end",
            "layouts.publish",
            "views.delete",
        }
    ),
}

PERSON_ONLY = frozenset({"change.decide", "kill.resume"})
"""Never by a token: a person in a browser session whose log-in is recent."""


def permissions_of(role: str, scopes: Iterable[str] = ()) -> frozenset[str]:
    """What a role may do, narrowed by a token's scopes; no scopes means no narrowing. Unknown roles: nothing."""
    held = ROLE_PERMISSIONS.get(role, frozenset())
    narrowed = frozenset(scopes)
    if not narrowed:
        return held
    return frozenset(scope for scope in narrowed if permits(held, scope)) | frozenset(
        permission for permission in held if permits(narrowed, permission)
    )


def permits(held: Iterable[str], wanted: str) -> bool:
    """Whether `wanted`, or the whole of which it is a part, is among the permissions held."""
    return wanted in held or wanted.partition(":")[0] in held
