"""From an event of the outbox to a notice, or to nothing: most events are for screens only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from governance.domain.notices.keys import key_notice
from governance.domain.notices.notice import Notice, Severity

Data = Mapping[str, Any]
_LEVELS = {
    "ACTIVE": (Severity.success, "trading goes on"),
    "REDUCING": (Severity.warning, "only orders that reduce"),
    "HALT_NEW": (Severity.warning, "no new orders"),
    "CANCEL": (Severity.critical, "every working order is cancelled"),
    "FLATTEN": (Severity.critical, "everything is cancelled and closed"),
}
_WORDS = {"page": Severity.critical, "error": Severity.critical}


def notice_of(topic: str, data: Data) -> Notice | None:
    """What people should hear because of an event. None for what only screens show."""
    reader = _READERS.get(topic)
    return reader(data) if reader is not None else None


def _trading_state(data: Data) -> Notice | None:
    level, scope = data.get("level_name"), data.get("scope")
    if level not in _LEVELS or not scope:
        return None
    severity, meaning = _LEVELS[level]
    return Notice(
        kind=f"kill.{str(level).lower()}",
        severity=severity,
        title=f"{scope} is at {level}: {meaning}",
        text=f"{data.get('reason') or 'no reason given'} (by {data.get('changed_by') or 'unknown'})",
        link="/risk/",
        subject=f"kill:{scope}",
        news=str(level),
    )


def _breaker(data: Data) -> Notice | None:
    name, scope, state = data.get("name"), data.get("scope"), data.get("state")
    if not name or state not in ("open", "closed"):
        return None
    opened = state == "open"
    return Notice(
        kind=f"breaker.{name}",
        severity=Severity.warning if opened else Severity.success,
        title=f"breaker {name} of {scope} {'opened' if opened else 'closed'}",
        text=str(data.get("reason") or ""),
        link="/risk/",
        subject=f"breaker:{name}:{scope}:{state}",
    )


def _incident(data: Data) -> Notice:
    kind = str(data.get("kind") or "unknown")
    told = str(data.get("severity") or "critical")
    severity = _WORDS.get(told) or (Severity(told) if told in Severity.__members__ else Severity.critical)
    subject = ", ".join(str(data[name]) for name in ("account", "symbol", "scope") if data.get(name))
    text = data.get("detail") or data.get("text") or data.get("reason") or data.get("note") or ""
    return Notice(
        kind=f"incident.{kind}",
        severity=severity,
        title=str(data.get("title") or f"{kind.replace('_', ' ')}{f' on {subject}' if subject else ''}"),
        text=str(text),
        link=f"/playbooks/#incident-{data['id']}" if data.get("id") else "/playbooks/",
        subject=f"incident:{kind}:{data.get('subject') or subject}",
        news=str(data.get("news") or data.get("state") or ""),
    )


def _approval(data: Data) -> Notice | None:
    state, kind, target = data.get("state"), data.get("kind"), data.get("target")
    if kind == "break_glass":
        return Notice(
            kind=f"break_glass.{state}",
            severity=Severity.critical,
            title=f"break-glass of {target}: {state}",
            text="two people have the roles of an admin and a risk officer for an hour"
            if state == "opened"
            else "",
            link="/audit/",
            subject=f"break_glass:{data.get('id')}:{state}",
        )
    if kind == "password":
        made = " and ".join(data.get("by") or [])
        return Notice(
            kind="password.replaced",
            severity=Severity.warning,
            title=f"{target} has another password",
            text=f"with the halves that {made} made; whoever it concerns should know of it",
            link="/audit/",
            subject=f"password:{target}:{data.get('at')}",
        )
    if kind == "second_factor":
        return _second_factor(data)
    if kind in ("credential", "token"):
        return key_notice(data)
    if state == "commented":
        return Notice(
            kind="approval.commented",
            severity=Severity.info,
            title=f"{data.get('by')} asks or answers about {kind} of {target}",
            text=str(data.get("text") or ""),
            link=f"/approvals/#{data.get('id')}",
            subject=f"approval:{data.get('id')}:comment:{data.get('comment')}",
        )
    if state == "handed":
        return _handed(data)
    if state not in ("pending", "applied", "rejected", "expired", "void"):
        return None
    words = {"pending": "waits for a second person", "applied": "was approved and applied"}
    return Notice(
        kind=f"approval.{state}",
        severity=Severity.info,
        title=f"{kind} of {target} {words.get(state, f'is {state}')}",
        text="",
        link=f"/approvals/#{data.get('id')}",
        subject=f"approval:{data.get('id')}:{state}",
    )


def _handed(data: Data) -> Notice | None:
    """For the person who is named in it: given back to everybody, or taken by oneself, nobody has to hear of."""
    by, to, absent = data.get("by"), data.get("to"), data.get("stands_in_for")
    if not to or to == by:
        return None
    instead = f" in place of {absent}, who is away" if absent else ""
    return Notice(
        kind="approval.handed",
        severity=Severity.info,
        title=f"{to}: {data.get('kind')} of {data.get('target')} is yours to decide{instead}, {by} handed it over",
        text=str(data.get("text") or ""),
        link=f"/approvals/#{data.get('id')}",
        subject=f"approval:{data.get('id')}:handed:{data.get('hand_over')}:{to}",
    )


def _second_factor(data: Data) -> Notice | None:
    state, target = data.get("state"), data.get("target")
    words = {"reset": "was reset: their password alone lets them in", "replaced": "is another one now"}
    if state not in words:
        return None
    return Notice(
        kind=f"second_factor.{state}",
        severity=Severity.warning,
        title=f"the second factor of {target} {words[state]}",
        text=f"by {' and '.join(data.get('by') or [])}; whoever it concerns should know of it",
        link="/audit/",
        subject=f"second_factor:{target}:{data.get('at')}",
    )


def _order(data: Data) -> Notice | None:
    if data.get("status") != "DENIED":
        return None
    code = str(data.get("code") or "unknown")
    who = data.get("strategy") or "people"
    return Notice(
        kind=f"rail.{code.lower()}",
        severity=Severity.warning,
        title=f"an order of {who} in {data.get('symbol')} was denied: {code}",
        text=str(data.get("message") or data.get("reason") or ""),
        link="/orders/",
        subject=f"rail:{code}:{who}:{data.get('symbol')}",
    )


def _model(data: Data) -> Notice | None:
    stage, family = data.get("stage"), data.get("family")
    if stage not in ("champion", "canary", "retired") or not family:
        return None
    return Notice(
        kind=f"model.{stage}",
        severity=Severity.info,
        title=f"model {family} version {data.get('version')} is {stage}",
        text="",
        link="/models/",
        subject=f"model:{family}:{data.get('version')}:{stage}",
    )


def _reconcile(data: Data) -> Notice | None:
    outcome = data.get("outcome")
    if outcome not in ("divergent", "failed"):
        return None
    return Notice(
        kind=f"reconcile.{outcome}",
        severity=Severity.warning,
        title=f"reconciliation {data.get('sweep')} of {data.get('account')} ended {outcome}",
        text="",
        link="/reconcile/",
        subject=f"reconcile:{data.get('account')}:{outcome}",
    )


_READERS: dict[str, Callable[[Data], Notice | None]] = {
    "trading_state": _trading_state,
    "breakers": _breaker,
    "incidents": _incident,
    "approvals": _approval,
    "orders": _order,
    "models": _model,
    "reconcile": _reconcile,
}
