"""Families, versions and their history; artefacts by digest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from mlregistry.admin.acting import RegistryAdmin, act_on
from mlregistry.domain.stages import Stage
from mlregistry.models import Dataset, ModelArtefact, ModelFamily, ModelVersion, StageChange, TrainingRun
from mlregistry.services.judging import judge_request
from mlregistry.services.stages import rollback, version_move
from mlregistry.services.training import training_request
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import User


def train_again(family: ModelFamily, person: User, reason: str) -> str:
    """Queue the family's newest run once more, as it was asked for, on the bars there are now."""
    newest = TrainingRun.objects.filter(family=family).order_by("-pk").first()
    if newest is None:
        raise NotFound(
            "NEVER_TRAINED", "none of its models was trained here as a job; train it on the models page"
        )
    return f"training {training_request(asked=newest.asked, requester=person).uid} is queued"


def retire(version: ModelVersion, person: User, reason: str) -> str:
    """Take a version out of use; one that trades gives its capital back."""
    return f"is {version_move(version_id=version.pk, stage=Stage.RETIRED, actor=person, reason=reason).stage} now"


def judge(version: ModelVersion, person: User, reason: str) -> str:
    """Queue a judgement."""
    return f"judgement {judge_request(version=version, requester=person).uid} is queued"


def roll_back(version: ModelVersion, person: User, reason: str) -> str:
    """Put the family's previous champion back."""
    return f"{rollback(family=version.family, actor=person, reason=reason)} is in force again"


@admin.register(ModelFamily)
class ModelFamilyAdmin(RegistryAdmin):
    """Versions that may replace one another, and what may happen to them by itself."""

    list_display = ("name", "kind", "symbol", "market", "interval", "by_itself", "created_at", "on_page")
    list_filter = ("kind", "market", "interval")
    search_fields = ("name", "symbol")
    ordering = ("name",)
    actions = ("train_selected",)
    permissions = {"train_selected": "models.train"}

    @admin.display(description="by itself")
    def by_itself(self, row: ModelFamily) -> str:
        """What its approved envelope lets happen."""
        allowed = [name for name in ("canary", "champion", "refit_days") if row.envelope.get(name)]
        return f"{', '.join(allowed)} until {row.envelope.get('until')}" if allowed else "nothing"

    @admin.action(description="Train its newest recipe again")
    def train_selected(self, request: HttpRequest, queryset: QuerySet[ModelFamily]) -> HttpResponse | None:
        """Queue a run for each."""
        return act_on(
            request, queryset, train_again, permission="models.train", name="train_selected",
            title="Train its newest recipe again",
            effect="Each family's newest run is queued once more, on the bars stored now. It makes a candidate.",
        )  # fmt: skip


@admin.register(ModelVersion)
class ModelVersionAdmin(RegistryAdmin):
    """Trained models. Their numbers never change; a stage changes through the services alone."""

    list_display = ("__str__", "stage", "dataset", "short_digest", "created_by", "created_at", "on_page")
    list_filter = ("stage", "family__kind", "family__symbol")
    list_select_related = ("family", "dataset", "created_by")
    search_fields = ("family__name", "artefact__digest", "notes")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = ("judge_selected", "retire_selected", "rollback_selected")
    permissions = {
        "judge_selected": "models.train",
        "retire_selected": "models.propose",
        "rollback_selected": "models.rollback",
    }

    @admin.display(description="digest")
    def short_digest(self, row: ModelVersion) -> str:
        """The beginning of the artefact's SHA-256."""
        return row.digest[:12]

    @admin.action(description="Judge beside the champion")
    def judge_selected(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> HttpResponse | None:
        """Queue a judgement of each."""
        return act_on(
            request, queryset, judge, permission="models.train", name="judge_selected",
            title="Judge beside the champion",
            effect="Each is walked beside its champion over the stored bars. Every judgement is one more trial.",
        )  # fmt: skip

    @admin.action(description="Retire")
    def retire_selected(self, request: HttpRequest, queryset: QuerySet[ModelVersion]) -> HttpResponse | None:
        """Take each out of use, at once."""
        return act_on(
            request, queryset, retire, permission="models.propose", name="retire_selected", title="Retire",
            effect="At once. A champion's strategies stop deciding until another one serves; a canary's capital goes "
            "back.",
        )  # fmt: skip

    @admin.action(description="Roll its family back")
    def rollback_selected(
        self, request: HttpRequest, queryset: QuerySet[ModelVersion]
    ) -> HttpResponse | None:
        """Put the champion before back in force, at once."""
        return act_on(
            request, queryset, roll_back, permission="models.rollback", name="rollback_selected",
            title="Roll its family back",
            effect="At once: the champion before the present one is in force again, the present one is retired.",
        )  # fmt: skip


@admin.register(StageChange)
class StageChangeAdmin(RegistryAdmin):
    """What was in force when, and why."""

    list_display = ("at", "version", "from_stage", "to_stage", "actor", "approval", "reason")
    list_filter = ("to_stage", "version__family__name")
    list_select_related = ("version__family",)
    search_fields = ("version__family__name", "actor", "=approval", "reason")
    date_hierarchy = "at"
    ordering = ("-id",)


@admin.register(Dataset)
class DatasetAdmin(RegistryAdmin):
    """What models were trained on, by the hash of the numbers."""

    list_display = ("symbol", "market", "interval", "start_at", "end_at", "bars", "stretches", "bars_sha256")
    list_filter = ("market", "interval")
    search_fields = ("symbol", "bars_sha256", "file_sha256")
    ordering = ("-id",)


@admin.register(ModelArtefact)
class ModelArtefactAdmin(RegistryAdmin):
    """The bytes of models by their digest; the bytes themselves are not shown."""

    list_display = ("digest", "stored_at", "pruned_at")
    search_fields = ("digest",)
    exclude = ("document", "arrays")
    ordering = ("-stored_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).defer("document", "arrays")
        return rows
