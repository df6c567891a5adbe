"""Training runs and studies."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from mlregistry.admin.acting import RegistryAdmin, act_on
from mlregistry.models import TrainingRun, TrainingStudy
from mlregistry.services.training import study_cancel, training_cancel, training_request
from nautilus_site.common.models import User


def again(run: TrainingRun, person: User, reason: str) -> str:
    """Queue the same request once more."""
    return f"training {training_request(asked=run.asked, requester=person).uid} is queued"


def cancel(run: TrainingRun, person: User, reason: str) -> str:
    """Stop a run."""
    training_cancel(run=run, actor=person)
    return "cancel asked for"


def cancel_study(study: TrainingStudy, person: User, reason: str) -> str:
    """Stop what is left of a study."""
    return f"cancel asked for, {study_cancel(study=study, actor=person)} runs"


@admin.register(TrainingRun)
class TrainingRunAdmin(RegistryAdmin):
    """What was trained, is being trained and failed."""

    list_display = (
        "family", "state", "stage", "done", "total", "attempts", "requested_by", "created_at", "finished_at",
        "on_page",
    )  # fmt: skip
    list_filter = ("state", "family__kind", "family__symbol")
    list_select_related = ("family", "requested_by")
    search_fields = ("family__name", "=uid", "digest", "error")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = ("again_selected", "cancel_selected")
    permissions = {"again_selected": "models.train", "cancel_selected": "models.train"}

    @admin.action(description="Train again")
    def again_selected(self, request: HttpRequest, queryset: QuerySet[TrainingRun]) -> HttpResponse | None:
        """Queue the same requests once more."""
        return act_on(
            request, queryset, again, permission="models.train", name="again_selected", title="Train again",
            effect="The same is asked for once more, on the bars stored now. The same bars give the same digest.",
        )  # fmt: skip

    @admin.action(description="Cancel")
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[TrainingRun]) -> HttpResponse | None:
        """Stop runs."""
        return act_on(
            request, queryset, cancel, permission="models.train", name="cancel_selected", title="Cancel",
            effect="A queued run ends at once, a running one within a second. Nothing of it is kept.",
        )  # fmt: skip


@admin.register(TrainingStudy)
class TrainingStudyAdmin(RegistryAdmin):
    """Runs that were asked for together."""

    list_display = ("uid", "asked", "requested_by", "created_at", "finished_at", "on_page")
    list_select_related = ("requested_by",)
    search_fields = ("=uid",)
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = ("cancel_selected",)
    permissions = {"cancel_selected": "models.train"}

    @admin.action(description="Cancel")
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[TrainingStudy]) -> HttpResponse | None:
        """Stop what is left of each."""
        return act_on(
            request, queryset, cancel_study, permission="models.train", name="cancel_selected", title="Cancel",
            effect="Every run of it that is not over is canceled; what was trained stays.",
        )  # fmt: skip
