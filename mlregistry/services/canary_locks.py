"""Holding a family's canaries before its versions: who looks at a canary holds it, and may send its version back."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from mlregistry.models import Canary


def canaries_open(families: Any) -> QuerySet[Canary]:
    """The canaries of these families that have not ended; `families` as a filter takes them."""
    return Canary.objects.filter(version__family__in=families, ended_at=None)


def canaries_held(families: Any) -> None:
    """Hold them until the end of the caller's transaction."""
    held = canaries_open(families).order_by("pk").select_for_update(of=("self",), no_key=True)
    list(held.values_list("pk"))
