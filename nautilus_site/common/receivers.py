"""Log-ins: remembered in the session for step-up, and written to the audit trail."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from nautilus_site.common.known_devices import device_remember
from nautilus_site.common.lock_out import account_name
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.sessions import remember_authentication


@receiver(user_logged_in, dispatch_uid="common.remember_log_in")
def remember_log_in(sender: Any, request: Any, user: User, **_: Any) -> None:
    if request is not None and hasattr(request, "session"):
        remember_authentication(request.session)
        device_remember(request, user)
    audit_record(action="session.logged_in", target=f"user:{user.username}", actor=user)


@receiver(user_logged_out, dispatch_uid="common.record_log_out")
def record_log_out(sender: Any, request: Any, user: User | None, **_: Any) -> None:
    if user is not None:
        audit_record(action="session.logged_out", target=f"user:{user.username}", actor=user)


@receiver(user_login_failed, dispatch_uid="common.record_failed_log_in")
def record_failed_log_in(sender: Any, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    """Guesses that were judged. The row of the lock-out tells of the others, which would fill the trail."""
    if getattr(request, "guess", None) is not None:
        name = account_name(request, credentials)
        audit_record(action="session.log_in_failed", target=f"user:{name}", actor="login")


@receiver(user_locked_out, dispatch_uid="common.record_lock_out")
def record_lock_out(sender: Any, username: str | None = None, **_: Any) -> None:
    audit_record(action="session.locked_out", target=f"user:{username}", actor="login")
