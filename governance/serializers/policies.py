"""Policies and their versions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import RuleFiring
from trading.serializers.strict import (
    CountField,
    ExpiryField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)

FIRING_OUTCOMES = RuleFiring.Outcome.values


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


class PolicyCheckSerializer(RequestSerializer):
    """A file's text as it is."""

    text = TextField(max_length=256 * 1024, trim_whitespace=False)
    format = WordField(choices=["json", "yaml"])


class ProblemSerializer(serializers.Serializer[Any]):
    """One mistake; line and column count from 1, 0 where there is no place."""

    line = serializers.IntegerField()
    column = serializers.IntegerField()
    path = serializers.CharField()
    message = serializers.CharField()


class PolicyVerdictSerializer(serializers.Serializer[Any]):
    """What a file would be; nothing was changed."""

    problems = ProblemSerializer(many=True)
    document = serializers.JSONField(allow_null=True)
    changed = serializers.JSONField(help_text='{"member": [in force, in the file]}')
    allows_more = serializers.ListField(child=serializers.CharField())
    effect = serializers.JSONField()


class RuleFiringSerializer(serializers.Serializer[Any]):
    """One rule that was met."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    rule = serializers.CharField()
    trigger = serializers.CharField()
    event_id = serializers.IntegerField(allow_null=True)
    evidence = serializers.JSONField()
    action = serializers.CharField()
    outcome = serializers.ChoiceField(choices=FIRING_OUTCOMES)
    detail = serializers.CharField()
    policy_version = serializers.IntegerField()
