"""Who may do what: the table of the security requirements as data, and how each of its lines is asked for.

A cell says what a role may do alone (`yes`), ask for (`propose`) or decide about what somebody else asked for
(`approve`). `KEPT` are the cells where this platform differs, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("viewer", "trader", "risk_officer", "model_owner", "admin")
Cell = frozenset[str]

TABLE = """
see the dashboards             | yes | yes                 | yes             | yes       | yes
raise a level of any scope     | -   | yes                 | yes             | -         | yes
raise the level of one's model | -   | yes                 | yes             | yes       | yes
lower level 1-2                | -   | own strategy        | propose approve | -         | -
lower level 3-4                | -   | -                   | propose approve | -         | -
change policy, cap, allow-list | -   | propose             | propose approve | -         | -
capital allocation             | -   | propose             | approve         | -         | -
train and register             | -   | -                   | -               | yes       | -
backtest                       | -   | -                   | -               | yes       | -
promote canary to live         | -   | -                   | approve         | propose   | -
envelope of auto-promotion     | -   | -                   | approve         | propose   | -
manual order                   | -   | yes                 | -               | -         | -
manual order above the limit   | -   | propose             | approve         | -         | -
exchange keys                  | -   | -                   | approve         | -         | propose
users and roles                | -   | -                   | approve         | -         | propose
read the audit trail           | -   | -                   | yes             | -         | yes
"""

KEPT: dict[tuple[str, str], tuple[str, str]] = {
    ("lower level 1-2", "trader"): (
        "-",
        "lowering any level takes two risk officers, so no trader lowers that of their own strategy",
    ),
    ("capital allocation", "risk_officer"): (
        "propose approve",
        "a risk officer makes the allocator's request their own, and undoes a playbook that halted and trimmed; "
        "another one approves",
    ),
    ("backtest", "trader"): ("yes", "a backtest reads recorded data and moves nothing"),
}
"""Cells that differ, and why. `docs/decisions/0015-duties-by-kind.md` says it at length."""

KINDS: dict[str, tuple[str, ...]] = {
    "lower level 1-2": ("trading_state.lower", "breaker.reset"),
    "change policy, cap, allow-list": (
        *("policy.activate", "limit.loosen", "symbol.allow", "breaker.rule", "group.shrink", "blackout.end"),
        *("playbook.change", "strategy.enable", "strategy.instance_enable", "reconcile.adopt"),
    ),
    "capital allocation": (
        *("capital.allocate", "capital.quotas", "capital.reset", "strategy.grant", "strategy.listing_grant"),
    ),
    "promote canary to live": ("model.promote", "model.extend_canary"),
    "envelope of auto-promotion": ("model.envelope",),
    "manual order above the limit": ("order.override",),
    "exchange keys": ("credential.replace",),
    "users and roles": ("user.create", "user.change", "user.reset_second_factor"),
}
"""The kinds of request each line is about."""

BESIDES: dict[str, dict[str, str]] = {
    "strategy.change": {"trader": "propose", "model_owner": "propose", "risk_officer": "approve"},
    "capital.endorse": {"risk_officer": "approve"},
    "audit.accept_loss": {"risk_officer": "propose approve", "admin": "propose"},
    **{
        kind: {"trader": "propose", "risk_officer": "propose approve", "admin": "propose"}
        for kind in (
            *("schedule.change", "reconcile.period"),
            *("notification.channel", "notification.channel_off", "notification.route"),
        )
    },
}
"""Kinds the table has no line for: what a strategy decides by, and how the platform itself is watched."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what each role may do, as the requirements have it."""

    action: str
    cells: dict[str, str]

    def expected(self, role: str) -> Cell:
        """What this platform gives: the cell, or what it is instead."""
        text, _ = KEPT.get((self.action, role), (self.cells[role], ""))
        return cell(text)


def cell(text: str) -> Cell:
    """The words of a cell; nothing for a dash."""
    return frozenset(text.replace("-", " ").split())


def lines() -> list[Line]:
    """The table, read."""
    rows = [[part.strip() for part in row.split("|")] for row in TABLE.strip().splitlines()]
    return [Line(row[0], dict(zip(ROLES, row[1:], strict=True))) for row in rows]


def expected_of_kinds() -> dict[str, dict[str, Cell]]:
    """What each role may do about each kind of request."""
    told = {line.action: line for line in lines()}
    out = {
        kind: {role: told[action].expected(role) for role in ROLES}
        for action, kinds in KINDS.items()
        for kind in kinds
    }
    for kind, cells in BESIDES.items():
        out[kind] = {role: cell(cells.get(role, "-")) for role in ROLES}
    return out
