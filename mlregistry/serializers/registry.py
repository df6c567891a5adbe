"""Versions, verdicts, promotion and inference on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlregistry.domain.stages import Stage
from mlregistry.serializers.canaries import CanarySerializer
from mlregistry.serializers.drift import DriftSerializer, TruthSerializer
from mlregistry.serializers.training import JOB_STATES
from trading.serializers.strict import (
    CountField,
    ExpiryField,
    FlagField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)

FEWEST_FOLDS, MOST_FOLDS, MOST_BARS = 2, 50, 100_000_000
STAGES = [stage.value for stage in Stage]
TRADING_STAGES = [Stage.CANARY.value, Stage.CHAMPION.value]
ASKED_STAGES = [Stage.SHADOW.value, *TRADING_STAGES]
IDLE_STAGES = [Stage.CANDIDATE.value, Stage.SHADOW.value, Stage.RETIRED.value]


class DatasetSerializer(serializers.Serializer[Any]):
    """The bars a version was trained on."""

    bars_sha256 = serializers.CharField()
    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField()
    bars = serializers.IntegerField()


class ModelVersionSerializer(serializers.Serializer[Any]):
    """A registered model."""

    id = serializers.IntegerField()
    model = serializers.CharField(help_text="its family")
    kind = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    stage = serializers.ChoiceField(choices=STAGES)
    symbol = serializers.CharField()
    market = serializers.CharField()
    interval = serializers.CharField()
    states = serializers.IntegerField(allow_null=True)
    parent_version = serializers.IntegerField(
        allow_null=True, help_text="version of the champion it was trained beside"
    )
    dataset = DatasetSerializer()
    metrics = serializers.JSONField()
    build = serializers.CharField()
    notes = serializers.CharField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class StageChangeSerializer(serializers.Serializer[Any]):
    """One change of stage."""

    to = serializers.CharField()
    reason = serializers.CharField()
    actor = serializers.CharField()
    approval = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.CharField(allow_null=True), **super().get_fields()}


class CriterionSerializer(serializers.Serializer[Any]):
    """One question of the gate."""

    name = serializers.CharField()
    measured = serializers.FloatField(allow_null=True, help_text="null: it could not be measured")
    limit = serializers.FloatField()
    at_least = serializers.BooleanField(help_text="whether it has to reach the limit, or to stay below it")
    says = serializers.CharField()
    passed = serializers.BooleanField()


class VerdictSerializer(serializers.Serializer[Any]):
    """What the gate said of a version, or how far it is."""

    id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    version_id = serializers.IntegerField()
    champion = serializers.IntegerField(allow_null=True, help_text="null: judged beside holding nothing")
    asked = serializers.JSONField()
    state = serializers.ChoiceField(choices=JOB_STATES)
    stage = serializers.CharField()
    progress = serializers.FloatField()
    passed = serializers.BooleanField(allow_null=True)
    criteria = CriterionSerializer(many=True)
    figures = serializers.JSONField()
    policy = serializers.JSONField()
    bars_sha256 = serializers.CharField(allow_null=True)
    error = serializers.CharField()
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class JudgeRequestSerializer(RequestSerializer):
    """Judge a version beside its family's champion."""

    folds = CountField(required=False, default=5, min_value=FEWEST_FOLDS, max_value=MOST_FOLDS)
    bars = CountField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_BARS)
    train = CountField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_BARS)


class PosteriorRowSerializer(serializers.Serializer[Any]):
    """One closed bar, and what was known when it closed."""

    at = serializers.DateTimeField()
    close = serializers.FloatField()
    probabilities = serializers.ListField(child=serializers.FloatField())
    log_score = serializers.FloatField()


class PosteriorSerializer(serializers.Serializer[Any]):
    """Filtered probabilities over price."""

    model = serializers.CharField()
    version = serializers.IntegerField()
    symbol = serializers.CharField()
    interval = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    rows = PosteriorRowSerializer(many=True)


class ModelComparisonSerializer(serializers.Serializer[Any]):
    """Two versions side by side."""

    versions = ModelVersionSerializer(many=True)
    portraits = serializers.JSONField()
    same_data = serializers.BooleanField()
    recipe = serializers.JSONField(help_text="what differs: [one, other] by name")
    figures = serializers.JSONField()
    states = serializers.JSONField(allow_null=True, help_text="matched pairs with their divergence in nats")
    states_unmatched = serializers.CharField(help_text="why they are not matched")
    verdicts = VerdictSerializer(many=True)


class EnvelopeSerializer(serializers.Serializer[Any]):
    """What may happen to a family by itself."""

    model = serializers.CharField()
    envelope = serializers.JSONField(help_text="empty: nothing")


class EnvelopeRequestSerializer(RequestSerializer):
    """Ask for an envelope; somebody else decides."""

    envelope = serializers.JSONField()
    reason = ReasonField()


class RollbackTargetSerializer(serializers.Serializer[Any]):
    """What a rollback would put back in force."""

    to = serializers.CharField(allow_null=True, help_text="null: nothing, see why_not")
    why_not = serializers.CharField(allow_blank=True)


class ModelDetailSerializer(ModelVersionSerializer):
    """A registered model with its lineage, its verdicts and every change of stage."""

    verdicts = VerdictSerializer(many=True)
    canaries = CanarySerializer(many=True)
    shadow = serializers.JSONField(
        help_text="decisions without orders beside the champion's, and both results"
    )

    portrait = serializers.JSONField(
        allow_null=True, help_text="states, transition matrix, dwell times, features per state; null: pruned"
    )
    pruned_at = serializers.DateTimeField(allow_null=True, help_text="when its bytes were let go")
    lineage = serializers.JSONField()
    drift = DriftSerializer(many=True)
    truth = TruthSerializer(many=True, help_text="beside the paper exchange's true regimes; newest first")
    graph = serializers.JSONField(help_text="nodes and edges of the lineage")
    envelope = serializers.JSONField(help_text="what may happen to the family by itself; empty: nothing")
    rollback = RollbackTargetSerializer(
        allow_null=True, help_text="of a champion: which version a rollback would put in its place"
    )
    stages = StageChangeSerializer(many=True)


class PromoteRequestSerializer(RequestSerializer):
    """Ask for a version to trade; somebody else decides."""

    stage = WordField(choices=ASKED_STAGES, required=False, default=Stage.CHAMPION.value)
    reason = ReasonField()
    override = FlagField(
        required=False, default=False, help_text="without a passing verdict; who approves is told"
    )
    canary = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        default=dict,
        help_text="rules of a canary that differ from the defaults",
    )
    expires_in_s = ExpiryField()


class StageRequestSerializer(RequestSerializer):
    """Move a version to a stage that does not trade, at once."""

    stage = WordField(choices=IDLE_STAGES)
    reason = ReasonField()


class NotesRequestSerializer(RequestSerializer):
    """What people know of a version; it replaces what stood there."""

    notes = TextField(max_length=4000, allow_blank=True)


class RollbackRequestSerializer(RequestSerializer):
    """Put the previous champion back."""

    reason = ReasonField()


class InferRequestSerializer(RequestSerializer):
    """How many of the newest closed bars to filter."""

    bars = CountField(required=False, default=500, min_value=2, max_value=1500)


class InferenceSerializer(serializers.Serializer[Any]):
    """Filtered probabilities after the newest closed bar."""

    model = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    bar_close_at = serializers.DateTimeField()
    bars = serializers.IntegerField()
    probabilities = serializers.DictField(child=serializers.FloatField())
    log_score = serializers.FloatField()


class ServingWorkerSerializer(serializers.Serializer[Any]):
    """A worker and the model it decided with last."""

    worker = serializers.CharField()
    strategy = serializers.CharField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    since = serializers.DateTimeField()
    beat_at = serializers.DateTimeField()


class ChampionSerializer(serializers.Serializer[Any]):
    """A version in its stage at the moment asked for, and how it came there."""

    model = serializers.CharField()
    version = serializers.IntegerField()
    version_id = serializers.IntegerField()
    digest = serializers.CharField()
    since = serializers.DateTimeField()
    actor = serializers.CharField()
    reason = serializers.CharField()
    approval = serializers.CharField(allow_null=True)


class ServingSerializer(serializers.Serializer[Any]):
    """What was in force at a moment; `workers` only for the present."""

    at = serializers.DateTimeField()
    champions = ChampionSerializer(many=True)
    canaries = ChampionSerializer(many=True)
    workers = ServingWorkerSerializer(many=True)
