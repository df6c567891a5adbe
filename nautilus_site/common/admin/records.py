"""Audit rows and change requests, to be read."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from unfold.decorators import display

from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.models import AuditEntry, AuditSeal, ChangeRequest


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit trail. Risk officers and admins may read it, nobody may write it."""

    view_permission = "audit.read"
    list_display = ("at", "actor_name", "action", "target", "reason", "request_id")
    list_filter = ("action",)
    search_fields = ("=target", "=actor_name", "=request_id", "=action")
    date_hierarchy = None
    ordering = ("-id",)


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    """The links of the chain over the audit trail."""

    view_permission = "audit.read"
    list_display = ("id", "sealed_at", "entries", "hash")
    ordering = ("-id",)

    @display(description="entries")
    def entries(self, seal: AuditSeal) -> int:
        return len(seal.entry_ids)


@admin.register(ChangeRequest)
class ChangeRequestAdmin(ReadOnlyAdmin):
    """What was proposed, by whom, and what became of it. Deciding happens in the approvals inbox."""

    list_display = ("created_at", "kind", "target", "state", "requester", "approver", "expires_at")
    list_filter = ("state", "kind")
    list_select_related = ("requester", "approver")
    search_fields = ("=target", "=kind", "requester__username")
    ordering = ("-created_at",)
    readonly_fields = ("decide", "changes")
    fields = (
        "decide",
        "kind",
        "target",
        "state",
        "changes",
        "effect",
        "reason",
        "requester",
        "approver",
        "decision_note",
        "created_at",
        "expires_at",
        "decided_at",
        "applied_at",
        "payload_hash",
    )

    @display(description="decision")
    def decide(self, request: ChangeRequest) -> Any:
        if request.state != ChangeRequest.State.PENDING:
            return request.get_state_display()
        try:
            inbox = reverse("approvals")
        except NoReverseMatch:
            return "pending"
        return format_html('<a href="{}">decide in the approvals inbox</a>', inbox)

    @display(description="changes")
    def changes(self, request: ChangeRequest) -> Any:
        lines = [
            f"{name}: {json.dumps(before)} → {json.dumps(after)}"
            for name, (before, after) in request.diff.items()
        ]
        return "; ".join(lines)
