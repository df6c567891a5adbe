"""Log-ins and failed ones, to be read. The library's own pages let a superuser delete them, which ends a lock-out."""

from __future__ import annotations

import axes.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401  both register theirs when imported: before this, whoever comes first
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group

from nautilus_site.common.admin.read_only import ReadOnlyAdmin

# Nothing is decided by groups: a person's role is one field, and changing it takes two people.
for model in (Group, AccessAttempt, AccessFailureLog, AccessLog):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class LogInAdmin(ReadOnlyAdmin):
    """One record of the lock-out. What the browser sent is left out."""

    view_permission = "audit.read"
    list_display: tuple[str, ...] = ("attempt_time", "username", "ip_address", "path_info")
    search_fields = ("=username", "=ip_address")
    fields: tuple[str, ...] = ("attempt_time", "username", "ip_address", "user_agent", "path_info")
    ordering = ("-id",)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(LogInAdmin):
    """Failures that count towards a lock-out."""

    list_display = (*LogInAdmin.list_display, "failures_since_start")
    fields = (*LogInAdmin.fields, "failures_since_start")


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(LogInAdmin):
    """Every failure."""

    list_display = (*LogInAdmin.list_display, "locked_out")
    fields = (*LogInAdmin.fields, "locked_out")


@admin.register(AccessLog)
class AccessLogAdmin(LogInAdmin):
    """Every log-in, and when it ended."""

    list_display = (*LogInAdmin.list_display, "logout_time")
    fields = (*LogInAdmin.fields, "logout_time")
