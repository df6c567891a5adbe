"""Trained models by family and number, their stages, and every change of stage for ever."""

from django.conf import settings
from django.db import models

from mlregistry.domain.stages import Stage


class ModelFamily(models.Model):
    """Versions that may replace one another: one model kind on one symbol and interval."""

    name = models.SlugField(max_length=80, unique=True)
    kind = models.CharField(max_length=24, help_text="hmm or hierarchical_hmm")
    symbol = models.CharField(max_length=32)
    market = models.CharField(max_length=8)
    interval = models.CharField(max_length=4)
    envelope = models.JSONField(
        default=dict, blank=True, help_text="what may happen by itself, as approved; empty: nothing"
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "model families"

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """One trained model. Its numbers never change; its stage does, and each change is kept."""

    family = models.ForeignKey(ModelFamily, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artefact = models.ForeignKey("mlregistry.ModelArtefact", on_delete=models.PROTECT)
    dataset = models.ForeignKey("mlregistry.Dataset", on_delete=models.PROTECT)
    run = models.OneToOneField(
        "mlregistry.TrainingRun", null=True, blank=True, on_delete=models.PROTECT, related_name="version"
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        help_text="the champion when this was trained, whose state names it keeps where they match",
    )
    stage = models.CharField(
        max_length=9, choices=[(s.value, s.value) for s in Stage], default=Stage.CANDIDATE
    )
    lineage = models.JSONField(help_text="the artefact's own: data, recipe, seed, scores")
    metrics = models.JSONField(default=dict)
    build = models.CharField(max_length=64, blank=True, help_text="the code that trained it")
    notes = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["family", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["family", "artefact"], name="artefact_once_per_family"),
            models.UniqueConstraint(
                fields=["family"], condition=models.Q(stage=Stage.CHAMPION), name="one_champion"
            ),
            models.UniqueConstraint(
                fields=["family"], condition=models.Q(stage=Stage.CANARY), name="one_canary"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.family} v{self.number}"

    @property
    def digest(self) -> str:
        """SHA-256 of the artefact."""
        return self.artefact_id


class StageChange(models.Model):
    """One move of one version. What served at a moment is read from these."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="stage_changes")
    from_stage = models.CharField(max_length=9, blank=True)
    to_stage = models.CharField(max_length=9)
    reason = models.TextField()
    actor = models.CharField(max_length=150)
    approval = models.CharField(
        max_length=36, blank=True, help_text="the change request, where one was needed"
    )
    evidence = models.JSONField(default=dict, help_text="the gate's numbers, where a gate decided")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["version", "at"], name="stages_by_time")]

    def __str__(self) -> str:
        return f"{self.version_id} {self.from_stage} to {self.to_stage}"
