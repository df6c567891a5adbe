"""Verdicts of the gate, canaries with their paired intervals, what shadows would have decided."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from mlregistry.admin.acting import RegistryAdmin, act_on
from mlregistry.models import Canary, CanaryObservation, GateVerdict, ShadowDecision, ShadowTrack
from mlregistry.services.canaries import canary_rollback
from mlregistry.services.extensions import extension_request
from mlregistry.services.judging import judge_cancel
from nautilus_site.common.models import User

MONTH_S = 30 * 86_400.0


def cancel(verdict: GateVerdict, person: User, reason: str) -> str:
    """Stop a judgement."""
    judge_cancel(verdict=verdict, actor=person)
    return "cancel asked for"


def end(canary: Canary, person: User, reason: str) -> str:
    """End a canary."""
    return f"{canary_rollback(canary=canary, actor=person, reason=reason).state}: capital is back"


def extend(canary: Canary, person: User, reason: str) -> str:
    """Ask for another month."""
    asked = extension_request(canary=canary, more_s=MONTH_S, reason=reason, requester=person)
    return f"request {asked.pk} waits for a second person"


@admin.register(GateVerdict)
class GateVerdictAdmin(RegistryAdmin):
    """What the gate said, with every number."""

    list_display = (
        "version", "champion", "state", "passed", "did_not_pass", "requested_by", "created_at", "on_page",
    )  # fmt: skip
    list_filter = ("state", "passed", "version__family__name")
    list_select_related = ("version__family", "champion__family", "requested_by")
    search_fields = ("version__family__name", "=uid", "error")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = ("cancel_selected",)
    permissions = {"cancel_selected": "models.train"}

    @admin.display(description="did not pass")
    def did_not_pass(self, row: GateVerdict) -> str:
        """The criteria it failed."""
        return ", ".join(one["name"] for one in row.criteria if not one["passed"])

    @admin.action(description="Cancel")
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[GateVerdict]) -> HttpResponse | None:
        """Stop judgements that are not over."""
        return act_on(
            request, queryset, cancel, permission="models.train", name="cancel_selected", title="Cancel",
            effect="A queued judgement ends at once, a running one at its next test.",
        )  # fmt: skip


@admin.register(Canary)
class CanaryAdmin(RegistryAdmin):
    """Versions that trade, or traded, a capped part of a champion's capital."""

    list_display = (
        "version", "champion", "state", "step", "capital", "n", "log_e", "started_at", "ended_at", "reason", "on_page",
    )  # fmt: skip
    list_filter = ("state", "step", "version__family__name")
    list_select_related = ("version__family", "champion__family")
    search_fields = ("version__family__name", "=uid", "reason")
    date_hierarchy = "started_at"
    ordering = ("-id",)
    actions = ("rollback_selected", "extend_selected")
    permissions = {"rollback_selected": "models.rollback", "extend_selected": "models.propose"}

    @admin.action(description="Roll back")
    def rollback_selected(self, request: HttpRequest, queryset: QuerySet[Canary]) -> HttpResponse | None:
        """End canaries at once."""
        return act_on(
            request, queryset, end, permission="models.rollback", name="rollback_selected", title="Roll back",
            effect="At once: its capital is the champion's again and its position is left.",
        )  # fmt: skip

    @admin.action(description="Ask for 30 days more")
    def extend_selected(self, request: HttpRequest, queryset: QuerySet[Canary]) -> HttpResponse | None:
        """File a request for each."""
        return act_on(
            request, queryset, extend, permission="models.propose", name="extend_selected",
            title="Ask for 30 days more",
            effect="A request for each, which a risk officer decides. Until then it ends by its rules.",
        )  # fmt: skip


@admin.register(CanaryObservation)
class CanaryObservationAdmin(RegistryAdmin):
    """Paired net returns, interval by interval."""

    list_display = ("canary", "number", "from_at", "to_at", "canary_return", "champion_return")
    list_select_related = ("canary__version__family",)
    search_fields = ("=canary__uid", "canary__version__family__name")
    ordering = ("-id",)


@admin.register(ShadowTrack)
class ShadowTrackAdmin(RegistryAdmin):
    """How far each shadow has stepped, and why one does not."""

    list_display = ("version", "instance", "last_bar_at", "error")
    list_select_related = (
        "version__family",
        "instance__strategy",
        "instance__account",
        "instance__instrument",
    )
    search_fields = ("version__family__name", "error")
    ordering = ("-id",)


@admin.register(ShadowDecision)
class ShadowDecisionAdmin(RegistryAdmin):
    """What shadows wanted; none of it was ordered."""

    list_display = ("bar_open_at", "version", "instance", "price", "target", "confidence", "reason")
    list_filter = ("reason",)
    list_select_related = (
        "version__family",
        "instance__strategy",
        "instance__account",
        "instance__instrument",
    )
    search_fields = ("version__family__name",)
    ordering = ("-id",)
