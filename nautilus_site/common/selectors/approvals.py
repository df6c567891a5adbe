"""Reads of change requests."""

from __future__ import annotations

from django.db.models import QuerySet

from nautilus_site.common.models import ChangeRequest


def approval_list() -> QuerySet[ChangeRequest]:
    """Every change request with its people."""
    return ChangeRequest.objects.select_related("requester", "approver")
