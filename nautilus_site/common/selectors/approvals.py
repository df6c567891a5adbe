"""Reads of change requests."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from nautilus_site.common.models import ChangeComment, ChangeRequest


def approval_list() -> QuerySet[ChangeRequest]:
    """Every change request with its people."""
    return ChangeRequest.objects.select_related("requester", "approver")


def comment_list(request_id: UUID) -> QuerySet[ChangeComment]:
    """The thread of a request, oldest first."""
    return ChangeComment.objects.filter(request_id=request_id).select_related("author").order_by("id")
