"""Periodic tasks in the admin: the library's own forms, which save at once, give way to governed ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from governance.models import ScheduleRun, ScheduleState
from governance.services.schedules import schedule_change
from nautilus_site.common.admin import ReadOnlyAdmin
from nautilus_site.common.models import ChangeRequest
from trading.admin.intent import IntentAdmin, acting, request_or_none

for model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(IntentAdmin):
    """On again is immediate, off is a request; the period is changed on the page or over the API."""

    change_permission = "platform.propose"
    governed_fields = ("enabled",)
    list_display = ("name", "task", "queue", "interval", "enabled", "last_run_at", "total_run_count")
    list_filter = ("queue", "enabled")
    list_select_related = ("interval", "crontab")
    ordering = ("name",)

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "platform.propose")
        values = {"is_enabled": payload["enabled"]}
        return request_or_none(schedule_change(schedule_id=obj.pk, values=values, actor=actor, reason=reason))


@admin.register(ScheduleState)
class ScheduleStateAdmin(ReadOnlyAdmin):
    """How the last run of each job went."""

    list_display = ("name", "finished_at", "duration_s", "result", "runs", "failures", "refused", "sent_by")
    list_filter = ("result",)
    ordering = ("name",)


@admin.register(ScheduleRun)
class ScheduleRunAdmin(ReadOnlyAdmin):
    """Runs people asked for."""

    list_display = ("name", "asked_by", "asked_at", "started_at", "duration_s", "result", "error")
    list_filter = ("result",)
    list_select_related = ("asked_by",)
    ordering = ("-id",)
