"""Periodic jobs on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.serializers.strict import CountField, ExpiryField, FlagField, ReasonField, RequestSerializer


class ScheduleSerializer(serializers.Serializer[Any]):
    """A periodic job."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    task = serializers.CharField()
    queue = serializers.CharField(allow_null=True)
    every_s = serializers.FloatField()
    is_enabled = serializers.BooleanField()
    last_sent_at = serializers.DateTimeField(allow_null=True)
    sent_by = serializers.CharField(allow_blank=True, help_text="the beat that sent it")
    last_run_at = serializers.DateTimeField(allow_null=True, help_text="when the last run ended")
    duration_s = serializers.FloatField(allow_null=True)
    result = serializers.CharField(allow_null=True, help_text="ok or failed")
    error = serializers.CharField(allow_blank=True)
    runs = serializers.IntegerField()
    failures = serializers.IntegerField()
    failures_in_row = serializers.IntegerField(help_text="since it last ended well")
    failing_since = serializers.DateTimeField(allow_null=True, help_text="when the first of these ended")
    is_failing = serializers.BooleanField(help_text="so often in a row that there is an incident")
    refused = serializers.IntegerField(help_text="messages a second beat would have sent")
    next_at = serializers.DateTimeField(allow_null=True)
    late_s = serializers.FloatField()
    in_hand = serializers.CharField(
        allow_blank=True, help_text="queued or running, of jobs that may be run by hand"
    )
    may_run_by_hand = serializers.BooleanField()
    by_hand = serializers.CharField(help_text="why it may, or may not")


class ScheduleRunSerializer(serializers.Serializer[Any]):
    """A run that a person asked for."""

    id = serializers.IntegerField()
    job = serializers.CharField()
    state = serializers.ChoiceField(
        choices=("queued", "running", "ok", "failed", "lost"),
        help_text="lost: no worker took it up while it was worth it, or the one that did said nothing more",
    )
    asked_by = serializers.CharField()
    reason = serializers.CharField()
    asked_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_s = serializers.FloatField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


class ScheduleRunRequestSerializer(RequestSerializer):
    reason = ReasonField()


class ScheduleRequestSerializer(RequestSerializer):
    """What to change; what is left out stays."""

    every_s = CountField(required=False)
    is_enabled = FlagField(required=False)
    reason = ReasonField()
    expires_in_s = ExpiryField()
