"""Versions of policies: tightening one is one person's, at once; what allows more takes a second one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.domain.policies.located import DocumentError, Node, node_of
from governance.domain.policies.naming import names_that_differ
from governance.domain.policies.schema import canonical
from governance.models import Policy, PolicyActivation, PolicyVersion
from governance.selectors.policies import version_get, version_in_force
from governance.services.policy_kinds import Activated, policy_kind
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import (
    change_foreseen,
    change_request_create,
    fingerprint,
)
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.powers import person_may
from nautilus_site.common.services.turns import one_at_a_time
from trading.services.strategies import strategies_bar


def policy_read(name: str, node: Node) -> dict[str, Any]:
    """A document's values.

    Raises
    ------
    ApplicationError : INVALID_POLICY with `problems`, each with line and column where it stood in a file.
    """
    try:
        return policy_kind(name).read(node)
    except DocumentError as error:
        raise invalid(error) from None


def invalid(error: DocumentError) -> ApplicationError:
    """The same problems for API, admin and command."""
    return ApplicationError("INVALID_POLICY", str(error), extra={"problems": problem_members(error)})


def policy_values(version: PolicyVersion) -> dict[str, Any]:
    """The values of a stored version.

    Raises
    ------
    ApplicationError : INVALID_POLICY, this code no longer understands it.
    """
    return policy_read(version.policy_id, node_of(version.document))


def values_understood(version: PolicyVersion) -> dict[str, Any] | None:
    """The values of a stored version; None where this code no longer understands it."""
    try:
        return policy_kind(version.policy_id).read(node_of(version.document))
    except DocumentError:
        return None


def policy_change(
    *,
    name: str,
    node: Node,
    actor: User,
    reason: str,
    tightening: str = "limits.tighten",
    expires_in_s: int | None = None,
) -> PolicyVersion | ChangeRequest:
    """Put a document into force at once where nothing in it allows more than before; else ask for it.

    Parameters
    ----------
    tightening : the permission that a change which allows nothing more takes.

    Raises
    ------
    ApplicationError : INVALID_POLICY. Conflict : NOTHING_CHANGED.
    Forbidden : PERMISSION_DENIED, the actor's role tightens nothing; ROLE_REQUIRED, it asks for nothing.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    values = policy_read(name, node)
    policy_kind(name).check(values)
    document = canonical(values)
    asked: dict[str, Any] = {
        "kind": "policy.activate",
        "target": f"policy:{name}",
        "payload": {"document": document},
        "requester": actor,
    }
    current = version_in_force(name)
    is_asked = current is None or (current.document != document and bool(policy_loosened(current, values)))
    foreseen = change_foreseen(**asked) if is_asked else None
    return _policy_changed(
        name, values, {**asked, "expires_in_s": expires_in_s, "foreseen": foreseen}, reason, tightening
    )


@one_at_a_time
def _policy_changed(
    name: str, values: dict[str, Any], asked: dict[str, Any], reason: str, tightening: str
) -> PolicyVersion | ChangeRequest:
    policy_kind(name).check(values)
    document, actor = asked["payload"]["document"], asked["requester"]
    current = version_in_force(name)
    if current is not None and current.document == document:
        raise Conflict("NOTHING_CHANGED", f"{current} says exactly this")
    if current is not None and not policy_loosened(current, values):
        # Here and not at each door: a file read in by a command is put into force like what a page sends.
        if not person_may(actor, tightening):
            raise Forbidden("PERMISSION_DENIED", f"your role lacks the permission {tightening}")
        return policy_activate(name=name, document=document, by=actor, creator=actor, reason=reason)
    diff = differences(current.document if current else {}, document)
    return change_request_create(**asked, diff=diff, reason=reason)


def policy_verdict(name: str, node: Node) -> dict[str, Any]:
    """What a document would be: its problems, or what it changes, allows more and would do. Nothing is changed."""
    kind = policy_kind(name)
    nothing: dict[str, Any] = {"document": None, "changed": {}, "allows_more": [], "effect": {}}
    try:
        values = kind.read(node)
        kind.check(values)
    except DocumentError as error:
        return {"problems": problem_members(error), **nothing}
    except ApplicationError as error:
        return {"problems": [{"line": 0, "column": 0, "path": "", "message": error.message}], **nothing}
    document, current = canonical(values), version_in_force(name)
    return {
        "problems": [],
        "document": document,
        "changed": differences(current.document if current else {}, document),
        "allows_more": policy_loosened(current, values) if current else sorted(values),
        "effect": dict(kind.effect(values)),
    }


def problem_members(error: DocumentError) -> list[dict[str, Any]]:
    return [
        {"line": p.line, "column": p.column, "path": p.path, "message": p.message} for p in error.problems
    ]


def policy_loosened(current: PolicyVersion, values: Mapping[str, Any]) -> list[str]:
    """Members at which `values` allow more; everything when the version in force cannot be read any more."""
    before = values_understood(current)
    return sorted(values) if before is None else policy_kind(current.policy_id).loosened(before, values)


def policy_revert(*, name: str, number: int, actor: User, reason: str) -> PolicyVersion | ChangeRequest:
    """Put an older version's document into force, by the same rule as any other change."""
    return policy_change(
        name=name, node=node_of(version_get(name, number).document), actor=actor, reason=reason
    )


@transaction.atomic
def policy_activate(
    *,
    name: str,
    document: Mapping[str, Any],
    by: User | str,
    creator: User | None,
    reason: str,
    asked_at: datetime | None = None,
) -> PolicyVersion:
    """Write a version and put it into force. Callers have checked who may."""
    Policy.objects.get_or_create(pk=name)
    policy = Policy.objects.select_for_update(of=("self",), no_key=True).select_related("active").get(pk=name)
    before = policy.active
    number = (
        PolicyVersion.objects.filter(policy=policy)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
        or 0
    )
    moment = now()
    version = PolicyVersion.objects.create(
        policy=policy,
        number=number + 1,
        document=document,
        digest=fingerprint(document),
        reason=reason,
        created_by=creator,
        created_at=moment,
    )
    PolicyActivation.objects.create(
        policy=policy, version=version, before=before, at=moment, by=str(by), reason=reason
    )
    policy.active = version
    policy.save(update_fields=["active"])
    audit_record(
        action="policy.activated",
        target=f"policy:{name}",
        actor=by,
        reason=reason,
        before=before.number if before else None,
        after={
            "version": version.number,
            "digest": version.digest,
            "changed": differences(before.document if before else {}, document),
        },
    )
    publish("approvals", {"policy": name, "version": version.number})
    known = values_understood(before) if before else None
    policy_kind(name).activated(Activated(known, policy_values(version), asked_at, str(by), reason))
    return version


def policy_snapshot(target: str) -> dict[str, Any]:
    version = version_in_force(policy_kind(target.partition(":")[2]).name)
    return {"version": version.number if version else 0, "digest": version.digest if version else ""}


def policy_rows(target: str) -> Rows:
    """What that is read from."""
    return [Policy.objects.filter(pk=target.partition(":")[2])]


def policy_bars(target: str, payload: Mapping[str, Any], person: User) -> str:
    """Whoever owns a strategy that differs by name, its weight or cap, does not decide about the document."""
    version = version_in_force(target.partition(":")[2])
    return strategies_bar(
        names_that_differ(version.document if version else {}, payload.get("document")), person
    )


def policy_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with its document checked and written in the one way that is stored."""
    name = policy_kind(target.partition(":")[2]).name
    if set(payload) != {"document"}:
        raise ApplicationError("INVALID_PAYLOAD", "expected the member document and no other")
    try:
        values = policy_read(name, node_of(payload["document"]))
    except DocumentError as error:
        raise invalid(error) from None
    policy_kind(name).check(values)
    return {"document": canonical(values)}


def policy_effect(target: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    name = target.partition(":")[2]
    values = policy_read(name, node_of(payload["document"]))
    current = version_in_force(name)
    loosened = policy_loosened(current, values) if current else ["everything: no version is in force"]
    effect = dict(policy_kind(name).effect(values))
    if "in_words" in effect:
        effect["in_words"] = f"Allows more at {', '.join(loosened)}. {effect['in_words']}"
    return {"allows_more": loosened, **effect}


def apply_policy(request: ChangeRequest, approver: User) -> None:
    """Activate the document as approved; runs inside the approving transaction."""
    policy_activate(
        name=request.target.partition(":")[2],
        document=request.payload["document"],
        by=f"{request.requester} and {approver}",
        creator=request.requester,
        reason=request.reason,
        asked_at=request.created_at,
    )


def _is_named(rows: Any) -> bool:
    """Whether it is a list of members with a name each, no name twice."""
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "name" in row for row in rows):
        return False
    return len({row["name"] for row in rows}) == len(rows)


def differences(before: Any, after: Any, path: str = "") -> dict[str, list[Any]]:
    """`{"envelope.until": [before, after]}` for every member that differs; members of a list go by their names."""
    if _is_named(before) and _is_named(after):
        old, new = ({row["name"]: row for row in rows} for rows in (before, after))
        named = differences(old, new, path)
        order = [[name for name in rows if name in old and name in new] for rows in (old, new)]
        return named if order[0] == order[1] else {**named, f"{path}, in order": order}
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found: dict[str, list[Any]] = {}
        for name in [*before, *(name for name in after if name not in before)]:
            place = f"{path}.{name}" if path else name
            found |= differences(before.get(name), after.get(name), place)
        return found
    return {} if before == after else {path: [before, after]}
