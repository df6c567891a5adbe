"""Drift, and the truth, day by day on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

DRIFT_VERDICTS = ["stable", "watch", "alarm"]


class DriftSerializer(serializers.Serializer[Any]):
    """One day of one version."""

    day = serializers.DateField()
    verdict = serializers.ChoiceField(choices=DRIFT_VERDICTS)
    bars = serializers.IntegerField()
    window = serializers.IntegerField(help_text="rows behind the stability index")
    psi = serializers.DictField(child=serializers.FloatField())
    occupancy = serializers.JSONField(help_text="by state: share of time in training, and now")
    occupancy_index = serializers.FloatField(allow_null=True)
    occupancy_limit = serializers.FloatField(allow_null=True, help_text="above it the occupancy is an alarm")
    alarmed = serializers.ListField(child=serializers.CharField(), help_text="measures that raised an alarm")
    score_mean = serializers.FloatField(allow_null=True)
    score_reference = serializers.FloatField()
    cusum = serializers.FloatField()
    cusum_peak = serializers.FloatField()
    threshold = serializers.FloatField()
    alarms = serializers.IntegerField()
    measured_at = serializers.DateTimeField()


class TruthSerializer(serializers.Serializer[Any]):
    """How often the filter named the paper exchange's true regime, by a day's last measurement."""

    day = serializers.DateField()
    rows = serializers.IntegerField(help_text="bars measured")
    accuracy = serializers.FloatField()
    always = serializers.FloatField(help_text="what naming the commonest state all the time would get")
    probability = serializers.FloatField(help_text="mean probability of the right state")
    matched = serializers.JSONField(help_text="the state each true regime goes by")
    recall = serializers.JSONField()
    confusion = serializers.JSONField()
    from_at = serializers.DateTimeField()
    to_at = serializers.DateTimeField()
    measured_at = serializers.DateTimeField()
