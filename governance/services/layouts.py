"""Keeping arrangements of pages. They are preferences: what is seen first, never what is allowed or in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from governance.domain.layouts import BadArrangement, Panel, Place, checked
from governance.models import PageLayout
from governance.selectors.layouts import places_kept
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record


def layout_save(
    *, person: User, page: str, panels: Sequence[Panel], wanted: Sequence[Place]
) -> tuple[str, ...]:
    """Keep a person's own arrangement; the last one holds. The names the page does not have are returned.

    Raises
    ------
    ApplicationError : PANEL_TWICE, PANEL_STAYS, PAGE_BLANK.
    """
    places, ignored = _checked(panels, wanted)
    _keep(page, places_kept(places), person=person)
    return ignored


def layout_reset(*, person: User, page: str) -> bool:
    """Forget a person's own arrangement; whether there was one."""
    return bool(PageLayout.objects.filter(page=page, person=person).delete()[0])


@transaction.atomic
def layout_publish(
    *, role: str, page: str, panels: Sequence[Panel], wanted: Sequence[Place], actor: User, reason: str
) -> tuple[str, ...]:
    """Make an arrangement the default of a role: people of it without their own see it from the next page on.

    Raises
    ------
    ApplicationError : REASON_REQUIRED, PANEL_TWICE, PANEL_STAYS, PAGE_BLANK.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    places, ignored = _checked(panels, wanted)
    after = places_kept(places)
    row = _published(role, page)
    if row is None or row.places != after:
        _keep(page, after, role=role)
        audit_record(
            action="layout.published",
            target=target(page, role),
            actor=actor,
            reason=reason,
            before=row.places if row else None,
            after=after,
        )
    return ignored


@transaction.atomic
def layout_withdraw(*, role: str, page: str, actor: User) -> None:
    """Take the default of a role back: its people see the page as it comes, or their own.

    Raises
    ------
    NotFound : LAYOUT_NOT_FOUND.
    """
    row = _published(role, page)
    if row is None:
        raise NotFound("LAYOUT_NOT_FOUND", f"nothing was published for {role} on this page")
    row.delete()
    audit_record(action="layout.withdrawn", target=target(page, role), actor=actor, before=row.places)


def target(page: str, role: str) -> str:
    """How the audit trail names it."""
    return f"layout:{page}:{role}"


def _published(role: str, page: str) -> PageLayout | None:
    return PageLayout.objects.select_for_update(no_key=True).filter(page=page, person=None, role=role).first()


def _keep(page: str, places: list[dict[str, Any]], *, person: User | None = None, role: str = "") -> None:
    PageLayout.objects.bulk_create(
        [PageLayout(page=page, person=person, role=role, places=places, changed_at=now())],
        update_conflicts=True,
        unique_fields=["page", "person", "role"],
        update_fields=["places", "changed_at"],
    )


def _checked(panels: Sequence[Panel], wanted: Sequence[Place]) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    try:
        return checked(panels, wanted)
    except BadArrangement as error:
        raise ApplicationError(error.code, error.message) from None
