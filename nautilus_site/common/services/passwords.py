"""Another password for oneself."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record


@transaction.atomic
def password_change(*, user: User, password: str) -> None:
    """Set another password. Sessions opened with the one before end at their next request; tokens stay.

    Raises
    ------
    ValidationError : it is too weak.
    """
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit_record(action="user.password_changed", target=f"user:{user.username}", actor=user)
