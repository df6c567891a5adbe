"""Policies and their versions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.serializers.strict import CountField, ExpiryField, ReasonField, RequestSerializer


class PolicyVersionSerializer(serializers.Serializer[Any]):
    """One version of a policy; `document` has its decimals as text."""

    id = serializers.IntegerField()
    policy = serializers.CharField()
    version = serializers.IntegerField()
    in_force = serializers.BooleanField()
    document = serializers.JSONField()
    digest = serializers.CharField()
    reason = serializers.CharField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class PolicyChangeSerializer(RequestSerializer):
    """A whole document; what is left out takes its default."""

    document = serializers.JSONField()
    reason = ReasonField()
    expires_in_s = ExpiryField()


class PolicyRevertSerializer(RequestSerializer):
    """Back to an older version's document."""

    version = CountField(min_value=1)
    reason = ReasonField()
