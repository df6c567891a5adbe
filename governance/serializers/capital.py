"""Allocations and the runs that made them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import AllocationRun
from trading.serializers.strict import ExpiryField, ReasonField, RequestSerializer

OUTCOMES = AllocationRun.Outcome.values


class AllocationSerializer(serializers.Serializer[Any]):
    """One strategy in one run; `rule` decided, `reason` says how in words and numbers."""

    id = serializers.IntegerField()
    run = serializers.IntegerField()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    weight = serializers.FloatField(allow_null=True, help_text="share of the pool the method wants")
    before = serializers.CharField()
    desired = serializers.CharField(help_text="by the method, before pace and limits")
    amount = serializers.CharField(help_text="in force after the run")
    proposed = serializers.CharField(
        allow_null=True, help_text="beyond the envelope: two people may grant it"
    )
    rule = serializers.CharField()
    reason = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES, help_text="of the run")
    method = serializers.CharField()
    in_force_until = serializers.DateTimeField(allow_null=True)
    policy_version = serializers.IntegerField()


class AllocationRunSerializer(serializers.Serializer[Any]):
    """One decision about all capital."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    trigger = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    method = serializers.CharField()
    equity = serializers.CharField(allow_null=True)
    reserve = serializers.CharField(allow_null=True)
    pool = serializers.CharField(allow_null=True)
    total = serializers.CharField(allow_null=True)
    drawdown = serializers.FloatField(allow_null=True)
    multiplier = serializers.FloatField(allow_null=True)
    in_force_until = serializers.DateTimeField(allow_null=True)
    explanation = serializers.CharField()
    policy_version = serializers.IntegerField()


class AskSerializer(RequestSerializer):
    """Why, and how long the request stays open."""

    reason = ReasonField()
    expires_in_s = ExpiryField()
