"""Blackout windows on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.serializers.controls import ScopeField
from trading.serializers.strict import ReasonField, RequestSerializer


class BlackoutSerializer(serializers.Serializer[Any]):
    """A window in which a scope takes no new risk."""

    id = serializers.IntegerField()
    scope = serializers.CharField()
    state = serializers.ChoiceField(choices=["to_come", "in_force", "over", "ended"])
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(allow_blank=True)


class BlackoutRequestSerializer(RequestSerializer):
    """A window to set; it begins at once unless `starts_at` says when."""

    scope = ScopeField()
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ends_at = serializers.DateTimeField()
    reason = ReasonField()
