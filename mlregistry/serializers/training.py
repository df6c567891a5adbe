"""Training runs and studies on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlregistry.domain.asked import SEEDS
from mlregistry.domain.recipes import ALIASES, MODELS, MOST_STATES
from trading.domain.regime.features import FEATURES
from trading.serializers.strict import CountField, RequestSerializer, TextField, WordField

KINDS = [*MODELS, *ALIASES]
JOB_STATES = ["queued", "running", "done", "failed", "canceled"]
STUDY_STATES = ["running", "done"]
MOST_SYMBOLS, MOST_SEEDS = 50, 50


def _features() -> serializers.ListField:
    return serializers.ListField(
        child=WordField(choices=list(FEATURES)),
        required=False,
        allow_null=True,
        default=None,
        min_length=1,
        max_length=len(FEATURES),
        help_text="in this order; null: the model's own. funding is for perpetuals whose rates are stored",
    )


class TrainRequestSerializer(RequestSerializer):
    """One training run. Without `states` their number is chosen by held-out score."""

    model = WordField(choices=KINDS)
    symbol = TextField(max_length=32)
    market = WordField(choices=["spot", "usdm"], required=False, default="spot")
    interval = TextField(max_length=4)
    states = CountField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_STATES)
    seed = CountField(required=False, default=0, min_value=0, max_value=SEEDS)
    start = serializers.DateTimeField(required=False, allow_null=True, default=None)
    end = serializers.DateTimeField(required=False, allow_null=True, default=None)
    features = _features()


class TrainingStartedSerializer(serializers.Serializer[Any]):
    """Where to follow a run."""

    job_id = serializers.UUIDField()


class TrainingRunSerializer(serializers.Serializer[Any]):
    """A training run. `log_likelihood` is the trace of the fit that is running, or of the one that won."""

    id = serializers.UUIDField()
    model = serializers.CharField()
    asked = serializers.JSONField()
    study = serializers.UUIDField(allow_null=True)
    state = serializers.ChoiceField(choices=JOB_STATES)
    stage = serializers.CharField()
    progress = serializers.FloatField()
    eta_s = serializers.FloatField(allow_null=True)
    log_likelihood = serializers.ListField(child=serializers.FloatField())
    model_version = serializers.IntegerField(allow_null=True, help_text="id of the version it made")
    digest = serializers.CharField(allow_null=True)
    error = serializers.CharField()
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class StudyRequestSerializer(RequestSerializer):
    """Every combination of symbols, numbers of states and seeds, each a run; 200 at most."""

    model = WordField(choices=KINDS)
    symbols = serializers.ListField(child=TextField(max_length=32), min_length=1, max_length=MOST_SYMBOLS)
    market = WordField(choices=["spot", "usdm"], required=False, default="spot")
    interval = TextField(max_length=4)
    states = serializers.ListField(
        child=CountField(min_value=1, max_value=MOST_STATES, allow_null=True),
        required=False,
        default=lambda: [None],
        min_length=1,
        max_length=MOST_STATES + 1,
        help_text="null: their number is chosen by held-out score",
    )
    seeds = serializers.ListField(
        child=CountField(min_value=0, max_value=SEEDS),
        required=False,
        default=lambda: [0],
        min_length=1,
        max_length=MOST_SEEDS,
    )
    start = serializers.DateTimeField(required=False, allow_null=True, default=None)
    end = serializers.DateTimeField(required=False, allow_null=True, default=None)
    features = _features()


class StudyStartedSerializer(serializers.Serializer[Any]):
    """Where to follow a study."""

    study_id = serializers.UUIDField()
    runs = serializers.IntegerField()


class StudyResultSerializer(serializers.Serializer[Any]):
    """One run of a study and what it came to."""

    job_id = serializers.UUIDField()
    model = serializers.CharField()
    states = serializers.IntegerField(allow_null=True)
    seed = serializers.IntegerField()
    state = serializers.ChoiceField(choices=JOB_STATES)
    version = serializers.IntegerField(allow_null=True)
    version_id = serializers.IntegerField(allow_null=True)
    log_likelihood = serializers.FloatField(allow_null=True)
    bic = serializers.FloatField(allow_null=True)
    error = serializers.CharField()


class StudySerializer(serializers.Serializer[Any]):
    """A study; `finished_at` is written once, by the run that ends last."""

    id = serializers.UUIDField()
    asked = serializers.JSONField()
    state = serializers.ChoiceField(choices=STUDY_STATES)
    runs = serializers.IntegerField()
    ended = serializers.IntegerField()
    by_state = serializers.JSONField()
    progress = serializers.FloatField()
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class StudyDetailSerializer(StudySerializer):
    """A study with every run, of each model the smallest BIC first."""

    results = StudyResultSerializer(many=True)
