"""Playbooks in the admin: what makes one act later becomes a request; what they did is read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from governance.models import (
    AfterAction,
    ComplianceReport,
    GameDay,
    GuardianHour,
    Incident,
    IncidentEntry,
    Playbook,
    PlaybookAction,
    PlaybookRun,
    PlaybookWatch,
    Rehearsal,
)
from governance.services.playbooks import playbook_change
from governance.services.playbooks.changing import FIELDS
from nautilus_site.common.admin import ReadOnlyAdmin
from nautilus_site.common.models import ChangeRequest
from trading.admin.intent import IntentAdmin, acting, request_or_none


@admin.register(Playbook)
class PlaybookAdmin(IntentAdmin):
    """Acting earlier or doing more applies at once, the other way is a request."""

    governed_fields = FIELDS
    list_display = ("name", "family", "is_armed", "threshold", "unit", "cooldown_s", "severity", "changed_by")
    list_filter = ("family", "is_armed")
    ordering = ("family", "name")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "risk.propose")
        values = {
            name: float(value) if name in ("threshold", "window_s", "cooldown_s") else value
            for name, value in payload.items()
        }
        return request_or_none(playbook_change(name=obj.name, values=values, actor=actor, reason=reason))


@admin.register(PlaybookWatch)
class PlaybookWatchAdmin(ReadOnlyAdmin):
    """What playbooks last saw."""

    list_display = ("playbook", "scope", "value", "verdict", "sightings", "read_at", "ran_at")
    list_filter = ("playbook", "verdict")
    list_select_related = ("playbook",)
    ordering = ("playbook__name", "scope")


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """What went wrong."""

    list_display = ("opened_at", "kind", "scope", "severity", "state", "title", "reviewed_by")
    list_filter = ("state", "severity", "kind", "is_rehearsal")
    search_fields = ("=kind", "=scope", "title")
    ordering = ("-pk",)


@admin.register(IncidentEntry)
class IncidentEntryAdmin(ReadOnlyAdmin):
    """Timelines."""

    list_display = ("at", "incident", "actor", "what")
    list_select_related = ("incident",)
    ordering = ("-pk",)


@admin.register(AfterAction)
class AfterActionAdmin(ReadOnlyAdmin):
    """What people wrote down about incidents."""

    list_display = ("at", "incident", "author", "root_cause", "what_will_change")
    list_select_related = ("incident",)
    ordering = ("-pk",)


@admin.register(PlaybookRun)
class PlaybookRunAdmin(ReadOnlyAdmin):
    """Times a playbook acted."""

    list_display = ("at", "playbook", "scope", "measured", "threshold", "held_back", "incident")
    list_filter = ("playbook", "held_back")
    list_select_related = ("playbook", "incident")
    ordering = ("-pk",)


@admin.register(PlaybookAction)
class PlaybookActionAdmin(ReadOnlyAdmin):
    """Steps taken, and whether their effect was seen."""

    list_display = ("at", "verb", "scope", "state", "verified_at", "error", "undo_request")
    list_filter = ("verb", "state")
    ordering = ("-pk",)


@admin.register(GameDay)
class GameDayAdmin(ReadOnlyAdmin):
    """Playbooks rehearsed one after another."""

    list_display = ("started_at", "requested_by", "state", "finished_at", "reason")
    list_filter = ("state",)
    list_select_related = ("requested_by",)
    ordering = ("-pk",)


@admin.register(GuardianHour)
class GuardianHourAdmin(ReadOnlyAdmin):
    """Hours in which playbooks were judged."""

    list_display = ("hour", "judged", "longest_pause_s", "last_at")
    ordering = ("-hour",)


@admin.register(Rehearsal)
class RehearsalAdmin(ReadOnlyAdmin):
    """Rehearsals and their marks."""

    list_display = ("injected_at", "playbook", "requested_by", "state", "score", "scope")
    list_filter = ("playbook", "state")
    list_select_related = ("playbook", "requested_by")
    ordering = ("-pk",)


@admin.register(ComplianceReport)
class ComplianceReportAdmin(ReadOnlyAdmin):
    """Daily reports."""

    list_display = ("day", "violations", "digest", "path", "created_at")
    ordering = ("-day",)
