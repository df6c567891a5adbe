"""Reads of change requests."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from nautilus_site.common.models import ChangeComment, ChangeHandOver, ChangeRequest


def approval_list() -> QuerySet[ChangeRequest]:
    """Every change request with its people, and with whom it was handed to."""
    handed = ChangeHandOver.objects.select_related("giver", "receiver__absence__stand_in__absence")
    return ChangeRequest.objects.select_related("requester", "approver").prefetch_related(
        Prefetch("hand_overs", handed.order_by("id"))
    )


def approvals_handed_to(requests: QuerySet[ChangeRequest], username: str) -> QuerySet[ChangeRequest]:
    """Those of them that were handed to this person last, whether or not they are away now."""
    newest = ChangeHandOver.objects.filter(request=OuterRef("pk")).order_by("-id")
    named = newest.values("receiver__username")[:1]
    return requests.alias(handed_to=Subquery(named)).filter(handed_to=username)


def comment_list(request_id: UUID) -> QuerySet[ChangeComment]:
    """The thread of a request, oldest first."""
    return ChangeComment.objects.filter(request_id=request_id).select_related("author").order_by("id")
